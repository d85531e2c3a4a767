//! The spool: where records wait on local disk while Kafka is down or slow.
//!
//! Responsible for taking records that cannot go to Kafka now, durably and bounded, and for bringing them there later.
//! Promises that a request is acknowledged only after the fsync that covers it; that a user's records reach Kafka in the
//! order in which they were taken, whatever way each of them went; that what was acknowledged survives the process; and
//! that the drain itself writes no record twice, also where it was cut off. With the spool at rest a request pays one
//! atomic load. Which records have to wait is decided in `gate`, the bytes are in `entry`, the way back is in `drain`,
//! what a restart has to know in `checkpoint`, and what it has to look up in Kafka in `scan`.

mod checkpoint;
mod drain;
mod entry;
mod gate;
mod scan;

use std::{
    io,
    path::{Path, PathBuf},
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    time::Duration,
};

use journal::{Append, Journal, OpenError, Options, ReadError};
use parking_lot::{Mutex, MutexGuard};

use self::gate::{Gate, Lane};
pub(super) use self::{checkpoint::Checkpoint, drain::Drain};
use crate::{config::SpoolSettings, log::SpoolStats, rejection::Code};

/// Partitions of the spool. More of them would let users go on to Kafka a little earlier while others still wait, and cost
/// memory and entries for each request. A folder keeps the number it was made with.
const PARTITIONS: u32 = 16;

/// Beside a key and a stored value.
const RECORD_OVERHEAD_BYTES: usize = 8;

const READ_BYTES: usize = 1 << 20;

/// Why the spool's folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SpoolError {
    #[error("the spool cannot be opened: {0}")]
    Journal(#[from] OpenError),
    #[error("the spool cannot be read: {0}")]
    Read(#[from] ReadError),
    #[error("the spool's checkpoint in {} cannot be used: {reason}: restore it, or set another spool.dir", dir.display())]
    Checkpoint { dir: PathBuf, reason: io::Error },
    #[error(
        "the spool in {} holds {records} acknowledged records that are not in Kafka yet: set spool.enabled until they \
         are, or move the folder away to give them up",
        dir.display()
    )]
    LeftBehind { dir: PathBuf, records: u64 },
}

#[derive(Debug)]
pub(super) struct Spool {
    dir: PathBuf,
    journal: Journal,
    gate: Mutex<Gate>,
    /// Whether the gate has to be asked; changed only by who holds it.
    engaged: AtomicBool,
    pub(super) after: Duration,
    bytes_max: u64,
    spooled: AtomicU64,
    drained: AtomicU64,
}

/// The part of one request that goes to the spool. Holds the gate, so that nothing comes in between.
#[derive(Debug)]
pub(super) struct Intake<'a> {
    spool: &'a Spool,
    gate: MutexGuard<'a, Gate>,
    batch: journal::Batch,
    /// Partition and bytes of each record.
    pushed: Vec<(u32, u64)>,
    received_at_us: i64,
    stored: Vec<u8>,
}

impl Spool {
    /// Opens the spool, and finds what an earlier process left in it.
    pub(super) fn open(settings: &SpoolSettings) -> Result<(Spool, Checkpoint), SpoolError> {
        let journal = Journal::open(&settings.dir, Options::new(PARTITIONS))?;
        let dir = settings.dir.clone();
        let unusable = |reason| SpoolError::Checkpoint { dir: dir.clone(), reason };
        let checkpoint = Checkpoint::read(&settings.dir).map_err(unusable)?;
        let mut checkpoint = checkpoint.unwrap_or_else(|| Checkpoint::new(vec![0; PARTITIONS as usize]));
        if checkpoint.drained.len() != PARTITIONS as usize {
            return Err(unusable(io::Error::other("it is of a spool with other partitions")));
        }
        let gate = recover(&journal, &mut checkpoint)?;
        if gate.records() > 0 {
            tracing::info!(records = gate.records(), bytes = gate.bytes, "the spool holds records for Kafka");
        }
        let spool = Spool {
            dir: settings.dir.clone(),
            journal,
            engaged: AtomicBool::new(gate.is_engaged()),
            gate: Mutex::new(gate),
            after: settings.after,
            bytes_max: settings.bytes_max,
            spooled: AtomicU64::new(0),
            drained: AtomicU64::new(0),
        };
        Ok((spool, checkpoint))
    }

    /// Makes sure that a spool that is not wanted any more holds nothing that was acknowledged.
    pub(super) fn check_empty(dir: &Path) -> Result<(), SpoolError> {
        if !dir.join("log").is_dir() {
            return Ok(());
        }
        let settings = SpoolSettings { dir: dir.to_owned(), ..SpoolSettings::default() };
        let records = Spool::open(&settings)?.0.gate.lock().records();
        if records > 0 { Err(SpoolError::LeftBehind { dir: dir.to_owned(), records }) } else { Ok(()) }
    }

    /// Whether some records have to go to the spool.
    pub(super) fn is_engaged(&self) -> bool {
        self.engaged.load(Ordering::Acquire)
    }

    /// Whether records can be taken at present.
    pub(super) fn has_room(&self) -> bool {
        self.journal.failure().is_none() && self.gate.lock().bytes < self.bytes_max
    }

    /// Begins the part of a request that may go to the spool.
    pub(super) fn intake(&self, received_at_us: i64) -> Intake<'_> {
        Intake {
            spool: self,
            gate: self.gate.lock(),
            batch: journal::Batch::new(received_at_us),
            pushed: Vec::new(),
            received_at_us,
            stored: Vec::new(),
        }
    }

    /// From now on everything goes to the spool, until the drain finds that Kafka is well.
    pub(super) fn shut(&self, why: &str) {
        let mut gate = self.gate.lock();
        self.shut_gate(&mut gate, why);
    }

    /// The records that the old producer held will be handed to the new one again.
    pub(super) fn rewind(&self) {
        let mut gate = self.gate.lock();
        gate.rewind();
        self.settle(&gate);
    }

    pub(super) fn stats(&self, now_us: i64) -> SpoolStats {
        let gate = self.gate.lock();
        SpoolStats {
            records: gate.records(),
            bytes: gate.bytes,
            oldest_seconds: gate.oldest_us().map_or(0.0, |at_us| (now_us - at_us).max(0) as f64 / 1e6),
            spooled: self.spooled.load(Ordering::Relaxed),
            drained: self.drained.load(Ordering::Relaxed),
            spooling: gate
                .shut
                .clone()
                .or_else(|| gate.is_engaged().then(|| "Kafka is back, what was spooled goes first".to_owned())),
            failure: self.journal.failure(),
        }
    }

    fn shut_gate(&self, gate: &mut Gate, why: &str) {
        if gate.shut.is_none() {
            // A drain that was interrupted is no news.
            if gate.records() == 0 {
                tracing::warn!(why, "spooling begins: requests are acknowledged once they are on local disk");
            }
            gate.shut = Some(why.to_owned());
            self.settle(gate);
        }
    }

    fn settle(&self, gate: &Gate) {
        self.engaged.store(gate.is_engaged(), Ordering::Release);
    }
}

impl Intake<'_> {
    /// Whether a record with this key has to go to the spool.
    pub(super) fn holds(&self, key: &[u8]) -> bool {
        self.gate.holds(event::partition(key, PARTITIONS))
    }

    /// From this record on, everything goes to the spool.
    pub(super) fn shut(&mut self, why: &str) {
        self.spool.shut_gate(&mut self.gate, why);
    }

    pub(super) fn push(&mut self, topic: &str, key: &[u8], value: &[u8]) {
        let partition = event::partition(key, PARTITIONS);
        entry::write(topic, value, &mut self.stored);
        self.batch.push(partition, key, &self.stored);
        self.pushed.push((partition, stored_bytes(key, &self.stored)));
    }

    /// Gives what was pushed to the journal, all or nothing.
    pub(super) fn submit(mut self) -> Result<Option<Append>, Code> {
        if self.pushed.is_empty() {
            return Ok(None);
        }
        let bytes: u64 = self.pushed.iter().map(|(_, bytes)| bytes).sum();
        if self.gate.bytes + bytes > self.spool.bytes_max {
            return Err(Code::Overloaded);
        }
        let append = self.spool.journal.append(self.batch);
        if !append.is_refused() {
            for &(partition, bytes) in &self.pushed {
                self.gate.submitted(partition, bytes, self.received_at_us);
            }
            self.spool.spooled.fetch_add(self.pushed.len() as u64, Ordering::Relaxed);
            self.spool.settle(&self.gate);
        }
        Ok(Some(append))
    }
}

fn stored_bytes(key: &[u8], stored: &[u8]) -> u64 {
    (key.len() + stored.len() + RECORD_OVERHEAD_BYTES) as u64
}

/// What an earlier process acknowledged and did not bring to Kafka.
fn recover(journal: &Journal, checkpoint: &mut Checkpoint) -> Result<Gate, ReadError> {
    let mut gate = Gate::default();
    for (partition, drained) in (0..).zip(&mut checkpoint.drained) {
        // Truncated only below what a checkpoint had covered, so the later of the two counts.
        *drained = (*drained).max(journal.start_offset(partition));
        let mut lane = Lane { submitted: *drained, handed: *drained, drained: *drained, oldest_us: 0 };
        while lane.submitted < journal.end_offset(partition) {
            let records = journal.read(partition, lane.submitted, READ_BYTES)?;
            for record in records.iter() {
                if lane.records() == 0 {
                    lane.oldest_us = record.timestamp_us;
                }
                lane.submitted = record.offset + 1;
                gate.bytes += stored_bytes(record.key, record.value);
            }
        }
        gate.lanes.push(lane);
    }
    Ok(gate)
}
