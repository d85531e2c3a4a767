//! Bounded memory and bounded waiting: what is refused at once because too much is under way.
//!
//! Responsible for the body bytes held by requests (raw and inflated) and their limit, for each source's share of them,
//! and for how long a request has to wait: for the log, and for the processor. Promises that a request is refused at once when it does not
//! fit, never queued, that its bytes are given back whatever ends it, and that a source which holds less than its fair
//! share is not refused because of one that holds more. How many events a source may send is `rate_limit`'s business.

mod delay;
mod pulse;

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use prometheus_client::metrics::gauge::Gauge;
use tokio::net::UnixStream;
use tokio_util::task::AbortOnDropHandle;

pub(crate) use self::delay::Waiting;
use self::{delay::Unacknowledged, pulse::Pulse};
use crate::{
    metrics::Shed,
    rejection::{Code, Rejection},
};

/// What a request is charged for its announcement alone. The rest is charged as it arrives, or clients could take all the
/// room there is by announcing bodies that they never send.
const ANNOUNCED_BYTES_MAX: usize = 64 << 10;

/// The scale all requests stand on.
#[derive(Debug)]
pub(crate) struct LoadShed {
    bytes: Gauge,
    bytes_max: usize,
    /// Sources that have requests in flight.
    active: AtomicUsize,
    unacknowledged: Unacknowledged,
    pulse: Pulse,
    shed: Shed,
}

/// How the room is divided.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Division {
    /// What one source may hold.
    pub(crate) share_bytes_max: usize,
    /// How long a request may have to wait for the log's acknowledgement; zero: as long as it takes.
    pub(crate) ack_delay_max: Duration,
    /// How long a connection may have to wait for the processor; zero: as long as it takes.
    pub(crate) processor_delay_max: Duration,
}

/// What one source holds.
#[derive(Debug, Default)]
pub(crate) struct Share {
    bytes: AtomicUsize,
    requests: AtomicUsize,
}

/// A request's place. Gives its bytes back when dropped.
#[derive(Debug)]
pub(crate) struct Seat {
    shed: Arc<LoadShed>,
    bytes: usize,
    /// Whose it is, and what that source may hold.
    share: Option<(Arc<Share>, usize)>,
}

impl LoadShed {
    /// `bytes` shows the bytes in flight to the operator and is the count itself. No request takes longer than
    /// `request_timeout`.
    pub(crate) fn new(bytes: Gauge, bytes_max: usize, request_timeout: Duration, shed: Shed) -> LoadShed {
        let unacknowledged = Unacknowledged::new(request_timeout);
        LoadShed { bytes, bytes_max, active: AtomicUsize::new(0), unacknowledged, pulse: Pulse::new(), shed }
    }

    /// Feels, for as long as it is polled, how long connections wait for the processor.
    pub(crate) async fn feel(self: &Arc<Self>) {
        let shed = self.clone();
        let felt = async {
            let (to, from) = UnixStream::pair()?;
            let listening = AbortOnDropHandle::new(tokio::spawn(async move { shed.pulse.listen(from).await }));
            self.pulse.beat(to).await?;
            drop(listening);
            Ok::<_, io::Error>(())
        };
        if let Err(error) = felt.await {
            tracing::warn!(%error, "how long requests wait for the processor is not known: too many open files?");
            std::future::pending().await
        }
    }

    /// Lets a request in that announces `bytes` (0 if it does not), if there is room for all of them now.
    pub(crate) fn admit(self: &Arc<Self>, bytes: usize) -> Result<Seat, Rejection> {
        let mut seat = Seat { shed: self.clone(), bytes: 0, share: None };
        if self.held().saturating_add(bytes) > self.bytes_max {
            return Err(self.full());
        }
        seat.grow(bytes.min(ANNOUNCED_BYTES_MAX))?;
        Ok(seat)
    }

    /// A request's records are with the log since `now`, until what this returns is dropped.
    pub(crate) fn await_acknowledgement(&self, now: Instant) -> Waiting<'_> {
        self.unacknowledged.enter(now)
    }

    fn held(&self) -> usize {
        usize::try_from(self.bytes.get()).unwrap_or(0)
    }

    fn full(&self) -> Rejection {
        self.shed.bytes.inc();
        Rejection::new(Code::Overloaded, "the gateway holds as many bytes as it may: send again after Retry-After")
    }

    /// Whether a request would have to wait for too long. A source that holds less than others do gets through all the
    /// same: what makes them wait is not its own.
    fn check_delay(
        &self,
        share: &Share,
        others_bytes: usize,
        division: Division,
        now: Instant,
    ) -> Result<(), Rejection> {
        let is_set = |limit: &Duration| !limit.is_zero();
        let log = Some(division.ack_delay_max).filter(is_set);
        let processor = Some(division.processor_delay_max).filter(is_set);
        let (shed, what) = if log.is_some_and(|limit| self.unacknowledged.is_over(limit, now)) {
            (&self.shed.delay, "the log is slower than the events come: send again after Retry-After")
        } else if processor.is_some_and(|limit| self.pulse.delay(now) > limit) {
            (&self.shed.processor, "the gateway is slower than the events come: send again after Retry-After")
        } else {
            return Ok(());
        };
        let fair = others_bytes / self.active.load(Ordering::Relaxed).max(1);
        if share.bytes.load(Ordering::Relaxed) < fair {
            return Ok(());
        }
        shed.inc();
        Err(Rejection::new(Code::Overloaded, what))
    }
}

impl Seat {
    /// The request turned out to be of the source that `share` belongs to.
    pub(crate) fn belong(&mut self, share: &Arc<Share>, division: Division, now: Instant) -> Result<(), Rejection> {
        let others_bytes = self.shed.held().saturating_sub(self.bytes);
        self.shed.check_delay(share, others_bytes, division, now)?;
        if share.requests.fetch_add(1, Ordering::Relaxed) == 0 {
            self.shed.active.fetch_add(1, Ordering::Relaxed);
        }
        self.share = Some((share.clone(), division.share_bytes_max));
        self.charge_share(self.bytes)
    }

    /// Takes `bytes` more.
    pub(crate) fn grow(&mut self, bytes: usize) -> Result<(), Rejection> {
        let before = usize::try_from(self.shed.bytes.inc_by(as_i64(bytes))).unwrap_or(0);
        self.bytes += bytes;
        if before.saturating_add(bytes) > self.shed.bytes_max {
            // The share has to know as well what will be given back.
            let _ = self.charge_share(bytes);
            return Err(self.shed.full());
        }
        self.charge_share(bytes)
    }

    /// Takes `bytes` more for as long as `work` runs.
    pub(crate) fn holding<T>(
        &mut self,
        bytes: usize,
        work: impl FnOnce(&mut Seat) -> Result<T, Rejection>,
    ) -> Result<T, Rejection> {
        self.grow(bytes)?;
        let done = work(self);
        self.bytes -= bytes;
        self.shed.bytes.dec_by(as_i64(bytes));
        if let Some((share, _)) = &self.share {
            share.bytes.fetch_sub(bytes, Ordering::Relaxed);
        }
        done
    }

    /// Bytes taken so far.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    fn charge_share(&self, bytes: usize) -> Result<(), Rejection> {
        let Some((share, bytes_max)) = &self.share else { return Ok(()) };
        if share.bytes.fetch_add(bytes, Ordering::Relaxed).saturating_add(bytes) <= *bytes_max {
            return Ok(());
        }
        self.shed.shed.share.inc();
        Err(Rejection::new(
            Code::Overloaded,
            "this write key holds its share of the gateway: send again after Retry-After",
        ))
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.shed.bytes.dec_by(as_i64(self.bytes));
        let Some((share, _)) = &self.share else { return };
        share.bytes.fetch_sub(self.bytes, Ordering::Relaxed);
        if share.requests.fetch_sub(1, Ordering::Relaxed) == 1 {
            self.shed.active.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

fn as_i64(bytes: usize) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests;
