//! Start and end offsets from what is on disk.
//!
//! Promises: the end is where the last entry ends, or the start where none is left, so offsets are never used twice.
//! The store discards a torn write batch at its journal's tail before this runs.

use crate::entry::{self, Entry};
use crate::metadata::Metadata;
use crate::open::{OpenError, Options};
use crate::partition::Partition;
use fjall::config::{BlockSizePolicy, FilterPolicy};
use fjall::{Database, Keyspace, KeyspaceCreateOptions};
use std::path::Path;

pub(crate) fn partitions(
    dir: &Path,
    database: &Database,
    metadata: &Metadata,
    options: &Options,
) -> Result<Vec<Partition>, OpenError> {
    let store = |source| OpenError::store(dir, source);
    let open = |partition| {
        let keyspace = keyspace(database, options, partition).map_err(store)?;
        let start = metadata.start(partition).map_err(store)?;
        let end = end(&keyspace).map_err(store)?.ok_or(OpenError::Damaged { partition })?;
        Ok(Partition::new(keyspace, start, end.max(start)))
    };
    (0..options.partitions).map(open).collect()
}

/// Opens, or creates, the keyspace that holds a partition's entries.
pub(crate) fn keyspace(database: &Database, options: &Options, partition: u32) -> fjall::Result<Keyspace> {
    database.keyspace(&format!("partition-{partition:05}"), || {
        KeyspaceCreateOptions::default()
            .max_memtable_size(options.memtable_bytes())
            // Reads are scans: larger blocks read faster, and a filter would only cost.
            .data_block_size_policy(BlockSizePolicy::all(16 * 1024))
            .filter_policy(FilterPolicy::disabled())
    })
}

/// Where the last entry ends, 0 where there is none. `None`: what is there is no entry.
fn end(keyspace: &Keyspace) -> fjall::Result<Option<u64>> {
    let Some(last) = keyspace.range(entry::key(0)..).next_back() else {
        return Ok(Some(0));
    };
    let (key, value) = last.into_inner()?;
    Ok((|| Some(entry::offset(&key)? + u64::from(Entry::check(&value)?.count)))())
}
