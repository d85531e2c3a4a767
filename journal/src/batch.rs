//! The records of one request, encoded while they are pushed.
//!
//! Promises: pushes to one partition keep their order. Leaves offsets to the committer and limits to `append`.

use crate::entry;

/// One request: records of any partitions, stored all or nothing.
#[derive(Clone, Debug)]
pub struct Batch {
    timestamp_us: i64,
    records: usize,
    pub(crate) parts: Vec<Part>,
}

/// What one request has for one partition.
#[derive(Clone, Debug)]
pub(crate) struct Part {
    pub(crate) partition: u32,
    pub(crate) count: u32,
    pub(crate) entry: Vec<u8>,
}

impl Batch {
    /// An empty batch whose records all carry `timestamp_us`, in microseconds since 1970 UTC.
    #[must_use]
    pub fn new(timestamp_us: i64) -> Self {
        Self { timestamp_us, records: 0, parts: Vec::new() }
    }

    /// Adds one record. A partition that does not exist is reported by `append`.
    pub fn push(&mut self, partition: u32, key: &[u8], value: &[u8]) {
        // A request rarely touches more than a few partitions: a scan beats a map.
        let index = self.parts.iter().position(|part| part.partition == partition).unwrap_or_else(|| {
            let record_bytes = entry::RECORD_OVERHEAD_BYTES + key.len() + value.len();
            let mut entry = Vec::with_capacity(entry::HEADER_BYTES + record_bytes);
            entry::begin(self.timestamp_us, &mut entry);
            self.parts.push(Part { partition, count: 0, entry });
            self.parts.len() - 1
        });
        let part = &mut self.parts[index];
        part.count += 1;
        self.records += 1;
        entry::push(key, value, &mut part.entry);
    }

    /// Number of records.
    #[must_use]
    pub fn len(&self) -> usize {
        self.records
    }

    /// Whether nothing was pushed. An empty batch is acknowledged without a write.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.records == 0
    }

    /// Bytes that the batch takes in the queue and on disk, before compression.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.parts.iter().map(|part| part.entry.len()).sum()
    }
}
