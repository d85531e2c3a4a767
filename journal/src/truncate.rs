//! Drops records from the front and gives the space back.
//!
//! Promises: `start_offset` never goes back and survives a restart; the work is bounded: whole tables are unlinked, no
//! record is rewritten and no tombstone is left behind.
//!
//! What stays on disk of a partition that is truncated to its end is at most its memtable, its newest table and the
//! store's own journals (three of 64 MB).

use crate::entry;
use crate::metadata::Metadata;
use crate::open::Journal;
use crate::partition::Partition;
use fjall::{AbstractTree, PersistMode};

/// Why records could not be dropped.
#[derive(Debug, thiserror::Error)]
pub enum TruncateError {
    /// The partition does not exist.
    #[error("partition {partition} does not exist: the journal has {partitions}")]
    NoPartition { partition: u32, partitions: u32 },
    /// Only records that exist can be dropped.
    #[error("cannot truncate partition {partition} below {offset}: its end is {end}")]
    BeyondEnd { partition: u32, offset: u64, end: u64 },
    /// The store refused.
    #[error("partition {partition} cannot be truncated: {source}")]
    Store { partition: u32, source: fjall::Error },
}

impl Journal {
    /// Lets go of the records below `offset`: they cannot be read any more, and their space comes back in units of a
    /// table. An `offset` below the start changes nothing. Blocking.
    ///
    /// # Errors
    /// `BeyondEnd` where `offset` is above the end; else the store's errors.
    pub fn truncate_below(&self, partition: u32, offset: u64) -> Result<(), TruncateError> {
        let partitions = self.partitions();
        if partition >= partitions {
            return Err(TruncateError::NoPartition { partition, partitions });
        }
        let log = self.partition(partition);
        let end = log.end();
        if offset > end {
            return Err(TruncateError::BeyondEnd { partition, offset, end });
        }
        // Held to the end: truncations are rare, and two must not write their starts in the wrong order.
        let metadata = self.metadata().lock();
        if offset <= log.start() {
            return Ok(());
        }
        metadata
            .write_start(partition, offset)
            .and_then(|()| {
                log.start_moved(offset);
                self.drop_tables(log, &metadata, offset)
            })
            .map_err(|source| TruncateError::Store { partition, source })
    }

    fn drop_tables(&self, log: &Partition, metadata: &Metadata, offset: u64) -> fjall::Result<()> {
        let Some(bound) = droppable(log, offset) else {
            return Ok(());
        };
        // The start must be on disk before its entries go: with neither, a restart would count from 0 again.
        self.database().persist(PersistMode::SyncData)?;
        log.keyspace.tree.drop_range(..bound)?;
        metadata.release_tables()
    }

    /// Bytes that the journal takes on disk, with up to 64 MiB that are reserved but not written yet.
    ///
    /// # Errors
    /// Where the store cannot tell.
    pub fn disk_bytes(&self) -> Result<u64, fjall::Error> {
        self.database().disk_space()
    }
}

/// The key below which tables can be dropped; `None` where no table lies wholly below it.
///
/// The newest table always stays. The store deletes one of its journals when every keyspace has tables at least as new
/// as that journal, so a keyspace whose newest table were gone, and that gets no more writes, would keep all journals.
fn droppable(log: &Partition, offset: u64) -> Option<Vec<u8>> {
    let version = log.keyspace.tree.current_version();
    let newest = version.iter_tables().max_by_key(|table| table.get_highest_seqno())?;
    let bound = entry::key(offset).to_vec().min(newest.metadata.key_range.min().to_vec());
    version.iter_tables().any(|table| **table.metadata.key_range.max() < *bound).then_some(bound)
}
