//! What is known of repeated events, as numbers.

use std::time::Duration;

use prometheus_client::{
    metrics::{
        counter::Counter,
        family::Family,
        histogram::{Histogram, exponential_buckets},
    },
    registry::Registry,
};

use super::{Reason, zeroed};
use crate::footer::Footer;

/// Of the repeated events, and of the memory that finds them.
#[derive(Debug)]
pub(crate) struct DuplicateMetrics {
    dropped: Family<Reason, Counter>,
    lookups: Counter,
    confirmations: Family<Reason, Counter>,
    forgotten_files: Counter,
    load_seconds: Histogram,
}

const IN_FILE: &str = "in_file";
const ACROSS_FILES: &str = "across_files";
const HELD: &str = "held";
const NOT_HELD: &str = "not_held";

impl DuplicateMetrics {
    pub(super) fn register(registry: &mut Registry) -> DuplicateMetrics {
        let m = DuplicateMetrics {
            dropped: zeroed([IN_FILE, ACROSS_FILES].into_iter()),
            lookups: Counter::default(),
            confirmations: zeroed([HELD, NOT_HELD].into_iter()),
            forgotten_files: Counter::default(),
            load_seconds: Histogram::new(exponential_buckets(0.001, 2.0, 18)),
        };
        let help = "Records that repeated an event, by where the first one stands";
        registry.register("sink_duplicates", help, m.dropped.clone());
        let help = "Records whose id was looked up in the memory of earlier files";
        registry.register("sink_duplicate_lookups", help, m.lookups.clone());
        let help = "Suspected duplicates that were compared with the file itself, by what came out";
        registry.register("sink_duplicate_confirmations", help, m.confirmations.clone());
        let help = "Files that were forgotten before they left the window, because memory_bytes_max was reached";
        registry.register("sink_duplicate_files_forgotten", help, m.forgotten_files.clone());
        let help = "Time to learn what a chain's earlier files hold";
        registry.register("sink_duplicate_load_seconds", help, m.load_seconds.clone());
        m
    }

    pub(super) fn dropped(&self, file: &Footer) {
        let across = file.duplicates_across_files;
        self.dropped.get_or_create(&Reason { reason: IN_FILE }).inc_by(file.duplicates.saturating_sub(across));
        self.dropped.get_or_create(&Reason { reason: ACROSS_FILES }).inc_by(across);
    }

    /// Dropped within their file, and across files.
    #[cfg(test)]
    pub(crate) fn counts(&self) -> (u64, u64) {
        let of = |reason| self.dropped.get_or_create(&Reason { reason }).get();
        (of(IN_FILE), of(ACROSS_FILES))
    }

    pub(crate) fn looked_up(&self, ids: usize) {
        self.lookups.inc_by(ids as u64);
    }

    pub(crate) fn confirmed(&self, asked: usize, held: usize) {
        self.confirmations.get_or_create(&Reason { reason: HELD }).inc_by(held as u64);
        let not_held = asked.saturating_sub(held) as u64;
        self.confirmations.get_or_create(&Reason { reason: NOT_HELD }).inc_by(not_held);
    }

    pub(crate) fn forgotten(&self, files: usize) {
        self.forgotten_files.inc_by(files as u64);
    }

    pub(crate) fn loaded(&self, elapsed: Duration) {
        self.load_seconds.observe(elapsed.as_secs_f64());
    }
}
