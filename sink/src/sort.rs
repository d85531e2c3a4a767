//! Rows by (user key, offset), stable.
//!
//! Responsible for the order of rows in a file. Promises: a user's rows stand in log order. A sort key compares as bytes
//! do, and its first sixteen bytes are kept beside the place of the record, so that few comparisons touch a record.

use std::cmp::Ordering;

use crate::buffer::{Buffer, Place};
#[cfg(test)]
use crate::simulation::{self, Bug};

/// A good record and the beginning of its user key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row {
    key_prefix: u128,
    /// Length of the key, or anything above [`PREFIX_BYTES`] where the prefix is not all of it.
    key_bytes: u32,
    /// Where the record is.
    pub place: Place,
}

const PREFIX_BYTES: usize = 16;

impl Row {
    /// A row for the record at a place.
    pub fn new(key: &[u8], place: Place) -> Row {
        let mut prefix = [0; PREFIX_BYTES];
        let bytes = key.len().min(PREFIX_BYTES);
        prefix[..bytes].copy_from_slice(&key[..bytes]);
        let key_bytes = u32::try_from(key.len()).unwrap_or(u32::MAX);
        Row { key_prefix: u128::from_be_bytes(prefix), key_bytes, place }
    }
}

/// Sorts rows that stand in log order by user key. The sort is stable, hence by (user key, offset).
pub fn by_user(rows: &mut [Row], buffer: &Buffer) {
    #[cfg(test)]
    if simulation::is_planted(Bug::SortsUnstably) {
        rows.reverse();
    }
    rows.sort_by(|left, right| left.key_prefix.cmp(&right.key_prefix).then_with(|| whole_keys(left, right, buffer)));
}

/// Keys with equal prefixes. If both are whole, the shorter one comes first: the longer one goes on with zeros. Otherwise
/// they are compared on the records.
fn whole_keys(left: &Row, right: &Row, buffer: &Buffer) -> Ordering {
    if left.key_bytes.max(right.key_bytes) as usize <= PREFIX_BYTES {
        return left.key_bytes.cmp(&right.key_bytes);
    }
    buffer.record(left.place).key.cmp(&buffer.record(right.place).key)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::{
        buffer::Part,
        roll::RollPolicy,
        source::chunk::{Chunk, Record},
    };

    #[track_caller]
    fn check(keys: &[&[u8]], expected: &[u64]) {
        let policy = RollPolicy { interval: Duration::MAX, bytes_max: usize::MAX, rows_max: usize::MAX };
        let mut chunk = Chunk::new(0);
        for (offset, key) in (0..).zip(keys) {
            chunk.push(Record { offset, timestamp_us: 0, key: Some(key), value: None });
        }
        let mut buffer = Buffer::new(0, i64::MIN);
        buffer.push(Part::whole(chunk), &policy);
        let mut rows: Vec<_> =
            buffer.iter().map(|(place, record)| Row::new(record.key.expect("set above"), place)).collect();
        by_user(&mut rows, &buffer);
        let offsets: Vec<_> = rows.iter().map(|row| buffer.record(row.place).offset).collect();
        assert_eq!(offsets, expected);
    }

    #[test]
    fn rows_sort_by_key_and_keep_the_log_order_of_a_user() {
        check(&[], &[]);
        check(&[b"b", b"a", b"b", b"a"], &[1, 3, 0, 2]);
        check(&[b"the same prefix 2", b"the same prefix 1", b"the same prefix 2"], &[1, 0, 2]);
        check(&[b"sixteen bytes...", b"sixteen bytes...\0", b"sixteen bytes..."], &[0, 2, 1]);
        check(&[b"u\0", b"u", b"u\0", b"u"], &[1, 3, 0, 2]);
        check(&[b"\xc3\xa9", b"z"], &[1, 0]);
    }

    #[test]
    fn many_rows_of_few_users_keep_their_order() {
        let keys: Vec<Vec<u8>> = (0..10_000_u32).map(|n| format!("user-{}", n % 7).into_bytes()).collect();
        let keys: Vec<&[u8]> = keys.iter().map(Vec::as_slice).collect();
        let mut expected: Vec<u64> = (0..10_000).collect();
        expected.sort_by_key(|n| (n % 7, *n));
        check(&keys, &expected);
    }
}
