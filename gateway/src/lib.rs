//! The gateway: from an HTTP request to the durable log.
//!
//! ```text
//! listener -> server -> router -> ingest: admit -> body -> parse -> validate -> encode -> append -> reply
//!                                           |                                       |        ^
//!                                       load_shed                                  log ------+ durable acknowledgement
//! ```
//!
//! Responsible for taking events, for judging each of them, and for answering only what is true: accepted means durable
//! in the log. Promises each user's order, and that received = accepted + rejected by reason + in flight. Leaves what
//! becomes of the log's records to the sink.
//!
//! The rooms, in the order of the path:

/// When and from where a request came.
pub mod arrival;
/// Write keys: who may send, and as which source.
mod auth;
/// Drafts to encoded records.
mod batch;
/// Capped reading and inflating.
mod body;
/// Settings, defaults, rules between them.
pub mod config;
/// What browsers need to let a page send.
mod cors;
/// Refused events, kept with the reason.
mod dead_letter;
/// The languages in which clients tell events.
mod dialect;
/// Ready or not.
mod health;
/// The path of a request.
mod ingest;
/// What became of every request and event.
mod ledger;
/// In-flight bytes and the early refusal.
mod load_shed;
/// Where records become durable.
pub mod log;
/// Every metric name of this crate.
mod metrics;
/// What may change while the gateway runs, and its reload.
mod policy;
/// Limits that count events.
mod rate_limit;
/// The closed list of refusals.
pub mod rejection;
/// The answer as JSON.
mod reply;
/// The route table.
mod router;
/// Which topic an event goes to.
mod routes;
/// Connections, their cap and their timeouts; the drain.
mod server;
/// One step alone, for the benches and the fuzz targets.
#[doc(hidden)]
pub mod stage;
/// The tag that pages load.
mod tag;

use std::{sync::Arc, time::Duration};

use arc_swap::ArcSwap;
use operator::{Failure, Health};
use tokio::net::TcpListener;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use self::{
    arrival::Clock,
    batch::Bound,
    body::BodyBound,
    config::{ConfigError, Serving},
    health::Readiness,
    ledger::Ledger,
    load_shed::LoadShed,
    policy::Policy,
};
pub use self::{log::Log, metrics::Metrics, policy::Reload, server::TlsError};

/// What every request is served with.
#[derive(Debug)]
struct Gateway {
    log: Log,
    /// Replaced as a whole; a request keeps the one it began with.
    policy: ArcSwap<Policy>,
    load_shed: Arc<LoadShed>,
    ledger: Ledger,
    metrics: Metrics,
    clock: Clock,
    shutdown: CancellationToken,
    /// As it was at the start.
    settings: Serving,
    body_bound: BodyBound,
    batch_bound: Bound,
    request_timeout: Duration,
    body_timeout: Duration,
    body_silence: Duration,
}

impl Gateway {
    fn new(serving: &Serving, log: Log, metrics: Metrics, shutdown: CancellationToken) -> Result<Gateway, ConfigError> {
        let settings = &serving.gateway;
        metrics.set_body_bytes_max(settings.in_flight_bytes_max);
        Ok(Gateway {
            policy: ArcSwap::from_pointee(Policy::new(serving, None)?),
            load_shed: Arc::new(LoadShed::new(
                metrics.body_bytes_in_flight.clone(),
                settings.in_flight_bytes_max,
                settings.request_timeout,
                metrics.shed.clone(),
            )),
            ledger: Ledger::new(metrics.ledger.clone()),
            metrics,
            clock: Clock::system(),
            shutdown,
            settings: serving.clone(),
            body_bound: BodyBound {
                raw_bytes_max: settings.body_bytes_max,
                inflated_bytes_max: settings.inflated_bytes_max,
            },
            batch_bound: Bound {
                events_max: settings.events_max,
                event_bytes_max: settings.event_bytes_max.min(log.value_bytes_max()),
            },
            request_timeout: settings.request_timeout,
            body_timeout: settings.body_timeout.min(settings.request_timeout),
            body_silence: settings.body_silence_timeout,
            log,
        })
    }

    /// The settings after a reload: what needs a restart stays as it was.
    fn reloaded(&self, new: &Serving) -> Serving {
        self.settings.reloaded(new)
    }

    /// Between 1 and 3, so that a crowd that was refused together does not come back together.
    fn retry_after_seconds(&self) -> u32 {
        1 + u32::try_from(self.clock.now_us().rem_euclid(3)).unwrap_or(0)
    }
}

/// Checks what [`run`] needs of its surroundings, before anything else is started.
///
/// # Errors
/// The certificate cannot be used (exit code 69).
pub fn check(settings: &config::GatewaySettings) -> Result<(), Failure> {
    server::Tls::load(&settings.tls).map(drop).map_err(Failure::environment)
}

/// Serves until `shutdown`, then drains: no new connection, requests in flight answered, the log flushed. Until then it
/// applies what `reload` brings.
///
/// # Errors
/// The settings contradict each other (exit code 64), the certificate cannot be used (69), or the log is lost for this
/// process (70).
pub async fn run(
    settings: &Serving,
    mut reload: Option<Reload>,
    log: Log,
    listener: TcpListener,
    metrics: Metrics,
    health: &Health,
    shutdown: CancellationToken,
) -> Result<(), Failure> {
    let tls = server::Tls::load(&settings.gateway.tls).map_err(Failure::environment)?;
    let readiness = Readiness::register(health);
    let gateway = Arc::new(Gateway::new(settings, log, metrics, shutdown).map_err(Failure::config)?);
    let tasks = TaskTracker::new();
    readiness.open();
    let ended = tokio::select! {
        () = server::accept(&gateway, &settings.gateway, listener, tls, &tasks) => Ok(()),
        () = policy::keep(&gateway, reload.as_mut()) => unreachable!("the policy is kept for ever"),
        () = gateway.load_shed.feel() => unreachable!("it is felt for ever"),
        lost = readiness.watch(&gateway.log, &gateway.clock, &gateway.metrics) => Err(lost),
    };
    readiness.draining();
    gateway.shutdown.cancel();
    server::drain(&gateway, &tasks, settings.gateway.drain_timeout).await;
    ended
}
