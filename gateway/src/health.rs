//! Ready or not.
//!
//! Responsible for the two conditions of readiness that the gateway knows: it is open (not starting, not draining), and
//! its log takes records. Promises to notice within half a second when the log goes or comes back. Liveness is the admin
//! port's, and does not depend on the log: a gateway without a log stays up and says 503.

use std::time::Duration;

use operator::{Condition, Failure, Health};

use crate::{
    Metrics,
    arrival::Clock,
    log::{Availability, Log},
};

const PERIOD: Duration = Duration::from_millis(250);

/// The gateway's conditions.
#[derive(Debug)]
pub(crate) struct Readiness {
    open: Condition,
    log: Condition,
}

impl Readiness {
    pub(crate) fn register(health: &Health) -> Readiness {
        Readiness { open: health.register("gateway"), log: health.register("log") }
    }

    /// Connections are accepted from now on.
    pub(crate) fn open(&self) {
        self.open.set(true, "");
    }

    /// No new connection is accepted.
    pub(crate) fn draining(&self) {
        self.open.set(false, "draining");
    }

    /// Keeps the log's condition and the gauges of its queue and its spool true. Ends only when the log is lost for this process.
    pub(crate) async fn watch(&self, log: &Log, clock: &Clock, metrics: &Metrics) -> Failure {
        let mut ticks = tokio::time::interval(PERIOD);
        loop {
            ticks.tick().await;
            metrics.log_queue_records.set(i64::try_from(log.queue_records()).unwrap_or(i64::MAX));
            if let Some(spool) = log.spool_stats(clock.now_us()) {
                metrics.spool.show(&spool);
                self.log.note(spool.failure.or(spool.spooling).map(|why| format!("spooling: {why}")));
            }
            match log.availability() {
                Availability::Up => self.log.set(true, ""),
                Availability::Down(reason) => self.log.set(false, reason),
                Availability::Lost(reason) => {
                    self.log.set(false, &reason);
                    return Failure::internal(format!("the log is lost for this process: {reason}: restart it"));
                }
            }
        }
    }
}
