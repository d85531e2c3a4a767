//! The bytes of one entry: one request's records of one partition.
//!
//! Layout, little endian: `count u32`, `timestamp_us i64`, then for each record `key length u32`, `key`,
//! `value length u32`, `value`. The entry's key in the store is its base offset, big endian, so that byte order is
//! offset order. Checksums are the store's: xxh3 over each write batch in its journal and over each block of its tables.

/// Bytes before the first record.
pub(crate) const HEADER_BYTES: usize = 12;
/// Bytes that a record needs besides its key and its value.
pub(crate) const RECORD_OVERHEAD_BYTES: usize = 8;

/// Starts an entry in an empty buffer; `finish` fills the count in.
pub(crate) fn begin(timestamp_us: i64, out: &mut Vec<u8>) {
    out.extend_from_slice(&[0; 4]);
    out.extend_from_slice(&timestamp_us.to_le_bytes());
}

/// Appends one record. The caller has checked that both lengths fit in 32 bits.
pub(crate) fn push(key: &[u8], value: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(&(key.len() as u32).to_le_bytes());
    out.extend_from_slice(key);
    out.extend_from_slice(&(value.len() as u32).to_le_bytes());
    out.extend_from_slice(value);
}

pub(crate) fn finish(count: u32, out: &mut [u8]) {
    out[..4].copy_from_slice(&count.to_le_bytes());
}

/// A checked view of an entry: every length was verified, so iterating cannot fail.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Entry<'a> {
    pub(crate) count: u32,
    pub(crate) timestamp_us: i64,
    body: &'a [u8],
}

impl<'a> Entry<'a> {
    /// `None` where the bytes are not exactly one entry.
    pub(crate) fn check(bytes: &'a [u8]) -> Option<Self> {
        let entry = Self::trust(bytes)?;
        let mut rest = entry.body;
        for _ in 0..entry.count {
            take(&mut rest)?;
            take(&mut rest)?;
        }
        (rest.is_empty() && entry.count > 0).then_some(entry)
    }

    /// Reads the header only; for bytes that `check` has already seen.
    pub(crate) fn trust(bytes: &'a [u8]) -> Option<Self> {
        let (count, rest) = bytes.split_first_chunk::<4>()?;
        let (timestamp_us, body) = rest.split_first_chunk::<8>()?;
        Some(Self { count: u32::from_le_bytes(*count), timestamp_us: i64::from_le_bytes(*timestamp_us), body })
    }

    /// Key and value of every record, in order.
    pub(crate) fn records(self) -> Fields<'a> {
        Fields { rest: self.body }
    }
}

/// Iterates over the records of an entry that was checked.
#[derive(Clone, Debug)]
pub(crate) struct Fields<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for Fields<'a> {
    type Item = (&'a [u8], &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        Some((take(&mut self.rest)?, take(&mut self.rest)?))
    }
}

fn take<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let (length, after) = rest.split_first_chunk::<4>()?;
    let (field, after) = after.split_at_checked(u32::from_le_bytes(*length) as usize)?;
    *rest = after;
    Some(field)
}

/// The store's key of the entry that begins at `offset`.
pub(crate) fn key(offset: u64) -> [u8; 8] {
    offset.to_be_bytes()
}

/// `None` for keys that are not entries.
pub(crate) fn offset(key: &[u8]) -> Option<u64> {
    Some(u64::from_be_bytes(key.try_into().ok()?))
}
