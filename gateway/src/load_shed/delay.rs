//! How long the log lets requests wait.
//!
//! Responsible for the age of the oldest request that the log has not acknowledged, and for whether what waits can be
//! acknowledged in time at the rate of late. Promises an answer for a few atomic operations a request and no clock read
//! of its own: requests are counted in slots of time, and the oldest slot that is not empty tells the age. An average of
//! past deliveries would stand still while the log does; and the age alone would let in whatever is offered until it is
//! reached, which a log that takes a fifth of that needs five times as long for.

use std::{
    sync::atomic::{AtomicU32, AtomicU64, Ordering},
    time::{Duration, Instant},
};

const SLOTS: u64 = 512;

/// Requests that wait for the log, by the time at which they began to.
#[derive(Debug)]
pub(super) struct Unacknowledged {
    start: Instant,
    longest: Duration,
    slot_ms: u64,
    slots: Box<[AtomicU32]>,
    /// No slot before this one holds a request.
    oldest: AtomicU64,
    entered: AtomicU64,
    left: AtomicU64,
    /// What `left` was when each slot began, up to the slot `noted`.
    left_at: Box<[AtomicU64]>,
    noted: AtomicU64,
}

/// A request that waits. It does until this is dropped.
#[derive(Debug)]
pub(crate) struct Waiting<'a> {
    slot: &'a AtomicU32,
    left: &'a AtomicU64,
}

/// The log counts as late, and so its rate as all that it can do, when a request has waited for this part of the limit.
const LATE_PART: u32 = 8;

/// So few requests are acknowledged together once the log goes on, whatever its rate.
const BACKLOG_MIN: u64 = 100;

impl Unacknowledged {
    /// No request waits longer than `longest`: the slots go round in twice that time.
    pub(super) fn new(longest: Duration) -> Unacknowledged {
        let slot_ms = (2 * longest.as_millis() as u64).div_ceil(SLOTS).max(1);
        Unacknowledged {
            start: Instant::now(),
            longest,
            slot_ms,
            slots: (0..SLOTS).map(|_| AtomicU32::new(0)).collect(),
            oldest: AtomicU64::new(0),
            entered: AtomicU64::new(0),
            left: AtomicU64::new(0),
            left_at: (0..SLOTS).map(|_| AtomicU64::new(0)).collect(),
            noted: AtomicU64::new(0),
        }
    }

    pub(super) fn enter(&self, now: Instant) -> Waiting<'_> {
        let slot = self.slot(self.number(now));
        slot.fetch_add(1, Ordering::Relaxed);
        self.entered.fetch_add(1, Ordering::Relaxed);
        Waiting { slot, left: &self.left }
    }

    /// Whether a request that comes now would wait for longer than `limit`, as far as can be told. The rate is that of a
    /// long time: a log that stops and starts, as Kafka does with a client over its quota, would by its last burst be let
    /// have as much again, and stop for as long again. Asked for every request, which keeps the notes.
    pub(super) fn is_over(&self, limit: Duration, now: Instant) -> bool {
        let lately = self.left_within(self.longest, now);
        let oldest = self.oldest(now);
        let worked_off = u128::from(lately) * limit.as_millis() / self.longest.as_millis().max(1);
        let waiting = self.waiting();
        oldest > limit || (oldest > limit / LATE_PART && waiting > BACKLOG_MIN && u128::from(waiting) > worked_off)
    }

    fn waiting(&self) -> u64 {
        self.entered.load(Ordering::Relaxed).saturating_sub(self.left.load(Ordering::Relaxed))
    }

    /// How many left since `span` before now.
    fn left_within(&self, span: Duration, now: Instant) -> u64 {
        let (current, left) = (self.number(now), self.left.load(Ordering::Relaxed));
        let noted = self.noted.fetch_max(current, Ordering::Relaxed);
        for number in (noted + 1..=current).rev().take(SLOTS as usize) {
            self.left_at[(number % SLOTS) as usize].store(left, Ordering::Relaxed);
        }
        let slots = (span.as_millis() as u64 / self.slot_ms).min(SLOTS - 1);
        let then = current.saturating_sub(slots);
        left.saturating_sub(self.left_at[(then % SLOTS) as usize].load(Ordering::Relaxed))
    }

    /// The age of the oldest request that waits; to a slot's width too young, never too old. Zero if none does.
    fn oldest(&self, now: Instant) -> Duration {
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
        self.slot.fetch_sub(1, Ordering::Relaxed);
        self.left.fetch_add(1, Ordering::Relaxed);
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
    #[test]
    fn what_waits_is_held_against_the_rate_of_late() {
        let waiting = Unacknowledged::new(Duration::from_secs(10));
        let at = |ms: u64| waiting.start + Duration::from_millis(ms);
        let is_over = |ms: u64| waiting.is_over(Duration::from_secs(2), at(ms));
        // A hundred a second are acknowledged, each a tenth of a second later.
        let mut queue = std::collections::VecDeque::new();
        for ms in (0..5000).step_by(10) {
            assert!(!is_over(ms), "nothing is late at {ms} ms");
            queue.push_back(waiting.enter(at(ms)));
            if queue.len() > 10 {
                queue.pop_front();
            }
        }
        // Then five times as many come.
        let mut refused = 0;
        for ms in (5000..15_000).step_by(2) {
            if is_over(ms) {
                refused += 1;
            } else {
                queue.push_back(waiting.enter(at(ms)));
            }
            if ms % 10 == 0 {
                queue.pop_front();
            }
            assert!(queue.len() < 250, "{} wait at {ms} ms: that takes more than two seconds", queue.len());
        }
        assert!((3500..=4000).contains(&refused), "{refused} of 5000 refused instead of four fifths less a queue");
        // A log that stands still lets nobody in, long before the oldest is two seconds old.
        queue.clear();
        assert!(!is_over(20_000));
        queue.extend((0..BACKLOG_MIN).map(|_| waiting.enter(at(20_000))));
        assert!(!is_over(20_500), "few wait");
        queue.extend((0..BACKLOG_MIN).map(|_| waiting.enter(at(20_500))));
        assert!(is_over(20_500));
    }
}
