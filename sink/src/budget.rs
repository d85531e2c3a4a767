//! The memory of all buffers together.
//!
//! Responsible for a bound on the log bytes that all partitions hold. Promises: while it is exceeded, every buffer of at
//! least average size is cut, and the largest always is one of them, so that memory falls; small ones go on growing.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering::Relaxed},
};

use crate::metrics::Metrics;

/// Log bytes of all partitions. Clones share it.
#[derive(Clone, Debug)]
pub(crate) struct Budget {
    log_bytes_max: usize,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    log_bytes: AtomicUsize,
    holders: AtomicUsize,
    metrics: Arc<Metrics>,
}

impl Budget {
    pub(crate) fn new(log_bytes_max: usize, metrics: Arc<Metrics>) -> Budget {
        let shared = Shared { log_bytes: AtomicUsize::new(0), holders: AtomicUsize::new(0), metrics };
        Budget { log_bytes_max, shared: Arc::new(shared) }
    }

    /// Begins to count a buffer.
    pub(crate) fn hold(&self) -> Held {
        self.shared.holders.fetch_add(1, Relaxed);
        Held { budget: self.clone(), log_bytes: 0 }
    }
}

/// What one buffer holds; given back when dropped.
#[derive(Debug)]
pub(crate) struct Held {
    budget: Budget,
    log_bytes: usize,
}

impl Held {
    /// The buffer now holds so many log bytes.
    pub(crate) fn set(&mut self, log_bytes: usize) {
        let shared = &self.budget.shared;
        // Sums wrap, so that growing and shrinking are the same step.
        let change = log_bytes.wrapping_sub(self.log_bytes);
        let all = shared.log_bytes.fetch_add(change, Relaxed).wrapping_add(change);
        self.log_bytes = log_bytes;
        shared.metrics.buffered(all);
    }

    /// Must this buffer be cut for the sake of memory?
    pub(crate) fn must_cut(&self) -> bool {
        let shared = &self.budget.shared;
        let all = shared.log_bytes.load(Relaxed);
        let average = all / shared.holders.load(Relaxed).max(1);
        self.log_bytes > 0 && all > self.budget.log_bytes_max && self.log_bytes >= average
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.set(0);
        self.budget.shared.holders.fetch_sub(1, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use prometheus_client::registry::Registry;

    use super::*;

    #[test]
    fn over_the_budget_the_large_buffers_are_cut() {
        let budget = Budget::new(100, Arc::new(Metrics::register(&mut Registry::default())));
        let (mut large, mut small) = (budget.hold(), budget.hold());
        large.set(80);
        small.set(20);
        assert!(!large.must_cut() && !small.must_cut());
        small.set(21);
        assert!(large.must_cut() && !small.must_cut());
        drop(large);
        assert!(!small.must_cut());
    }
}
