//! Where a partition's chain ends, read from the lake.
//!
//! Responsible for the resume point: the next offset of the chain's last file. It is found by listing the chain from its
//! newest checkpoint on; where the log begins behind it, the files that would come next are asked for by name, because a
//! list may lag behind. Promises: nothing else moves a resume point, neither committed offsets nor a reset policy; a
//! chain of another incarnation of the log, or one whose last file cannot be read, is an error and never a fresh start.

#[cfg(test)]
mod tests;

use bytes::Bytes;
use futures::TryStreamExt;
use object_store::{ObjectStoreExt, path::Path};
use serde::{Deserialize, Serialize};

use crate::{
    footer::{self, Footer, FooterError},
    object_path::{self, Chain},
    store::Store,
};

/// The end of a chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resume {
    /// First offset that no file covers.
    pub next: u64,
    /// Largest record timestamp of the chain, `i64::MIN` for an empty one.
    pub running_max_us: i64,
    /// Files since the newest checkpoint.
    pub files: u32,
    /// Where the log begins, if that is behind `next`: what lies between is lost, and its loss has been accepted.
    pub lost_until: Option<u64>,
}

impl Resume {
    /// An empty chain that begins at an offset.
    pub fn at(next: u64) -> Resume {
        Resume { next, running_max_us: i64::MIN, files: 0, lost_until: None }
    }
}

/// Why the end of a chain is not known.
#[derive(Debug, thiserror::Error)]
pub enum ResumeError {
    /// The store did not answer.
    #[error("cannot read the chain of partition {partition} in lake {lake} ({reason}): check the store")]
    Store { partition: u32, lake: String, reason: object_store::Error },
    /// The last file cannot be read.
    #[error(
        "the last file {path} of lake {lake} cannot be read ({reason}): restore it, or, if the log still holds its \
         records, move it out of the lake, and start again"
    )]
    Corrupt { lake: String, path: Path, reason: String },
    /// The chain belongs to other records.
    #[error(
        "{path} in lake {lake} was written from another incarnation of the log ({theirs}, now {ours}), so that its \
         offsets mean other records: use another topic name or another lake"
    )]
    Incarnation { lake: String, path: Path, theirs: String, ours: String },
}

/// Stands for the chain up to and including one file.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Checkpoint {
    start_offset: u64,
    pub(crate) next_offset: u64,
    running_max_timestamp_us: i64,
    log_id: String,
}

/// Finds the end of a chain; `None` where there is no chain yet.
///
/// # Errors
/// See [`ResumeError`].
pub async fn resume(store: &Store, chain: &Chain, log_id: &str) -> Result<Option<Resume>, ResumeError> {
    let reader = Reader { store, chain, log_id };
    let checkpoint = reader.newest_checkpoint().await?;
    let (mut files, mut last) = (0, None);
    let folder = chain.files(store.root());
    let after = checkpoint.as_ref().map(|checkpoint| chain.file(store.root(), checkpoint.start_offset));
    for path in reader.list(&folder, after.as_ref()).await? {
        if let Some(start) = object_path::start_offset(&path, "parquet") {
            files += 1;
            last = last.max(Some((start, path)));
        }
    }
    match (last, checkpoint) {
        (Some((start, path)), _) => {
            let footer = reader.footer(start, &path).await?;
            let running_max_us = footer.running_max_timestamp_us;
            Ok(Some(Resume { next: footer.next_offset, running_max_us, files, lost_until: None }))
        }
        (None, Some(checkpoint)) => Ok(Some(Resume {
            next: checkpoint.next_offset,
            running_max_us: checkpoint.running_max_timestamp_us,
            files: 0,
            lost_until: None,
        })),
        (None, None) => Ok(None),
    }
}

/// The end of a chain that goes on, up to an offset, with files that a list has not shown. Costs a look at each of them,
/// and one more.
///
/// # Errors
/// See [`ResumeError`].
pub(crate) async fn follow(
    store: &Store,
    chain: &Chain,
    log_id: &str,
    listed: Resume,
    until: u64,
) -> Result<Resume, ResumeError> {
    let reader = Reader { store, chain, log_id };
    let mut end = listed;
    while end.next < until {
        let path = chain.file(store.root(), end.next);
        let Some(footer) = reader.found(end.next, &path).await? else { break };
        let running_max_us = footer.running_max_timestamp_us;
        end = Resume { next: footer.next_offset, running_max_us, files: end.files + 1, lost_until: None };
    }
    Ok(end)
}

/// Writes the checkpoint that stands for the chain up to a committed file.
pub(crate) async fn checkpoint(store: &Store, chain: &Chain, file: &Footer) -> object_store::Result<()> {
    let checkpoint = Checkpoint {
        start_offset: file.start_offset,
        next_offset: file.next_offset,
        running_max_timestamp_us: file.running_max_timestamp_us,
        log_id: file.log_id.clone(),
    };
    let json = serde_json::to_vec(&checkpoint).expect("numbers and a text");
    match store.create(&chain.checkpoint(store.root(), file.start_offset), Bytes::from(json)).await {
        // Another writer of the chain came to the same one.
        Err(object_store::Error::AlreadyExists { .. }) => Ok(()),
        result => result,
    }
}

/// Start offset of the newest checkpointed file whose running maximum is before a time: everything at or after that time
/// comes after it. A checkpoint that cannot be understood only makes a list longer.
pub(crate) async fn checkpointed_before(
    store: &Store,
    chain: &Chain,
    before_us: i64,
) -> object_store::Result<Option<u64>> {
    let objects = store.objects();
    let listed = objects.list(Some(&chain.checkpoints(store.root()))).map_ok(|meta| meta.location);
    let paths: Vec<Path> = listed.try_collect().await?;
    let mut starts: Vec<u64> = paths.iter().filter_map(|path| object_path::start_offset(path, "json")).collect();
    starts.sort_unstable();
    let (mut low, mut high) = (0, starts.len());
    while low < high {
        let middle = low.midpoint(high);
        let bytes = objects.get(&chain.checkpoint(store.root(), starts[middle])).await?.bytes().await?;
        match serde_json::from_slice::<Checkpoint>(&bytes) {
            Ok(checkpoint) if checkpoint.running_max_timestamp_us < before_us => low = middle + 1,
            _ => high = middle,
        }
    }
    Ok(low.checked_sub(1).map(|before| starts[before]))
}

struct Reader<'a> {
    store: &'a Store,
    chain: &'a Chain,
    log_id: &'a str,
}

impl Reader<'_> {
    async fn newest_checkpoint(&self) -> Result<Option<Checkpoint>, ResumeError> {
        let paths = self.list(&self.chain.checkpoints(self.store.root()), None).await?;
        let newest = paths.into_iter().filter_map(|path| Some((object_path::start_offset(&path, "json")?, path))).max();
        let Some((_, path)) = newest else { return Ok(None) };
        let bytes = async { self.store.objects().get(&path).await?.bytes().await }.await;
        let bytes = bytes.map_err(|reason| self.store_error(reason))?;
        let checkpoint: Checkpoint =
            serde_json::from_slice(&bytes).map_err(|error| self.corrupt(&path, error.to_string()))?;
        self.check_log_id(&path, &checkpoint.log_id)?;
        Ok(Some(checkpoint))
    }

    async fn footer(&self, start: u64, path: &Path) -> Result<Footer, ResumeError> {
        let footer = self.found(start, path).await?;
        footer.ok_or_else(|| self.corrupt(path, "it was listed and is not there".to_owned()))
    }

    async fn found(&self, start: u64, path: &Path) -> Result<Option<Footer>, ResumeError> {
        match footer::read(self.store.objects().as_ref(), path).await {
            Ok(Some(footer)) => {
                self.check_log_id(path, &footer.log_id)?;
                if (footer.start_offset, footer.partition) != (start, self.chain.partition) {
                    return Err(self.corrupt(path, "its footer does not match its name".to_owned()));
                }
                Ok(Some(footer))
            }
            Ok(None) => Ok(None),
            Err(FooterError::Corrupt(reason)) => Err(self.corrupt(path, reason)),
            Err(FooterError::Store(reason)) => Err(self.store_error(reason)),
        }
    }

    async fn list(&self, folder: &Path, after: Option<&Path>) -> Result<Vec<Path>, ResumeError> {
        let objects = self.store.objects();
        let listed = match after {
            Some(after) => objects.list_with_offset(Some(folder), after),
            None => objects.list(Some(folder)),
        };
        listed.map_ok(|meta| meta.location).try_collect().await.map_err(|reason| self.store_error(reason))
    }

    fn check_log_id(&self, path: &Path, theirs: &str) -> Result<(), ResumeError> {
        if theirs == self.log_id {
            return Ok(());
        }
        Err(ResumeError::Incarnation {
            lake: self.store.url().to_owned(),
            path: path.clone(),
            theirs: theirs.to_owned(),
            ours: self.log_id.to_owned(),
        })
    }

    fn corrupt(&self, path: &Path, reason: String) -> ResumeError {
        ResumeError::Corrupt { lake: self.store.url().to_owned(), path: path.clone(), reason }
    }

    fn store_error(&self, reason: object_store::Error) -> ResumeError {
        ResumeError::Store { partition: self.chain.partition, lake: self.store.url().to_owned(), reason }
    }
}
