//! Apache Kafka as the gateway's log.
//!
//! Responsible for one idempotent producer with acks=all. Promises that the records of a request enter it in their order,
//! that nothing of a request follows a record the producer had no room for, and one completion per request: no future,
//! no allocation and no lock of its own for a record on its way in. A record that entered it is never given up while a
//! later one of its user goes on: it waits for the brokers as long as it takes, and where librdkafka itself gives up, all
//! that it held fails together and a new producer begins. Boot checks are in `boot`, what a request waits for in
//! `ticket`, whether the brokers are there in `link`, the producer and its end in `producer`, where records wait while
//! they cannot go to Kafka in `spool`.

mod acks;
mod boot;
mod dead_letters;
mod link;
mod producer;
mod spool;
mod ticket;

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread::JoinHandle,
    time::Duration,
};

use parking_lot::RwLock;
use rdkafka::{
    ClientConfig,
    error::{KafkaError as Error, RDKafkaErrorCode},
    producer::{BaseRecord, Producer as _},
};

pub use self::boot::KafkaError;
pub(crate) use self::dead_letters::DeadLetters;
use self::producer::{Producer, Reports};
pub use self::spool::SpoolError;
use self::spool::{Drain, Spool};
pub(crate) use self::ticket::Pending;
use super::{Availability, Failure, SpoolStats};
use crate::{
    batch::Batch,
    config::{KafkaSettings, SpoolSettings},
    rejection::Code,
};

/// How long a thread may sleep before it looks whether it should end.
const NAP: Duration = Duration::from_millis(200);

/// With a spool, Kafka is looked at more often: each look saves requests a wait.
const NAP_WITH_SPOOL: Duration = Duration::from_millis(50);

/// For the brokers to answer what is asked at boot, where that is asked again and again.
const CHECK_PATIENCE: Duration = Duration::from_secs(2);

/// A record that waits for longer than this is a reason to ask whether the brokers are there.
const SLOW: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub(super) struct KafkaLog {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

struct Shared {
    settings: KafkaSettings,
    config: ClientConfig,
    /// Written only where librdkafka has given the producer up; a request holds it while its records enter.
    producer: RwLock<Arc<Producer>>,
    reports: Arc<Reports>,
    /// By number; the main one first.
    topics: Vec<String>,
    batch_bytes_max: AtomicUsize,
    spool: Option<Arc<Spool>>,
    /// Whether the topics were seen. Only with a spool does a gateway serve before.
    checked: AtomicBool,
    ending: AtomicBool,
}

/// What became of a request's records when they were handed over.
#[derive(Debug)]
pub(super) struct Appended {
    /// Of those that the producer has.
    pub(super) pending: Pending,
    /// How long the producer's are worth waiting for: with a spool, a second attempt is answered sooner.
    pub(super) patience: Option<Duration>,
    /// Of those that the spool has, whose places in the request follow.
    pub(super) spooled: Option<journal::Append>,
    pub(super) in_spool: Vec<u32>,
    pub(super) unsent: Vec<Failure>,
}

impl KafkaLog {
    pub(super) fn connect(
        settings: &KafkaSettings,
        topics: &[String],
        spool: &SpoolSettings,
    ) -> Result<KafkaLog, KafkaError> {
        let config = boot::client_config(settings)?;
        let spool = if spool.enabled {
            Some(Spool::open(spool)?)
        } else {
            Spool::check_empty(&spool.dir)?;
            None
        };
        let admin = boot::admin(&config)?;
        let patience = if spool.is_some() { CHECK_PATIENCE } else { boot::PATIENCE };
        let checked = match boot::ensure_topics(patience, &admin, settings, topics) {
            Err(KafkaError::Unreachable { .. }) if spool.is_some() => false,
            ensured => ensured.map(|()| true)?,
        };
        let batch_bytes_max = match &spool {
            Some((_, checkpoint)) if !checked => checkpoint.batch_bytes_max(),
            _ => boot::batch_bytes_max(&admin, topics),
        };
        let reports = Arc::new(Reports::default());
        let producer = producer::start(&config, batch_bytes_max, &reports)?;
        let (spool, checkpoint) = spool.map(|(spool, checkpoint)| (Arc::new(spool), checkpoint)).unzip();
        let shared = Arc::new(Shared {
            settings: settings.clone(),
            config,
            producer: RwLock::new(producer),
            reports: reports.clone(),
            topics: topics.to_vec(),
            batch_bytes_max: AtomicUsize::new(batch_bytes_max),
            spool,
            checked: AtomicBool::new(checked),
            ending: AtomicBool::new(false),
        });
        shared.start(checkpoint)
    }

    pub(super) fn is_up(&self) -> bool {
        self.shared.reports.link.is_up() || self.shared.spool.as_ref().is_some_and(|spool| spool.has_room())
    }

    /// With a spool that has room, a Kafka that is down is no reason to refuse.
    pub(super) fn availability(&self) -> Availability {
        match self.shared.reports.link.availability() {
            Availability::Down(reason) => match &self.shared.spool {
                Some(spool) if spool.has_room() => Availability::Up,
                Some(_) => Availability::Down(format!("{reason}, and the spool takes nothing more")),
                None => Availability::Down(reason),
            },
            other => other,
        }
    }

    pub(super) fn spool_stats(&self, now_us: i64) -> Option<SpoolStats> {
        self.shared.spool.as_ref().map(|spool| spool.stats(now_us))
    }

    pub(super) fn value_bytes_max(&self) -> usize {
        self.shared.value_bytes_max()
    }

    pub(super) fn queue_records(&self) -> usize {
        producer::queue_records(&self.shared.producer())
    }

    /// Hands the records to the producer, or to the spool where they have to wait. What neither took comes back at once.
    pub(super) fn append(&self, batch: &Batch, received_at_us: i64) -> Appended {
        let shared = &*self.shared;
        let producer = shared.producer.read();
        let value_bytes_max = shared.value_bytes_max();
        let records = batch.records();
        let tickets = &shared.reports.tickets;
        let (ticket, pending) = tickets.issue(records.len());
        let (mut unsent, mut in_spool, mut stopped) = (Vec::new(), Vec::new(), None);
        let spool = shared.spool.as_deref();
        let mut intake = spool.filter(|spool| spool.is_engaged()).map(|spool| spool.intake(received_at_us));
        for record in records {
            let topic = shared.topic(record.topic);
            let mut refused = stopped;
            if refused.is_none() && record.value.len() > value_bytes_max {
                refused = Some(Code::EventTooLarge);
            } else if refused.is_none() && intake.as_ref().is_none_or(|intake| !intake.holds(record.key)) {
                let message = BaseRecord::with_opaque_to(topic, ticket.opaque(record.index))
                    .key(record.key)
                    .payload(record.value)
                    .timestamp(received_at_us / 1000);
                let Err((error, _)) = producer.send(message) else { continue };
                refused = Some(refusal(&error));
                if let (Some(spool), Some(Code::Overloaded | Code::LogUnavailable)) = (spool, refused) {
                    let intake = intake.get_or_insert_with(|| spool.intake(received_at_us));
                    intake.shut("the Kafka client takes no more");
                    refused = None;
                }
            }
            match (refused, &mut intake) {
                (None, Some(intake)) => {
                    intake.push(topic, record.key, record.value);
                    in_spool.push(record.index);
                }
                (code, _) => {
                    let code = code.unwrap_or(Code::LogUnavailable);
                    unsent.push(Failure { index: record.index, code });
                    // One that is too large for Kafka says nothing about the others; a full queue does.
                    stopped = Some(code).filter(|code| *code != Code::EventTooLarge);
                }
            }
        }
        tickets.forgo(ticket, unsent.len() + in_spool.len());
        let spooled = intake.map_or(Ok(None), |intake| intake.submit());
        let spooled = spooled.unwrap_or_else(|code| {
            unsent.extend(in_spool.drain(..).map(|index| Failure { index, code }));
            None
        });
        Appended { pending, patience: spool.map(|spool| 2 * spool.after), spooled, in_spool, unsent }
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
    fn start(self: Arc<Shared>, checkpoint: Option<spool::Checkpoint>) -> Result<KafkaLog, KafkaError> {
        let mut log = KafkaLog { shared: self.clone(), threads: Vec::new() };
        log.threads.push(spawn("kafka-reports", &self, |shared| shared.producer().poll(NAP))?);
        if !self.checked.load(Ordering::Relaxed) {
            self.reports.link.down("no broker answered at boot".to_owned());
        }
        self.watch_over_spool();
        let prober = spawn("kafka-link", &self, |shared| shared.watch())?;
        self.reports.link.watched_by(prober.thread().clone());
        log.threads.push(prober);
        if let (Some(spool), Some(checkpoint)) = (&self.spool, checkpoint) {
            let mut drain = Drain::new(spool.clone(), checkpoint);
            log.threads.push(spawn("kafka-spool", &self, move |shared| drain.step(shared))?);
        }
        Ok(log)
    }

    fn producer(&self) -> Arc<Producer> {
        self.producer.read().clone()
    }

    fn topic(&self, number: u16) -> &str {
        &self.topics[usize::from(number)]
    }

    fn value_bytes_max(&self) -> usize {
        boot::value_bytes_max(self.batch_bytes_max.load(Ordering::Relaxed))
    }

    fn ends(&self) -> bool {
        self.ending.load(Ordering::Relaxed)
    }

    /// One round of the watching thread.
    fn watch(&self) {
        std::thread::park_timeout(if self.spool.is_some() { NAP_WITH_SPOOL } else { NAP });
        let link = &self.reports.link;
        if let Some((_, reason)) = self.producer().client().fatal_error() {
            tracing::warn!(reason, "the Kafka client gave up its producer, a new one begins");
            producer::end(&self.producer());
            self.replace_producer();
        }
        if self.reports.tickets.oldest() > SLOW {
            link.suspect();
        }
        self.watch_over_spool();
        if !self.checked.load(Ordering::Relaxed) && !self.check() {
            return;
        }
        link.watch(&self.producer(), &self.config, &self.topics[0]);
        self.watch_over_spool();
    }

    /// Sends records to the spool as soon as Kafka is down or slow.
    fn watch_over_spool(&self) {
        let Some(spool) = &self.spool else { return };
        if let Availability::Down(reason) | Availability::Lost(reason) = self.reports.link.availability() {
            spool.shut(&reason);
        } else if self.reports.tickets.oldest() > spool.after {
            spool.shut("Kafka is slow to acknowledge");
        }
    }

    /// What is asked at boot, asked now: Kafka was down then.
    fn check(&self) -> bool {
        let checked = boot::admin(&self.config)
            .and_then(|admin| boot::ensure_topics(CHECK_PATIENCE, &admin, &self.settings, &self.topics));
        if let Err(error) = &checked {
            self.reports.link.down(error.to_string());
            return false;
        }
        // Nothing was sent by the first one, which did not know what the topics take.
        self.replace_producer();
        self.checked.store(true, Ordering::Relaxed);
        true
    }

    /// Begins another producer. What the old one held has failed by then, so nothing of it can follow what the new one
    /// takes: a client that sends again sends all of it again, in order, and so does the spool.
    fn replace_producer(&self) {
        let begun = boot::admin(&self.config).and_then(|admin| {
            let batch_bytes_max = boot::batch_bytes_max(&admin, &self.topics);
            Ok((producer::start(&self.config, batch_bytes_max, &self.reports)?, batch_bytes_max))
        });
        match begun {
            Ok((producer, batch_bytes_max)) => {
                let mut current = self.producer.write();
                if let Some(spool) = &self.spool {
                    spool.rewind();
                }
                *current = producer;
                self.batch_bytes_max.store(batch_bytes_max, Ordering::Relaxed);
                self.reports.link.suspect();
            }
            Err(error) => self.reports.link.lost(error.to_string()),
        }
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
    mut step: impl FnMut(&Shared) + Send + 'static,
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
