//! The dead-letter topic.
//!
//! Responsible for a producer of its own, so that nothing about this topic (a full disk, a missing right, a record that is
//! too large) can hold up, reorder or end the one that carries events. Promises never to wait: what its small queue has no
//! room for is counted and gone.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use rdkafka::{
    ClientContext,
    config::RDKafkaLogLevel,
    error::KafkaError as Error,
    producer::{BaseProducer, BaseRecord, DeliveryResult, Producer, ProducerContext},
};

use super::{CHECK_PATIENCE, KafkaError, NAP, boot};
use crate::{
    config::{DeadLetterSettings, KafkaSettings},
    metrics::DeadLetterMetrics,
};

/// Bytes that wait for the brokers; a flood of refused events takes no more memory than this.
const QUEUE_KIB_MAX: &str = "16384";
/// For what waits when the gateway ends.
const FLUSH: Duration = Duration::from_secs(2);

/// Where refused events are kept.
#[derive(Debug)]
pub(crate) struct DeadLetters {
    shared: Arc<Shared>,
    raw_bytes_max: usize,
    reporting: Option<JoinHandle<()>>,
}

struct Shared {
    producer: BaseProducer<Reports>,
    topic: String,
    ending: AtomicBool,
}

struct Reports(DeadLetterMetrics);

impl DeadLetters {
    /// The topic of the settings, or none: they say so, or the topic that nobody asked for is not there.
    pub(crate) fn connect(
        kafka: &KafkaSettings,
        settings: &DeadLetterSettings,
        metrics: DeadLetterMetrics,
        may_be_down: bool,
    ) -> Result<Option<DeadLetters>, KafkaError> {
        if !settings.enabled {
            return Ok(None);
        }
        let topic = settings.topic(&kafka.topic);
        let mut config = boot::client_config(kafka)?;
        config.remove("enable.gapless.guarantee");
        config
            .set("enable.idempotence", "false")
            .set("linger.ms", "100")
            .set("message.timeout.ms", "30000")
            .set("queue.buffering.max.kbytes", QUEUE_KIB_MAX);
        let producer: BaseProducer<Reports> =
            config.create_with_context(Reports(metrics)).map_err(KafkaError::setting)?;
        let patience = if may_be_down { CHECK_PATIENCE } else { boot::PATIENCE };
        // In one partition they stand in the order in which they were refused.
        let made_with = KafkaSettings { partitions: 1, ..kafka.clone() };
        match boot::ensure_topics(patience, &boot::admin(&config)?, &made_with, std::slice::from_ref(&topic)) {
            Err(KafkaError::TopicMissing { .. }) if settings.topic.is_none() => {
                tracing::warn!(
                    topic,
                    "refused events are not kept, since this topic does not exist: create it, start with \
                     --create-topics, or set dead_letters.enabled = false"
                );
                return Ok(None);
            }
            // Events go on into the spool then; that letters are lost meanwhile is counted.
            Err(KafkaError::Unreachable { .. }) if may_be_down => {}
            ensured => ensured?,
        }
        let shared = Arc::new(Shared { producer, topic, ending: AtomicBool::new(false) });
        let reported = shared.clone();
        let report = move || {
            while !reported.ending.load(Ordering::Relaxed) {
                reported.producer.poll(NAP);
            }
        };
        let thread = std::thread::Builder::new().name("kafka-letters".to_owned()).spawn(report);
        let reporting = Some(thread.map_err(|reason| KafkaError::Thread { reason })?);
        Ok(Some(DeadLetters { shared, raw_bytes_max: settings.raw_bytes_max, reporting }))
    }

    /// Most bytes of what was sent that a letter may hold.
    pub(crate) fn raw_bytes_max(&self) -> usize {
        self.raw_bytes_max
    }

    /// Hands a letter over, if there is room.
    pub(crate) fn send(&self, letter: &[u8]) {
        let record: BaseRecord<'_, (), [u8]> = BaseRecord::to(&self.shared.topic).payload(letter);
        if self.shared.producer.send(record).is_err() {
            self.shared.producer.context().0.skipped.inc();
        }
    }
}

impl Drop for DeadLetters {
    fn drop(&mut self) {
        let deadline = Instant::now() + FLUSH;
        while self.shared.producer.in_flight_count() > 0 && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(10));
        }
        self.shared.ending.store(true, Ordering::Relaxed);
        self.reporting.take().map(JoinHandle::join);
    }
}

impl ProducerContext for Reports {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        match result {
            Ok(_) => self.0.sent.inc(),
            Err((error, _)) => {
                tracing::debug!(%error, "a dead letter was not taken");
                self.0.failed.inc()
            }
        };
    }
}

impl ClientContext for Reports {
    // That the brokers are gone is said by the producer of events.
    fn log(&self, _: RDKafkaLogLevel, facility: &str, message: &str) {
        tracing::debug!(facility, "librdkafka: {message}");
    }

    fn error(&self, error: Error, reason: &str) {
        tracing::debug!(%error, reason, "librdkafka");
    }
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared").field("topic", &self.topic).finish_non_exhaustive()
    }
}
