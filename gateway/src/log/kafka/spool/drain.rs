//! The way from the spool to Kafka, in rounds.
//!
//! Responsible for handing spooled records to the producer in their order, for finding out what Kafka has, and for letting
//! new records go to Kafka directly once nothing is before them. Promises that a round is in the checkpoint before the
//! next one begins, so that after a cut only records of one round have to be looked up; and that where a round's outcome
//! is unknown (the process or the producer ended) it is looked up before anything is handed over again.

use std::{
    collections::HashSet,
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};

use rdkafka::{
    error::RDKafkaErrorCode,
    message::{Header, OwnedHeaders},
    producer::{BaseRecord, Producer as _},
};

use super::{
    PARTITIONS, READ_BYTES, Spool,
    checkpoint::Checkpoint,
    entry::{self, HEADER, Place},
    scan, stored_bytes,
};
use crate::log::kafka::{
    Shared,
    acks::{self, Word},
    boot,
    producer::Producer,
};

/// Bytes of one round: what has to be looked up after a cut, and what is in doubt at a time.
const ROUND_BYTES: u64 = 4 << 20;
/// Most bytes of one partition in a round, so that none has to wait for another one.
const SHARE_BYTES: u64 = 1 << 20;
/// Most records that are handed over while new ones have to wait.
const LAST_RECORDS: u64 = 2000;
/// For appends on their way to the disk, while new ones have to wait.
const FSYNC_PATIENCE: Duration = Duration::from_millis(200);
const NAP: Duration = Duration::from_millis(20);
/// After a failure that will not go away at once.
const REST: Duration = Duration::from_secs(1);
const SAID_EVERY: Duration = Duration::from_secs(5);
const PATIENCE: Duration = Duration::from_secs(5);
const TRUNCATED_EVERY: Duration = Duration::from_secs(1);

/// The drain of one spool; runs on a thread of its own.
pub(in crate::log::kafka) struct Drain {
    spool: Arc<Spool>,
    checkpoint: Checkpoint,
    /// Whether records beyond the checkpoint may be in Kafka.
    uncertain: bool,
    /// Records beyond the checkpoint that are in Kafka.
    known: HashSet<Place>,
    rounds: u64,
    said: Instant,
    said_drained: u64,
    truncated: Instant,
}

/// What was handed over in one round: for each partition its end, bytes and last time.
struct Round {
    number: u64,
    producer_number: u64,
    ends: Vec<(u64, u64, i64)>,
    bytes: u64,
    /// The producer had no room for all of it.
    cut: bool,
    handed_at: Instant,
}

/// Why nothing more of a partition can be handed over now.
enum Stop {
    /// The producer has no room, or is no more.
    Producer,
    /// This record cannot go, and nothing may overtake it.
    Blocked(String),
}

impl Drain {
    pub(in crate::log::kafka) fn new(spool: Arc<Spool>, checkpoint: Checkpoint) -> Drain {
        let uncertain = checkpoint.draining;
        Drain {
            spool,
            checkpoint,
            uncertain,
            known: HashSet::new(),
            rounds: 0,
            said: Instant::now(),
            said_drained: 0,
            truncated: Instant::now(),
        }
    }

    /// One step: a round, or a rest where there is nothing to do.
    pub(in crate::log::kafka) fn step(&mut self, shared: &Shared) {
        self.bury_failed_journal();
        if !shared.reports.link.is_up() {
            std::thread::sleep(NAP);
            return;
        }
        if !self.spool.is_engaged() && self.spool.gate.lock().records() == 0 {
            self.rest(shared);
            return;
        }
        if let Err(reason) = self.prepare(shared) {
            tracing::warn!(%reason, "the spool cannot be drained, the next attempt follows");
            std::thread::sleep(REST);
            return;
        }
        if shared.ends() {
            return;
        }
        self.round(shared);
        self.say();
    }

    /// Nothing waits: writes that down once, and gives the disk back.
    fn rest(&mut self, shared: &Shared) {
        let batch_bytes_max = Some(shared.batch_bytes_max.load(Ordering::Relaxed));
        if self.checkpoint.draining || self.checkpoint.batch_bytes_max != batch_bytes_max {
            if self.checkpoint.draining {
                let drained = self.spool.drained.load(Ordering::Relaxed);
                tracing::info!(drained, "spooling ends: everything is in Kafka, requests go there again");
            }
            self.checkpoint.draining = false;
            self.checkpoint.batch_bytes_max = batch_bytes_max;
            self.write_checkpoint(shared);
            self.truncate();
        }
        std::thread::sleep(NAP);
    }

    /// Makes sure that it is known where to look, should this drain be cut off; and looks, if an earlier one was.
    fn prepare(&mut self, shared: &Shared) -> Result<(), String> {
        if self.uncertain {
            let config = boot::reader_config(&shared.config);
            let id = self.spool.journal.id();
            let found = scan::already_there(&config, &self.checkpoint, id, || shared.ends());
            let Some(found) = found.map_err(|error| error.to_string())? else { return Ok(()) };
            tracing::info!(records = found.len(), "records of an interrupted drain were found in Kafka");
            self.known = found;
            self.uncertain = false;
        }
        if !self.checkpoint.draining {
            self.checkpoint.marks.clear();
            for topic in &shared.topics {
                let marks = marks(&shared.producer(), topic)?;
                self.checkpoint.marks.insert(topic.clone(), marks);
            }
            self.checkpoint.draining = true;
            self.checkpoint.write(&self.spool.dir).map_err(|error| error.to_string())?;
        }
        Ok(())
    }

    fn round(&mut self, shared: &Shared) {
        let spool = self.spool.clone();
        let (producer, mut round) = self.begin(shared);
        shared.reports.acks.begin(round.number);
        for partition in 0..PARTITIONS {
            let from = spool.gate.lock().lanes[partition as usize].handed;
            let range = (from, spool.journal.end_offset(partition).max(from));
            let (next, handed) = self.hand_over(shared, &producer, &mut round, partition, range);
            let mut gate = spool.gate.lock();
            gate.handed(partition, next, round.producer_number);
            spool.settle(&gate);
            drop(gate);
            match handed {
                Ok(()) => {}
                Err(Stop::Producer) => {
                    round.cut = true;
                    break;
                }
                Err(Stop::Blocked(reason)) => {
                    tracing::error!(reason, partition, "a spooled record cannot go to Kafka, those behind it wait");
                    std::thread::sleep(REST);
                }
            }
            if round.bytes >= ROUND_BYTES {
                break;
            }
        }
        self.let_go(shared, &producer, &mut round);
        round.handed_at = Instant::now();
        self.finish(shared, round);
    }

    fn begin(&mut self, shared: &Shared) -> (Arc<Producer>, Round) {
        self.rounds += 1;
        let producer = shared.producer.read();
        let gate = self.spool.gate.lock();
        let ends = gate.lanes.iter().map(|lane| (lane.drained, 0, 0)).collect();
        let round = Round {
            number: self.rounds,
            producer_number: gate.producer,
            ends,
            bytes: 0,
            cut: false,
            handed_at: Instant::now(),
        };
        (producer.clone(), round)
    }

    /// Hands over the records of one partition from `from` to `to`, as far as the round's share goes. Returns how far.
    fn hand_over(
        &mut self,
        shared: &Shared,
        producer: &Producer,
        round: &mut Round,
        partition: u32,
        (from, to): (u64, u64),
    ) -> (u64, Result<(), Stop>) {
        let (mut next, mut share) = (from, 0);
        while next < to && share < SHARE_BYTES {
            let records = match self.spool.journal.read(partition, next, READ_BYTES) {
                Ok(records) => records,
                Err(error) => return (next, Err(Stop::Blocked(error.to_string()))),
            };
            for record in records.iter().take_while(|record| record.offset < to) {
                let place = Place { partition, offset: record.offset };
                if !self.known.remove(&place)
                    && let Err(stop) = self.produce(shared, producer, round.number, place, record)
                {
                    return (next, Err(stop));
                }
                next = record.offset + 1;
                let bytes = stored_bytes(record.key, record.value);
                share += bytes;
                round.bytes += bytes;
                let end = &mut round.ends[partition as usize];
                *end = (next, end.1 + bytes, record.timestamp_us);
            }
        }
        (next, Ok(()))
    }

    fn produce(
        &mut self,
        shared: &Shared,
        producer: &Producer,
        round: u64,
        place: Place,
        record: journal::Record<'_>,
    ) -> Result<(), Stop> {
        let (topic, value) =
            entry::read(record.value).ok_or_else(|| Stop::Blocked(format!("{place:?} is no spooled record")))?;
        if value.len() > shared.value_bytes_max() {
            let reason = "is larger than the topic takes: raise the topic's max.message.bytes and restart the gateway";
            return Err(Stop::Blocked(format!("a record of {} bytes for {topic} {reason}", value.len())));
        }
        if !self.checkpoint.marks.contains_key(topic) {
            let marks = marks(producer, topic).map_err(Stop::Blocked)?;
            self.checkpoint.marks.insert(topic.to_owned(), marks);
            let written = self.checkpoint.write(&self.spool.dir);
            written.map_err(|error| Stop::Blocked(error.to_string()))?;
        }
        let header = place.header(self.spool.journal.id());
        let headers = OwnedHeaders::new_with_capacity(1).insert(Header { key: HEADER, value: Some(&header) });
        let message = BaseRecord::with_opaque_to(topic, acks::opaque(round))
            .key(record.key)
            .payload(value)
            .timestamp(record.timestamp_us / 1000)
            .headers(headers);
        shared.reports.acks.expect_one();
        let Err((error, _)) = producer.send(message) else { return Ok(()) };
        shared.reports.acks.forgo_one();
        Err(match error.rdkafka_error_code() {
            Some(RDKafkaErrorCode::QueueFull | RDKafkaErrorCode::Fatal) => Stop::Producer,
            _ => Stop::Blocked(error.to_string()),
        })
    }

    /// Lets new records go to Kafka directly, in every partition where only a few are before them: those are handed over
    /// while the gate is held, after the fsync that some of them may still wait for.
    fn let_go(&mut self, shared: &Shared, producer: &Producer, round: &mut Round) {
        let spool = self.spool.clone();
        let deadline = Instant::now() + FSYNC_PATIENCE;
        for partition in 0..PARTITIONS {
            let mut gate = spool.gate.lock();
            let lane = gate.lanes[partition as usize];
            let left = lane.submitted - lane.handed;
            if gate.shut.is_some() || gate.producer != round.producer_number || left == 0 || left > LAST_RECORDS {
                continue;
            }
            while spool.journal.end_offset(partition) < lane.submitted {
                if Instant::now() > deadline || spool.journal.failure().is_some() {
                    return;
                }
                std::thread::sleep(Duration::from_millis(1));
            }
            let range = (lane.handed, lane.submitted);
            let (next, handed) = self.hand_over(shared, producer, round, partition, range);
            gate.handed(partition, next, round.producer_number);
            spool.settle(&gate);
            if handed.is_err() {
                return;
            }
        }
    }

    /// Waits for Kafka's word on the round, and writes it down.
    fn finish(&mut self, shared: &Shared, round: Round) {
        let passed = loop {
            match shared.reports.acks.wait(NAP) {
                Word::All(ends) => break ends,
                Word::Failed(reason) => {
                    tracing::error!(reason, "Kafka refused a spooled record, it is sent again");
                    self.spool.rewind();
                    std::thread::sleep(REST);
                }
                Word::Open => {}
            }
            // What it has of the round is looked up; at the next start, if this process ends.
            if self.spool.gate.lock().producer != round.producer_number || shared.ends() {
                self.known.clear();
                self.uncertain = true;
                return;
            }
            self.say();
        };
        let is_fast = !round.cut && round.handed_at.elapsed() < self.spool.after;
        if round.bytes > 0 {
            self.checkpoint.drained = round.ends.iter().map(|(end, ..)| *end).collect();
            // What an earlier round of the same records left has to be found again, as long as some of it is beyond.
            if self.known.is_empty() {
                passed.iter().for_each(|(topic, partition, offset)| self.checkpoint.passed(topic, *partition, *offset));
            }
            self.write_checkpoint(shared);
        } else {
            std::thread::sleep(NAP);
        }
        let mut gate = self.spool.gate.lock();
        for (&(end, bytes, last_us), partition) in round.ends.iter().zip(0..) {
            if bytes > 0 {
                let records = end - gate.lanes[partition as usize].drained;
                gate.drained(partition, end, bytes, last_us);
                self.spool.drained.fetch_add(records, Ordering::Relaxed);
            }
        }
        if is_fast && shared.reports.link.is_up() && shared.reports.tickets.oldest() < self.spool.after {
            gate.shut = None;
        }
        self.spool.settle(&gate);
        drop(gate);
        if self.truncated.elapsed() > TRUNCATED_EVERY {
            self.truncate();
        }
    }

    /// Returns when it is on disk: without it the next round must not begin.
    fn write_checkpoint(&self, shared: &Shared) {
        while let Err(error) = self.checkpoint.write(&self.spool.dir) {
            tracing::error!(%error, dir = %self.spool.dir.display(), "the spool's checkpoint cannot be written: make room");
            std::thread::sleep(REST);
            if shared.ends() {
                return;
            }
        }
    }

    fn truncate(&mut self) {
        self.truncated = Instant::now();
        for (&drained, partition) in self.checkpoint.drained.iter().zip(0..) {
            if let Err(error) = self.spool.journal.truncate_below(partition, drained) {
                tracing::warn!(%error, "the spool cannot give back disk space yet");
            }
        }
    }

    /// After a failed write or fsync the journal takes nothing more; what was durable before is drained all the same.
    fn bury_failed_journal(&self) {
        if self.spool.journal.failure().is_some() {
            let mut gate = self.spool.gate.lock();
            gate.ends_at(|partition| self.spool.journal.end_offset(partition));
            self.spool.settle(&gate);
        }
    }

    /// One line of progress, now and then.
    fn say(&mut self) {
        let since = self.said.elapsed();
        if since < SAID_EVERY {
            return;
        }
        let drained = self.spool.drained.load(Ordering::Relaxed);
        let per_second = (drained - self.said_drained) as f64 / since.as_secs_f64();
        let gate = self.spool.gate.lock();
        let (records_left, bytes_left) = (gate.records(), gate.bytes);
        tracing::info!(records_left, bytes_left, records_per_second = per_second.round(), "draining the spool");
        (self.said, self.said_drained) = (Instant::now(), drained);
    }
}

/// The end of each partition of a topic.
fn marks(producer: &Producer, topic: &str) -> Result<Vec<i64>, String> {
    let failed = |error: rdkafka::error::KafkaError| format!("topic {topic} does not tell its end ({error})");
    let metadata = producer.client().fetch_metadata(Some(topic), PATIENCE).map_err(failed)?;
    let partitions = metadata.topics().first().map_or(0, |topic| topic.partitions().len());
    let end = |partition| producer.client().fetch_watermarks(topic, partition, PATIENCE).map(|(_, end)| end);
    (0..).zip(0..partitions).map(|(partition, _)| end(partition).map_err(failed)).collect()
}
