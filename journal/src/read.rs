//! From an offset to owned records.
//!
//! Promises: only durable records are returned, contiguous, from exactly the offset asked for. Blocking, and cheap: a
//! seek and a scan of the entries returned.

use crate::entry::{self, Entry};
use crate::open::Journal;
use crate::partition::Partition;
use crate::records::Records;
use fjall::{KvPair, UserValue};

/// Why nothing could be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The records were truncated; `start` is the first that is left.
    #[error("records below offset {start} are gone: asked for {from} of partition {partition}")]
    Truncated { partition: u32, from: u64, start: u64 },
    /// The offset was never reached.
    #[error("offset {from} of partition {partition} is beyond the end {end}")]
    BeyondEnd { partition: u32, from: u64, end: u64 },
    /// The partition does not exist.
    #[error("partition {partition} does not exist: the journal has {partitions}")]
    NoPartition { partition: u32, partitions: u32 },
    /// What is on disk is not what was written.
    #[error("partition {partition} is damaged at offset {offset}")]
    Damaged { partition: u32, offset: u64 },
    /// The store could not read.
    #[error("partition {partition} cannot be read: {source}")]
    Store { partition: u32, source: fjall::Error },
}

impl Journal {
    /// Reads from `from` until about `bytes_max` bytes of entries, at least one entry. Empty at the end of the log.
    ///
    /// # Errors
    /// `Truncated` where `from` is below the start, `BeyondEnd` where it is above the end; else the store's errors.
    pub fn read(&self, partition: u32, from: u64, bytes_max: usize) -> Result<Records, ReadError> {
        let partitions = self.partitions();
        if partition >= partitions {
            return Err(ReadError::NoPartition { partition, partitions });
        }
        let log = self.partition(partition);
        let end = log.end();
        if from > end {
            return Err(ReadError::BeyondEnd { partition, from, end });
        }
        let result = scan(log, partition, from, end, bytes_max);
        // Looked at last: entries that a truncation removes under the scan are `Truncated`, not damage.
        let start = log.start();
        if from < start {
            return Err(ReadError::Truncated { partition, from, start });
        }
        result
    }
}

fn scan(log: &Partition, partition: u32, from: u64, end: u64, bytes_max: usize) -> Result<Records, ReadError> {
    let mut records = Records::empty(from, end);
    if from == end {
        return Ok(records);
    }
    let store = |source| ReadError::Store { partition, source };
    let mut expected = None;
    let mut bytes = 0;
    let mut add = |(key, value): KvPair| -> Result<usize, ReadError> {
        let offset = entry::offset(&key).ok_or(ReadError::Damaged { partition, offset: from })?;
        let damaged = ReadError::Damaged { partition, offset };
        let count = Entry::check(&value).ok_or(ReadError::Damaged { partition, offset })?.count;
        let contiguous = match expected {
            None => offset <= from && offset + u64::from(count) > from,
            Some(expected) => offset == expected,
        };
        if !contiguous {
            return Err(damaged);
        }
        expected = Some(offset + u64::from(count));
        bytes += value.len();
        records.push(offset, value);
        Ok(bytes)
    };
    let mut ahead = log.keyspace.range(entry::key(from)..entry::key(end));
    let first = ahead.next().map(fjall::Guard::into_inner).transpose().map_err(store)?;
    let begins_here = first.as_ref().is_some_and(|(key, _)| entry::offset(key) == Some(from));
    let mut bytes_read = 0;
    if !begins_here {
        bytes_read = add(holding(log, from).map_err(store)?.ok_or(ReadError::Damaged { partition, offset: from })?)?;
    }
    let rest = ahead.map(fjall::Guard::into_inner);
    for pair in first.map(Ok::<_, fjall::Error>).into_iter().chain(rest) {
        if bytes_read >= bytes_max && bytes_read > 0 {
            break;
        }
        bytes_read = add(pair.map_err(store)?)?;
    }
    Ok(records)
}

/// The last entry that begins at or before `offset`.
pub(crate) fn holding(log: &Partition, offset: u64) -> fjall::Result<Option<(fjall::UserKey, UserValue)>> {
    log.keyspace.range(entry::key(0)..=entry::key(offset)).next_back().map(fjall::Guard::into_inner).transpose()
}
