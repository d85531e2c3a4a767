//! When a file closes.
//!
//! Responsible for the cut between two files. The cuts by bytes, rows and time are a pure function of the records, so
//! that a replay makes the same files; time is measured on the running maximum of the log's timestamps, which cannot go
//! back. A partition that falls silent is cut by the wall clock, and a full memory budget cuts the largest buffers: the
//! footer says so. Never looks at Parquet bytes, which depend on the encoder's version, nor at the schema.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Why a file was closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CutReason {
    /// The log bytes reached their maximum.
    Bytes,
    /// The records reached their maximum.
    Rows,
    /// The log's time moved on by the roll interval.
    Time,
    /// The roll interval passed on the wall clock.
    Idle,
    /// The buffers of all partitions together reached the memory budget.
    Memory,
    /// The sink stopped, or the log ended.
    Shutdown,
    /// No file of records: the log lost them before they were read, and that was accepted.
    Gap,
    /// The partition went to another member of the group.
    Revoked,
}

impl CutReason {
    /// All reasons.
    pub const ALL: [CutReason; 8] = [
        CutReason::Bytes,
        CutReason::Rows,
        CutReason::Time,
        CutReason::Idle,
        CutReason::Memory,
        CutReason::Shutdown,
        CutReason::Gap,
        CutReason::Revoked,
    ];

    /// The word in footers and metrics.
    pub fn label(self) -> &'static str {
        match self {
            CutReason::Bytes => "bytes",
            CutReason::Rows => "rows",
            CutReason::Time => "time",
            CutReason::Idle => "idle",
            CutReason::Memory => "memory",
            CutReason::Shutdown => "shutdown",
            CutReason::Gap => "gap",
            CutReason::Revoked => "revoked",
        }
    }
}

/// The limits of one file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RollPolicy {
    /// Longest span of log time, and longest wait on the wall clock.
    pub interval: Duration,
    /// Most bytes of keys and values; one record may exceed it.
    pub bytes_max: usize,
    /// Most records.
    pub rows_max: usize,
}

/// What the cut depends on: the records of the open file, seen as numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extent {
    /// Offset at which the file starts, which is where the one before it ended.
    pub start: u64,
    /// Offset after the last record.
    pub next: u64,
    /// Number of records.
    pub records: usize,
    /// Bytes of keys and values.
    pub log_bytes: usize,
    /// Timestamp of the first record.
    pub first_us: i64,
    /// Smallest timestamp.
    pub min_us: i64,
    /// Largest timestamp.
    pub max_us: i64,
    /// Running maximum when the file opened, first record included.
    pub opened_us: i64,
    /// Running maximum of all timestamps of the chain.
    pub running_max_us: i64,
}

impl Extent {
    /// Nothing yet, after a chain that ended at `start` with this running maximum.
    pub fn empty(start: u64, running_max_us: i64) -> Extent {
        Extent {
            start,
            next: start,
            records: 0,
            log_bytes: 0,
            first_us: 0,
            min_us: i64::MAX,
            max_us: i64::MIN,
            opened_us: running_max_us,
            running_max_us,
        }
    }

    /// Takes one more record.
    pub fn add(&mut self, offset: u64, timestamp_us: i64, log_bytes: usize) {
        self.running_max_us = self.running_max_us.max(timestamp_us);
        if self.records == 0 {
            self.first_us = timestamp_us;
            self.opened_us = self.running_max_us;
        }
        self.min_us = self.min_us.min(timestamp_us);
        self.max_us = self.max_us.max(timestamp_us);
        self.next = offset + 1;
        self.records += 1;
        self.log_bytes += log_bytes;
    }
}

impl RollPolicy {
    /// Does the file close before a record with this timestamp?
    pub fn cut_before(&self, open: &Extent, timestamp_us: i64) -> Option<CutReason> {
        let span_us = timestamp_us.max(open.running_max_us).saturating_sub(open.opened_us);
        (open.records > 0 && u128::from(span_us.unsigned_abs()) >= self.interval.as_micros()).then_some(CutReason::Time)
    }

    /// Does the file close after the records it has?
    pub fn cut_after(&self, open: &Extent) -> Option<CutReason> {
        if open.log_bytes >= self.bytes_max {
            Some(CutReason::Bytes)
        } else if open.records >= self.rows_max {
            Some(CutReason::Rows)
        } else {
            None
        }
    }

    /// Identifies the limits that cut a file.
    pub fn hash(&self) -> u64 {
        let text = format!("1;{};{};{}", self.interval.as_micros(), self.bytes_max, self.rows_max);
        xxhash_rust::xxh3::xxh3_64(text.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: i64 = 1_000_000;

    /// Cuts a log of (seconds, bytes) and tells where and why.
    #[track_caller]
    fn check(log: &[(i64, usize)], expected: &[(u64, CutReason)]) {
        let policy = RollPolicy { interval: Duration::from_secs(10), bytes_max: 100, rows_max: 4 };
        let (mut open, mut cuts) = (Extent::empty(0, i64::MIN), Vec::new());
        for (offset, (seconds, bytes)) in (0..).zip(log) {
            if let Some(reason) = policy.cut_before(&open, seconds * SECOND) {
                cuts.push((open.next, reason));
                open = Extent::empty(open.next, open.running_max_us);
            }
            open.add(offset, seconds * SECOND, *bytes);
            if let Some(reason) = policy.cut_after(&open) {
                cuts.push((open.next, reason));
                open = Extent::empty(open.next, open.running_max_us);
            }
        }
        assert_eq!(cuts, expected);
    }

    #[test]
    fn files_close_by_bytes_rows_and_log_time() {
        check(&[], &[]);
        check(&[(0, 1), (1, 1)], &[]);
        check(&[(0, 60), (0, 40), (0, 1)], &[(2, CutReason::Bytes)]);
        check(&[(0, 500)], &[(1, CutReason::Bytes)]);
        check(&[(0, 1); 5], &[(4, CutReason::Rows)]);
        check(&[(0, 1), (9, 1), (10, 1), (19, 1)], &[(2, CutReason::Time)]);
        check(&[(0, 1), (10, 1), (20, 1)], &[(1, CutReason::Time), (2, CutReason::Time)]);
    }

    #[test]
    fn a_clock_that_goes_back_does_not_cut() {
        check(&[(100, 1), (50, 1), (109, 1)], &[]);
        check(&[(100, 1), (50, 1), (110, 1)], &[(2, CutReason::Time)]);
    }

    #[test]
    fn one_record_from_the_future_cuts_once() {
        check(&[(0, 1), (1_000, 1), (1, 1), (2, 1)], &[(1, CutReason::Time)]);
    }
}
