//! The producer, what it reports, and its end.
//!
//! Responsible for turning librdkafka's reports into the completions that requests wait for, and for ending a producer
//! whose guarantee librdkafka cannot keep (a batch was refused for good, or its sequence is lost). Promises that a new
//! one begins only after every record of the old one was reported. Leaves when that is to `link`.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use rdkafka::{
    ClientConfig, ClientContext, Message,
    config::RDKafkaLogLevel,
    error::KafkaError as Error,
    producer::{BaseProducer, DeliveryResult, Producer as _, ProducerContext, PurgeConfig},
};

use super::{
    KafkaError,
    acks::{self, Acks},
    boot,
    link::Link,
    ticket::Tickets,
};
use crate::rejection::Code;

pub(super) type Producer = BaseProducer<Feedback>;

/// For requests that are with a broker to be answered, after the producer was given up.
const LAST_ANSWERS: Duration = Duration::from_secs(5);
/// For the rest to be reported as failed, which needs no broker.
const LAST_REPORTS: Duration = Duration::from_secs(5);

/// What librdkafka tells us, over the life of several producers.
#[derive(Default)]
pub(super) struct Reports {
    pub(super) tickets: Tickets,
    pub(super) acks: Acks,
    pub(super) link: Link,
}

/// The end of a producer's reports.
pub(super) struct Feedback(Arc<Reports>);

pub(super) fn start(
    config: &ClientConfig,
    batch_bytes_max: usize,
    reports: &Arc<Reports>,
) -> Result<Arc<Producer>, KafkaError> {
    boot::producer(config, batch_bytes_max, Feedback(reports.clone())).map(Arc::new)
}

/// Records that are with the producer.
pub(super) fn queue_records(producer: &Producer) -> usize {
    usize::try_from(producer.in_flight_count()).unwrap_or(0)
}

/// Waits until every record of a producer that takes no more was reported. What a broker does not answer for is unknown.
pub(super) fn end(producer: &Producer) {
    if !reported_within(producer, LAST_ANSWERS) {
        producer.purge(PurgeConfig::default().queue().inflight());
        if !reported_within(producer, LAST_REPORTS) {
            tracing::error!("some records of the old producer were not reported, their requests meet their deadline");
        }
    }
}

/// The reports themselves are taken by the thread that polls.
fn reported_within(producer: &Producer, patience: Duration) -> bool {
    let deadline = Instant::now() + patience;
    while producer.in_flight_count() > 0 {
        if Instant::now() > deadline {
            return false;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    true
}

impl ProducerContext for Feedback {
    type DeliveryOpaque = usize;

    fn delivery(&self, result: &DeliveryResult<'_>, opaque: usize) {
        if acks::is_drained(opaque) {
            return match result {
                Ok(record) => self.0.acks.acknowledged(opaque, record.topic(), record.partition(), record.offset()),
                Err((error, _)) => self.0.acks.failed(opaque, error.to_string()),
            };
        }
        let code = match result {
            Ok(_) => None,
            Err((error, _)) => {
                self.0.link.delivery_failed(error.rdkafka_error_code());
                // Whatever happened, it may be in the log.
                Some(Code::DeliveryUnknown)
            }
        };
        self.0.tickets.report(opaque, code);
    }
}

impl ClientContext for Feedback {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        match level {
            // That the gapless guarantee is called experimental, once for each producer.
            _ if facility == "CONFWARN" => tracing::debug!(facility, "librdkafka: {message}"),
            RDKafkaLogLevel::Emerg | RDKafkaLogLevel::Alert | RDKafkaLogLevel::Critical | RDKafkaLogLevel::Error => {
                tracing::warn!(facility, "librdkafka: {message}");
            }
            RDKafkaLogLevel::Warning | RDKafkaLogLevel::Notice => tracing::info!(facility, "librdkafka: {message}"),
            RDKafkaLogLevel::Info | RDKafkaLogLevel::Debug => tracing::debug!(facility, "librdkafka: {message}"),
        }
    }

    fn error(&self, error: Error, reason: &str) {
        self.0.link.client_error(error.rdkafka_error_code(), reason);
    }
}
