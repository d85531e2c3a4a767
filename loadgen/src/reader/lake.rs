//! The lake as a list of objects.
//!
//! Responsible for opening a lake by URL, listing its event files and fetching one. Promises files in the order in which
//! readers must take them: topic, partition, start offset. Leaves what is in a file to `file`.

use std::path::Path as FilePath;
use std::sync::Arc;

use futures::TryStreamExt;
use object_store::path::Path;
use object_store::{GetResultPayload, ObjectStore, ObjectStoreExt};
use url::Url;

use super::file::{FileError, Footer, Row, read_rows};

/// Where event files lie below the root of the lake.
const EVENTS: &str = "events";

/// A lake that can be read.
#[derive(Clone, Debug)]
pub struct Lake {
    store: Arc<dyn ObjectStore>,
    events: Path,
    url: String,
}

/// Why a lake cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum LakeError {
    /// No URL at all.
    #[error("lake {text:?} is not a URL or folder: give file:///folder, s3://bucket/prefix, gs:// or az://")]
    NotAUrl {
        /// What was given.
        text: String,
    },
    /// The store cannot be used.
    #[error("lake {url} cannot be opened: {source}")]
    Store {
        /// Which lake.
        url: String,
        /// What the store said.
        source: Box<object_store::Error>,
    },
    /// A folder that is not there.
    #[error("lake folder {folder} does not exist: start the sink that writes it first, or correct --lake")]
    NoFolder {
        /// Which folder.
        folder: String,
    },
}

/// One event file.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Found {
    /// The topic, from the path.
    pub topic: String,
    /// The partition, from the path.
    pub partition: u32,
    /// The offset at which the file begins, from its name.
    pub start: u64,
    /// The whole path.
    pub path: String,
}

/// What a listing found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listing {
    /// Event files by topic, partition and start offset.
    pub files: Vec<Found>,
    /// Objects below the event folder that are not named as event files are.
    pub others: Vec<String>,
}

impl Lake {
    /// Opens the lake at `text`: a URL, or the path of a folder. Settings of cloud stores come from the environment
    /// (`AWS_...`, `GOOGLE_...`, `AZURE_...`).
    pub fn open(text: &str) -> Result<Self, LakeError> {
        let not_a_url = || LakeError::NotAUrl { text: text.to_owned() };
        let url = match Url::parse(text) {
            Ok(url) => url,
            Err(_) => Url::from_directory_path(std::path::absolute(text).map_err(|_| not_a_url())?)
                .map_err(|()| not_a_url())?,
        };
        if url.scheme() == "file" {
            let folder = url.to_file_path().map_err(|()| not_a_url())?;
            if !FilePath::is_dir(&folder) {
                return Err(LakeError::NoFolder { folder: folder.display().to_string() });
            }
        }
        let options = std::env::vars()
            .filter(|(key, _)| ["AWS_", "GOOGLE_", "AZURE_"].iter().any(|prefix| key.starts_with(prefix)))
            .map(|(key, value)| (key.to_ascii_lowercase(), value));
        let (store, root) = object_store::parse_url_opts(&url, options)
            .map_err(|source| LakeError::Store { url: text.to_owned(), source: Box::new(source) })?;
        Ok(Lake::of(Arc::from(store), &root, text))
    }

    /// A lake below `root` of a store that is open already.
    pub fn of(store: Arc<dyn ObjectStore>, root: &Path, name: &str) -> Self {
        Lake { store, events: root.clone().join(EVENTS), url: name.to_owned() }
    }

    /// Lists all event files that are visible now.
    pub async fn list(&self) -> Result<Listing, LakeError> {
        let mut listing = Listing::default();
        let mut objects = self.store.list(Some(&self.events));
        while let Some(object) = objects.try_next().await.map_err(|source| self.store_error(source))? {
            match self.name(&object.location) {
                Some(found) => listing.files.push(found),
                None => listing.others.push(object.location.to_string()),
            }
        }
        listing.files.sort_unstable();
        Ok(listing)
    }

    /// Reads one file, row by row.
    pub async fn read(&self, found: &Found, each: impl FnMut(Row<'_>)) -> Result<Footer, FileError> {
        let unreadable = |error: object_store::Error| FileError::Fetch { what: error.to_string() };
        let got = self.store.get(&Path::from(found.path.as_str())).await.map_err(unreadable)?;
        if let GetResultPayload::File(file, _) = got.payload {
            // A local file is read where it lies, and only the columns that are asked for.
            return read_rows(file, each);
        }
        read_rows(got.bytes().await.map_err(unreadable)?, each)
    }

    fn name(&self, location: &Path) -> Option<Found> {
        let mut parts = location.prefix_match(&self.events)?;
        let (topic, partition, file) = (parts.next()?, parts.next()?, parts.next()?);
        let found = Found {
            topic: topic.as_ref().strip_prefix("topic=")?.to_owned(),
            partition: partition.as_ref().strip_prefix("partition=")?.parse().ok()?,
            start: file.as_ref().strip_suffix(".parquet").filter(|digits| digits.len() == 20)?.parse().ok()?,
            path: location.to_string(),
        };
        parts.next().is_none().then_some(found)
    }

    fn store_error(&self, source: object_store::Error) -> LakeError {
        LakeError::Store { url: self.url.clone(), source: Box::new(source) }
    }
}

#[cfg(test)]
mod tests {
    use object_store::memory::InMemory;

    use super::*;

    #[tokio::test]
    async fn event_files_are_listed_in_reading_order_and_others_apart() {
        let store = Arc::new(InMemory::new());
        let lake = Lake::of(store.clone(), &Path::from("root"), "memory");
        for (partition, start) in [(1, 30), (0, 200), (0, 30), (10, 0), (2, 0)] {
            let path = format!("root/events/topic=t/partition={partition:05}/{start:020}.parquet");
            store.put(&Path::from(path), "x".into()).await.unwrap();
        }
        for other in
            ["events/topic=t/partition=00001/7.parquet", "events/x", "events/topic=t/partition=00001/a/b.parquet"]
        {
            store.put(&Path::from(format!("root/{other}")), "x".into()).await.unwrap();
        }
        store.put(&Path::from("root/dead-letters/topic=t/partition=00001/1.parquet"), "x".into()).await.unwrap();
        let listing = lake.list().await.unwrap();
        let order: Vec<_> = listing.files.iter().map(|found| (found.partition, found.start)).collect();
        assert_eq!(order, [(0, 30), (0, 200), (1, 30), (2, 0), (10, 0)]);
        assert_eq!(listing.others.len(), 3);
    }

    #[test]
    fn a_lake_is_a_url_or_a_folder_that_is_there() {
        let folder = tempfile::tempdir().unwrap();
        assert!(Lake::open(folder.path().to_str().unwrap()).is_ok());
        assert!(Lake::open(&format!("file://{}", folder.path().display())).is_ok());
        assert!(Lake::open("memory:///").is_ok());
        assert!(matches!(Lake::open("file:///no/such/folder"), Err(LakeError::NoFolder { .. })));
        assert!(matches!(Lake::open("no/such/folder"), Err(LakeError::NoFolder { .. })));
        assert!(matches!(Lake::open("ftp://host/x"), Err(LakeError::Store { .. })));
    }
}
