//! The committer: one thread that gives offsets, writes, syncs and completes.
//!
//! Promises: one write batch and one fsync for all requests that waited; a request completes only after that fsync, and
//! readers see it only then. There is no artificial delay: the next group forms while the fsync runs. After a failed
//! write or fsync the journal is failed for good, because pages of a failed fsync may be marked clean though they never
//! reached the disk ("Can Applications Recover from fsync Failures?", Rebello et al., USENIX ATC 2020).

use crate::append::AppendError;
use crate::batch::Part;
use crate::entry;
use crate::partition::Partition;
use crate::queue::{Queue, Request};
use crate::stats::Counters;
use fjall::{Database, PersistMode};
use std::sync::Arc;

#[cfg(test)]
mod tests;

/// Makes everything written so far durable. An argument, so that tests can hold it back or let it fail.
pub(crate) type Persist = Box<dyn FnMut(&Database) -> fjall::Result<()> + Send>;

/// `fdatasync` of the store's journal: the file was preallocated and its directory synced when it was created.
pub(crate) fn fdatasync() -> Persist {
    Box::new(|database| database.persist(PersistMode::SyncData))
}

/// What the committer and the callers share.
pub(crate) struct Shared {
    pub(crate) database: Database,
    pub(crate) partitions: Vec<Partition>,
    pub(crate) queue: Queue,
    pub(crate) counters: Counters,
}

pub(crate) struct Committer {
    shared: Arc<Shared>,
    persist: Persist,
    /// The next offset of each partition; ahead of the visible end while a group is being written.
    next: Vec<u64>,
}

impl Committer {
    pub(crate) fn new(shared: Arc<Shared>, persist: Persist) -> Self {
        let next = shared.partitions.iter().map(Partition::end).collect();
        Self { shared, persist, next }
    }

    /// Runs until the queue is closed and drained.
    pub(crate) fn run(mut self) {
        let mut group = Vec::new();
        while self.shared.queue.take(&mut group) {
            match self.write(&mut group) {
                Ok(()) => self.complete(&mut group),
                Err(error) => self.fail(&mut group, &error),
            }
        }
    }

    fn write(&mut self, group: &mut [Request]) -> fjall::Result<()> {
        let entries = group.iter().map(|request| request.batch.parts.len()).sum();
        let mut batch = fjall::OwnedWriteBatch::with_capacity(self.shared.database.clone(), entries);
        for part in group.iter_mut().flat_map(|request| &mut request.batch.parts) {
            let Part { partition, count, entry: bytes } = part;
            entry::finish(*count, bytes);
            let next = &mut self.next[*partition as usize];
            let keyspace = &self.shared.partitions[*partition as usize].keyspace;
            batch.insert(keyspace, entry::key(*next), std::mem::take(bytes));
            *next += u64::from(*count);
        }
        batch.commit()?;
        self.shared.counters.fsync();
        (self.persist)(&self.shared.database)
    }

    fn complete(&self, group: &mut Vec<Request>) {
        for (partition, &next) in self.shared.partitions.iter().zip(&self.next) {
            if partition.end() != next {
                partition.end_moved(next);
            }
        }
        let records = group.iter().map(|request| request.batch.len() as u64).sum();
        let bytes = group.iter().map(|request| request.bytes as u64).sum();
        self.shared.counters.group(group.len() as u64, records, bytes);
        for request in group.drain(..) {
            // The caller may be gone; its records are in the log all the same.
            let _ = request.done.send(Ok(()));
        }
    }

    fn fail(&self, group: &mut Vec<Request>, error: &fjall::Error) {
        let reason = error.to_string();
        tracing::error!(reason, "journal write failed, nothing more is accepted until a restart");
        self.shared.queue.fail(&reason);
        for request in group.drain(..) {
            let _ = request.done.send(Err(AppendError::Unclear { reason: reason.clone() }));
        }
    }
}

impl Drop for Committer {
    /// Also when the thread panics: nobody must wait for a committer that is gone.
    fn drop(&mut self) {
        self.shared.queue.fail("the committer thread ended");
    }
}
