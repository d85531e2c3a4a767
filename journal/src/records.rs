//! What a read returned: owned entries, iterated as borrowed records.

use crate::entry::Entry;
use fjall::UserValue;

/// One record, borrowed from the `Records` it came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record<'a> {
    pub offset: u64,
    /// Microseconds since 1970 UTC; the same for all records of one request.
    pub timestamp_us: i64,
    pub key: &'a [u8],
    pub value: &'a [u8],
}

/// Contiguous records of one partition.
#[derive(Clone, Debug)]
pub struct Records {
    from: u64,
    end: u64,
    next: u64,
    entries: Vec<(u64, UserValue)>,
}

impl Records {
    pub(crate) fn empty(from: u64, end: u64) -> Self {
        Self { from, end, next: from, entries: Vec::new() }
    }

    /// Takes an entry that was checked and that begins where the one before it ended.
    pub(crate) fn push(&mut self, offset: u64, value: UserValue) {
        let count = Entry::trust(&value).map_or(0, |entry| entry.count);
        self.next = offset + u64::from(count);
        self.entries.push((offset, value));
    }

    /// Every record from the offset that was asked for, in order.
    pub fn iter(&self) -> impl Iterator<Item = Record<'_>> {
        let entries = self.entries.iter().flat_map(|(base, value)| {
            let entry = Entry::trust(value).expect("read checks every entry before it is pushed");
            entry.records().zip(*base..).map(move |((key, value), offset)| Record {
                offset,
                timestamp_us: entry.timestamp_us,
                key,
                value,
            })
        });
        entries.skip((self.from - self.entries.first().map_or(self.from, |(base, _)| *base)) as usize)
    }

    /// Where the next read goes on.
    #[must_use]
    pub fn next_offset(&self) -> u64 {
        self.next
    }

    /// The end of the log when these were read.
    #[must_use]
    pub fn end_offset(&self) -> u64 {
        self.end
    }

    /// Number of records.
    #[must_use]
    pub fn len(&self) -> usize {
        (self.next - self.from) as usize
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.next == self.from
    }

    /// Bytes of the entries held, whole entries counted.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.entries.iter().map(|(_, value)| value.len()).sum()
    }
}
