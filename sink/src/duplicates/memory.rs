//! Hashes of the ids of recent files.
//!
//! Responsible for telling in which file an id may stand, at a cost that hardly grows with the number of files: a window
//! of a day has thousands. Nearly every id that is looked up is new, and a [`Filter`] over all files says so at once to
//! all but one in 30; the others are looked up in the tables of the segments. A file is a segment at first;
//! [`GROUP_FILES`] of them become one, and [`PACK_FILES`] again, so that an id is moved twice. Promises: an id that is
//! there is found; of those that are not, one in 2^44 for each id held is suspected: with 26 million of them, one in
//! 700,000. Takes some 6.8 bytes an id.

mod filter;
mod table;

use std::collections::VecDeque;

use self::{filter::Filter, table::Table};
use super::sieve::Id;
use crate::footer::Footer;

/// A file in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    pub start: u64,
    /// Largest timestamp of the chain up to the file's end.
    pub running_max_us: i64,
}

impl Span {
    pub(crate) fn of(footer: &Footer) -> Span {
        Span { start: footer.start_offset, running_max_us: footer.running_max_timestamp_us }
    }
}

/// A record that may stand in a file already.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Suspect {
    /// Start offset of the file.
    pub file: u64,
    /// Position of the record among the new file's rows.
    pub row: u32,
}

/// Files that are merged at first.
const GROUP_FILES: usize = 16;
/// Files that are merged for good. With one group more there are still no more than a byte can tell apart.
pub(crate) const PACK_FILES: usize = 240;
/// So many ids are merged for good however few their files, which takes some 40 ms.
pub(crate) const PACK_IDS: usize = 1 << 22;

/// Files that follow on each other in the chain.
#[derive(Debug)]
struct Segment {
    /// Oldest first.
    files: Box<[Span]>,
    table: Table,
}

/// The recent files of a chain, oldest segment first.
#[derive(Debug, Default)]
pub struct Recent {
    filter: Filter,
    segments: VecDeque<Segment>,
}

impl Recent {
    /// Adds the chain's next file.
    pub fn push(&mut self, file: Span, hashes: Vec<u64>) {
        let newest = [(file, hashes)];
        self.segments.push_back(Segment::of(&newest));
        self.merge_newest(GROUP_FILES);
        self.merge_newest(PACK_FILES);
        self.add_to_filter(&newest);
    }

    /// Adds files that come before all others, oldest first. No more than [`PACK_FILES`].
    pub(crate) fn push_front(&mut self, older: &[(Span, Vec<u64>)]) {
        self.segments.push_front(Segment::of(older));
        self.add_to_filter(older);
    }

    /// Makes one segment of the newest that are below a number of files each and not together.
    fn merge_newest(&mut self, files_max: usize) {
        let is_below = |files: usize, ids: usize| files < files_max && ids < PACK_IDS;
        let (mut count, mut files, mut ids) = (0, 0, 0);
        for segment in
            self.segments.iter().rev().take_while(|segment| is_below(segment.files.len(), segment.table.ids()))
        {
            (count, files, ids) = (count + 1, files + segment.files.len(), ids + segment.table.ids());
        }
        if count > 1 && !is_below(files, ids) {
            let newest = self.segments.split_off(self.segments.len() - count);
            self.segments.push_back(Segment::merged(&newest));
        }
    }

    /// Their hashes are in a segment already.
    fn add_to_filter(&mut self, files: &[(Span, Vec<u64>)]) {
        let hashes = files.iter().flat_map(|(_, hashes)| hashes.iter().copied());
        if self.filter.has_room(hashes.clone().count()) {
            self.filter.add(hashes);
        } else {
            self.renew_filter();
        }
    }

    fn renew_filter(&mut self) {
        // The old one goes first: both at once would be more than is counted.
        self.filter = Filter::default();
        self.filter = Filter::for_ids(self.ids());
        for segment in &self.segments {
            self.filter.add(segment.table.iter().map(|(hash, _)| hash));
        }
    }

    /// Where ids may stand in files whose running maximum is not before a time; and the oldest such file.
    pub fn find(&self, ids: &[Id], since_us: i64) -> (Vec<Suspect>, Option<u64>) {
        let likely = self.likely(ids);
        let (mut suspects, mut since) = (Vec::new(), None);
        for segment in &self.segments {
            let first = segment.files.partition_point(|file| file.running_max_us < since_us);
            let Some(oldest) = segment.files.get(first) else { continue };
            since = since.or(Some(oldest.start));
            segment.find(&likely, first, &mut suspects);
        }
        suspects.sort_unstable();
        (suspects, since)
    }

    /// Those that the filter lets through.
    pub(crate) fn likely(&self, ids: &[Id]) -> Vec<Id> {
        ids.iter().filter(|id| self.filter.may_hold(id.hash)).copied().collect()
    }

    /// Forgets segments of which no file reaches up to a time.
    pub fn forget_before(&mut self, since_us: i64) {
        self.forget_while(|file| file.running_max_us < since_us);
    }

    /// Forgets segments whose files all start before an offset.
    pub(crate) fn forget_starts_before(&mut self, start: u64) {
        self.forget_while(|file| file.start < start);
    }

    /// Forgets the oldest segments whose newest file is old.
    fn forget_while(&mut self, is_old: impl Fn(&Span) -> bool) {
        while self.segments.front().is_some_and(|segment| segment.files.last().is_none_or(&is_old)) {
            self.forget_oldest();
        }
    }

    /// Is there more than the newest segment?
    pub(crate) fn can_forget(&self) -> bool {
        self.segments.len() > 1
    }

    /// Forgets the oldest segment and says how many files that were.
    pub(crate) fn forget_oldest(&mut self) -> usize {
        let files = self.segments.pop_front().map_or(0, |segment| segment.files.len());
        if self.filter.is_too_large_for(self.ids()) {
            self.renew_filter();
        }
        files
    }

    #[cfg(test)]
    pub(crate) fn segments(&self) -> usize {
        self.segments.len()
    }

    fn ids(&self) -> usize {
        self.segments.iter().map(|segment| segment.table.ids()).sum()
    }

    /// Bytes held.
    pub fn bytes(&self) -> usize {
        self.filter.bytes() + self.segments.iter().map(Segment::bytes).sum::<usize>()
    }
}

impl Segment {
    fn of(files: &[(Span, Vec<u64>)]) -> Segment {
        let hashes = (0..=u8::MAX).zip(files);
        let ids = hashes.flat_map(|(place, (_, hashes))| hashes.iter().map(move |hash| (*hash, place)));
        Segment { files: files.iter().map(|(file, _)| *file).collect(), table: Table::new(ids) }
    }

    /// One of several, oldest first.
    fn merged(segments: &VecDeque<Segment>) -> Segment {
        let firsts = segments.iter().scan(0, |files, segment| {
            let first = *files;
            *files += segment.files.len();
            Some(u8::try_from(first).expect("no more files than a byte can tell apart"))
        });
        let ids = segments
            .iter()
            .zip(firsts)
            .flat_map(|(segment, first)| segment.table.iter().map(move |(hash, place)| (hash, first + place)));
        let files = segments.iter().flat_map(|segment| segment.files.iter().copied()).collect();
        Segment { files, table: Table::new(ids) }
    }

    /// Suspects in files from a place on.
    fn find(&self, ids: &[Id], first: usize, suspects: &mut Vec<Suspect>) {
        self.table.find(ids, |row, place| {
            if place >= first {
                suspects.push(Suspect { file: self.files[place].start, row });
            }
        });
    }

    fn bytes(&self) -> usize {
        self.table.bytes() + size_of_val(&*self.files) + size_of::<Segment>()
    }
}
