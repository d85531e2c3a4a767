//! The journal from outside: its contract, what survives a crash, what truncation gives back, how opening fails.
//!
//! A loss of power cannot be tried here: what a kill leaves in the page cache is still there. That the fsync comes
//! before the acknowledgement is tested inside the crate, with a persist that is held back or fails.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed; its helpers are not marked as tests")]

mod contract;
mod crash;
mod opening;
mod truncation;

use journal::{Journal, Record};

/// Everything that a partition holds, read in steps of `bytes_max`.
fn read_all(journal: &Journal, partition: u32, bytes_max: usize) -> Vec<Owned> {
    let mut from = journal.start_offset(partition);
    let mut all = Vec::new();
    while from < journal.end_offset(partition) {
        let records = journal.read(partition, from, bytes_max).unwrap();
        assert_eq!(records.iter().count(), records.len());
        all.extend(records.iter().map(owned));
        from = records.next_offset();
    }
    all
}

/// Offset, timestamp, key, value.
type Owned = (u64, i64, Vec<u8>, Vec<u8>);

fn owned(record: Record<'_>) -> Owned {
    (record.offset, record.timestamp_us, record.key.to_vec(), record.value.to_vec())
}
