//! The log between the services, as the benches see it.
//!
//! Responsible for the one Kafka node, for a topic a run, for its count and for filling it. Promises that the count is
//! the broker's own: what a gateway says it accepted is held against it.

use std::{
    env, fmt,
    sync::atomic::{AtomicUsize, Ordering},
    thread,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use event::Event;
use rdkafka::{
    ClientConfig, ClientContext,
    admin::{AdminClient, AdminOptions, NewTopic, TopicReplication},
    client::DefaultClientContext,
    config::FromClientConfigAndContext,
    consumer::{BaseConsumer, Consumer},
    error::{KafkaError, KafkaResult, RDKafkaErrorCode},
    message::DeliveryResult,
    producer::{BaseProducer, BaseRecord, Producer, ProducerContext},
};
use tokio::runtime::{Builder, Runtime};

use crate::clickstream::{Act, Clickstream};

/// Partitions of every topic here.
pub const PARTITIONS: i32 = 12;

/// Time by the log's own clock that [`Broker::fill`] spreads its events over: below the sink's roll interval, so that
/// it cuts by rows.
const FILL_SPAN_US: i64 = 5_000_000;

/// In the second half of the events, after every so many, one of the first half is sent again.
const AGAIN_EVERY: usize = 50;

const PATIENCE: Duration = Duration::from_secs(30);

/// A Kafka node and the topics on it.
pub struct Broker {
    addresses: String,
    admin: AdminClient<DefaultClientContext>,
    watcher: BaseConsumer,
    runtime: Runtime,
    /// Topics made so far.
    topics: AtomicUsize,
    /// Last, because it ends when it is dropped: the clients before it would complain about a broker that is gone.
    node: Option<kafka::Broker>,
}

impl fmt::Debug for Broker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Broker").field("addresses", &self.addresses).finish_non_exhaustive()
    }
}

impl Broker {
    /// Starts a node for this bench; where `FOOTFALL_BENCH_BROKERS` names one, that one is used and left alone.
    pub fn start() -> KafkaResult<Broker> {
        if let Ok(addresses) = env::var("FOOTFALL_BENCH_BROKERS") {
            return Broker::connect(&addresses, None);
        }
        let node = kafka::Broker::start();
        let addresses = node.brokers().to_owned();
        Broker::connect(&addresses, Some(node))
    }

    fn connect(addresses: &str, node: Option<kafka::Broker>) -> KafkaResult<Broker> {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", addresses);
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build();
        Ok(Broker {
            addresses: addresses.to_owned(),
            admin: config.create()?,
            watcher: config.create()?,
            runtime: runtime.expect("tokio starts"),
            topics: AtomicUsize::new(0),
            node,
        })
    }

    /// `HOST:PORT`, for the programs under measurement.
    #[must_use]
    pub fn addresses(&self) -> &str {
        &self.addresses
    }

    /// Lets all producers together write only so many bytes a second.
    ///
    /// # Panics
    /// The broker is not this bench's own, or Kafka's tool fails.
    pub fn limit_producers(&self, bytes_per_second: u32) {
        self.node.as_ref().expect("only a broker of our own is slowed down").limit_producers(bytes_per_second);
    }

    /// Makes an empty topic of [`PARTITIONS`] partitions; says its name, which is new.
    pub fn topic(&self) -> KafkaResult<String> {
        let number = self.topics.fetch_add(1, Ordering::Relaxed);
        let name = format!("bench-{}-{number}", std::process::id());
        let topic = NewTopic::new(&name, PARTITIONS, TopicReplication::Fixed(1));
        let results = self.runtime.block_on(self.admin.create_topics([&topic], &AdminOptions::new()))?;
        results.into_iter().try_for_each(|result| result.map(drop).map_err(|(_, code)| KafkaError::AdminOp(code)))?;
        Ok(name)
    }

    /// Deletes it, so that the broker's disk does not fill up over many runs.
    pub fn delete(&self, topic: &str) -> KafkaResult<()> {
        self.runtime.block_on(self.admin.delete_topics(&[topic], &AdminOptions::new())).map(drop)
    }

    /// Records in the topic, from its high watermarks.
    pub fn count(&self, topic: &str) -> KafkaResult<u64> {
        let sum = (0..PARTITIONS).map(|partition| self.high_watermark(topic, partition)).sum::<KafkaResult<i64>>()?;
        Ok(sum.cast_unsigned())
    }

    /// Asks again for a while: a broker may answer that it does not lead a partition which was only just made.
    fn high_watermark(&self, topic: &str, partition: i32) -> KafkaResult<i64> {
        let from = Instant::now();
        loop {
            match self.watcher.fetch_watermarks(topic, partition, PATIENCE) {
                Ok((_, high)) => return Ok(high),
                Err(error) if from.elapsed() > PATIENCE => return Err(error),
                Err(_) => thread::sleep(Duration::from_millis(100)),
            }
        }
    }

    /// Fills the topic with events of the seed, keyed by user, and sends some of them again later. Bytes are those before
    /// compression.
    pub fn fill(&self, topic: &str, seed: u64, events: usize) -> KafkaResult<Filled> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("the clock is past 1970");
        let now_us = i64::try_from(now.as_micros()).expect("the clock is before the year 292277");
        let span_us = |index: usize| FILL_SPAN_US * index as i64 / events as i64;
        let producer = Filler::new(&self.addresses)?;
        let mut again = Clickstream::new(seed).step_by(AGAIN_EVERY);
        let (mut value, mut filled) = (Vec::new(), Filled::default());
        let mut send = |act: &Act, index: usize| -> KafkaResult<()> {
            let event = Event { received_at: now_us + span_us(index), ..act.event() };
            let key = event.user_key().expect("every act has a user");
            value.clear();
            event::encode(&event, &mut value);
            filled.records += 1;
            filled.bytes += key.len() + value.len();
            producer.send(topic, key, &value, event.received_at / 1_000)
        };
        for (index, act) in Clickstream::new(seed).take(events).enumerate() {
            send(&act, index)?;
            if index >= events / 2 && index % AGAIN_EVERY == 0 {
                send(&again.next().expect("acts do not end"), index)?;
            }
        }
        producer.finish(filled.records)?;
        Ok(filled)
    }
}

/// What a topic was filled with.
#[derive(Clone, Copy, Debug, Default)]
pub struct Filled {
    /// Records, those that were sent again included.
    pub records: usize,
    /// Bytes of their keys and values.
    pub bytes: usize,
}

struct Filler(BaseProducer<Delivered>);

#[derive(Default)]
struct Delivered {
    count: AtomicUsize,
    failed: AtomicUsize,
}

impl ClientContext for Delivered {}

impl ProducerContext for Delivered {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        let which = if result.is_ok() { &self.count } else { &self.failed };
        which.fetch_add(1, Ordering::Relaxed);
    }
}

impl Filler {
    fn new(addresses: &str) -> KafkaResult<Filler> {
        let mut config = ClientConfig::new();
        for (key, value) in [
            ("bootstrap.servers", addresses),
            ("enable.idempotence", "true"),
            ("linger.ms", "20"),
            ("compression.type", "lz4"),
            ("partitioner", "murmur2_random"),
            ("queue.buffering.max.messages", "500000"),
        ] {
            config.set(key, value);
        }
        BaseProducer::from_config_and_context(&config, Delivered::default()).map(Filler)
    }

    fn send(&self, topic: &str, key: &str, value: &[u8], timestamp_ms: i64) -> KafkaResult<()> {
        let mut record = BaseRecord::to(topic).key(key).payload(value).timestamp(timestamp_ms);
        while let Err((error, back)) = self.0.send(record) {
            if error.rdkafka_error_code() != Some(RDKafkaErrorCode::QueueFull) {
                return Err(error);
            }
            self.0.poll(Duration::from_millis(5));
            record = back;
        }
        Ok(())
    }

    /// Waits until all are on the broker.
    fn finish(&self, events: usize) -> KafkaResult<()> {
        self.0.flush(PATIENCE)?;
        let delivered = self.0.context();
        if delivered.count.load(Ordering::Relaxed) == events {
            Ok(())
        } else {
            Err(KafkaError::MessageProduction(RDKafkaErrorCode::MessageTimedOut))
        }
    }
}
