//! A packed run.
//!
//! Responsible for 32 bits an id: the hash's leading bits choose a bucket of eight ids on average, the next 24 bits stand
//! in the entry, and the file's place in the segment in its low byte.

/// See the module.
#[derive(Debug)]
pub(super) struct Table {
    bucket_bits: u32,
    /// Where each bucket begins in `entries`, and their end.
    buckets: Box<[u32]>,
    entries: Box<[u32]>,
}

const BUCKET_IDS: usize = 8;
/// Bits of a hash that stand in an entry.
const ENTRY_BITS: u32 = 24;
const FILE_BITS: u32 = 8;

impl Table {
    /// Packs a sorted run.
    pub(super) fn new(run: &[u64]) -> Table {
        let bucket_bits = (run.len() / BUCKET_IDS).max(2).next_power_of_two().ilog2();
        let mut buckets = Vec::with_capacity((1 << bucket_bits) + 1);
        let mut entries = Vec::with_capacity(run.len());
        for hash in run {
            let (bucket, entry) = split(*hash, bucket_bits);
            buckets.resize(buckets.len().max(bucket + 1), position(entries.len()));
            entries.push(entry << FILE_BITS | u32::from(hash.to_le_bytes()[0]));
        }
        buckets.resize((1 << bucket_bits) + 1, position(entries.len()));
        Table { bucket_bits, buckets: buckets.into(), entries: entries.into() }
    }

    /// Places of the files that may hold the id.
    pub(super) fn find(&self, hash: u64, mut found: impl FnMut(usize)) {
        let (bucket, wanted) = split(hash, self.bucket_bits);
        let range = self.buckets[bucket] as usize..self.buckets[bucket + 1] as usize;
        for entry in self.entries[range].iter().filter(|entry| *entry >> FILE_BITS == wanted) {
            found((entry & ((1 << FILE_BITS) - 1)) as usize);
        }
    }

    pub(super) fn bytes(&self) -> usize {
        size_of_val(&*self.buckets) + size_of_val(&*self.entries)
    }
}

/// The bucket, and what of the hash stands in the entry.
fn split(hash: u64, bucket_bits: u32) -> (usize, u32) {
    let bucket = usize::try_from(hash >> (u64::BITS - bucket_bits)).expect("few bits");
    let entry = hash << bucket_bits >> (u64::BITS - ENTRY_BITS);
    (bucket, u32::try_from(entry).expect("24 bits"))
}

fn position(entries: usize) -> u32 {
    u32::try_from(entries).expect("a segment has less than four billion ids")
}
