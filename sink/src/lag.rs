//! How far the lake is behind the log, partition by partition.
//!
//! Responsible for the lag in seconds: now minus the timestamp of the oldest record that is not committed, 0 when there
//! is none. It is computed when somebody asks, so that a task that hangs cannot leave an old, good-looking value behind.
//! Where the source knows of records that have not been read yet, the chain's newest timestamp stands in for theirs, or
//! the last time when the source saw none: the lag is then stated too high rather than too low. Where a source has to ask
//! for the log's end and gets no answer, the lag is the time since the last one: an empty backlog that nobody has seen is
//! not reported. A partition is there for as long as this process writes it, read or paused, and no longer.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicI64, AtomicU64, Ordering::Relaxed},
    },
    time::{SystemTime, UNIX_EPOCH},
};

use parking_lot::Mutex;

/// The lag of all partitions that this process writes. Clones share it.
#[derive(Clone, Debug)]
pub struct Lag {
    partitions: Arc<Mutex<BTreeMap<u32, Arc<PartitionLag>>>>,
    /// When the log's ends were last seen; `i64::MAX` where nobody has to ask for them.
    looked_us: Arc<AtomicI64>,
}

/// Without an answer for so long, nothing is known of the log's end.
const BLIND_AFTER_US: i64 = 15_000_000;

impl Default for Lag {
    fn default() -> Lag {
        Lag { partitions: Arc::default(), looked_us: Arc::new(AtomicI64::new(i64::MAX)) }
    }
}

/// What is known of one partition.
#[derive(Debug)]
pub(crate) struct PartitionLag {
    /// Timestamp of the oldest record that was read and is not committed; `i64::MAX` for none.
    oldest_us: AtomicI64,
    /// Nothing that is not read yet is older than this.
    unread_us: AtomicI64,
    /// First offset that is not read.
    read_up_to: AtomicU64,
    /// First offset that is not committed.
    next: AtomicU64,
    /// End of the log, as far as the source knows.
    end: AtomicU64,
}

/// The lag of one partition at one moment.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LagReading {
    /// The partition.
    pub partition: u32,
    /// Age of the oldest record that is not committed.
    pub seconds: f64,
    /// Records, by offset, that are not committed.
    pub messages: u64,
}

impl Lag {
    /// The lag of every partition now.
    pub fn read(&self) -> Vec<LagReading> {
        let (now_us, looked_us) = (now_us(), self.looked_us.load(Relaxed));
        self.partitions.lock().iter().map(|(partition, lag)| lag.read(*partition, now_us, looked_us)).collect()
    }

    /// The source has asked for the log's ends at this time, and got an answer.
    pub(crate) fn looked(&self, at_us: i64) {
        self.looked_us.store(at_us, Relaxed);
    }

    pub(crate) fn partition(&self, partition: u32) -> Option<Arc<PartitionLag>> {
        self.partitions.lock().get(&partition).cloned()
    }

    pub(crate) fn start(&self, partition: u32, next: u64, running_max_us: i64) -> Watched {
        let unread_us = if running_max_us == i64::MIN { now_us() } else { running_max_us };
        let lag = Arc::new(PartitionLag {
            oldest_us: AtomicI64::new(i64::MAX),
            unread_us: AtomicI64::new(unread_us),
            read_up_to: AtomicU64::new(next),
            next: AtomicU64::new(next),
            end: AtomicU64::new(next),
        });
        self.partitions.lock().insert(partition, Arc::clone(&lag));
        Watched { partition, lag, all: self.clone() }
    }
}

impl PartitionLag {
    /// The source has seen the log to end at this offset at this time.
    pub(crate) fn log_end(&self, offset: u64, at_us: i64) {
        if offset <= self.read_up_to.load(Relaxed) {
            self.unread_us.fetch_max(at_us, Relaxed);
        }
        self.end.fetch_max(offset, Relaxed);
    }

    fn read(&self, partition: u32, now_us: i64, looked_us: i64) -> LagReading {
        let (next, end) = (self.next.load(Relaxed), self.end.load(Relaxed));
        let oldest_us = match self.oldest_us.load(Relaxed) {
            i64::MAX if end > next => self.unread_us.load(Relaxed),
            oldest_us => oldest_us,
        };
        let is_blind = now_us.saturating_sub(looked_us) > BLIND_AFTER_US;
        let oldest_us = if is_blind { oldest_us.min(looked_us) } else { oldest_us };
        #[expect(clippy::cast_precision_loss, reason = "a lag that loses microseconds is hundreds of years")]
        let seconds = now_us.saturating_sub(oldest_us).max(0) as f64 / 1e6;
        LagReading { partition, seconds, messages: end.saturating_sub(next) }
    }
}

/// A partition's lag for as long as this process writes the partition.
#[derive(Debug)]
pub(crate) struct Watched {
    partition: u32,
    lag: Arc<PartitionLag>,
    all: Lag,
}

impl Watched {
    /// The oldest record that was read and is not committed has this timestamp; the log ends here or further on.
    pub(crate) fn pending(&self, oldest_us: Option<i64>, read_up_to: u64) {
        self.lag.oldest_us.store(oldest_us.unwrap_or(i64::MAX), Relaxed);
        self.lag.read_up_to.store(read_up_to, Relaxed);
        self.lag.end.fetch_max(read_up_to, Relaxed);
    }

    /// Everything below an offset is committed.
    pub(crate) fn committed(&self, next: u64, running_max_us: i64) {
        self.lag.next.store(next, Relaxed);
        self.lag.unread_us.fetch_max(running_max_us, Relaxed);
        self.lag.end.fetch_max(next, Relaxed);
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        let mut partitions = self.all.partitions.lock();
        // After a quick revoke and assign the entry may already be the next task's.
        if partitions.get(&self.partition).is_some_and(|lag| Arc::ptr_eq(lag, &self.lag)) {
            partitions.remove(&self.partition);
        }
    }
}

/// Now, in microseconds since 1970 UTC.
pub(crate) fn now_us() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("the clock is past 1970");
    i64::try_from(now.as_micros()).expect("the clock is before the year 294246")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lag_is_the_age_of_the_oldest_uncommitted_record() {
        let lag = Lag::default();
        let watched = lag.start(3, 100, 5_000_000);
        #[track_caller]
        fn check(watched: &Watched, seconds: f64, messages: u64) {
            let expected = LagReading { partition: 3, seconds, messages };
            assert_eq!(watched.lag.read(3, 10_000_000, i64::MAX), expected);
        }
        check(&watched, 0.0, 0);
        watched.pending(Some(7_000_000), 104);
        check(&watched, 3.0, 4);
        watched.committed(104, 8_000_000);
        watched.pending(None, 104);
        check(&watched, 0.0, 0);
        watched.lag.log_end(110, 9_500_000);
        check(&watched, 2.0, 6);
        watched.pending(Some(20_000_000), 110);
        check(&watched, 0.0, 6);
        watched.committed(110, 9_000_000);
        watched.pending(None, 110);
        // Seen to be empty now, which is later than the moment that is asked about.
        watched.lag.log_end(110, now_us());
        watched.lag.log_end(111, now_us());
        check(&watched, 0.0, 1);
        assert_eq!(lag.read().len(), 1);
        drop(watched);
        assert!(lag.read().is_empty());
    }

    #[test]
    fn what_nobody_has_seen_for_a_while_is_not_no_lag() {
        const SECOND: i64 = 1_000_000;
        let lag = Lag::default();
        let watched = lag.start(0, 100, 0);
        let seconds = |now: i64, looked: i64| watched.lag.read(0, now * SECOND, looked * SECOND).seconds;
        assert_eq!(watched.lag.read(0, 100 * SECOND, i64::MAX).seconds, 0.0, "this source does not have to ask");
        assert_eq!((seconds(100, 98), seconds(100, 85), seconds(100, 60)), (0.0, 0.0, 40.0));
        watched.pending(Some(50 * SECOND), 104);
        assert_eq!((seconds(100, 60), seconds(100, 40)), (50.0, 60.0));
    }
}
