//! The durable log behind the gateway: Kafka, or the local journal.
//!
//! Responsible for the two things ingest needs of a log: take the records of a request now, in order, and tell later
//! what became of each. Promises that a record is called delivered only after the log's durable acknowledgement, and
//! that where one record of a user failed, the user's later records of the request are reported as failed too. Leaves
//! what the records mean to others.

mod delivery;
mod journal;
pub mod kafka;

use tokio::time::{Instant, timeout_at};

pub(crate) use self::kafka::DeadLetters;
pub use self::kafka::KafkaError;
use self::{journal::JournalLog, kafka::KafkaLog};
use crate::{
    batch::Batch,
    config::{DeadLetterSettings, KafkaSettings, RouteSettings},
    metrics::Metrics,
    rejection::Code,
    routes::Routes,
};

/// Where accepted events become durable.
#[derive(Debug)]
pub struct Log {
    kind: Kind,
    routes: Routes,
    dead_letters: Option<DeadLetters>,
}

#[derive(Debug)]
enum Kind {
    Kafka(KafkaLog),
    Journal(JournalLog),
}

/// Records of one request that the log has taken and not acknowledged yet.
#[derive(Debug)]
pub(crate) struct Sent {
    pending: Pending,
    /// The request's records, to tell which of them a failure concerns.
    users: Vec<delivery::User>,
    /// What is known to have failed already, without a word to the log.
    unsent: Vec<Failure>,
}

#[derive(Debug)]
enum Pending {
    Kafka(kafka::Pending),
    Journal(::journal::Append),
}

/// A record that was not delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    /// Position of the event in the request.
    pub(crate) index: u32,
    /// [`Code::DeliveryUnknown`] where it may be in the log all the same.
    pub(crate) code: Code,
}

/// What became of a request's records.
#[derive(Debug)]
pub(crate) struct Delivery {
    /// Those that count as not delivered, in the order of the request.
    pub(crate) failures: Vec<Failure>,
    /// Whether the deadline passed before the log's word.
    pub(crate) timed_out: bool,
}

/// Whether the log takes records at present.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Availability {
    Up,
    /// Down, and why; it may come back by itself.
    Down(String),
    /// Will not come back in this process.
    Lost(String),
}

impl Log {
    /// The local journal.
    pub fn journal(journal: ::journal::Journal) -> Log {
        Log { kind: Kind::Journal(JournalLog::new(journal)), routes: Routes::NONE, dead_letters: None }
    }

    /// Connects to Kafka and makes sure that the topics are there. Blocks while it asks the brokers.
    ///
    /// # Errors
    /// The brokers do not answer, a topic is missing, or a setting is refused.
    pub fn kafka(settings: &KafkaSettings, routes: &[RouteSettings]) -> Result<Log, KafkaError> {
        let routes = Routes::new(&settings.topic, routes);
        let kind = Kind::Kafka(KafkaLog::connect(settings, routes.topics())?);
        Ok(Log { kind, routes, dead_letters: None })
    }

    /// The same, with records framed with the schema id that a registry gave.
    pub fn with_schema_id(mut self, schema_id: u32) -> Log {
        self.routes.schema_id = schema_id;
        self
    }

    /// The same, with a topic for refused events, if the settings want one. Blocks while it asks the brokers.
    ///
    /// # Errors
    /// As [`Log::kafka`]; that a topic nobody named is missing is a warning only.
    pub fn with_dead_letters(
        self,
        kafka: &KafkaSettings,
        settings: &DeadLetterSettings,
        metrics: &Metrics,
    ) -> Result<Log, KafkaError> {
        let dead_letters = DeadLetters::connect(kafka, settings, metrics.dead_letters.clone())?;
        Ok(Log { dead_letters, ..self })
    }

    /// The topics of the log, and which event goes to which. The journal is a log of one topic.
    pub(crate) fn routes(&self) -> &Routes {
        &self.routes
    }

    /// Where refused events are kept. The journal keeps none: its only topic is that of the events.
    pub(crate) fn dead_letters(&self) -> Option<&DeadLetters> {
        self.dead_letters.as_ref()
    }

    /// What the reply says about where events are durable; nothing if it is the broker.
    pub(crate) fn durability(&self) -> Option<&'static str> {
        match &self.kind {
            Kind::Kafka(_) => None,
            Kind::Journal(_) => Some("journal"),
        }
    }

    /// Cheap: asked for every request.
    pub(crate) fn is_up(&self) -> bool {
        match &self.kind {
            Kind::Kafka(log) => log.is_up(),
            Kind::Journal(log) => log.is_up(),
        }
    }

    pub(crate) fn availability(&self) -> Availability {
        match &self.kind {
            Kind::Kafka(log) => log.availability(),
            Kind::Journal(log) => log.availability(),
        }
    }

    /// Largest value that the log takes, in bytes.
    pub(crate) fn value_bytes_max(&self) -> usize {
        match &self.kind {
            Kind::Kafka(log) => log.value_bytes_max(),
            Kind::Journal(_) => usize::MAX,
        }
    }

    /// Hands the records over in their order, before this returns. From then on they may become durable.
    pub(crate) fn append(&self, batch: &Batch, received_at_us: i64) -> Sent {
        let users = delivery::users(batch);
        match &self.kind {
            Kind::Kafka(log) => {
                let (pending, unsent) = log.append(batch, received_at_us);
                Sent { pending: Pending::Kafka(pending), users, unsent }
            }
            Kind::Journal(log) => {
                let pending = Pending::Journal(log.append(batch, received_at_us));
                Sent { pending, users, unsent: Vec::new() }
            }
        }
    }

    /// Records handed over and not acknowledged yet.
    pub(crate) fn queue_records(&self) -> usize {
        match &self.kind {
            Kind::Kafka(log) => log.queue_records(),
            Kind::Journal(_) => 0,
        }
    }
}

impl Sent {
    /// Waits for the log's word on every record, until `deadline`.
    pub(crate) async fn delivered(self, deadline: Instant) -> Delivery {
        let Sent { pending, users, unsent: mut failures } = self;
        let word = match pending {
            Pending::Kafka(mut pending) => timeout_at(deadline, pending.delivered()).await,
            Pending::Journal(pending) => timeout_at(deadline, pending).await.map(|it| journal::outcome(it, &users)),
        };
        let timed_out = word.is_err();
        failures.extend(word.unwrap_or_else(|_| {
            let sent = users.iter().filter(|user| failures.iter().all(|failure| failure.index != user.index));
            sent.map(|user| Failure { index: user.index, code: Code::DeliveryUnknown }).collect()
        }));
        delivery::fail_suffixes(&users, &mut failures);
        Delivery { failures, timed_out }
    }
}
