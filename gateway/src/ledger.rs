//! The ledger: what became of every request and every event.
//!
//! Responsible for received = accepted + rejected by reason + in flight, once in requests and once in events. Promises
//! that it holds whatever ends a request: an answer, a deadline, or a client that went away while it was served (an
//! entry that is dropped open is booked as `client_gone`). The names of the metrics are in `metrics.rs`.

use std::time::Instant;

use crate::{
    metrics::{LedgerMetrics, StatusClass},
    rejection::Code,
    reply::Answer,
};

/// Opens an entry for each request.
#[derive(Debug)]
pub(crate) struct Ledger {
    metrics: LedgerMetrics,
}

/// The page of one request.
#[derive(Debug)]
pub(crate) struct Entry<'a> {
    metrics: &'a LedgerMetrics,
    since: Instant,
    events: u32,
    open: bool,
}

impl Ledger {
    pub(crate) fn new(metrics: LedgerMetrics) -> Ledger {
        Ledger { metrics }
    }

    /// A request came in.
    pub(crate) fn open(&self) -> Entry<'_> {
        self.metrics.requests_received.inc();
        self.metrics.requests_in_flight.inc();
        Entry { metrics: &self.metrics, since: Instant::now(), events: 0, open: true }
    }
}

impl Entry<'_> {
    /// The request was found to hold `events`. They are in flight from now on. At most once for a request.
    pub(crate) fn received(&mut self, events: u32) {
        self.events = events;
        self.metrics.events_received.inc_by(events.into());
        self.metrics.events_in_flight.inc_by(events.into());
    }

    /// The request is answered: books each of its events, and the request under the answer's code.
    pub(crate) fn close(mut self, answer: &Answer) {
        self.open = false;
        let metrics = self.metrics;
        metrics.requests_in_flight.dec();
        metrics.requests_answered(answer.code()).inc();
        metrics.duration(StatusClass::of(answer.status())).observe(self.since.elapsed().as_secs_f64());
        if self.events == 0 {
            return;
        }
        let (accepted, rejected) = answer.outcome();
        metrics.events_accepted.inc_by(accepted.into());
        for rejection in rejected {
            metrics.events_rejected(rejection.rejection.code).inc();
        }
        // An answer that does not go into the events, such as a refusal for want of the log, speaks for all of them.
        let listed = accepted + u32::try_from(rejected.len()).unwrap_or(u32::MAX);
        if let Some(code) = answer.code().filter(|_| listed < self.events) {
            metrics.events_rejected(code).inc_by((self.events - listed).into());
        }
        metrics.events_in_flight.dec_by(self.events.into());
    }

    /// Since the request was taken up.
    pub(crate) fn since(&self) -> Instant {
        self.since
    }
}

impl Drop for Entry<'_> {
    fn drop(&mut self) {
        if self.open {
            self.metrics.requests_in_flight.dec();
            self.metrics.requests_answered(Some(Code::ClientGone)).inc();
            self.metrics.events_rejected(Code::ClientGone).inc_by(self.events.into());
            self.metrics.events_in_flight.dec_by(self.events.into());
        }
    }
}
