//! What a connection is doing, and since when.
//!
//! Responsible for one word that the connection writes and its alarm reads now and then, instead of a timer for each
//! phase of each request. Promises that what takes too long is found at most one header timeout late.

use std::{
    sync::atomic::{AtomicU32, AtomicU64, Ordering},
    time::Duration,
};

use tokio::time::Instant;

/// How long a connection may wait.
#[derive(Clone, Copy, Debug)]
pub(super) struct Timeouts {
    /// For a head, from its first byte.
    pub(super) header: Duration,
    /// For the next request.
    pub(super) idle: Duration,
    /// After which a connection ends between two requests; 0 is never.
    pub(super) age: Duration,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// Between requests.
    Idle,
    /// Bytes of a head have come.
    Head,
    /// Requests are being served.
    Serving,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Activity {
    start: Instant,
    /// Milliseconds since `start`, shifted by two bits for the phase.
    state: AtomicU64,
    serving: AtomicU32,
}

/// A request being served.
#[derive(Debug)]
pub(super) struct Serving<'a>(&'a Activity);

impl Activity {
    pub(super) fn new() -> Activity {
        Activity { start: Instant::now(), state: AtomicU64::new(0), serving: AtomicU32::new(0) }
    }

    fn set(&self, phase: Phase) {
        let since_ms = self.start.elapsed().as_millis() as u64;
        self.state.store(since_ms << 2 | phase as u64, Ordering::Relaxed);
    }

    /// A request begins. Those of HTTP/2 overlap.
    pub(super) fn serve(&self) -> Serving<'_> {
        self.serving.fetch_add(1, Ordering::Relaxed);
        self.set(Phase::Serving);
        Serving(self)
    }

    /// Bytes have come: of a head, unless a request is being served.
    pub(super) fn heard(&self) {
        if self.phase() == Phase::Idle {
            self.set(Phase::Head);
        }
    }

    pub(super) fn phase(&self) -> Phase {
        [Phase::Idle, Phase::Head, Phase::Serving][(self.state.load(Ordering::Relaxed) & 3) as usize]
    }

    /// When to look again, or what has taken too long.
    pub(super) fn overdue(&self, timeouts: Timeouts) -> Result<Instant, Phase> {
        let now = Instant::now();
        let since = self.start + Duration::from_millis(self.state.load(Ordering::Relaxed) >> 2);
        let phase = self.phase();
        let until = match phase {
            Phase::Idle => since + timeouts.idle,
            Phase::Head => since + timeouts.header,
            Phase::Serving => return Ok(now + timeouts.header),
        };
        // Never later than a head that begins right now could be overdue.
        if until > now { Ok(until.min(now + timeouts.header)) } else { Err(phase) }
    }

    /// Whether the connection has lived long enough. `salt` spreads the end of those that began together over a tenth of
    /// their age.
    pub(super) fn is_old(&self, timeouts: Timeouts, salt: u16) -> bool {
        let spread = timeouts.age / 10 * u32::from(salt % 128) / 128;
        !timeouts.age.is_zero() && self.start.elapsed() + spread >= timeouts.age
    }
}

impl Drop for Serving<'_> {
    fn drop(&mut self) {
        if self.0.serving.fetch_sub(1, Ordering::Relaxed) == 1 {
            self.0.set(Phase::Idle);
        }
    }
}
