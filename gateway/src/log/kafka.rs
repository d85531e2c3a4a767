//! Apache Kafka as the gateway's log.
//!
//! Responsible for one idempotent producer with acks=all. Promises that the records of a request enter it in their order,
//! that nothing of a request follows a record the producer had no room for, and one completion per request: no future,
//! no allocation and no lock of its own for a record on its way in. A record that entered it is never given up while a
//! later one of its user goes on: it waits for the brokers as long as it takes, and where librdkafka itself gives up, all
//! that it held fails together and a new producer begins. Boot checks are in `boot`, what a request waits for in
//! `ticket`, whether the brokers are there in `link`, the producer and its end in `producer`.

mod boot;
mod dead_letters;
mod link;
mod producer;
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
pub(crate) use self::ticket::Pending;
use super::{Availability, Failure};
use crate::{batch::Batch, config::KafkaSettings, rejection::Code};

/// How long a thread may sleep before it looks whether it should end.
const NAP: Duration = Duration::from_millis(200);

/// A record that waits for longer than this is a reason to ask whether the brokers are there.
const SLOW: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub(super) struct KafkaLog {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

struct Shared {
    config: ClientConfig,
    /// Written only where librdkafka has given the producer up; a request holds it while its records enter.
    producer: RwLock<Arc<Producer>>,
    reports: Arc<Reports>,
    /// By number; the main one first.
    topics: Vec<String>,
    value_bytes_max: AtomicUsize,
    ending: AtomicBool,
}

impl KafkaLog {
    pub(super) fn connect(settings: &KafkaSettings, topics: &[String]) -> Result<KafkaLog, KafkaError> {
        let config = boot::client_config(settings)?;
        let admin = boot::admin(&config)?;
        boot::ensure_topics(&admin, settings, topics)?;
        let batch_bytes_max = boot::batch_bytes_max(&admin, topics);
        let reports = Arc::new(Reports::default());
        let producer = producer::start(&config, batch_bytes_max, &reports)?;
        let shared = Arc::new(Shared {
            config,
            producer: RwLock::new(producer),
            reports: reports.clone(),
            topics: topics.to_vec(),
            value_bytes_max: AtomicUsize::new(boot::value_bytes_max(batch_bytes_max)),
            ending: AtomicBool::new(false),
        });
        let mut log = KafkaLog { shared: shared.clone(), threads: Vec::new() };
        log.threads.push(spawn("kafka-reports", &shared, |shared| shared.producer().poll(NAP))?);
        let prober = spawn("kafka-link", &shared, Shared::watch)?;
        reports.link.watched_by(prober.thread().clone());
        log.threads.push(prober);
        Ok(log)
    }

    pub(super) fn is_up(&self) -> bool {
        self.shared.reports.link.is_up()
    }

    pub(super) fn availability(&self) -> Availability {
        self.shared.reports.link.availability()
    }

    pub(super) fn value_bytes_max(&self) -> usize {
        self.shared.value_bytes_max.load(Ordering::Relaxed)
    }

    pub(super) fn queue_records(&self) -> usize {
        producer::queue_records(&self.shared.producer())
    }

    /// Hands the records to the producer. What it did not take comes back at once.
    pub(super) fn append(&self, batch: &Batch, received_at_us: i64) -> (Pending, Vec<Failure>) {
        let producer = self.shared.producer.read();
        let value_bytes_max = self.value_bytes_max();
        let records = batch.records();
        let tickets = &self.shared.reports.tickets;
        let (ticket, pending) = tickets.issue(records.len());
        let mut unsent = Vec::new();
        let mut stopped = None;
        for record in records {
            let refused = stopped.or_else(|| {
                if record.value.len() > value_bytes_max {
                    return Some(Code::EventTooLarge);
                }
                let message = BaseRecord::with_opaque_to(self.shared.topic(record.topic), ticket.opaque(record.index))
                    .key(record.key)
                    .payload(record.value)
                    .timestamp(received_at_us / 1000);
                producer.send(message).err().map(|(error, _)| refusal(&error))
            });
            if let Some(code) = refused {
                unsent.push(Failure { index: record.index, code });
                // One that is too large for Kafka says nothing about the others; a full queue does.
                stopped = refused.filter(|code| *code != Code::EventTooLarge);
            }
        }
        tickets.forgo(ticket, unsent.len());
        (pending, unsent)
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
    fn producer(&self) -> Arc<Producer> {
        self.producer.read().clone()
    }

    fn topic(&self, number: u16) -> &str {
        &self.topics[usize::from(number)]
    }

    /// One round of the watching thread.
    fn watch(&self) {
        std::thread::park_timeout(NAP);
        let link = &self.reports.link;
        if let Some((_, reason)) = self.producer().client().fatal_error() {
            self.replace_producer(&reason);
        }
        if self.reports.tickets.oldest() > SLOW {
            link.suspect();
        }
        link.watch(&self.producer(), &self.topics[0]);
    }

    /// Ends a producer that librdkafka has given up and begins another one. What the old one held has failed by then, so
    /// nothing of it can follow what the new one takes: a client that sends again sends all of it again, in order.
    fn replace_producer(&self, reason: &str) {
        tracing::warn!(reason, "the Kafka client gave up its producer, a new one begins");
        producer::end(&self.producer());
        let begun = boot::admin(&self.config).and_then(|admin| {
            let batch_bytes_max = boot::batch_bytes_max(&admin, &self.topics);
            let producer = producer::start(&self.config, batch_bytes_max, &self.reports)?;
            Ok((producer, boot::value_bytes_max(batch_bytes_max)))
        });
        match begun {
            Ok((producer, value_bytes_max)) => {
                *self.producer.write() = producer;
                self.value_bytes_max.store(value_bytes_max, Ordering::Relaxed);
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
    step: impl Fn(&Shared) + Send + 'static,
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
