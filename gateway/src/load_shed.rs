//! Bounded memory: the bytes of all requests in flight.
//!
//! Responsible for one number, the body bytes held by requests (raw and inflated), and its limit. Promises that a
//! request is refused at once when it does not fit, never queued, and that its bytes are given back whatever ends it.

use std::sync::Arc;

use prometheus_client::metrics::gauge::Gauge;

use crate::rejection::{Code, Rejection};

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

    /// Lets a request in that announces `bytes` (0 if it does not).
    pub(crate) fn admit(self: &Arc<Self>, bytes: usize) -> Result<Seat, Rejection> {
        let mut seat = Seat { shed: self.clone(), bytes: 0 };
        seat.grow(bytes)?;
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
        Err(Rejection::new(Code::Overloaded, "the gateway holds as many bytes as it may: send again after Retry-After"))
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
}
