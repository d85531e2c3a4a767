//! A Bloom filter over the ids of all files in memory.
//!
//! Responsible for a quick no. All bits of an id stand in one word, so that a look costs one miss of the cache however
//! many files there are. What was forgotten stays in until the filter is made anew.

use super::table::known;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Filter {
    words: Box<[u64]>,
    /// That were added.
    ids: usize,
}

/// Bits an id in a filter that is full; of those that are not there it then lets one in 30 through.
const ID_BITS: usize = 8;
const IDS_MIN: usize = 1024;

impl Filter {
    /// Empty, with room for half as many again.
    pub(super) fn for_ids(ids: usize) -> Filter {
        let words = (ids + ids / 2).max(IDS_MIN) * ID_BITS / u64::BITS as usize;
        Filter { words: vec![0; words].into(), ids: 0 }
    }

    pub(super) fn has_room(&self, more: usize) -> bool {
        self.ids + more <= self.capacity()
    }

    /// Would a new one be much smaller?
    pub(super) fn is_too_large_for(&self, ids: usize) -> bool {
        self.capacity() > 2 * ids.max(IDS_MIN)
    }

    fn capacity(&self) -> usize {
        self.words.len() * u64::BITS as usize / ID_BITS
    }

    pub(super) fn add(&mut self, hashes: impl Iterator<Item = u64>) {
        hashes.for_each(|hash| {
            let (word, bits) = self.place(hash);
            self.words[word] |= bits;
            self.ids += 1;
        });
    }

    /// Never says no to an id that was added.
    pub(super) fn may_hold(&self, hash: u64) -> bool {
        let (word, bits) = self.place(hash);
        self.words.get(word).is_some_and(|word| word & bits == bits)
    }

    /// A word and four of its bits. The words are in the order of the hashes, so that sorted ones pass through them once.
    fn place(&self, hash: u64) -> (usize, u64) {
        let hash = known(hash);
        let word = (u128::from(hash) * self.words.len() as u128) >> u64::BITS;
        // Spreads all bits over the first ones.
        let spread = hash.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let bits = [58, 52, 46, 40].into_iter().fold(0, |bits, shift| bits | 1 << (spread >> shift & 63));
        (usize::try_from(word).expect("less than there are words"), bits)
    }

    pub(super) fn bytes(&self) -> usize {
        size_of_val(&*self.words)
    }
}
