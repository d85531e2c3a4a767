//! What a request waits for: the reports on all of its records.
//!
//! Responsible for one completion per request. A record carries no allocation: its opaque is one word, the number of
//! the request's ticket and the record's place in the request. Promises that a ticket is completed exactly once, by the
//! last report, and that its number is not given to another request before.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, Instant},
};

use parking_lot::Mutex;
use slab::Slab;
use tokio::sync::oneshot;

use crate::{log::Failure, rejection::Code};

/// Bits of the opaque for the place in the request; the settings keep requests far below it.
const INDEX_BITS: u32 = 24;

/// All requests whose records are with the producer.
#[derive(Debug)]
pub(super) struct Tickets {
    open: Mutex<Slab<State>>,
    begun: Instant,
    /// Milliseconds since `begun`, as of the last look at the oldest: a request costs no look at a clock.
    now_ms: AtomicU64,
}

#[derive(Debug)]
struct State {
    reports_left: usize,
    issued_ms: u64,
    failures: Vec<Failure>,
    done: oneshot::Sender<Vec<Failure>>,
}

/// The number of a request.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ticket(usize);

/// Completes with the failures of a request.
#[derive(Debug)]
pub(crate) struct Pending(oneshot::Receiver<Vec<Failure>>);

impl Default for Tickets {
    fn default() -> Tickets {
        Tickets { open: Mutex::default(), begun: Instant::now(), now_ms: AtomicU64::new(0) }
    }
}

impl Tickets {
    /// Expects `reports` reports.
    pub(super) fn issue(&self, reports: usize) -> (Ticket, Pending) {
        let (done, pending) = oneshot::channel();
        let issued_ms = self.now_ms.load(Ordering::Relaxed);
        let number = self.open.lock().insert(State { reports_left: reports, issued_ms, failures: Vec::new(), done });
        (Ticket(number), Pending(pending))
    }

    /// Expects `reports` fewer: they were not sent.
    pub(super) fn forgo(&self, ticket: Ticket, reports: usize) {
        if reports > 0 {
            self.count(ticket, reports, None);
        }
    }

    /// One record of the request behind `opaque` was delivered, or failed with `code`.
    pub(super) fn report(&self, opaque: usize, code: Option<Code>) {
        let index = (opaque & ((1 << INDEX_BITS) - 1)) as u32;
        self.count(Ticket(opaque >> INDEX_BITS), 1, code.map(|code| Failure { index, code }));
    }

    /// How long the oldest request has waited for its last report, as exactly as this is called often.
    pub(super) fn oldest(&self) -> Duration {
        let now_ms = u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.now_ms.store(now_ms, Ordering::Relaxed);
        let oldest_ms = self.open.lock().iter().map(|(_, state)| state.issued_ms).min();
        Duration::from_millis(oldest_ms.map_or(0, |issued_ms| now_ms.saturating_sub(issued_ms)))
    }

    fn count(&self, ticket: Ticket, reports: usize, failure: Option<Failure>) {
        let mut tickets = self.open.lock();
        let state = tickets.get_mut(ticket.0).expect("a ticket lives until its last report");
        state.failures.extend(failure);
        state.reports_left -= reports;
        if state.reports_left == 0 {
            let state = tickets.remove(ticket.0);
            drop(tickets);
            // Nobody waits any more if the request passed its deadline or its client went away.
            let _ = state.done.send(state.failures);
        }
    }
}

impl Ticket {
    /// The word that a record carries.
    pub(super) fn opaque(self, index: u32) -> usize {
        self.0 << INDEX_BITS | index as usize
    }
}

impl Pending {
    pub(crate) async fn delivered(&mut self) -> Vec<Failure> {
        (&mut self.0).await.expect("a ticket is completed before it is dropped")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_report_completes_the_request() {
        let tickets = Tickets::default();
        let (first, mut first_pending) = tickets.issue(3);
        let (second, mut second_pending) = tickets.issue(2);
        tickets.report(first.opaque(7), None);
        tickets.report(second.opaque(1), Some(Code::DeliveryUnknown));
        tickets.report(first.opaque(0xff_ffff), Some(Code::EventTooLarge));
        assert!(first_pending.0.try_recv().is_err() && second_pending.0.try_recv().is_err());
        tickets.forgo(first, 1);
        let failure = Failure { index: 0xff_ffff, code: Code::EventTooLarge };
        assert_eq!(first_pending.0.try_recv(), Ok(vec![failure]));
        drop(second_pending);
        tickets.report(second.opaque(0), None);
        assert!(tickets.open.lock().is_empty());
    }
}
