//! Whether the brokers are there.
//!
//! Responsible for refusing requests quickly while Kafka is down, and for noticing that it is back, without traffic
//! that would have to fail first. Promises that the state changes only after the brokers were asked: librdkafka's hints
//! (all connections gone, a record failed) and a record that waits for too long make it ask at once, but an idle
//! connection that was closed is no outage, and neither is a broker that lets the producer wait because it is over its
//! quota: that one answers everybody else. Such a log is late, which `load_shed` sees.

use std::{
    sync::{
        OnceLock,
        atomic::{AtomicBool, Ordering},
    },
    thread::Thread,
    time::Duration,
};

use parking_lot::Mutex;
use rdkafka::{
    ClientConfig, ClientContext,
    client::Client,
    error::RDKafkaErrorCode,
    producer::{BaseProducer, Producer, ProducerContext},
};

use super::{super::Availability, boot};

/// For the brokers to answer. A healthy one takes milliseconds.
const PATIENCE: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub(super) struct Link {
    up: AtomicBool,
    suspected: AtomicBool,
    state: Mutex<Availability>,
    watcher: OnceLock<Thread>,
}

impl Default for Link {
    fn default() -> Link {
        Link {
            up: AtomicBool::new(true),
            suspected: AtomicBool::new(false),
            state: Mutex::new(Availability::Up),
            watcher: OnceLock::new(),
        }
    }
}

impl Link {
    pub(super) fn is_up(&self) -> bool {
        self.up.load(Ordering::Relaxed)
    }

    pub(super) fn availability(&self) -> Availability {
        self.state.lock().clone()
    }

    /// The thread to wake when something looks wrong.
    pub(super) fn watched_by(&self, thread: Thread) {
        let _ = self.watcher.set(thread);
    }

    pub(super) fn client_error(&self, code: Option<RDKafkaErrorCode>, reason: &str) {
        if code == Some(RDKafkaErrorCode::Fatal) {
            self.set(Availability::Down(format!("the producer was given up and begins anew ({reason})")));
        }
        self.suspect();
    }

    /// Kafka cannot be used, whoever has found out.
    pub(super) fn down(&self, reason: String) {
        self.set(Availability::Down(reason));
    }

    /// There will be no other producer.
    pub(super) fn lost(&self, reason: String) {
        self.set(Availability::Lost(reason));
    }

    pub(super) fn delivery_failed(&self, code: Option<RDKafkaErrorCode>) {
        if code != Some(RDKafkaErrorCode::MessageSizeTooLarge) {
            self.suspect();
        }
    }

    /// One round of the watching thread: asks the brokers if there is a reason to. Kafka leaves a connection over its
    /// quota unanswered (KIP-219), so while the producer's was good, one without a quota is asked as well, by `config`.
    pub(super) fn watch<C: ProducerContext>(&self, producer: &BaseProducer<C>, config: &ClientConfig, topic: &str) {
        let suspected = self.suspected.swap(false, Ordering::Relaxed);
        if !suspected && self.is_up() || matches!(self.availability(), Availability::Lost(_)) {
            return;
        }
        let asked = ask(producer.client(), topic).or_else(|reason| {
            let other = self.is_up().then(|| boot::admin(config).ok()).flatten();
            other.map_or(Err(reason), |other| ask(other.inner(), topic))
        });
        self.set(match asked {
            Ok(()) => Availability::Up,
            Err(reason) => Availability::Down(reason),
        });
    }

    /// Something may be wrong: the brokers are asked at once.
    pub(super) fn suspect(&self) {
        self.suspected.store(true, Ordering::Relaxed);
        if let Some(watcher) = self.watcher.get() {
            watcher.unpark();
        }
    }

    fn set(&self, availability: Availability) {
        let mut state = self.state.lock();
        if matches!(*state, Availability::Lost(_)) {
            return;
        }
        self.up.store(availability == Availability::Up, Ordering::Relaxed);
        *state = availability;
    }
}

/// Whether the brokers answer and a partition of the topic has a leader.
fn ask<C: ClientContext>(client: &Client<C>, topic: &str) -> Result<(), String> {
    let metadata =
        client.fetch_metadata(Some(topic), PATIENCE).map_err(|error| format!("the brokers do not answer ({error})"))?;
    let Some(topic) = metadata.topics().iter().find(|found| found.name() == topic) else {
        return Err(format!("the brokers do not know the topic {topic}"));
    };
    if let Some(error) = topic.error() {
        return Err(format!("the topic {} cannot be used ({})", topic.name(), RDKafkaErrorCode::from(error)));
    }
    if topic.partitions().iter().all(|partition| partition.leader() < 0) {
        return Err(format!("no partition of the topic {} has a leader", topic.name()));
    }
    Ok(())
}
