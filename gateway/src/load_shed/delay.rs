//! How long the log lets requests wait.
//!
//! Responsible for the age of the oldest request that the log has not acknowledged. Promises an answer for two atomic
//! operations a request and no clock read of its own: requests are counted in slots of time, and the oldest slot that is
//! not empty tells the age. An average of past deliveries would stand still while the log does.

use std::{
    sync::atomic::{AtomicU32, AtomicU64, Ordering},
    time::{Duration, Instant},
};

const SLOTS: u64 = 512;

/// Requests that wait for the log, by the time at which they began to.
#[derive(Debug)]
pub(super) struct Unacknowledged {
    start: Instant,
    slot_ms: u64,
    slots: Box<[AtomicU32]>,
    /// No slot before this one holds a request.
    oldest: AtomicU64,
}

/// A request that waits. It does until this is dropped.
#[derive(Debug)]
pub(crate) struct Waiting<'a>(&'a AtomicU32);

impl Unacknowledged {
    /// No request waits longer than `longest`: the slots go round in twice that time.
    pub(super) fn new(longest: Duration) -> Unacknowledged {
        let slot_ms = (2 * longest.as_millis() as u64).div_ceil(SLOTS).max(1);
        let slots = (0..SLOTS).map(|_| AtomicU32::new(0)).collect();
        Unacknowledged { start: Instant::now(), slot_ms, slots, oldest: AtomicU64::new(0) }
    }

    pub(super) fn enter(&self, now: Instant) -> Waiting<'_> {
        let slot = self.slot(self.number(now));
        slot.fetch_add(1, Ordering::Relaxed);
        Waiting(slot)
    }

    /// The age of the oldest request that waits; to a slot's width too young, never too old. Zero if none does.
    pub(super) fn oldest(&self, now: Instant) -> Duration {
        let current = self.number(now);
        let known = self.oldest.load(Ordering::Relaxed);
        // What is a whole round back has been given up long ago.
        let mut oldest = known.max(current.saturating_sub(SLOTS - 1));
        while oldest < current && self.slot(oldest).load(Ordering::Relaxed) == 0 {
            oldest += 1;
        }
        if oldest > known {
            self.oldest.fetch_max(oldest, Ordering::Relaxed);
        }
        Duration::from_millis(current.saturating_sub(oldest).saturating_sub(1) * self.slot_ms)
    }

    fn number(&self, at: Instant) -> u64 {
        at.saturating_duration_since(self.start).as_millis() as u64 / self.slot_ms
    }

    fn slot(&self, number: u64) -> &AtomicU32 {
        &self.slots[(number % SLOTS) as usize]
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_request_tells_the_age() {
        let waiting = Unacknowledged::new(Duration::from_secs(10));
        let at = |ms: u64| waiting.start + Duration::from_millis(ms);
        #[track_caller]
        fn about(age: Duration, ms: u64) {
            let age = age.as_millis() as u64;
            assert!(age <= ms && ms <= age + 80, "{age} ms instead of {ms} ms");
        }
        about(waiting.oldest(at(0)), 0);
        about(waiting.oldest(at(500)), 0);
        let first = waiting.enter(at(500));
        let second = waiting.enter(at(1500));
        about(waiting.oldest(at(1600)), 1100);
        about(waiting.oldest(at(3500)), 3000);
        drop(first);
        about(waiting.oldest(at(3500)), 2000);
        drop(second);
        about(waiting.oldest(at(3500)), 0);
        // The slots have gone round several times.
        let third = waiting.enter(at(1_000_000));
        about(waiting.oldest(at(1_002_000)), 2000);
        drop(third);
        about(waiting.oldest(at(1_002_000)), 0);
    }
}
