//! Every metric name of this crate.
//!
//! Responsible for the names, their help and their labels. Promises that every label value comes from a closed list
//! and stands at 0 from the start. What is counted when is decided in the rooms that count.

use std::sync::atomic::AtomicU64;

use hyper::StatusCode;
use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{
        counter::Counter,
        family::{Family, MetricConstructor},
        gauge::Gauge,
        histogram::Histogram,
    },
    registry::{Registry, Unit},
};

use crate::{log::SpoolStats, rejection::Code};

/// The metrics of one gateway.
#[derive(Clone, Debug)]
pub struct Metrics {
    pub(crate) ledger: LedgerMetrics,
    pub(crate) body_bytes_in_flight: Gauge,
    pub(crate) connections: Gauge,
    pub(crate) connections_refused: Counter,
    pub(crate) connections_failed: ConnectionsFailed,
    pub(crate) certificate_reloads: CertificateReloads,
    pub(crate) timeouts: Timeouts,
    pub(crate) delivery: Histogram,
    pub(crate) log_queue_records: Gauge,
    pub(crate) spool: SpoolMetrics,
    pub(crate) shed: Shed,
    pub(crate) limited_addresses: Gauge,
    pub(crate) reloads: Reloads,
    pub(crate) dead_letters: DeadLetterMetrics,
    body_bytes_max: Gauge,
    schema_id: Gauge,
    schema_id_from_cache: Gauge,
}

/// Requests refused because too much is under way, by what there was too much of.
#[derive(Clone, Debug, Default)]
pub(crate) struct Shed {
    pub(crate) bytes: Counter,
    pub(crate) share: Counter,
    pub(crate) delay: Counter,
    pub(crate) processor: Counter,
}

/// Changes of the configuration while the gateway runs.
#[derive(Clone, Debug)]
pub(crate) struct Reloads {
    pub(crate) applied: Counter,
    pub(crate) refused: Counter,
}

/// Requests and events, received and ended.
#[derive(Clone, Debug)]
pub(crate) struct LedgerMetrics {
    pub(crate) requests_received: Counter,
    pub(crate) requests_in_flight: Gauge,
    answered: Vec<Counter>,
    durations: [Histogram; 4],
    pub(crate) events_received: Counter,
    pub(crate) events_in_flight: Gauge,
    pub(crate) events_accepted: Counter,
    rejected: Vec<Counter>,
}

/// What took too long, by what was waited for.
#[derive(Clone, Debug)]
pub(crate) struct Timeouts {
    pub(crate) idle: Counter,
    pub(crate) handshake: Counter,
    pub(crate) header: Counter,
    pub(crate) body: Counter,
    pub(crate) delivery: Counter,
}

/// The spool, as it is and since the process began.
#[derive(Clone, Debug, Default)]
pub(crate) struct SpoolMetrics {
    records: Gauge,
    bytes: Gauge,
    oldest: Gauge<f64, AtomicU64>,
    spooling: Gauge,
    failed: Gauge,
    spooled: Counter,
    drained: Counter,
}

/// What became of dead letters.
#[derive(Clone, Debug)]
pub(crate) struct DeadLetterMetrics {
    pub(crate) sent: Counter,
    pub(crate) failed: Counter,
    pub(crate) skipped: Counter,
}

/// Connections on which no request could be read, by why.
#[derive(Clone, Debug)]
pub(crate) struct ConnectionsFailed {
    pub(crate) handshake: Counter,
    pub(crate) not_tls: Counter,
    pub(crate) tls: Counter,
    pub(crate) http2: Counter,
}

/// Certificates that changed while the gateway ran.
#[derive(Clone, Debug)]
pub(crate) struct CertificateReloads {
    pub(crate) ok: Counter,
    pub(crate) failed: Counter,
}

/// The first digit of an HTTP status.
#[derive(Clone, Copy, Debug)]
pub(crate) enum StatusClass {
    Success,
    Redirection,
    ClientError,
    ServerError,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct ByCode {
    code: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct ByStatus {
    status: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct ByPhase {
    phase: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct ByReason {
    reason: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct ByOutcome {
    outcome: &'static str,
}

/// From below a local fsync to the longest deadline.
#[derive(Clone, Debug)]
struct Seconds;

impl MetricConstructor<Histogram> for Seconds {
    fn new_metric(&self) -> Histogram {
        Histogram::new([0.001, 0.0025, 0.005, 0.01, 0.015, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0])
    }
}

impl Metrics {
    /// Registers everything under `registry`'s prefix.
    pub fn register(registry: &mut Registry) -> Metrics {
        let registry = registry.sub_registry_with_prefix("gateway");
        let metrics = Metrics {
            ledger: LedgerMetrics::register(registry),
            body_bytes_in_flight: Gauge::default(),
            body_bytes_max: Gauge::default(),
            connections: Gauge::default(),
            connections_refused: Counter::default(),
            connections_failed: ConnectionsFailed::register(registry),
            certificate_reloads: CertificateReloads::register(registry),
            timeouts: Timeouts::register(registry),
            delivery: Seconds.new_metric(),
            log_queue_records: Gauge::default(),
            spool: SpoolMetrics::register(registry),
            shed: Shed::register(registry),
            limited_addresses: Gauge::default(),
            reloads: Reloads::register(registry),
            schema_id: Gauge::default(),
            schema_id_from_cache: Gauge::default(),
            dead_letters: DeadLetterMetrics::register(registry),
        };
        let Metrics { body_bytes_in_flight, body_bytes_max, connections, connections_refused, .. } = metrics.clone();
        registry.register(
            "body_bytes_in_flight",
            "Body bytes held by requests, raw and inflated",
            body_bytes_in_flight,
        );
        registry.register("body_bytes_in_flight_max", "Limit of body_bytes_in_flight", body_bytes_max);
        registry.register("connections", "Open connections", connections);
        registry.register("connections_refused", "Connections over the limit", connections_refused);
        let help = "From the hand-over to the log to the last acknowledgement of a request";
        registry.register_with_unit("delivery", help, Unit::Seconds, metrics.delivery.clone());
        let help = "Records handed to the log and not acknowledged yet";
        registry.register("log_queue_records", help, metrics.log_queue_records.clone());
        let help = "Client addresses whose events are counted against their limit";
        registry.register("limited_addresses", help, metrics.limited_addresses.clone());
        metrics.schema_id.set(event::Version::NEWEST.schema_id().into());
        registry.register("schema_id", "Schema id that records carry", metrics.schema_id.clone());
        let help = "1 if the schema registry did not answer at boot and the id is what it said earlier";
        registry.register("schema_id_from_cache", help, metrics.schema_id_from_cache.clone());
        metrics
    }

    /// Under which id records are written, and whether the registry was not there to say it.
    pub fn schema_learned(&self, id: u32, from_cache: bool) {
        self.schema_id.set(id.into());
        self.schema_id_from_cache.set(from_cache.into());
    }

    pub(crate) fn set_body_bytes_max(&self, bytes: usize) {
        self.body_bytes_max.set(i64::try_from(bytes).unwrap_or(i64::MAX));
    }
}

impl LedgerMetrics {
    fn register(registry: &mut Registry) -> LedgerMetrics {
        let answers = Family::<ByCode, Counter>::default();
        let rejections = Family::<ByCode, Counter>::default();
        let durations = Family::<ByStatus, Histogram, Seconds>::new_with_constructor(Seconds);
        let of = |family: &Family<ByCode, Counter>, code| family.get_or_create_owned(&ByCode { code });
        let codes = || Code::ALL.iter().map(|code| code.facts().name);
        let metrics = LedgerMetrics {
            requests_received: Counter::default(),
            requests_in_flight: Gauge::default(),
            answered: std::iter::once("ok").chain(codes()).map(|code| of(&answers, code)).collect(),
            durations: ["2xx", "3xx", "4xx", "5xx"].map(|status| durations.get_or_create_owned(&ByStatus { status })),
            events_received: Counter::default(),
            events_in_flight: Gauge::default(),
            events_accepted: Counter::default(),
            rejected: codes().map(|code| of(&rejections, code)).collect(),
        };
        registry.register("requests_received", "Requests taken up", metrics.requests_received.clone());
        registry.register("requests_answered", "Requests ended, by code (ok: taken)", answers);
        registry.register("requests_in_flight", "Requests being served", metrics.requests_in_flight.clone());
        let help = "From the request's head to its answer";
        registry.register_with_unit("request_duration", help, Unit::Seconds, durations);
        registry.register("events_received", "Events found in requests", metrics.events_received.clone());
        let help = "Events answered as accepted: durable in the log";
        registry.register("events_accepted", help, metrics.events_accepted.clone());
        registry.register("events_rejected", "Events not accepted, by code", rejections);
        registry.register("events_in_flight", "Events not answered yet", metrics.events_in_flight.clone());
        metrics
    }

    /// The counter of answers with `code`; `None` is a request that was taken.
    pub(crate) fn requests_answered(&self, code: Option<Code>) -> &Counter {
        &self.answered[code.map_or(0, |code| code as usize + 1)]
    }

    pub(crate) fn events_rejected(&self, code: Code) -> &Counter {
        &self.rejected[code as usize]
    }

    pub(crate) fn duration(&self, class: StatusClass) -> &Histogram {
        &self.durations[class as usize]
    }
}

impl Timeouts {
    fn register(registry: &mut Registry) -> Timeouts {
        let timeouts = Family::<ByPhase, Counter>::default();
        let of = |phase| timeouts.get_or_create_owned(&ByPhase { phase });
        let (idle, handshake, header) = (of("idle"), of("handshake"), of("header"));
        let (body, delivery) = (of("body"), of("delivery"));
        registry.register("timeouts", "What took too long, by what was waited for", timeouts.clone());
        Timeouts { idle, handshake, header, body, delivery }
    }
}

impl ConnectionsFailed {
    fn register(registry: &mut Registry) -> ConnectionsFailed {
        let failed = Family::<ByReason, Counter>::default();
        let of = |reason| failed.get_or_create_owned(&ByReason { reason });
        let (handshake, not_tls) = (of("handshake"), of("not_tls"));
        let (tls, http2) = (of("tls"), of("http2"));
        registry.register("connections_failed", "Connections that broke the rules, by which", failed.clone());
        ConnectionsFailed { handshake, not_tls, tls, http2 }
    }
}

impl CertificateReloads {
    fn register(registry: &mut Registry) -> CertificateReloads {
        let reloads = Family::<ByOutcome, Counter>::default();
        let of = |outcome| reloads.get_or_create_owned(&ByOutcome { outcome });
        let (ok, failed) = (of("ok"), of("failed"));
        registry.register("certificate_reloads", "Changed certificates, by whether they are in use", reloads.clone());
        CertificateReloads { ok, failed }
    }
}

impl DeadLetterMetrics {
    fn register(registry: &mut Registry) -> DeadLetterMetrics {
        let letters = Family::<ByOutcome, Counter>::default();
        let of = |outcome| letters.get_or_create_owned(&ByOutcome { outcome });
        let (sent, failed, skipped) = (of("sent"), of("failed"), of("skipped"));
        registry.register("dead_letters", "Refused events for the dead-letter topic, by what became of them", letters);
        DeadLetterMetrics { sent, failed, skipped }
    }
}

impl Shed {
    fn register(registry: &mut Registry) -> Shed {
        let shed = Family::<ByReason, Counter>::default();
        let of = |reason| shed.get_or_create_owned(&ByReason { reason });
        let (bytes, share, delay, processor) = (of("bytes"), of("share"), of("delay"), of("processor"));
        registry.register("requests_shed", "Requests refused because too much is under way", shed.clone());
        Shed { bytes, share, delay, processor }
    }
}

impl Reloads {
    fn register(registry: &mut Registry) -> Reloads {
        let reloads = Family::<ByOutcome, Counter>::default();
        let of = |outcome| reloads.get_or_create_owned(&ByOutcome { outcome });
        let (applied, refused) = (of("applied"), of("refused"));
        registry.register("config_reloads", "Changes of the configuration while running", reloads.clone());
        Reloads { applied, refused }
    }
}

impl SpoolMetrics {
    fn register(registry: &mut Registry) -> SpoolMetrics {
        let metrics = SpoolMetrics::default();
        let SpoolMetrics { records, bytes, oldest, spooling, failed, spooled, drained } = metrics.clone();
        registry.register("spool_records", "Records in the spool that Kafka has not acknowledged", records);
        registry.register_with_unit("spool", "Bytes of those records", Unit::Bytes, bytes);
        registry.register_with_unit("spool_oldest", "Age of the oldest of those records", Unit::Seconds, oldest);
        registry.register("spooling", "1 while requests go to the spool", spooling);
        registry.register("spool_failed", "1 after a failed write or fsync of the spool", failed);
        registry.register("spooled", "Records that went to the spool", spooled);
        registry.register("drained", "Spooled records that Kafka has acknowledged", drained);
        metrics
    }

    pub(crate) fn show(&self, stats: &SpoolStats) {
        let gauge = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
        self.records.set(gauge(stats.records));
        self.bytes.set(gauge(stats.bytes));
        self.oldest.set(stats.oldest_seconds);
        self.spooling.set(stats.spooling.is_some().into());
        self.failed.set(stats.failure.is_some().into());
        self.spooled.inc_by(stats.spooled - self.spooled.get());
        self.drained.inc_by(stats.drained - self.drained.get());
    }
}

impl StatusClass {
    pub(crate) fn of(status: StatusCode) -> StatusClass {
        match status.as_u16() {
            0..300 => StatusClass::Success,
            300..400 => StatusClass::Redirection,
            400..500 => StatusClass::ClientError,
            500.. => StatusClass::ServerError,
        }
    }
}
