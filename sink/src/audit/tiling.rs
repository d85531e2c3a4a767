//! Do the files of a chain tile the log?
//!
//! A pure function of their offsets: what the chain's readers and writers rely on, without any store.

/// Walks a chain's files by ascending start offset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tiling {
    /// Where the next file has to start; unknown behind a file whose footer cannot be read.
    next: Option<u64>,
}

/// How a file lies in its chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Placed {
    /// It goes on where the file before it ends.
    InChain,
    /// The offsets from here to its start are missing; the chain goes on with it.
    AfterGap(u64),
    /// The chain has already come to this offset behind its start: it belongs to no chain.
    Overlaps(u64),
}

impl Tiling {
    /// Nothing has been seen; a chain begins at offset 0.
    pub fn begin() -> Tiling {
        Tiling { next: Some(0) }
    }

    /// Takes the file with the next larger start; `next` is unknown if its footer cannot be read.
    pub fn place(&mut self, start: u64, next: Option<u64>) -> Placed {
        let placed = match self.next {
            Some(expected) if start < expected => return Placed::Overlaps(expected),
            Some(expected) if start > expected => Placed::AfterGap(expected),
            _ => Placed::InChain,
        };
        self.next = next;
        placed
    }

    /// Where the chain ends, if that is known.
    pub fn next(&self) -> Option<u64> {
        self.next
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(files: &[(u64, Option<u64>)], expected: &[Placed], end: Option<u64>) {
        let mut tiling = Tiling::begin();
        let placed: Vec<_> = files.iter().map(|(start, next)| tiling.place(*start, *next)).collect();
        assert_eq!((placed.as_slice(), tiling.next()), (expected, end));
    }

    #[test]
    fn gaps_and_overlaps_are_seen_and_the_chain_goes_on_behind_them() {
        use Placed::{AfterGap, InChain, Overlaps};
        check(&[], &[], Some(0));
        check(&[(0, Some(5)), (5, Some(9))], &[InChain, InChain], Some(9));
        check(&[(3, Some(5))], &[AfterGap(0)], Some(5));
        check(&[(0, Some(5)), (6, Some(9))], &[InChain, AfterGap(5)], Some(9));
        check(&[(0, Some(5)), (3, Some(9)), (5, Some(7))], &[InChain, Overlaps(5), InChain], Some(7));
        check(&[(0, None), (7, Some(9))], &[InChain, InChain], Some(9));
        check(&[(0, Some(5)), (5, None)], &[InChain, InChain], None);
    }
}
