//! New records for a topic, acknowledged.
//!
//! Responsible for a producer that keeps their order and puts a user where the gateway puts him. Promises: what was
//! pushed is acknowledged by all replicas in sync once `finish` has returned, or it is an error.

use std::{sync::Arc, time::Duration};

use parking_lot::Mutex;
use rdkafka::{
    ClientConfig, ClientContext, Message as _,
    config::RDKafkaLogLevel,
    error::{KafkaError, RDKafkaErrorCode},
    message::{DeliveryResult, Header, OwnedHeaders},
    producer::{BaseProducer, BaseRecord, Producer as _, ProducerContext},
};

use crate::{config::KafkaSettings, dead_letter, source::SourceError};

/// Header that says where a record lay before: topic, partition and offset, with slashes.
const ORIGIN: &str = "footfall-retry-of";
/// So long all pushed records may take.
const TIMEOUT: Duration = Duration::from_secs(60);

/// See the module.
pub struct KafkaAppend {
    producer: BaseProducer<Deliveries>,
    topic: String,
    pushed: usize,
    delivered: Arc<Mutex<Delivered>>,
}

#[derive(Debug, Default)]
struct Delivered {
    records: usize,
    failed: Option<KafkaError>,
}

struct Deliveries(Arc<Mutex<Delivered>>);

impl std::fmt::Debug for KafkaAppend {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KafkaAppend").field("topic", &self.topic).finish_non_exhaustive()
    }
}

impl ClientContext for Deliveries {
    fn log(&self, _: RDKafkaLogLevel, facility: &str, message: &str) {
        tracing::debug!(facility, message, "the Kafka client says");
    }

    fn error(&self, error: KafkaError, reason: &str) {
        tracing::debug!(%error, reason, "the Kafka client has a problem");
    }
}

impl ProducerContext for Deliveries {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        let mut delivered = self.0.lock();
        match result {
            Ok(message) if message.offset() >= 0 => delivered.records += 1,
            Ok(_) => delivered.failed = Some(KafkaError::MessageProduction(RDKafkaErrorCode::Fail)),
            Err((error, _)) => delivered.failed = Some(error.clone()),
        }
    }
}

impl KafkaAppend {
    pub(crate) fn open(settings: &KafkaSettings, topic: &str) -> Result<KafkaAppend, SourceError> {
        let mut config = ClientConfig::new();
        for (key, value) in &settings.properties {
            config.set(key, value);
        }
        config
            .set("bootstrap.servers", &settings.brokers)
            .set("client.id", "footfall-sink")
            .set("enable.idempotence", "true")
            .set("acks", "all")
            .set("partitioner", "murmur2_random")
            .set("message.timeout.ms", "30000");
        let delivered = Arc::default();
        let producer = config.create_with_context(Deliveries(Arc::clone(&delivered))).map_err(SourceError::Settings)?;
        Ok(KafkaAppend { producer, topic: topic.to_owned(), pushed: 0, delivered })
    }

    /// Blocks while the client's queue is full.
    pub(crate) fn push(
        &mut self,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        headers: &[dead_letter::Header],
        origin: &str,
    ) -> Result<(), SourceError> {
        // A letter that was sent before and came back says where it was last.
        let theirs = headers.iter().filter(|(name, _)| name != ORIGIN);
        let headers = theirs.fold(OwnedHeaders::new_with_capacity(headers.len() + 1), |all, (name, value)| {
            all.insert(Header { key: name, value: value.as_ref() })
        });
        let headers = headers.insert(Header { key: ORIGIN, value: Some(origin) });
        let mut record = BaseRecord::<[u8], [u8]>::to(&self.topic).headers(headers);
        record.key = key;
        record.payload = value;
        loop {
            match self.producer.send(record) {
                Ok(()) => break,
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), back)) => {
                    self.producer.poll(Duration::from_millis(50));
                    record = back;
                }
                Err((error, _)) => return Err(SourceError::Unwritable { topic: self.topic.clone(), reason: error }),
            }
        }
        self.pushed += 1;
        Ok(())
    }

    /// Waits for all acknowledgements. Blocks.
    pub(crate) fn finish(&mut self) -> Result<(), SourceError> {
        let refused = |reason| SourceError::Unwritable { topic: self.topic.clone(), reason };
        self.producer.flush(TIMEOUT).map_err(refused)?;
        let delivered = std::mem::take(&mut *self.delivered.lock());
        match delivered.failed {
            Some(error) => Err(refused(error)),
            None if delivered.records < self.pushed => {
                Err(refused(KafkaError::MessageProduction(RDKafkaErrorCode::MessageTimedOut)))
            }
            None => {
                self.pushed = 0;
                Ok(())
            }
        }
    }
}
