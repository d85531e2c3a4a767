//! The lake's object store, opened by URL.
//!
//! Responsible for opening it, for its boot probe, and for saying what its errors mean. Promises: every object is written
//! by one PUT with create-if-absent, and none is ever deleted or overwritten, except for the boot probe's own. Uploads in
//! parts are not used: S3 would take the condition only when they are completed, and the `object_store` crate cannot
//! pass it on there.

mod failure;
mod open;
mod outage;
mod probe;
#[cfg(test)]
mod tests;

use std::{path::Path as FilePath, sync::Arc, time::Duration};

use bytes::Bytes;
use object_store::{
    ObjectStore, PutMode, PutOptions, PutPayload, local::LocalFileSystem, memory::InMemory, path::Path,
};
use operator::Failure;
use url::Url;

pub(crate) use failure::{StoreErrorKind, reason};
pub(crate) use outage::Outage;

/// A lake: an object store and the folder in it. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Store {
    objects: Arc<dyn ObjectStore>,
    root: Path,
    url: Arc<str>,
}

/// Why a lake cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The URL is not one of a lake.
    #[error("lake {url:?} is not a folder or URL ({reason}): use a folder, file:///, s3://, gs:// or az://")]
    Url { url: String, reason: String },
    /// The environment does not say how to reach it.
    #[error("lake {url} cannot be opened ({reason}): correct the variables {variables} of the environment")]
    Variables { url: String, reason: String, variables: &'static str },
    /// The folder cannot be made.
    #[error("lake folder {folder} cannot be opened ({reason}): create it, or correct the lake's URL")]
    Folder { folder: String, reason: std::io::Error },
    /// A first write or read failed.
    #[error("lake {url} cannot be written ({reason}): {advice}")]
    NotWritable { url: String, reason: String, advice: &'static str },
    /// It said nothing.
    #[error("lake {url} does not answer within {timeout:?}: check that the store runs, and its address")]
    Silent { url: String, timeout: Duration },
    /// What is created cannot be found.
    #[error("lake {url} does not list an object {patience:?} after its creation: use a store whose lists do not lag")]
    NotListed { url: String, patience: Duration },
    /// Two creates of one key succeeded.
    #[error(
        "lake {url} ignores create-if-absent ({how}), so that rows could be lost or doubled: use a store that honours \
         If-None-Match, or switch it on"
    )]
    NotExclusive { url: String, how: &'static str },
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Failure {
        match error {
            StoreError::Url { .. } | StoreError::Variables { .. } => Failure::config(error),
            error => Failure::environment(error),
        }
    }
}

impl Store {
    /// Opens a lake by URL (`file:///`, `s3://`, `gs://`, `az://`, `memory:///`) or folder. Address and credentials come
    /// from the environment, by the names of the vendors' own tools (`AWS_*`, `GOOGLE_*`, `AZURE_*`).
    ///
    /// # Errors
    /// When the URL makes no sense or the folder cannot be made.
    pub fn open(url: &str) -> Result<Store, StoreError> {
        let malformed = |reason: String| StoreError::Url { url: url.to_owned(), reason };
        if !url.contains("://") {
            return Store::folder(FilePath::new(url));
        }
        let parsed = Url::parse(url).map_err(|error| malformed(error.to_string()))?;
        if parsed.scheme() == "file" {
            let folder = parsed.to_file_path().map_err(|()| malformed("it has a host".to_owned()))?;
            return Store::folder(&folder);
        }
        let environment = std::env::vars_os()
            .filter_map(|(key, value)| Some((key.into_string().ok()?.to_ascii_lowercase(), value.into_string().ok()?)));
        let (objects, root) = open::open(&parsed, environment)?;
        Ok(Store { objects, root, url: url.into() })
    }

    /// Opens a lake that is there already: a folder is not made.
    ///
    /// # Errors
    /// As [`Store::open`], and when there is no such folder.
    pub fn open_existing(url: &str) -> Result<Store, StoreError> {
        let folder = match Url::parse(url) {
            Ok(parsed) if parsed.scheme() == "file" => parsed.to_file_path().ok(),
            _ => (!url.contains("://")).then(|| url.into()),
        };
        if let Some(folder) = folder.filter(|folder: &std::path::PathBuf| !folder.is_dir()) {
            let reason = std::io::Error::from(std::io::ErrorKind::NotFound);
            return Err(StoreError::Folder { folder: folder.display().to_string(), reason });
        }
        Store::open(url)
    }

    /// A lake in a folder of this machine. It is made if only its last part is missing.
    ///
    /// # Errors
    /// When the folder cannot be made.
    pub fn folder(folder: &FilePath) -> Result<Store, StoreError> {
        let failed = |reason| StoreError::Folder { folder: folder.display().to_string(), reason };
        match std::fs::create_dir(folder) {
            // Another sink may be starting as well.
            Err(error) if !folder.is_dir() => return Err(failed(error)),
            _ => {}
        }
        let folder = folder.canonicalize().map_err(failed)?;
        // Without fsync a power loss could take a file whose records the log has already dropped.
        let objects = LocalFileSystem::new_with_prefix(&folder)
            .map_err(|error| failed(std::io::Error::other(error.to_string())))?
            .with_fsync(true);
        Ok(Store { objects: Arc::new(objects), root: Path::default(), url: folder.display().to_string().into() })
    }

    /// A lake in this process's memory.
    pub fn memory() -> Store {
        Store::with_objects(Arc::new(InMemory::new()), "memory:///")
    }

    /// A lake in an object store that the caller has opened.
    pub fn with_objects(objects: Arc<dyn ObjectStore>, url: &str) -> Store {
        Store { objects, root: Path::default(), url: url.into() }
    }

    /// The object store.
    pub fn objects(&self) -> &Arc<dyn ObjectStore> {
        &self.objects
    }

    /// Path of the lake inside the object store.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Where it is, for people.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Creates an object unless there is one.
    pub(crate) async fn create(&self, path: &Path, content: Bytes) -> object_store::Result<()> {
        let options = PutOptions { mode: PutMode::Create, ..PutOptions::default() };
        self.objects.put_opts(path, PutPayload::from_bytes(content), options).await.map(|_| ())
    }
}
