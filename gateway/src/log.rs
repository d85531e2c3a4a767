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
pub use self::kafka::{KafkaError, SpoolError};
use self::{journal::JournalLog, kafka::KafkaLog};
use crate::{
    batch::Batch,
    config::{DeadLetterSettings, KafkaSettings, RouteSettings, SpoolSettings},
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
    kafka: Option<(kafka::Pending, Option<Instant>)>,
    journal: Option<(::journal::Append, &'static str)>,
    /// Places in the request of what a journal has; everything, if there is no Kafka.
    in_journal: Option<Vec<u32>>,
    /// The request's records, to tell which of them a failure concerns.
    users: Vec<delivery::User>,
    /// What is known to have failed already, without a word to the log.
    unsent: Vec<Failure>,
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
    /// Where those that were delivered are durable, if some are not with the broker.
    pub(crate) durability: Option<&'static str>,
}

/// The spool of a Kafka log.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct SpoolStats {
    /// Records that Kafka has not acknowledged, and their bytes.
    pub(crate) records: u64,
    pub(crate) bytes: u64,
    pub(crate) oldest_seconds: f64,
    /// Since the process began.
    pub(crate) spooled: u64,
    pub(crate) drained: u64,
    /// Why some requests go to the spool at present.
    pub(crate) spooling: Option<String>,
    /// Why it takes nothing until a restart.
    pub(crate) failure: Option<String>,
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
        Log::kafka_with_spool(settings, routes, &SpoolSettings::default())
    }

    /// The same, with a spool for the time when Kafka is down or slow, if the settings want one: then Kafka may be down
    /// now, too.
    ///
    /// # Errors
    /// As [`Log::kafka`], and where the spool's folder cannot be used.
    pub fn kafka_with_spool(
        settings: &KafkaSettings,
        routes: &[RouteSettings],
        spool: &SpoolSettings,
    ) -> Result<Log, KafkaError> {
        let routes = Routes::new(&settings.topic, routes);
        let kind = Kind::Kafka(KafkaLog::connect(settings, routes.topics(), spool)?);
        Ok(Log { kind, routes, dead_letters: None })
    }

    /// The same, with records of a version of the schema, framed with the id that it has.
    pub fn with_schema(mut self, version: event::Version, schema_id: u32) -> Log {
        self.routes.version = version;
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
        let dead_letters = DeadLetters::connect(kafka, settings, metrics.dead_letters.clone(), self.has_spool())?;
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
                let appended = log.append(batch, received_at_us);
                let until = appended.patience.map(|patience| Instant::now() + patience);
                Sent {
                    kafka: Some((appended.pending, until)),
                    journal: appended.spooled.map(|append| (append, "spool")),
                    in_journal: Some(appended.in_spool),
                    users,
                    unsent: appended.unsent,
                }
            }
            Kind::Journal(log) => {
                let journal = Some((log.append(batch, received_at_us), "journal"));
                Sent { kafka: None, journal, in_journal: None, users, unsent: Vec::new() }
            }
        }
    }

    /// `None` where there is no spool.
    pub(crate) fn spool_stats(&self, now_us: i64) -> Option<SpoolStats> {
        match &self.kind {
            Kind::Kafka(log) => log.spool_stats(now_us),
            Kind::Journal(_) => None,
        }
    }

    fn has_spool(&self) -> bool {
        self.spool_stats(0).is_some()
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
        let Sent { kafka, journal, in_journal, users, unsent: mut failures } = self;
        let in_journal = |index| in_journal.as_ref().is_none_or(|in_journal| in_journal.contains(&index));
        let (mut timed_out, mut durability) = (false, None);
        // What waits is unknown at the deadline.
        let mut unknown = |failures: &mut Vec<Failure>, concerned: &dyn Fn(u32) -> bool| {
            timed_out = true;
            let known = |index| failures.iter().any(|failure: &Failure| failure.index == index);
            let open = users.iter().map(|user| user.index).filter(|&index| concerned(index) && !known(index));
            let open: Vec<_> = open.map(|index| Failure { index, code: Code::DeliveryUnknown }).collect();
            failures.extend(open);
        };
        if let Some((append, name)) = journal {
            match timeout_at(deadline, append).await {
                Ok(Ok(())) => durability = Some(name),
                Ok(Err(error)) => {
                    let code = journal::failure(&error);
                    let concerned = users.iter().map(|user| user.index).filter(|&index| in_journal(index));
                    failures.extend(concerned.map(|index| Failure { index, code }));
                }
                Err(_) => unknown(&mut failures, &in_journal),
            }
        }
        if let Some((mut pending, until)) = kafka {
            match timeout_at(until.unwrap_or(deadline).min(deadline), pending.delivered()).await {
                Ok(failed) => failures.extend(failed),
                Err(_) => unknown(&mut failures, &|index| !in_journal(index)),
            }
        }
        delivery::fail_suffixes(&users, &mut failures);
        Delivery { failures, timed_out, durability }
    }
}
