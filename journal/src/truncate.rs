//! Drops records from the front and gives the space back.
//!
//! Promises: `start_offset` never goes back and survives a restart; the work is bounded: whole tables are unlinked, no
//! record is rewritten and no tombstone is left behind.
//!
//! What stays on disk of a partition that is truncated to its end: its newest table, what is still on its way to a
//! table, and the store's own journals (64 MB each, up to three under load).

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
    /// table. An `offset` below the start only gives back what could not be given back before, because it was still
    /// on its way to a table. Blocking.
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
        let store = |source| TruncateError::Store { partition, source };
        if offset > log.start() {
            metadata.write_start(partition, offset).map_err(store)?;
            log.start_moved(offset);
        }
        self.drop_tables(log, partition, &metadata).map_err(store)
    }

    fn drop_tables(&self, log: &Partition, partition: u32, metadata: &Metadata) -> fjall::Result<()> {
        let start = log.start();
        let Some(bound) = droppable(log, start) else {
            return Ok(());
        };
        metadata.write_start(partition, start)?;
        // The start must be on disk before its entries go: with neither, a restart would count from 0 again.
        self.database().persist(PersistMode::SyncData)?;
        log.keyspace.tree.drop_range(..bound)?;
        // Dropped tables are unlinked when some keyspace seals a memtable, and a journal of the store when all its
        // entries are in tables. Both happen by themselves under load; here they are asked for, because a log that is
        // idle after a truncation would keep them. It costs no more than one small table for each that was dropped.
        metadata.seal()?;
        log.keyspace.rotate_memtable().map(drop)
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
