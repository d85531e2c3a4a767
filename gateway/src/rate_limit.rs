//! Limits that count events.
//!
//! Responsible for how many events a source, and a client address, may send in a time. Promises that a request is taken
//! or refused as a whole, that a refused one is charged to nobody, and that `Retry-After` says when the same number of
//! events fits. The algorithm (GCRA: a bucket that refills evenly) is governor's; where the numbers come from is the
//! policy's business.

mod address;

use std::{
    net::IpAddr,
    num::NonZeroU32,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use governor::{
    NotUntil, Quota, RateLimiter,
    clock::{Clock, MonotonicClock},
    nanos::Nanos,
    state::{NotKeyed, StateStore},
};
use parking_lot::Mutex;

use self::address::Network;
pub(crate) use self::address::{AddressQuota, Sweeper};
use crate::rejection::{Code, Rejection};

/// A longer wait tells a client no more than that there is no use in trying.
const RETRY_AFTER_SECONDS_MAX: u64 = 300;

/// For so long a refusal speaks for requests of the same size: not longer than the shortest `Retry-After`, since fewer
/// events of the same size may fit earlier.
const FRESH: Duration = Duration::from_secs(1);

const SPENT: &str = "this write key has sent more events than it may: send again after Retry-After";

/// So many events in a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Rate {
    per_second: NonZeroU32,
    burst: NonZeroU32,
}

/// What a source may send.
#[derive(Debug)]
pub(crate) struct SourceQuota {
    rate: Rate,
    limiter: RateLimiter<NotKeyed, Cell, MonotonicClock>,
    cell: Cell,
    lately: Mutex<Option<Lately>>,
}

/// What a request asks for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wanted {
    pub(crate) events: u32,
    /// Of its body; 0 where the head did not tell.
    pub(crate) announced_bytes: usize,
}

/// A refusal that is still fresh.
#[derive(Clone, Copy, Debug)]
struct Lately {
    announced_bytes: usize,
    retry_after_seconds: Option<u32>,
    until: Instant,
}

/// When the bucket will be full again, in nanoseconds since the limiter was made; 0 where it was never used. A state of
/// our own, because governor's own takes nothing back.
#[derive(Clone, Debug, Default)]
struct Cell(Arc<AtomicU64>);

impl Rate {
    /// Above it an interval between events has too few nanoseconds to be exact.
    pub(crate) const PER_SECOND_MAX: u32 = 1_000_000;

    /// Both numbers are at least 1. Without `burst`, a second's events may come at once, and at least those of one
    /// request, or a large request could never pass.
    pub(crate) fn new(per_second: u32, burst: Option<u32>, events_max: u32) -> Rate {
        let at_least_one = |number| NonZeroU32::new(number).unwrap_or(NonZeroU32::MIN);
        let burst = burst.unwrap_or_else(|| per_second.max(events_max));
        Rate { per_second: at_least_one(per_second), burst: at_least_one(burst) }
    }

    /// More events than this in one request can never pass.
    pub(crate) fn burst(self) -> u32 {
        self.burst.get()
    }

    fn quota(self) -> Quota {
        Quota::per_second(self.per_second).allow_burst(self.burst)
    }
}

impl SourceQuota {
    pub(crate) fn new(rate: Rate) -> SourceQuota {
        let cell = Cell::default();
        let limiter = RateLimiter::new(rate.quota(), cell.clone(), MonotonicClock);
        SourceQuota { rate, limiter, cell, lately: Mutex::default() }
    }

    pub(crate) fn rate(&self) -> Rate {
        self.rate
    }

    /// What can be said before the body is read, at no charge: whether even a single event would be refused, or the
    /// request is as large as one that was just refused. Clients that do not wait send the same batch again and again,
    /// and parsing it costs ten times what refusing it here does.
    pub(crate) fn look(&self, announced_bytes: usize, now: Instant) -> Result<(), Rejection> {
        self.take(NonZeroU32::MIN).map(|()| self.give_back(NonZeroU32::MIN))?;
        let lately = *self.lately.lock();
        match lately.filter(|lately| now < lately.until && announced_bytes >= lately.announced_bytes) {
            Some(Lately { retry_after_seconds, .. }) => {
                Err(Rejection { retry_after_seconds, ..Rejection::new(Code::QuotaExceeded, SPENT) })
            }
            None => Ok(()),
        }
    }

    /// Remembers the smallest of the requests that were just refused. A request without an announced size tells nothing
    /// about others.
    fn remember(&self, announced_bytes: usize, rejection: &Rejection) {
        if announced_bytes == 0 || rejection.code != Code::QuotaExceeded {
            return;
        }
        let now = Instant::now();
        let mut lately = self.lately.lock();
        if lately.is_none_or(|lately| lately.until <= now || announced_bytes <= lately.announced_bytes) {
            let retry_after_seconds = rejection.retry_after_seconds;
            *lately = Some(Lately { announced_bytes, retry_after_seconds, until: now + FRESH });
        }
    }

    fn take(&self, events: NonZeroU32) -> Result<(), Rejection> {
        let refused = |until| refused(Code::QuotaExceeded, SPENT, until);
        match self.limiter.check_n(events) {
            Ok(judged) => judged.map_err(refused),
            Err(_) => Err(never(self.rate)),
        }
    }

    fn give_back(&self, events: NonZeroU32) {
        let interval = u64::try_from(self.rate.quota().replenish_interval().as_nanos()).unwrap_or(u64::MAX);
        self.cell.give_back(interval.saturating_mul(events.get().into()));
    }
}

/// Charges the events to the source and to the address, or to neither.
pub(crate) fn take(
    source: Option<&SourceQuota>,
    addresses: Option<&AddressQuota>,
    address: IpAddr,
    wanted: Wanted,
) -> Result<(), Rejection> {
    let Some(events) = NonZeroU32::new(wanted.events) else { return Ok(()) };
    if let Some(source) = source {
        source.take(events).inspect_err(|rejection| source.remember(wanted.announced_bytes, rejection))?;
    }
    let Some(addresses) = addresses else { return Ok(()) };
    addresses.take(Network::of(address), events).inspect_err(|_| {
        if let Some(source) = source {
            source.give_back(events);
        }
    })
}

fn refused(code: Code, message: &'static str, until: NotUntil<<MonotonicClock as Clock>::Instant>) -> Rejection {
    Rejection::new(code, message).retry_after(whole_seconds(until.wait_time_from(MonotonicClock.now())))
}

/// The batch is cut off at the burst before it is charged, so this is said only where a reload lowered the burst in
/// between.
fn never(rate: Rate) -> Rejection {
    let message = format!("the request holds more than {} events: send fewer", rate.burst());
    Rejection::new(Code::TooManyEvents, message)
}

/// Whole seconds, so that the wait is over and not almost over.
fn whole_seconds(wait: Duration) -> u32 {
    let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
    u32::try_from(seconds.clamp(1, RETRY_AFTER_SECONDS_MAX)).unwrap_or(u32::MAX)
}

impl Cell {
    fn give_back(&self, nanos: u64) {
        // Never back to 0, which would mean a bucket that was never used: it would still be right, but not exact.
        let less = |full_at: u64| Some(full_at.saturating_sub(nanos).max(1));
        let _ = self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less);
    }
}

impl StateStore for Cell {
    type Key = NotKeyed;

    fn measure_and_replace<T, F, E>(&self, _: &NotKeyed, judge: F) -> Result<T, E>
    where
        F: Fn(Option<Nanos>) -> Result<(T, Nanos), E>,
    {
        let mut full_at = self.0.load(Ordering::Relaxed);
        loop {
            let (outcome, next) = judge((full_at > 0).then(|| full_at.into()))?;
            match self.0.compare_exchange_weak(full_at, next.into(), Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => return Ok(outcome),
                Err(now) => full_at = now,
            }
        }
    }
}

#[cfg(test)]
mod tests;
