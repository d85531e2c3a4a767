//! A Kafka topic as a source, shared with the other members of a consumer group.
//!
//! Responsible for the consumer: its settings, what is checked at boot, and its thread. Promises: a partition is read from
//! where its chain in the lake ends. Committed offsets are written for lag tools and never read to resume; there is no
//! offset reset, so that a gap is an error. Nothing else in the sink names rdkafka.

/// New records.
pub(crate) mod append;
mod consumer;
mod feed;
mod incarnation;
mod log_range;
mod member;
mod rebalance;
/// Outside of the group.
pub(crate) mod replay;
mod watch;

use std::{sync::Arc, time::Duration};

use rdkafka::{
    ClientConfig, Message,
    admin::{AdminClient, AdminOptions, ResourceSpecifier},
    client::DefaultClientContext,
    config::RDKafkaLogLevel,
    consumer::{BaseConsumer, Consumer as _, ConsumerContext},
    error::KafkaError,
    message::{BorrowedMessage, Headers},
};
use tokio::{
    runtime::Handle,
    sync::{mpsc, oneshot},
};
use tokio_util::sync::CancellationToken;

use self::{consumer::Poller, member::Member, rebalance::Context};
use crate::{
    config::KafkaSettings,
    source::{Chunk, Record, Running, SourceContext, SourceError},
};

/// A Kafka topic as a source.
#[derive(Debug)]
pub struct KafkaSource {
    settings: KafkaSettings,
    topic: Arc<str>,
}

type Consumer = BaseConsumer<Context>;

/// How long the broker may take to answer a question at boot.
const BOOT_TIMEOUT: Duration = Duration::from_secs(10);
/// The client takes no limit below the largest message, which is 1 MB unless set.
const FETCH_BYTES_MIN: usize = 1 << 20;
/// Larger fetches do not come sooner.
const FETCH_BYTES_MAX: usize = 16 << 20;
/// What a message costs the client beside its bytes.
const MESSAGE_STRUCT_BYTES: usize = 512;
/// Assignments and commands that may wait.
const WAITING_MAX: usize = 4096;

impl KafkaSource {
    pub(crate) fn new(settings: KafkaSettings, topic: &str) -> KafkaSource {
        KafkaSource { settings, topic: topic.into() }
    }

    /// Checks broker and topic, and joins the group.
    pub(crate) async fn start(self, context: SourceContext) -> Result<Running, SourceError> {
        let config = client_config(&self.settings, context.budget.client_bytes());
        let (brokers, topic) = (self.settings.brokers.clone(), Arc::clone(&self.topic));
        let group = Context::new(context, Handle::current(), Member::new(&self.settings));
        let consumer: Consumer = config.create_with_context(group).map_err(SourceError::Settings)?;
        let consumer = Arc::new(consumer);
        let checked = Arc::clone(&consumer);
        let checking = tokio::task::spawn_blocking(move || check_topic(&checked, &brokers, &topic));
        let log_id = checking.await.map_err(|error| SourceError::Panicked(error.to_string()))??;
        consumer.context().set_log_id(log_id);
        refuse_compacted(&config, &self.topic).await?;
        self.join(consumer)
    }

    fn join(self, consumer: Arc<Consumer>) -> Result<Running, SourceError> {
        consumer.subscribe(&[&self.topic]).map_err(SourceError::Kafka)?;
        let (assignments, assigned) = mpsc::channel(WAITING_MAX);
        let (commands, wishes) = mpsc::channel(WAITING_MAX);
        let (drain, leave) = (CancellationToken::new(), CancellationToken::new());
        let watching = tokio::spawn(watch::run(Arc::downgrade(&consumer), Arc::clone(&self.topic)));
        let poller = Poller::new(consumer, self.topic, assignments, (commands, wishes), drain.clone(), leave.clone());
        let (ended, end) = oneshot::channel();
        std::thread::Builder::new()
            .name("kafka-consumer".to_owned())
            .spawn(move || {
                // Nobody waits for the end only when the process ends anyway.
                let _ = ended.send(poller.run());
            })
            .map_err(|error| SourceError::Panicked(error.to_string()))?;
        let done = tokio::spawn(async move {
            let result = end.await.map_err(|_| SourceError::Panicked("the consumer thread panicked".to_owned()));
            watching.abort();
            result?
        });
        Ok(Running { assignments: assigned, drain, leave, done })
    }
}

fn client_config(settings: &KafkaSettings, queue_bytes: usize) -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set_log_level(RDKafkaLogLevel::Warning);
    // Beside its bytes each message costs the client a struct of several hundred, and a fetch may come on top of a full
    // queue. What does not fit stays on the broker.
    let queued_kib = (queue_bytes / 4 / 1024).max(FETCH_BYTES_MIN / 1024);
    config
        .set("queued.max.messages.kbytes", queued_kib.to_string())
        .set("queued.min.messages", (queue_bytes / 2 / MESSAGE_STRUCT_BYTES).clamp(1_000, 100_000).to_string())
        .set("fetch.max.bytes", (queue_bytes / 8).clamp(FETCH_BYTES_MIN, FETCH_BYTES_MAX).to_string())
        .set("fetch.queue.backoff.ms", "50");
    for (key, value) in &settings.properties {
        config.set(key, value);
    }
    config
        .set("bootstrap.servers", &settings.brokers)
        .set("client.id", "footfall-sink")
        .set("enable.auto.commit", "false")
        .set("enable.auto.offset.store", "false")
        // An offset that the log no longer has must stop the sink: only an operator may accept a gap.
        .set("auto.offset.reset", "error")
        .set("enable.partition.eof", "false");
    member::configure(&mut config, settings);
    config
}

/// Is there a broker, and the topic? Returns the topic's id.
fn check_topic<C: ConsumerContext>(
    consumer: &BaseConsumer<C>,
    brokers: &str,
    topic: &str,
) -> Result<String, SourceError> {
    let no_broker = |reason| SourceError::NoBroker { brokers: brokers.to_owned(), reason };
    let metadata = consumer.fetch_metadata(Some(topic), BOOT_TIMEOUT).map_err(no_broker)?;
    let exists = metadata.topics().iter().any(|found| found.name() == topic && !found.partitions().is_empty());
    if !exists {
        return Err(SourceError::NoTopic { brokers: brokers.to_owned(), topic: topic.to_owned() });
    }
    incarnation::topic_id(consumer, topic, BOOT_TIMEOUT).map_err(no_broker)
}

/// Copies a message with its headers to the end of a chunk.
fn copy_message(message: &BorrowedMessage<'_>, chunk: &mut Chunk) {
    let offset = message.offset().cast_unsigned();
    let timestamp_us = message.timestamp().to_millis().unwrap_or(0).saturating_mul(1000);
    chunk.push(Record { offset, timestamp_us, key: message.key(), value: message.payload() });
    for header in message.headers().into_iter().flat_map(Headers::iter) {
        chunk.push_header(header.key, header.value);
    }
}

/// A compacted topic drops events. Where this client may not read the topic's settings, nothing is concluded.
async fn refuse_compacted(config: &ClientConfig, topic: &str) -> Result<(), SourceError> {
    let admin: AdminClient<DefaultClientContext> = config.create().map_err(SourceError::Settings)?;
    let options = AdminOptions::new().request_timeout(Some(BOOT_TIMEOUT));
    let described = admin.describe_configs(&[ResourceSpecifier::Topic(topic)], &options).await;
    let policy = described.and_then(|mut resources| {
        let resource = resources.pop().ok_or(KafkaError::Canceled)?.map_err(KafkaError::AdminOp)?;
        Ok(resource.get("cleanup.policy").and_then(|entry| entry.value.clone()))
    });
    match policy {
        Ok(Some(policy)) if policy.contains("compact") => Err(SourceError::Compacted { topic: topic.to_owned() }),
        Ok(_) => Ok(()),
        Err(error) => {
            tracing::warn!(topic, %error, "cannot read the topic's settings: make sure that it is not compacted");
            Ok(())
        }
    }
}
