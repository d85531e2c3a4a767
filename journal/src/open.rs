//! From a folder to a checked, locked and recovered journal.
//!
//! Promises: one process at a time; a journal of another version or with another partition count is refused with its
//! reason; when the last handle is dropped, what waits is written and the lock is free.

use crate::commit::{self, Committer, Persist, Shared};
use crate::create;
use crate::metadata::{Metadata, VERSION};
use crate::partition::Partition;
use crate::queue::Queue;
use crate::recover;
use crate::stats::{Counters, Stats};
use fjall::Database;
use parking_lot::Mutex;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;
use uuid::Uuid;

/// How to open a journal.
#[derive(Clone, Debug)]
pub struct Options {
    /// Number of partitions; fixed when the journal is created.
    pub partitions: u32,
    /// Bytes of requests that may wait for the committer; above it, appends are refused.
    pub queue_bytes_max: usize,
    /// Bytes of recent entries kept in memory before they go to tables, all partitions together.
    pub write_buffer_bytes: usize,
    /// Bytes of table blocks kept in memory for readers.
    pub cache_bytes: usize,
}

impl Options {
    /// Defaults for one process with a handful of partitions and less than 100 MB of memory.
    #[must_use]
    pub fn new(partitions: u32) -> Self {
        Self { partitions, queue_bytes_max: 32 << 20, write_buffer_bytes: 24 << 20, cache_bytes: 8 << 20 }
    }

    pub(crate) fn memtable_bytes(&self) -> u64 {
        (self.write_buffer_bytes as u64 / u64::from(self.partitions.max(1))).clamp(1 << 20, 16 << 20)
    }
}

/// Why a journal could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error("journal needs at least one partition")]
    NoPartitions,
    #[error("journal folder {} cannot be used, check that it exists and is writable: {source}", dir.display())]
    Folder { dir: PathBuf, source: io::Error },
    #[error("journal {} is in use by another process: stop it or choose another data folder", dir.display())]
    Locked { dir: PathBuf },
    #[error(
        "journal {} was created with {found} partitions and cannot change: set partitions to {found}, not {wanted}",
        dir.display()
    )]
    Partitions { dir: PathBuf, found: u32, wanted: u32 },
    #[error("journal {} has format version {found}, this program knows {known}", dir.display())]
    Version { dir: PathBuf, found: String, known: u32 },
    #[error("journal partition {partition} is damaged at its end: restore the data folder from a copy")]
    Damaged { partition: u32 },
    #[error("journal {} cannot be opened: {source}", dir.display())]
    Store { dir: PathBuf, source: fjall::Error },
}

impl OpenError {
    pub(crate) fn folder(dir: &Path, source: io::Error) -> Self {
        Self::Folder { dir: dir.to_owned(), source }
    }

    pub(crate) fn store(dir: &Path, source: fjall::Error) -> Self {
        let dir = dir.to_owned();
        match source {
            fjall::Error::Locked => Self::Locked { dir },
            fjall::Error::Io(source) => Self::Folder { dir, source },
            fjall::Error::InvalidVersion(found) => Self::Version { dir, found: format!("{found:?}"), known: VERSION },
            source => Self::Store { dir, source },
        }
    }
}

/// A handle on an open journal; cheap to clone.
#[derive(Clone)]
pub struct Journal(Arc<Inner>);

struct Inner {
    id: Uuid,
    shared: Arc<Shared>,
    metadata: Mutex<Metadata>,
    committer: Option<JoinHandle<()>>,
}

impl Journal {
    /// Opens the journal in `dir`, creating folder and journal where there is none.
    ///
    /// # Errors
    /// See `OpenError`; each message says what to do.
    pub fn open(dir: impl AsRef<Path>, options: Options) -> Result<Self, OpenError> {
        Self::open_with(dir.as_ref(), &options, commit::fdatasync())
    }

    /// Opens a journal that is there already, however many partitions it has, with the default memory.
    ///
    /// # Errors
    /// As [`Journal::open`], and when there is no journal.
    pub fn open_existing(dir: impl AsRef<Path>) -> Result<Self, OpenError> {
        let dir = dir.as_ref();
        if !dir.join("log").is_dir() {
            return Err(OpenError::folder(dir, io::Error::new(io::ErrorKind::NotFound, "there is no journal in it")));
        }
        match Self::open(dir, Options::new(1)) {
            Err(OpenError::Partitions { found, .. }) => Self::open(dir, Options::new(found)),
            result => result,
        }
    }

    pub(crate) fn open_with(dir: &Path, options: &Options, persist: Persist) -> Result<Self, OpenError> {
        if options.partitions == 0 {
            return Err(OpenError::NoPartitions);
        }
        let log = dir.join("log");
        create::create_if_absent(dir, &log, options)?;
        let store = |source| OpenError::store(dir, source);
        let database = database(&log, options).map_err(store)?;
        let metadata = Metadata::open(&database).map_err(store)?;
        let id = check_identity(dir, &metadata, options)?;
        let partitions = recover::partitions(dir, &database, &metadata, options)?;
        let queue = Queue::new(options.queue_bytes_max);
        let shared = Arc::new(Shared { database, partitions, queue, counters: Counters::default() });
        let committer = Committer::new(shared.clone(), persist);
        let committer = std::thread::Builder::new().name("journal".to_owned()).spawn(|| committer.run());
        let committer = Some(committer.map_err(|source| OpenError::folder(dir, source))?);
        Ok(Self(Arc::new(Inner { id, shared, metadata: Mutex::new(metadata), committer })))
    }

    /// Made when the journal was created: another id is another log, whose offsets mean nothing here.
    #[must_use]
    pub fn id(&self) -> Uuid {
        self.0.id
    }

    /// Counters since the journal was opened.
    #[must_use]
    pub fn stats(&self) -> Stats {
        let Shared { queue, counters, .. } = &*self.0.shared;
        counters.read(queue.bytes() as u64, queue.failure().is_some())
    }

    /// Why nothing is accepted any more, if a write or an fsync has failed.
    #[must_use]
    pub fn failure(&self) -> Option<String> {
        self.queue().failure()
    }

    pub(crate) fn queue(&self) -> &Queue {
        &self.0.shared.queue
    }

    pub(crate) fn partition_list(&self) -> &[Partition] {
        &self.0.shared.partitions
    }

    pub(crate) fn database(&self) -> &Database {
        &self.0.shared.database
    }

    pub(crate) fn metadata(&self) -> &Mutex<Metadata> {
        &self.0.metadata
    }
}

impl std::fmt::Debug for Journal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Journal").field("id", &self.id()).field("partitions", &self.partitions()).finish()
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.shared.queue.close();
        if let Some(committer) = self.committer.take() {
            // Joined, so that the folder's lock is free when the last handle is gone.
            let _ = committer.join();
        }
    }
}

fn check_identity(dir: &Path, metadata: &Metadata, options: &Options) -> Result<Uuid, OpenError> {
    let identity = metadata.identity().map_err(|source| OpenError::store(dir, source))?;
    let dir = dir.to_owned();
    let Some(identity) = identity else {
        return Err(OpenError::Version { dir, found: "unknown".to_owned(), known: VERSION });
    };
    if identity.version != VERSION {
        return Err(OpenError::Version { dir, found: identity.version.to_string(), known: VERSION });
    }
    if identity.partitions != options.partitions {
        return Err(OpenError::Partitions { dir, found: identity.partitions, wanted: options.partitions });
    }
    Ok(identity.id)
}

/// The store under the journal, with memory bounds that suit a log.
pub(crate) fn database(path: &Path, options: &Options) -> fjall::Result<Database> {
    Database::builder(path)
        .cache_size(options.cache_bytes as u64)
        // The least the store allows: its own journals are deleted as soon as their entries are in tables.
        .max_journaling_size(64 << 20)
        .worker_threads(2)
        .open()
}
