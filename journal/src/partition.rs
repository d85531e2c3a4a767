//! Offsets of one partition, the keyspace that holds its entries, and who waits for new ones.
//!
//! Promises: `end` moves only after the fsync, by the committer alone; `start` only forward.

use crate::open::Journal;
use fjall::Keyspace;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::sync::Notify;

pub(crate) struct Partition {
    pub(crate) keyspace: Keyspace,
    start: AtomicU64,
    end: AtomicU64,
    moved: Notify,
}

impl Partition {
    pub(crate) fn new(keyspace: Keyspace, start: u64, end: u64) -> Self {
        Self { keyspace, start: AtomicU64::new(start), end: AtomicU64::new(end), moved: Notify::new() }
    }

    pub(crate) fn start(&self) -> u64 {
        self.start.load(Ordering::Acquire)
    }

    pub(crate) fn end(&self) -> u64 {
        self.end.load(Ordering::Acquire)
    }

    pub(crate) fn start_moved(&self, offset: u64) {
        self.start.fetch_max(offset, Ordering::AcqRel);
    }

    /// Makes records below `offset` visible. They are durable by now.
    pub(crate) fn end_moved(&self, offset: u64) {
        self.end.store(offset, Ordering::Release);
        self.moved.notify_waiters();
    }

    pub(crate) async fn wait(&self, from: u64) {
        loop {
            let moved = self.moved.notified();
            tokio::pin!(moved);
            // Registered before the look at `end`: a move in between is not missed.
            moved.as_mut().enable();
            if self.end() > from {
                return;
            }
            moved.await;
        }
    }
}

impl Journal {
    /// Number of partitions, fixed when the journal was created.
    #[must_use]
    pub fn partitions(&self) -> u32 {
        self.partition_list().len() as u32
    }

    /// First offset that can be read.
    ///
    /// # Panics
    /// If the partition does not exist.
    #[must_use]
    pub fn start_offset(&self, partition: u32) -> u64 {
        self.partition(partition).start()
    }

    /// Offset that the next record will get; everything below is durable.
    ///
    /// # Panics
    /// If the partition does not exist.
    #[must_use]
    pub fn end_offset(&self, partition: u32) -> u64 {
        self.partition(partition).end()
    }

    /// Resolves when the partition holds the record `from`. Never resolves after a failed write.
    ///
    /// # Panics
    /// If the partition does not exist.
    pub async fn wait(&self, partition: u32, from: u64) {
        self.partition(partition).wait(from).await;
    }

    pub(crate) fn partition(&self, partition: u32) -> &Partition {
        let list = self.partition_list();
        list.get(partition as usize)
            .unwrap_or_else(|| panic!("partition {partition} does not exist: the journal has {}", list.len()))
    }
}
