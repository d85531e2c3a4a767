//! When events are due.
//!
//! Responsible for the open-loop schedule (`intended = start + n x interval`) and for the run's one clock. Promises that
//! a due time depends on nothing but the rate and the number of the event: a slow answer never moves the schedule, so no
//! latency is hidden by a sender that waited. Leaves to others what is sent and how.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// A constant rate, as a pure function from the number of an event to its due time.
#[derive(Clone, Copy, Debug)]
pub struct Schedule {
    rate: f64,
    events: u64,
}

impl Schedule {
    /// `rate` events a second (above 0), `events` in all.
    pub fn new(rate: f64, events: u64) -> Self {
        debug_assert!(rate > 0.0, "a schedule needs a positive rate");
        Schedule { rate, events }
    }

    /// As many events as fit into `duration`.
    pub fn lasting(rate: f64, duration: Duration) -> Self {
        Schedule::new(rate, (rate * duration.as_secs_f64()).round() as u64)
    }

    /// How many events are due in all.
    pub fn events(&self) -> u64 {
        self.events
    }

    /// Events a second.
    pub fn rate(&self) -> f64 {
        self.rate
    }

    /// When event `n` is due, in microseconds since the start.
    pub fn due_us(&self, n: u64) -> u64 {
        // Multiplied, not added up: a million small roundings would make the rate drift.
        (n as f64 * 1e6 / self.rate) as u64
    }

    /// How long the schedule lasts, from the start to one interval after the last event.
    pub fn duration(&self) -> Duration {
        Duration::from_micros(self.due_us(self.events))
    }
}

/// The one clock of a run: due, sent, answered and visible times are all read from it, so that no two clocks are ever
/// subtracted from each other.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    start: Instant,
    start_unix_us: i64,
}

impl Clock {
    /// A clock that reads 0 now.
    pub fn started_now() -> Self {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Clock { start: Instant::now(), start_unix_us: i64::try_from(since_epoch.as_micros()).unwrap_or(i64::MAX) }
    }

    /// Microseconds since the start.
    pub fn now_us(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_micros()).unwrap_or(u64::MAX)
    }

    /// The start as microseconds since 1970 UTC: only written into events, never subtracted.
    pub fn start_unix_us(&self) -> i64 {
        self.start_unix_us
    }

    /// The instant that reads `at_us`, for sleeping until it.
    pub fn instant(&self, at_us: u64) -> Instant {
        self.start + Duration::from_micros(at_us)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(rate: f64, n: u64, due_us: u64) {
        assert_eq!(Schedule::new(rate, u64::MAX).due_us(n), due_us, "event {n} at {rate} a second");
    }

    #[test]
    fn due_time_is_the_number_times_the_interval() {
        check(1.0, 0, 0);
        check(1.0, 3, 3_000_000);
        check(5_000.0, 1, 200);
        check(5_000.0, 1_000_000, 200_000_000);
        check(3.0, 1, 333_333);
        check(3.0, 3_000_000, 1_000_000_000_000);
        check(0.5, 2, 4_000_000);
    }

    #[test]
    fn due_times_never_go_back_and_do_not_drift() {
        let schedule = Schedule::lasting(7_777.7, Duration::from_secs(100));
        assert_eq!(schedule.events(), 777_770);
        let mut before = 0;
        for n in 0..schedule.events() {
            let due = schedule.due_us(n);
            assert!(due >= before, "event {n} is due before event {}", n - 1);
            before = due;
        }
        assert_eq!(schedule.duration(), Duration::from_secs(100));
    }

    #[test]
    fn clock_reads_the_time_of_its_instants() {
        let clock = Clock::started_now();
        let at = clock.instant(1_500);
        assert_eq!(at.duration_since(clock.start), Duration::from_micros(1_500));
        let first = clock.now_us();
        assert!(clock.now_us() >= first);
    }
}
