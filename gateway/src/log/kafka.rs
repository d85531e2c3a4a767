//! Apache Kafka as the gateway's log.
//!
//! Responsible for one idempotent producer with acks=all. Promises that the records of a request enter it in their order,
//! that nothing of a request follows a record the producer had no room for, and one completion per request: no future,
//! no allocation and no lock of its own for a record on its way in. Boot checks are in `boot`, what a request waits for
//! in `ticket`, whether the brokers are there in `link`.

mod boot;
mod dead_letters;
mod link;
mod ticket;

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
    time::Duration,
};

use rdkafka::{
    ClientContext,
    config::RDKafkaLogLevel,
    error::{KafkaError as Error, RDKafkaErrorCode},
    producer::{BaseProducer, BaseRecord, DeliveryResult, Producer, ProducerContext},
};

pub use self::boot::KafkaError;
pub(crate) use self::dead_letters::DeadLetters;
pub(crate) use self::ticket::Pending;
use self::{link::Link, ticket::Tickets};
use super::{Availability, Failure};
use crate::{batch::Batch, config::KafkaSettings, rejection::Code};

/// How long a thread may sleep before it looks whether it should end.
const NAP: Duration = Duration::from_millis(200);

#[derive(Debug)]
pub(super) struct KafkaLog {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

struct Shared {
    producer: BaseProducer<Reports>,
    /// By number; the main one first.
    topics: Vec<String>,
    value_bytes_max: usize,
    ending: AtomicBool,
}

/// What librdkafka tells us.
struct Reports {
    tickets: Tickets,
    link: Link,
}

impl KafkaLog {
    pub(super) fn connect(settings: &KafkaSettings, topics: &[String]) -> Result<KafkaLog, KafkaError> {
        let config = boot::client_config(settings)?;
        let reports = Reports { tickets: Tickets::default(), link: Link::default() };
        let producer: BaseProducer<Reports> = config.create_with_context(reports).map_err(KafkaError::setting)?;
        boot::ensure_topics(&producer, &config, settings, topics)?;
        let value_bytes_max = boot::value_bytes_max(&config, topics);
        let topics = topics.to_vec();
        let shared = Arc::new(Shared { producer, topics, value_bytes_max, ending: AtomicBool::new(false) });
        let mut log = KafkaLog { shared: shared.clone(), threads: Vec::new() };
        log.threads.push(spawn("kafka-reports", &shared, |shared| shared.producer.poll(NAP))?);
        let prober =
            spawn("kafka-link", &shared, |shared| shared.reports().link.watch(&shared.producer, &shared.topics[0]))?;
        shared.reports().link.watched_by(prober.thread().clone());
        log.threads.push(prober);
        Ok(log)
    }

    pub(super) fn is_up(&self) -> bool {
        self.shared.reports().link.is_up()
    }

    pub(super) fn availability(&self) -> Availability {
        self.shared.reports().link.availability()
    }

    pub(super) fn value_bytes_max(&self) -> usize {
        self.shared.value_bytes_max
    }

    pub(super) fn queue_records(&self) -> usize {
        usize::try_from(self.shared.producer.in_flight_count()).unwrap_or(0)
    }

    /// Hands the records to the producer. What it did not take comes back at once.
    pub(super) fn append(&self, batch: &Batch, received_at_us: i64) -> (Pending, Vec<Failure>) {
        let records = batch.records();
        let tickets = &self.shared.reports().tickets;
        let (ticket, pending) = tickets.issue(records.len());
        let mut unsent = Vec::new();
        let mut stopped = None;
        for record in records {
            let refused = stopped.or_else(|| {
                let message = BaseRecord::with_opaque_to(self.shared.topic(record.topic), ticket.opaque(record.index))
                    .key(record.key)
                    .payload(record.value)
                    .timestamp(received_at_us / 1000);
                self.shared.producer.send(message).err().map(|(error, _)| refusal(&error))
            });
            if let Some(code) = refused {
                unsent.push(Failure { index: record.index, code });
                // One that is too large for Kafka says nothing about the others; a full queue does.
                stopped = refused.filter(|code| *code != Code::EventTooLarge);
            }
        }
        tickets.forgo(ticket, unsent.len());
        (pending, unsent)
    }
}

impl Drop for KafkaLog {
    fn drop(&mut self) {
        self.shared.ending.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            thread.thread().unpark();
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn reports(&self) -> &Reports {
        self.producer.context()
    }

    fn topic(&self, number: u16) -> &str {
        &self.topics[usize::from(number)]
    }
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared").field("topics", &self.topics).finish_non_exhaustive()
    }
}

/// Repeats `step` until the log is dropped.
fn spawn(
    name: &str,
    shared: &Arc<Shared>,
    step: impl Fn(&Shared) + Send + 'static,
) -> Result<JoinHandle<()>, KafkaError> {
    let shared = shared.clone();
    let run = move || {
        while !shared.ending.load(Ordering::Relaxed) {
            step(&shared);
        }
    };
    std::thread::Builder::new().name(name.to_owned()).spawn(run).map_err(|reason| KafkaError::Thread { reason })
}

/// Why the producer did not take a record. Nothing of it was sent.
fn refusal(error: &Error) -> Code {
    match error.rdkafka_error_code() {
        Some(RDKafkaErrorCode::QueueFull) => Code::Overloaded,
        Some(RDKafkaErrorCode::MessageSizeTooLarge) => Code::EventTooLarge,
        _ => Code::LogUnavailable,
    }
}

impl ProducerContext for Reports {
    type DeliveryOpaque = usize;

    fn delivery(&self, result: &DeliveryResult<'_>, opaque: usize) {
        let code = match result {
            Ok(_) => None,
            Err((error, _)) => {
                let code = error.rdkafka_error_code();
                self.link.delivery_failed(code);
                // The broker has looked at this one and said no; whatever else happened, it may be in the log.
                let refused = code == Some(RDKafkaErrorCode::MessageSizeTooLarge);
                Some(if refused { Code::EventTooLarge } else { Code::DeliveryUnknown })
            }
        };
        self.tickets.report(opaque, code);
    }
}

impl ClientContext for Reports {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        match level {
            RDKafkaLogLevel::Emerg | RDKafkaLogLevel::Alert | RDKafkaLogLevel::Critical | RDKafkaLogLevel::Error => {
                tracing::warn!(facility, "librdkafka: {message}");
            }
            RDKafkaLogLevel::Warning | RDKafkaLogLevel::Notice => tracing::info!(facility, "librdkafka: {message}"),
            RDKafkaLogLevel::Info | RDKafkaLogLevel::Debug => tracing::debug!(facility, "librdkafka: {message}"),
        }
    }

    fn error(&self, error: Error, reason: &str) {
        self.link.client_error(error.rdkafka_error_code(), reason);
    }
}
