//! Waits between attempts at a store that does not answer.
//!
//! Responsible for waiting longer and longer, up to ten seconds, with jitter, so that many partitions do not return in
//! step. Leaves to the caller what it says about it.

use std::time::Duration;

use rand::RngExt;

#[cfg(test)]
use crate::simulation;

const BACK_OFF_MAX: Duration = Duration::from_secs(10);

/// The waits of one operation.
#[derive(Debug)]
pub(crate) struct BackOff {
    attempts: u32,
    next: Duration,
}

impl BackOff {
    /// The first wait is about this long.
    pub(crate) fn new(first: Duration) -> BackOff {
        BackOff { attempts: 0, next: first }
    }

    /// How long to wait after one more attempt that failed.
    pub(crate) fn next(&mut self) -> Duration {
        self.attempts += 1;
        let wait = self.next.mul_f64(jitter());
        self.next = (self.next * 2).min(BACK_OFF_MAX);
        wait
    }

    /// Attempts that failed.
    pub(crate) fn attempts(&self) -> u32 {
        self.attempts
    }
}

/// A part of a wait.
fn jitter() -> f64 {
    #[cfg(test)]
    if let Some(jitter) = simulation::jitter() {
        return jitter;
    }
    rand::rng().random_range(0.5..1.0)
}
