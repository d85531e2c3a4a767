//! Bounded memory: the bytes of all requests in flight.
//!
//! Responsible for one number, the body bytes held by requests (raw and inflated), and its limit. Promises that a
//! request is refused at once when it does not fit, never queued, and that its bytes are given back whatever ends it.

use std::sync::Arc;

use prometheus_client::metrics::gauge::Gauge;

use crate::rejection::{Code, Rejection};

/// What a request is charged for its announcement alone. The rest is charged as it arrives, or clients could take all the
/// room there is by announcing bodies that they never send.
const ANNOUNCED_BYTES_MAX: usize = 64 << 10;

/// The scale all requests stand on.
#[derive(Debug)]
pub(crate) struct LoadShed {
    bytes: Gauge,
    bytes_max: usize,
}

/// A request's share. Gives its bytes back when dropped.
#[derive(Debug)]
pub(crate) struct Seat {
    shed: Arc<LoadShed>,
    bytes: usize,
}

impl LoadShed {
    /// `bytes` shows the bytes in flight to the operator and is the count itself.
    pub(crate) fn new(bytes: Gauge, bytes_max: usize) -> LoadShed {
        LoadShed { bytes, bytes_max }
    }

    /// Lets a request in that announces `bytes` (0 if it does not), if there is room for all of them now.
    pub(crate) fn admit(self: &Arc<Self>, bytes: usize) -> Result<Seat, Rejection> {
        let mut seat = Seat { shed: self.clone(), bytes: 0 };
        let held = usize::try_from(self.bytes.get()).unwrap_or(0);
        if held.saturating_add(bytes) > self.bytes_max {
            return Err(full());
        }
        seat.grow(bytes.min(ANNOUNCED_BYTES_MAX))?;
        Ok(seat)
    }
}

impl Seat {
    /// Takes `bytes` more.
    pub(crate) fn grow(&mut self, bytes: usize) -> Result<(), Rejection> {
        let before = usize::try_from(self.shed.bytes.inc_by(as_i64(bytes))).unwrap_or(0);
        self.bytes += bytes;
        if before.saturating_add(bytes) <= self.shed.bytes_max {
            return Ok(());
        }
        Err(full())
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
        done
    }

    /// Bytes taken so far.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.shed.bytes.dec_by(as_i64(self.bytes));
    }
}

fn full() -> Rejection {
    Rejection::new(Code::Overloaded, "the gateway holds as many bytes as it may: send again after Retry-After")
}

fn as_i64(bytes: usize) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_is_refused_and_everything_is_given_back() {
        let gauge = Gauge::default();
        let shed = Arc::new(LoadShed::new(gauge.clone(), 100));
        let mut first = shed.admit(60).expect("60 of 100 fit");
        assert_eq!(shed.admit(41).expect_err("101 do not fit").code, Code::Overloaded);
        assert_eq!(gauge.get(), 60);
        first.grow(40).expect("100 of 100 fit");
        first.grow(1).expect_err("101 do not fit");
        drop(first);
        assert_eq!(gauge.get(), 0);
        shed.admit(100).expect("the scale is empty again");
    }

    #[test]
    fn announcing_takes_little_room() {
        let gauge = Gauge::default();
        let shed = Arc::new(LoadShed::new(gauge.clone(), 10 << 20));
        let seats: Vec<Seat> = (0..20).map(|_| shed.admit(5 << 20).expect("nothing has arrived yet")).collect();
        assert_eq!(gauge.get(), 20 * (64 << 10));
        drop(seats);
        assert_eq!(shed.admit((10 << 20) + 1).expect_err("it can never fit").code, Code::Overloaded);
    }
}
