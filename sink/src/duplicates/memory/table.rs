//! Ids, and for each the place of its file in the segment.
//!
//! Responsible for few bytes an id. A hash's leading bits choose a bucket of six to twelve ids on average, in which they
//! stand in no order, each by the 32 bits that follow on the first twelve. Only a table of less than 24,000 ids has so few
//! buckets that some of the first twelve bits have to be kept as well. Promises: what is [`known`] of a hash can be told
//! again, which is how tables are merged.

use std::ops::Range;

use crate::duplicates::sieve::Id;

/// See the module.
#[derive(Debug)]
pub(super) struct Table {
    bucket_bits: u32,
    /// Where each bucket begins, and the end of the last one.
    buckets: Box<[u32]>,
    /// Of each id the bits that its bucket does not tell, ...
    lows: Box<[u32]>,
    /// ... if the buckets are few, those before them, ...
    tops: Box<[u8]>,
    /// ... and the place of its file.
    places: Box<[u8]>,
}

const BUCKET_IDS: usize = 12;
/// Of nine buckets in ten.
const BUCKET_IDS_MOST: usize = 16;
/// Leading bits that do not stand in `lows`.
const TOP_BITS: u32 = 12;
/// What neither bucket nor entry tells.
const UNKNOWN_BITS: u32 = u64::BITS - TOP_BITS - u32::BITS;
/// With fewer buckets a byte in `tops` would not do.
const BUCKET_BITS_MIN: u32 = TOP_BITS - u8::BITS;

/// The bits of a hash that are kept, in their place.
pub(super) fn known(hash: u64) -> u64 {
    hash >> UNKNOWN_BITS << UNKNOWN_BITS
}

fn low(hash: u64) -> u32 {
    (hash >> UNKNOWN_BITS) as u32
}

fn top(hash: u64) -> u8 {
    (hash >> (u64::BITS - TOP_BITS)) as u8
}

fn bucket(hash: u64, bucket_bits: u32) -> usize {
    usize::try_from(hash >> (u64::BITS - bucket_bits)).expect("few bits")
}

impl Table {
    /// Of hashes and places, in any order; sorted ones are faster. They are asked for twice: to count, and to fill.
    pub(super) fn new(ids: impl Iterator<Item = (u64, u8)> + Clone) -> Table {
        let count = ids.clone().count();
        let bucket_bits = (count / BUCKET_IDS).next_power_of_two().ilog2().max(BUCKET_BITS_MIN);
        let bucket = |hash| bucket(hash, bucket_bits);
        // One further on than in the end: filling moves each begin to where the next one is.
        let mut begins = vec![0; (1 << bucket_bits) + 2];
        ids.clone().for_each(|(hash, _)| begins[bucket(hash) + 2] += 1);
        begins.iter_mut().fold(0, |before: u32, begin| {
            *begin += before;
            *begin
        });
        let keeps_tops = bucket_bits < TOP_BITS;
        let (mut lows, mut places) = (vec![0; count], vec![0; count]);
        let mut tops = vec![0; if keeps_tops { count } else { 0 }];
        ids.for_each(|(hash, place)| {
            let next = &mut begins[bucket(hash) + 1];
            let at = *next as usize;
            *next += 1;
            (lows[at], places[at]) = (low(hash), place);
            if keeps_tops {
                tops[at] = top(hash);
            }
        });
        begins.pop();
        Table { bucket_bits, buckets: begins.into(), lows: lows.into(), tops: tops.into(), places: places.into() }
    }

    /// Calls back with the row of each id that may be in, and the place of its file.
    pub(super) fn find(&self, ids: &[Id], mut found: impl FnMut(u32, usize)) {
        // All buckets first: so one miss of the cache does not wait for another.
        let buckets: Vec<Range<usize>> = ids.iter().map(|id| self.bucket(bucket(id.hash, self.bucket_bits))).collect();
        for (id, bucket) in ids.iter().zip(buckets) {
            let (low, top) = (low(id.hash), top(id.hash));
            if self.has_low(&bucket, low) {
                let is_it = |at: &usize| self.lows[*at] == low && self.tops.get(*at).is_none_or(|other| *other == top);
                bucket.filter(is_it).for_each(|at| found(id.row, usize::from(self.places[at])));
            }
        }
    }

    /// Is it in the bucket, or by chance just behind? Without a branch for each entry, as hardly any is the one.
    fn has_low(&self, bucket: &Range<usize>, low: u32) -> bool {
        match self.lows[bucket.start..].first_chunk::<BUCKET_IDS_MOST>() {
            Some(near) if bucket.len() <= near.len() => near.iter().fold(false, |any, other| any | (*other == low)),
            _ => self.lows[bucket.clone()].contains(&low),
        }
    }

    /// What is known of each hash, and its place; by bucket.
    pub(super) fn iter(&self) -> impl Iterator<Item = (u64, u8)> + Clone {
        (0..self.buckets.len() - 1).flat_map(move |bucket| {
            let of_bucket = (bucket as u64) << (u64::BITS - self.bucket_bits) >> (u64::BITS - TOP_BITS);
            self.bucket(bucket).map(move |at| {
                let top = of_bucket | self.tops.get(at).map_or(0, |top| u64::from(*top));
                (top << (u64::BITS - TOP_BITS) | u64::from(self.lows[at]) << UNKNOWN_BITS, self.places[at])
            })
        })
    }

    fn bucket(&self, bucket: usize) -> Range<usize> {
        self.buckets[bucket] as usize..self.buckets[bucket + 1] as usize
    }

    pub(super) fn ids(&self) -> usize {
        self.lows.len()
    }

    pub(super) fn bytes(&self) -> usize {
        size_of_val(&*self.buckets) + size_of_val(&*self.lows) + size_of_val(&*self.tops) + size_of_val(&*self.places)
    }
}
