//! A run of one partition's records, in log order, in one allocation.
//!
//! Responsible for holding records on their way from a source to a file without an allocation for each of them. The
//! log bytes of records, which are key and value, are the unit in which files are cut. A record's headers come along for
//! the case that it becomes a dead letter. Promises: what a chunk takes of memory is counted for as long
//! as it lives, wherever it is.

use std::ops::Range;

use crate::budget::{Budget, Held, Holder};

/// One record as it lies in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record<'a> {
    /// Position in the partition.
    pub offset: u64,
    /// The log's timestamp, in microseconds since 1970 UTC.
    pub timestamp_us: i64,
    /// The user key.
    pub key: Option<&'a [u8]>,
    /// The encoded event.
    pub value: Option<&'a [u8]>,
}

impl Record<'_> {
    /// Bytes of key and value.
    pub fn log_bytes(&self) -> usize {
        self.key.map_or(0, <[u8]>::len) + self.value.map_or(0, <[u8]>::len)
    }
}

/// Records of one partition; see the module.
#[derive(Debug, Default)]
pub struct Chunk {
    /// Counts the seeks of the partition; a task ignores chunks that were read before its last one.
    pub generation: u32,
    arena: Vec<u8>,
    index: Vec<Entry>,
    /// By position; hardly ever there.
    headers: Vec<HeaderEntry>,
    /// Bytes of the arena that are headers.
    header_bytes: usize,
    /// What is counted of it, if somebody counts.
    held: Option<Held>,
}

/// Where a record lies in the arena: the key, then the value.
#[derive(Clone, Copy, Debug)]
struct Entry {
    offset: u64,
    timestamp_us: i64,
    start: u32,
    key_bytes: u32,
    value_bytes: u32,
}

/// Where a header lies in the arena: its name, then its value.
#[derive(Clone, Copy, Debug)]
struct HeaderEntry {
    /// Of its record.
    position: u32,
    start: u32,
    name_bytes: u32,
    value_bytes: u32,
}

/// Length that stands for an absent key or value.
const ABSENT: u32 = u32::MAX;

impl Chunk {
    /// An empty chunk.
    pub fn new(generation: u32) -> Chunk {
        Chunk { generation, ..Chunk::default() }
    }

    /// An empty chunk that is counted.
    pub(crate) fn counted(generation: u32, budget: &Budget) -> Chunk {
        Chunk { generation, held: Some(budget.hold(Holder::Records)), ..Chunk::default() }
    }

    /// Makes room for as many records as another chunk took: a partition's chunks are much alike.
    pub(crate) fn reserve(&mut self, room: Room) {
        self.arena.reserve(room.log_bytes);
        self.index.reserve(room.records);
        self.count();
    }

    /// The room that the records take.
    pub(crate) fn room(&self) -> Room {
        Room { log_bytes: self.arena.len(), records: self.index.len() }
    }

    /// Gives back the room that no record has taken, if it is much.
    pub(crate) fn trim(&mut self) {
        if self.memory_bytes() / 2 > memory_bytes(self.arena.len(), self.index.len()) {
            self.arena.shrink_to_fit();
            self.index.shrink_to_fit();
            self.count();
        }
    }

    fn memory_bytes(&self) -> usize {
        let headers = self.headers.capacity() * size_of::<HeaderEntry>();
        memory_bytes(self.arena.capacity(), self.index.capacity()) + headers
    }

    fn count(&mut self) {
        let bytes = self.memory_bytes();
        if let Some(held) = &mut self.held {
            held.set(bytes);
        }
    }

    /// Copies a record to the end of the chunk.
    pub fn push(&mut self, record: Record<'_>) {
        let start = self.start();
        let (key_bytes, value_bytes) = (self.append(record.key), self.append(record.value));
        let Record { offset, timestamp_us, .. } = record;
        self.index.push(Entry { offset, timestamp_us, start, key_bytes, value_bytes });
        self.count();
    }

    /// Adds a header to the last record.
    pub fn push_header(&mut self, name: &str, value: Option<&[u8]>) {
        let Some(position) = self.len().checked_sub(1) else { return };
        let start = self.start();
        let (name_bytes, value_bytes) = (self.append(Some(name.as_bytes())), self.append(value));
        self.header_bytes += self.arena.len() - start as usize;
        self.headers.push(HeaderEntry { position, start, name_bytes, value_bytes });
        self.count();
    }

    fn start(&self) -> u32 {
        u32::try_from(self.arena.len()).expect("sources hand chunks over long before 4 GiB")
    }

    fn append(&mut self, bytes: Option<&[u8]>) -> u32 {
        let Some(bytes) = bytes else { return ABSENT };
        self.arena.extend_from_slice(bytes);
        u32::try_from(bytes.len()).expect("a log limits a record to less than 4 GiB")
    }

    fn slice(&self, start: usize, bytes: u32) -> Option<&[u8]> {
        (bytes != ABSENT).then(|| &self.arena[start..start + bytes as usize])
    }

    /// The record at a position.
    pub fn record(&self, position: u32) -> Record<'_> {
        let entry = &self.index[position as usize];
        let key_start = entry.start as usize;
        let value_start = key_start + present(entry.key_bytes);
        Record {
            offset: entry.offset,
            timestamp_us: entry.timestamp_us,
            key: self.slice(key_start, entry.key_bytes),
            value: self.slice(value_start, entry.value_bytes),
        }
    }

    /// Names and values of the headers of the record at a position, in their order.
    pub(crate) fn headers(&self, position: u32) -> impl Iterator<Item = (&str, Option<&[u8]>)> {
        self.headers[self.headers_of(&(position..position + 1))].iter().map(|entry| {
            let start = entry.start as usize;
            let name = self.slice(start, entry.name_bytes).unwrap_or_default();
            let name = str::from_utf8(name).expect("it came as text");
            (name, self.slice(start + name.len(), entry.value_bytes))
        })
    }

    /// What the headers of some records take of memory.
    pub(crate) fn headers_memory_bytes(&self, records: &Range<u32>) -> usize {
        let of = &self.headers[self.headers_of(records)];
        of.iter().map(|of| size_of::<HeaderEntry>() + present(of.name_bytes) + present(of.value_bytes)).sum()
    }

    fn headers_of(&self, records: &Range<u32>) -> Range<usize> {
        let before = |position: u32| self.headers.partition_point(|entry| entry.position < position);
        before(records.start)..before(records.end)
    }

    /// Offset, timestamp and log bytes of the record at a position: all that a roll looks at.
    pub(crate) fn head(&self, position: u32) -> (u64, i64, usize) {
        let entry = &self.index[position as usize];
        (entry.offset, entry.timestamp_us, present(entry.key_bytes) + present(entry.value_bytes))
    }

    /// Number of records.
    pub fn len(&self) -> u32 {
        u32::try_from(self.index.len()).expect("fewer records than arena bytes")
    }

    /// Is there no record?
    pub fn is_empty(&self) -> bool {
        self.index.is_empty()
    }

    /// Bytes of all keys and values.
    pub fn log_bytes(&self) -> usize {
        self.arena.len() - self.header_bytes
    }

    /// Bytes of all keys, values and headers.
    pub(crate) fn bytes(&self) -> usize {
        self.arena.len()
    }
}

/// What records take of memory, beside their chunk's own struct.
pub(crate) fn memory_bytes(log_bytes: usize, records: usize) -> usize {
    log_bytes + records * size_of::<Entry>() + CHUNK_STRUCT_BYTES
}

/// A chunk, and what the allocator and the buffer take for it.
const CHUNK_STRUCT_BYTES: usize = 256;

/// Room in a chunk.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Room {
    log_bytes: usize,
    records: usize,
}

fn present(bytes: u32) -> usize {
    if bytes == ABSENT { 0 } else { bytes as usize }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chunk_gives_back_what_was_pushed() {
        let records = [
            Record { offset: 5, timestamp_us: 1, key: Some(b"u1"), value: Some(b"one") },
            Record { offset: 6, timestamp_us: -2, key: None, value: Some(b"") },
            Record { offset: 9, timestamp_us: 3, key: Some(b""), value: None },
        ];
        let mut chunk = Chunk::new(4);
        records.iter().for_each(|record| chunk.push(*record));
        let back: Vec<_> = (0..chunk.len()).map(|position| chunk.record(position)).collect();
        assert_eq!((back.as_slice(), chunk.log_bytes()), (records.as_slice(), 5));
        assert_eq!(chunk.head(0), (5, 1, 5));
    }

    #[test]
    fn headers_are_their_records_and_no_log_bytes() {
        let record = |offset| Record { offset, timestamp_us: 1, key: Some(b"u1"), value: Some(b"one") };
        let mut chunk = Chunk::new(0);
        for offset in 0..4 {
            chunk.push(record(offset));
            if offset % 2 == 1 {
                chunk.push_header("trace", Some(b"\xff"));
                chunk.push_header("trace", None);
            }
        }
        for position in 0..4 {
            assert_eq!(chunk.record(position), record(position.into()));
            let headers: Vec<_> = chunk.headers(position).collect();
            let expected = [("trace", Some(&b"\xff"[..])), ("trace", None)];
            assert_eq!(headers, if position % 2 == 1 { &expected[..] } else { &[] });
        }
        assert_eq!((chunk.log_bytes(), chunk.bytes()), (20, 42));
        assert_eq!(chunk.headers_memory_bytes(&(0..2)), 11 + 2 * size_of::<HeaderEntry>());
        assert_eq!(chunk.headers_memory_bytes(&(2..3)), 0);
    }
}
