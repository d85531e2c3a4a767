//! Counters since the journal was opened. Leaves names and labels to the caller's metrics.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// What the journal has done since it was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Requests that became durable.
    pub appends: u64,
    /// Records in those requests.
    pub records: u64,
    /// Bytes of those records as stored, before compression.
    pub bytes: u64,
    /// Groups of requests that were written together.
    pub groups: u64,
    /// Calls of `fdatasync` for groups, failed ones included.
    pub fsyncs: u64,
    /// Bytes of requests that wait for the committer right now.
    pub queue_bytes: u64,
    /// Whether a write or an fsync has failed: nothing is accepted any more.
    pub failed: bool,
}

#[derive(Debug, Default)]
pub(crate) struct Counters {
    appends: AtomicU64,
    records: AtomicU64,
    bytes: AtomicU64,
    groups: AtomicU64,
    fsyncs: AtomicU64,
}

impl Counters {
    pub(crate) fn fsync(&self) {
        self.fsyncs.fetch_add(1, Relaxed);
    }

    pub(crate) fn group(&self, appends: u64, records: u64, bytes: u64) {
        self.appends.fetch_add(appends, Relaxed);
        self.records.fetch_add(records, Relaxed);
        self.bytes.fetch_add(bytes, Relaxed);
        self.groups.fetch_add(1, Relaxed);
    }

    pub(crate) fn read(&self, queue_bytes: u64, failed: bool) -> Stats {
        Stats {
            appends: self.appends.load(Relaxed),
            records: self.records.load(Relaxed),
            bytes: self.bytes.load(Relaxed),
            groups: self.groups.load(Relaxed),
            fsyncs: self.fsyncs.load(Relaxed),
            queue_bytes,
            failed,
        }
    }
}
