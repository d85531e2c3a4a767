//! The records of the open file.
//!
//! Responsible for gathering a partition's chunks until the file is cut, without copying a byte: a chunk that holds the
//! cut is shared by both files. Promises: the records it takes are exactly those from its start offset on, in log order,
//! each once (what a seek brings again is skipped).

use std::{collections::HashMap, ops::Range, sync::Arc};

use crate::{
    budget::Held,
    roll::{CutReason, Extent, RollPolicy},
    source::chunk::{Chunk, Record, memory_bytes},
};

/// Some consecutive records of a chunk.
#[derive(Clone, Debug)]
pub struct Part {
    chunk: Arc<Chunk>,
    range: Range<u32>,
}

impl Part {
    /// All records of a chunk.
    pub fn whole(chunk: Chunk) -> Part {
        let range = 0..chunk.len();
        Part { chunk: Arc::new(chunk), range }
    }
}

impl Part {
    /// Offset after its last record; there is one.
    pub(crate) fn next(&self) -> u64 {
        self.chunk.head(self.range.end - 1).0 + 1
    }
}

/// Names a record of a buffer; larger means later in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    part: u32,
    position: u32,
}

/// The records of one file; see the module.
#[derive(Clone, Debug)]
pub struct Buffer {
    parts: Vec<Part>,
    extent: Extent,
    /// What the records' headers take of memory.
    headers_bytes: usize,
    /// Records that others wrote, in our form. Hardly ever there.
    resolved: Option<Arc<Resolved>>,
}

/// Records of other schemas in our form, each under the place of the one that it stands for.
#[derive(Debug)]
pub(crate) struct Resolved {
    chunk: Chunk,
    positions: HashMap<Place, u32>,
    held: Option<Held>,
}

impl Resolved {
    /// None yet.
    pub(crate) fn new(held: Option<Held>) -> Resolved {
        Resolved { chunk: Chunk::new(0), positions: HashMap::new(), held }
    }

    pub(crate) fn push(&mut self, place: Place, record: Record<'_>) {
        self.positions.insert(place, self.chunk.len());
        self.chunk.push(record);
        if let Some(held) = &mut self.held {
            held.set(memory_bytes(self.chunk.log_bytes(), self.positions.len()));
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.positions.len()
    }

    fn record(&self, place: Place) -> Option<Record<'_>> {
        self.positions.get(&place).map(|position| self.chunk.record(*position))
    }
}

impl Buffer {
    /// An empty buffer for the file that starts where the chain ends.
    pub fn new(start: u64, running_max_us: i64) -> Buffer {
        Buffer { parts: Vec::new(), extent: Extent::empty(start, running_max_us), headers_bytes: 0, resolved: None }
    }

    /// Takes records up to the cut, if the policy finds one; then also returns what comes after it.
    pub fn push(&mut self, part: Part, policy: &RollPolicy) -> Option<(CutReason, Option<Part>)> {
        let Part { chunk, range } = part;
        let mut taken = range.start..range.start;
        let mut cut = None;
        for position in range.clone() {
            let (offset, timestamp_us, log_bytes) = chunk.head(position);
            if offset < self.extent.next {
                // Brought again by a seek. Such records come first, so that nothing has been taken yet.
                taken = position + 1..position + 1;
                continue;
            }
            cut = policy.cut_before(&self.extent, timestamp_us);
            if cut.is_none() {
                self.extent.add(offset, timestamp_us, log_bytes);
                taken.end = position + 1;
                cut = policy.cut_after(&self.extent);
            }
            if cut.is_some() {
                break;
            }
        }
        let rest = taken.end..range.end;
        if !taken.is_empty() {
            self.headers_bytes += chunk.headers_memory_bytes(&taken);
            self.parts.push(Part { chunk: Arc::clone(&chunk), range: taken });
        }
        cut.map(|reason| (reason, (!rest.is_empty()).then_some(Part { chunk, range: rest })))
    }

    /// The buffer's records as numbers.
    pub fn extent(&self) -> &Extent {
        &self.extent
    }

    /// What the records take of memory.
    pub(crate) fn memory_bytes(&self) -> usize {
        memory_bytes(self.extent.log_bytes, self.extent.records) + self.headers_bytes
    }

    /// Is there no record?
    pub fn is_empty(&self) -> bool {
        self.extent.records == 0
    }

    /// The record at a place, in our form if another schema's has been brought into it.
    pub fn record(&self, place: Place) -> Record<'_> {
        self.resolved(place).unwrap_or_else(|| self.parts[place.part as usize].chunk.record(place.position))
    }

    /// Names and values of the headers of the record at a place.
    pub(crate) fn headers(&self, place: Place) -> impl Iterator<Item = (&str, Option<&[u8]>)> {
        self.parts[place.part as usize].chunk.headers(place.position)
    }

    /// All records in log order.
    pub fn iter(&self) -> impl Iterator<Item = (Place, Record<'_>)> {
        (0..).zip(&self.parts).flat_map(move |(part, records)| {
            records.range.clone().map(move |position| {
                let place = Place { part, position };
                (place, self.resolved(place).unwrap_or_else(|| records.chunk.record(position)))
            })
        })
    }

    /// From here on these records stand for those at their places.
    pub(crate) fn set_resolved(&mut self, resolved: Resolved) {
        self.resolved = (resolved.len() > 0).then(|| Arc::new(resolved));
    }

    fn resolved(&self, place: Place) -> Option<Record<'_>> {
        self.resolved.as_ref().and_then(|resolved| resolved.record(place))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn chunk(offsets: Range<u64>) -> Part {
        let mut chunk = Chunk::new(0);
        for offset in offsets {
            chunk.push(Record { offset, timestamp_us: 0, key: Some(b"k"), value: Some(b"v") });
        }
        Part::whole(chunk)
    }

    fn offsets(buffer: &Buffer) -> Vec<u64> {
        buffer.iter().map(|(_, record)| record.offset).collect()
    }

    #[test]
    fn a_cut_inside_a_chunk_loses_and_doubles_nothing() {
        let policy = RollPolicy { interval: Duration::from_secs(1), bytes_max: usize::MAX, rows_max: 5 };
        let mut first = Buffer::new(0, i64::MIN);
        assert!(first.push(chunk(0..3), &policy).is_none());
        let (reason, rest) = first.push(chunk(3..9), &policy).expect("five rows are reached");
        assert_eq!((reason, offsets(&first)), (CutReason::Rows, vec![0, 1, 2, 3, 4]));
        let mut second = Buffer::new(first.extent().next, first.extent().running_max_us);
        assert!(second.push(rest.expect("four are left"), &policy).is_none());
        assert_eq!(offsets(&second), [5, 6, 7, 8]);
    }

    #[test]
    fn what_a_seek_brings_again_is_skipped() {
        let policy = RollPolicy { interval: Duration::from_secs(1), bytes_max: usize::MAX, rows_max: 100 };
        let mut buffer = Buffer::new(4, i64::MIN);
        buffer.push(chunk(2..6), &policy);
        buffer.push(chunk(2..4), &policy);
        buffer.push(chunk(5..8), &policy);
        assert_eq!((offsets(&buffer), buffer.extent().records), (vec![4, 5, 6, 7], 4));
    }
}
