//! Drops records from the front and gives the space back.
//!
//! Promises: `start_offset` never goes back and survives a restart; the work is bounded: whole tables are unlinked, no
//! record is rewritten and no tombstone is left behind.

use crate::entry;
use crate::open::Journal;
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
    /// Lets go of the records below `offset`: they cannot be read any more, and their space is given back in units of
    /// about one write buffer. Going back is not possible and is ignored. Blocking.
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
        let store = |source| TruncateError::Store { partition, source };
        metadata.write_start(partition, offset).map_err(store)?;
        log.start_moved(offset);
        self.database().persist(PersistMode::SyncData).map_err(store)?;
        log.keyspace.tree.drop_range(..entry::key(offset)).map_err(|source| store(source.into()))
    }

    /// Bytes that the journal takes on disk.
    ///
    /// # Errors
    /// Where the store cannot tell.
    pub fn disk_bytes(&self) -> Result<u64, fjall::Error> {
        self.database().disk_space()
    }
}
