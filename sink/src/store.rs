//! The lake's object store, opened by URL.
//!
//! Responsible for opening it and for proving at boot that it keeps the one promise on which everything rests: of all
//! that create one key, exactly one succeeds. Promises: every object is written with create-if-absent and none is ever
//! deleted or overwritten, except for the boot probe's own.

#[cfg(test)]
mod tests;

use std::{path::Path as FilePath, sync::Arc};

use bytes::Bytes;
use futures::future::join_all;
use object_store::{
    Error, ObjectStore, ObjectStoreExt, PutMode, PutOptions, PutPayload, local::LocalFileSystem, memory::InMemory,
    path::Path,
};
use operator::Failure;
use url::Url;

use crate::object_path;

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
    /// The folder cannot be made.
    #[error("lake folder {folder} cannot be opened ({reason}): create it, or correct the lake's URL")]
    Folder { folder: String, reason: std::io::Error },
    /// The first write failed.
    #[error("lake {url} cannot be written ({reason}): check that it exists and that this process may write there")]
    NotWritable { url: String, reason: Error },
    /// Creating a key twice succeeded twice.
    #[error(
        "lake {url} ignores create-if-absent ({how}), so that rows could be lost or doubled: use a store that honours \
         If-None-Match, or switch it on"
    )]
    NotExclusive { url: String, how: &'static str },
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Failure {
        match error {
            StoreError::Url { .. } => Failure::config(error),
            error => Failure::environment(error),
        }
    }
}

/// Creates that race for one key in the boot probe.
const PROBE_RACERS: usize = 4;

impl Store {
    /// Opens a lake by URL (`file:///`, `s3://`, `gs://`, `az://`, `memory:///`) or folder. Credentials come from the
    /// environment, by the names of the `object_store` crate (`AWS_*`, `GOOGLE_*`, `AZURE_*`).
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
        let (objects, root) =
            object_store::parse_url_opts(&parsed, environment).map_err(|error| malformed(error.to_string()))?;
        Ok(Store { objects: objects.into(), root, url: url.into() })
    }

    /// A lake in a folder of this machine. It is made if only its last part is missing.
    ///
    /// # Errors
    /// When the folder cannot be made.
    pub fn folder(folder: &FilePath) -> Result<Store, StoreError> {
        let failed = |reason| StoreError::Folder { folder: folder.display().to_string(), reason };
        if !folder.is_dir() {
            std::fs::create_dir(folder).map_err(failed)?;
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

    /// Proves that the lake can be written and that a key can be created only once, in sequence and in a race.
    ///
    /// # Errors
    /// When it cannot be written, or a second create succeeds.
    pub async fn probe(&self) -> Result<(), StoreError> {
        let name = uuid::Uuid::new_v4();
        let twice = object_path::probe(&self.root, &format!("{name}-twice"));
        let race = object_path::probe(&self.root, &format!("{name}-race"));
        let result = match self.probe_twice(&twice).await {
            Ok(()) => self.probe_race(&race).await,
            failed => failed,
        };
        for path in [twice, race] {
            // Left over where deleting is not allowed; no reader looks there.
            let _ = self.objects.delete(&path).await;
        }
        result
    }

    async fn probe_twice(&self, path: &Path) -> Result<(), StoreError> {
        self.create(path, Bytes::from_static(b"first")).await.map_err(|reason| self.not_writable(reason))?;
        match self.create(path, Bytes::from_static(b"second")).await {
            Ok(()) => Err(self.not_exclusive("a second create of the same key succeeded")),
            Err(Error::AlreadyExists { .. } | Error::Precondition { .. }) => Ok(()),
            Err(reason) => Err(self.not_writable(reason)),
        }?;
        let kept = async { self.objects.get(path).await?.bytes().await }.await;
        match kept.map_err(|reason| self.not_writable(reason))?.as_ref() {
            b"first" => Ok(()),
            _ => Err(self.not_exclusive("a refused create changed the object")),
        }
    }

    async fn probe_race(&self, path: &Path) -> Result<(), StoreError> {
        let racers = (0..PROBE_RACERS).map(|racer| self.create(path, Bytes::from(format!("racer {racer}"))));
        let winners = join_all(racers).await.into_iter().filter(Result::is_ok).count();
        if winners > 1 {
            return Err(self.not_exclusive("several of those that created one key at once succeeded"));
        }
        Ok(())
    }

    fn not_writable(&self, reason: Error) -> StoreError {
        StoreError::NotWritable { url: self.url.to_string(), reason }
    }

    fn not_exclusive(&self, how: &'static str) -> StoreError {
        StoreError::NotExclusive { url: self.url.to_string(), how }
    }
}
