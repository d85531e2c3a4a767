//! Counters that are read while the run goes on.
//!
//! Responsible for what the progress line shows. Promises cheap updates from any thread; figures of different counters
//! may be a moment apart. Leaves final figures to the ledger.

use std::sync::atomic::{AtomicU64, Ordering};

/// Events by how far they have come.
#[derive(Debug, Default)]
pub struct Tallies {
    offered: AtomicU64,
    sent: AtomicU64,
    sent_again: AtomicU64,
    acked: AtomicU64,
    refused: AtomicU64,
    visible: AtomicU64,
}

/// The counters at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Snapshot {
    /// Events that were due.
    pub offered: u64,
    /// Events that were sent at least once.
    pub sent: u64,
    /// Events in requests that were repetitions.
    pub sent_again: u64,
    /// Acknowledged events.
    pub acked: u64,
    /// Events refused for good.
    pub refused: u64,
    /// Events seen in the lake.
    pub visible: u64,
}

impl Tallies {
    pub(crate) fn offered(&self, events: usize) {
        self.offered.fetch_add(events as u64, Ordering::Relaxed);
    }

    pub(crate) fn sent(&self, events: usize) {
        self.sent.fetch_add(events as u64, Ordering::Relaxed);
    }

    pub(crate) fn sent_again(&self, events: usize) {
        self.sent_again.fetch_add(events as u64, Ordering::Relaxed);
    }

    pub(crate) fn acked(&self, events: usize) {
        self.acked.fetch_add(events as u64, Ordering::Relaxed);
    }

    pub(crate) fn refused(&self, events: usize) {
        self.refused.fetch_add(events as u64, Ordering::Relaxed);
    }

    pub(crate) fn visible(&self, events: usize) {
        self.visible.fetch_add(events as u64, Ordering::Relaxed);
    }

    /// The counters now.
    pub fn snapshot(&self) -> Snapshot {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Snapshot {
            offered: read(&self.offered),
            sent: read(&self.sent),
            sent_again: read(&self.sent_again),
            acked: read(&self.acked),
            refused: read(&self.refused),
            visible: read(&self.visible),
        }
    }
}
