//! The log between two offsets, for those who look after a lake.
//!
//! Responsible for reading records again, outside of any group and without moving anything. Promises: the records from an
//! offset on, in log order. Blocking, so that it belongs where blocking is allowed.

use std::ops::Range;

use ::journal::{Journal, ReadError};

use super::{Chunk, SourceError, journal, kafka::replay::KafkaReplay};
use crate::config::KafkaSettings;

/// A log that can be read again.
#[derive(Debug)]
pub enum Replay {
    /// A journal that no other process has open.
    Journal(Journal),
    /// A Kafka topic.
    Kafka(Box<KafkaReplay>),
}

impl Replay {
    /// Asks the broker for the topic. Blocks.
    ///
    /// # Errors
    /// When there is no broker or no topic.
    pub fn kafka(settings: &KafkaSettings, topic: &str) -> Result<Replay, SourceError> {
        Ok(Replay::Kafka(Box::new(KafkaReplay::open(settings, topic)?)))
    }

    /// Which incarnation of the log this is.
    pub fn log_id(&self) -> String {
        match self {
            Replay::Journal(journal) => journal.id().to_string(),
            Replay::Kafka(kafka) => kafka.log_id().to_owned(),
        }
    }

    /// How many partitions the log has.
    pub fn partitions(&self) -> u32 {
        match self {
            Replay::Journal(journal) => journal.partitions(),
            Replay::Kafka(kafka) => kafka.partitions(),
        }
    }

    /// The offsets that the log holds now. Blocks.
    ///
    /// # Errors
    /// When the log does not answer.
    pub fn range(&self, partition: u32) -> Result<Range<u64>, SourceError> {
        match self {
            Replay::Journal(journal) if partition >= journal.partitions() => {
                let reason = ReadError::NoPartition { partition, partitions: journal.partitions() };
                Err(SourceError::Journal { partition, reason })
            }
            Replay::Journal(journal) => Ok(journal.start_offset(partition)..journal.end_offset(partition)),
            Replay::Kafka(kafka) => kafka.range(partition),
        }
    }

    /// The next records from `from` on, below `until`, about as many as a chunk takes; none where the log ends. Blocks.
    ///
    /// # Errors
    /// When the log does not answer, or no longer holds `from`.
    pub fn chunk(&mut self, partition: u32, from: u64, until: u64) -> Result<Chunk, SourceError> {
        match self {
            Replay::Journal(journal) => {
                let end = journal.end_offset(partition).min(until);
                if from >= end {
                    return Ok(Chunk::new(0));
                }
                let read = journal::read(journal, partition, from..end, Chunk::new(0));
                read.map_err(|reason| SourceError::Journal { partition, reason })
            }
            Replay::Kafka(kafka) => kafka.chunk(partition, from, until),
        }
    }
}
