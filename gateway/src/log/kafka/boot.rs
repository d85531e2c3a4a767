//! What has to hold before the gateway serves: settings that keep the promises, brokers that answer, a topic.
//!
//! Responsible for the producer's configuration and the questions asked once at boot. Promises errors that tell the
//! operator what to do.

use std::{io, time::Duration};

use futures::executor::block_on;
use rdkafka::{
    ClientConfig,
    admin::{AdminClient, AdminOptions, ConfigResourceResult, NewTopic, ResourceSpecifier, TopicReplication},
    client::DefaultClientContext,
    error::{KafkaError as Error, RDKafkaErrorCode},
    producer::{BaseProducer, ProducerContext},
};

use super::SpoolError;
use crate::config::KafkaSettings;

/// For each question to the brokers.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);

/// For the one question that has an answer of its own where none comes.
const CONFIG_PATIENCE: Duration = Duration::from_secs(3);

/// Keys that carry a promise of the gateway, with the setting to use instead.
const RESERVED: [(&str, &str); 14] = [
    ("bootstrap.servers", "set kafka.brokers"),
    ("metadata.broker.list", "set kafka.brokers"),
    ("message.timeout.ms", "leave it out, a record given up by time would be overtaken: set gateway.request_timeout"),
    ("delivery.timeout.ms", "leave it out, a record given up by time would be overtaken: set gateway.request_timeout"),
    ("retries", "leave it out, a record that is given up would be overtaken"),
    ("message.send.max.retries", "leave it out, a record that is given up would be overtaken"),
    ("enable.gapless.guarantee", "leave it out, a user's order depends on it"),
    ("queuing.strategy", "leave it out, a user's order depends on it"),
    ("transactional.id", "leave it out, the gateway does not write transactions"),
    ("batch.size", "leave it out, it follows from the topic's max.message.bytes"),
    ("acks", "leave it out, an event counts as taken when all replicas have it"),
    ("request.required.acks", "leave it out, an event counts as taken when all replicas have it"),
    ("enable.idempotence", "leave it out, a user's order depends on it"),
    ("partitioner", "leave it out, readers find a user's partition by it"),
];

/// Keys of ours that only a producer knows.
const PRODUCER_KEYS: [&str; 9] = [
    "acks",
    "enable.idempotence",
    "enable.gapless.guarantee",
    "partitioner",
    "linger.ms",
    "compression.type",
    "message.timeout.ms",
    "queue.buffering.max.kbytes",
    "queue.buffering.max.messages",
];

/// Bytes of a record beside its value: the key, the timestamp, and Kafka's own.
const RECORD_OVERHEAD_BYTES: usize = 1024;

/// Kafka's default for the largest record batch of a topic.
pub(super) const BATCH_BYTES_DEFAULT: usize = 1_000_000;

/// Why Kafka cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KafkaError {
    #[error("kafka.properties.\"{key}\" cannot be set: {instead}")]
    Reserved { key: String, instead: &'static str },
    #[error("the Kafka client refused a setting: {reason}: correct it in the [kafka] or [kafka.properties] section")]
    Setting { reason: Error },
    #[error("no broker answers at {brokers} ({reason}): start Kafka or correct --brokers")]
    Unreachable { brokers: String, reason: Error },
    #[error("topic {topic} does not exist at {brokers}: create it, or start with --create-topics")]
    TopicMissing { topic: String, brokers: String },
    #[error("topic {topic} cannot be used: {reason}: repair or recreate it")]
    TopicBroken { topic: String, reason: RDKafkaErrorCode },
    #[error("topic {topic} could not be created: {reason}: create it by hand, or allow this client to")]
    TopicNotCreated { topic: String, reason: String },
    #[error(transparent)]
    Spool(#[from] SpoolError),
    #[error("a thread could not be started: {reason}: raise the limit of threads")]
    Thread { reason: io::Error },
}

impl KafkaError {
    /// Whether the operator's settings are wrong, rather than what they point to.
    pub fn is_config(&self) -> bool {
        matches!(self, KafkaError::Reserved { .. } | KafkaError::Setting { .. })
    }

    pub(super) fn setting(reason: Error) -> KafkaError {
        KafkaError::Setting { reason }
    }
}

/// The producer's configuration.
pub(super) fn client_config(settings: &KafkaSettings) -> Result<ClientConfig, KafkaError> {
    let millis = |duration: Duration| duration.as_millis().to_string();
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", &settings.brokers)
        .set("client.id", "footfall-gateway")
        .set("acks", "all")
        .set("enable.idempotence", "true")
        .set("partitioner", "murmur2_random")
        .set("linger.ms", millis(settings.linger))
        .set("compression.type", &settings.compression)
        // No record is ever given up while a later one of its user goes on: neither by time, nor after an error that
        // cannot be retried, which ends the whole producer instead. What has a deadline is the request.
        .set("message.timeout.ms", "0")
        .set("enable.gapless.guarantee", "true")
        // Above what an event may have: what is too large is then found by our own rule, with our own sentence.
        .set("message.max.bytes", (2 * event::limits::ENCODED_BYTES_MAX).to_string())
        .set("queue.buffering.max.kbytes", (settings.queue_bytes_max / 1024).max(1).to_string())
        .set("queue.buffering.max.messages", "1000000")
        // The default of 10 s would add as much to the recovery after an outage.
        .set("reconnect.backoff.max.ms", "1000");
    for (key, value) in &settings.properties {
        if let Some((_, instead)) = RESERVED.iter().find(|(reserved, _)| reserved == key) {
            return Err(KafkaError::Reserved { key: key.clone(), instead });
        }
        config.set(key, value);
    }
    Ok(config)
}

/// Makes sure that the brokers answer and the topics are there; `topics` begins with the main one.
pub(super) fn ensure_topics(
    patience: Duration,
    admin: &AdminClient<DefaultClientContext>,
    settings: &KafkaSettings,
    topics: &[String],
) -> Result<(), KafkaError> {
    let brokers = &settings.brokers;
    // All topics are asked for, since asking for one by name may create it, with the broker's defaults.
    let metadata = admin
        .inner()
        .fetch_metadata(None, patience)
        .map_err(|reason| KafkaError::Unreachable { brokers: brokers.clone(), reason })?;
    let mut main_partitions = None;
    for topic in topics {
        let wanted = main_partitions.unwrap_or(settings.partitions);
        let partitions = match metadata.topics().iter().find(|found| found.name() == topic) {
            Some(found) => match found.error() {
                Some(reason) => return Err(KafkaError::TopicBroken { topic: topic.clone(), reason: reason.into() }),
                None => i32::try_from(found.partitions().len()).unwrap_or(i32::MAX),
            },
            None if settings.create_topics => {
                create_topic(admin, topic, wanted, settings.replication_factor)?;
                wanted
            }
            None => return Err(KafkaError::TopicMissing { topic: topic.clone(), brokers: brokers.clone() }),
        };
        let main_partitions = *main_partitions.get_or_insert(partitions);
        if partitions != main_partitions {
            // Readers that look for one user compute the partition, and take the number of the main topic for all.
            let main_topic = &topics[0];
            tracing::warn!(
                topic,
                partitions,
                main_topic,
                main_partitions,
                "a routed topic has another partition count"
            );
        }
    }
    Ok(())
}

fn create_topic(
    admin: &AdminClient<DefaultClientContext>,
    topic: &str,
    partitions: i32,
    replication_factor: i32,
) -> Result<(), KafkaError> {
    let failed = |reason: String| KafkaError::TopicNotCreated { topic: topic.to_owned(), reason };
    let batch_bytes_max = (event::limits::ENCODED_BYTES_MAX + RECORD_OVERHEAD_BYTES).to_string();
    let replication = TopicReplication::Fixed(replication_factor);
    let new = NewTopic::new(topic, partitions, replication).set("max.message.bytes", &batch_bytes_max);
    let options = AdminOptions::new().operation_timeout(Some(PATIENCE));
    let results = block_on(admin.create_topics([&new], &options)).map_err(|error| failed(error.to_string()))?;
    for result in results {
        match result {
            Ok(_) => tracing::info!(topic, partitions, "topic created"),
            // Another gateway was faster.
            Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => {}
            Err((_, code)) => return Err(failed(code.to_string())),
        }
    }
    Ok(())
}

/// What a record batch may have, so that every one of the topics takes it. Where a topic may not be asked about, Kafka's
/// default counts.
pub(super) fn batch_bytes_max(admin: &AdminClient<DefaultClientContext>, topics: &[String]) -> usize {
    let asked = || {
        let options = AdminOptions::new().request_timeout(Some(CONFIG_PATIENCE));
        let wanted: Vec<_> = topics.iter().map(|topic| ResourceSpecifier::Topic(topic)).collect();
        let found = block_on(admin.describe_configs(&wanted, &options)).ok()?;
        let of_topic = |resource: ConfigResourceResult| {
            let entry = resource.ok()?.entries.into_iter().find(|entry| entry.name == "max.message.bytes")?;
            entry.value?.parse().ok()
        };
        found.into_iter().map(|resource| of_topic(resource).unwrap_or(BATCH_BYTES_DEFAULT)).min()
    };
    asked().unwrap_or(BATCH_BYTES_DEFAULT)
}

/// Largest value in a batch of `batch_bytes`.
pub(super) fn value_bytes_max(batch_bytes: usize) -> usize {
    batch_bytes.saturating_sub(RECORD_OVERHEAD_BYTES)
}

/// A producer whose batches are never refused for their size.
pub(super) fn producer<C: ProducerContext>(
    config: &ClientConfig,
    batch_bytes_max: usize,
    context: C,
) -> Result<BaseProducer<C>, KafkaError> {
    let mut config = config.clone();
    config.set("batch.size", batch_bytes_max.min(BATCH_BYTES_DEFAULT).to_string());
    config.create_with_context(context).map_err(KafkaError::setting)
}

/// The configuration of a reader beside the producer `config`.
pub(super) fn reader_config(config: &ClientConfig) -> ClientConfig {
    let mut config = config.clone();
    for key in PRODUCER_KEYS {
        config.remove(key);
    }
    config
        .set("group.id", "footfall-gateway-spool")
        .set("enable.auto.commit", "false")
        .set("enable.partition.eof", "true")
        .set("auto.offset.reset", "error")
        .set("isolation.level", "read_uncommitted");
    config
}

/// A client for questions and for making topics.
pub(super) fn admin(config: &ClientConfig) -> Result<AdminClient<DefaultClientContext>, KafkaError> {
    // The producer's own keys mean nothing to an administrator, and librdkafka warns about each.
    let mut config = config.clone();
    for key in PRODUCER_KEYS {
        config.remove(key);
    }
    config.create().map_err(KafkaError::setting)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_that_carry_a_promise_cannot_be_set() {
        for (key, _) in RESERVED {
            let properties = [(key.to_owned(), "1".to_owned())].into();
            let settings = KafkaSettings { properties, ..KafkaSettings::default() };
            let error = client_config(&settings).expect_err(key);
            assert!(error.is_config() && error.to_string().contains(key), "{error}");
        }
    }

    #[test]
    fn other_keys_reach_the_client() {
        let properties = [("socket.nagle.disable".to_owned(), "true".to_owned())].into();
        let settings = KafkaSettings { properties, ..KafkaSettings::default() };
        let config = client_config(&settings).expect("an expert's key");
        assert_eq!(config.get("socket.nagle.disable"), Some("true"));
        assert_eq!(config.get("enable.idempotence"), Some("true"));
    }
}
