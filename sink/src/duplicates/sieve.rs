//! The ids of one file's records, sorted, and which of them are dropped.
//!
//! Responsible for duplicates within a file: equal hashes stand side by side after the sort, and are confirmed on the
//! records themselves, so that nobody can make two events look like one. The sorted ids are also what the memory of other
//! files is searched with, which then reads its own in order.

use crate::{buffer::Buffer, decode::decoded, sort::Row};

/// The hash of (source, event id) of a row, and the row's position in log order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Id {
    pub hash: u64,
    pub row: u32,
}

/// The records of a file that may become rows; see the module.
#[derive(Debug)]
pub(crate) struct Sieve {
    rows: Vec<Row>,
    /// By hash, then log order.
    ids: Vec<Id>,
    /// For each row; empty while none is dropped.
    dropped: Vec<bool>,
    in_file: u64,
    across_files: u64,
}

/// What stands for (source, event id) in memory.
pub(crate) fn id_hash(source: &str, event_id: &str) -> u64 {
    use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};
    xxh3_64_with_seed(event_id.as_bytes(), xxh3_64(source.as_bytes()))
}

impl Sieve {
    /// Rows in log order with their hashes; of equal ids the first stays.
    pub(crate) fn new(rows: Vec<Row>, hashes: &[u64], buffer: &Buffer) -> Sieve {
        let mut ids: Vec<Id> = (0..).zip(hashes).map(|(row, hash)| Id { hash: *hash, row }).collect();
        ids.sort_unstable();
        let mut sieve = Sieve { rows, ids, dropped: Vec::new(), in_file: 0, across_files: 0 };
        sieve.drop_repeated(buffer);
        sieve
    }

    fn drop_repeated(&mut self, buffer: &Buffer) {
        let mut repeated = Vec::new();
        for same_hash in self.ids.chunk_by(|left, right| left.hash == right.hash).filter(|group| group.len() > 1) {
            let mut firsts: Vec<u32> = Vec::new();
            for id in same_hash {
                let event_id = self.event_id(id.row, buffer);
                if firsts.iter().any(|first| self.event_id(*first, buffer) == event_id) {
                    repeated.push(id.row);
                } else {
                    firsts.push(id.row);
                }
            }
        }
        self.in_file = repeated.len() as u64;
        self.drop_rows(repeated);
    }

    /// Drops rows that stand in earlier files.
    pub(crate) fn drop_across(&mut self, rows: Vec<u32>) {
        self.across_files += rows.len() as u64;
        self.drop_rows(rows);
    }

    fn drop_rows(&mut self, rows: Vec<u32>) {
        if rows.is_empty() {
            return;
        }
        self.dropped.resize(self.rows.len(), false);
        rows.into_iter().for_each(|row| self.dropped[row as usize] = true);
        self.ids.retain(|id| !self.dropped[id.row as usize]);
    }

    /// Ids of the rows that are left, by hash.
    pub(crate) fn ids(&self) -> &[Id] {
        &self.ids
    }

    /// Source and event id of a row.
    pub(crate) fn event_id<'b>(&self, row: u32, buffer: &'b Buffer) -> (&'b str, &'b str) {
        let place = self.rows[row as usize].place;
        let event = decoded(buffer.record(place).value.expect("only decoded records are rows"));
        (event.source, event.event_id)
    }

    /// Dropped because of a row before it in this file, and because of one in an earlier file.
    pub(crate) fn counts(&self) -> (u64, u64) {
        (self.in_file, self.across_files)
    }

    /// The rows that are left, in log order, and their hashes, sorted.
    pub(crate) fn finish(self) -> (Vec<Row>, Vec<u64>) {
        let Sieve { mut rows, ids, dropped, .. } = self;
        if !dropped.is_empty() {
            let mut dropped = dropped.into_iter();
            rows.retain(|_| !dropped.next().expect("one for each row"));
        }
        (rows, ids.into_iter().map(|id| id.hash).collect())
    }
}
