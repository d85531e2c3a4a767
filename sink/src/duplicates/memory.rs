//! Hashes of the ids of recent files.
//!
//! Responsible for telling in which file an id may stand, at a cost that hardly grows with the number of files: a window
//! of a day has thousands. Files that follow on each other are merged into runs of twice the size, up to
//! [`FILES_MAX`]; such a run is packed into a table. So a search looks into a few runs and a table for every
//! [`FILES_MAX`] files. Promises: an id that is there is found; one that is not is suspected in a table about once in two
//! million searches, in a run practically never. Takes 4.5 bytes an id in a table and 8 in a run.

mod table;

use std::collections::VecDeque;

use self::table::Table;
use super::sieve::Id;
use crate::footer::Footer;

/// A file in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) start: u64,
    /// Largest timestamp of the chain up to the file's end.
    pub(crate) running_max_us: i64,
}

impl Span {
    pub(crate) fn of(footer: &Footer) -> Span {
        Span { start: footer.start_offset, running_max_us: footer.running_max_timestamp_us }
    }
}

/// A record that may stand in a file already.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Suspect {
    /// Start offset of the file.
    pub(crate) file: u64,
    /// Position of the record among the new file's rows.
    pub(crate) row: u32,
}

/// Files of one segment: the low byte of an entry says which.
pub(crate) const FILES_MAX: usize = 256;
/// A run of so many ids is packed, however few its files.
const RUN_IDS_MAX: usize = 1 << 22;
const FILE: u64 = 0xff;

/// Files that follow on each other in the chain.
#[derive(Debug)]
struct Segment {
    /// Oldest first.
    files: Vec<Span>,
    hashes: Hashes,
}

#[derive(Debug)]
enum Hashes {
    /// Sorted; the low byte of each is replaced by the file's place in its segment.
    Run(Vec<u64>),
    Table(Table),
}

/// The recent files of a chain, oldest segment first.
#[derive(Debug, Default)]
pub(crate) struct Recent {
    segments: VecDeque<Segment>,
}

impl Recent {
    /// Adds the chain's next file; its hashes are sorted.
    pub(crate) fn push(&mut self, file: Span, hashes: Vec<u64>) {
        let run = hashes.into_iter().map(|hash| hash & !FILE).collect();
        let mut newest = Segment { files: vec![file], hashes: Hashes::Run(run) };
        while let Some(merged) = self.segments.back().and_then(|before| before.merged(&newest)) {
            newest = merged;
            self.segments.pop_back();
        }
        self.segments.push_back(newest.packed_if_full());
    }

    /// Adds files that come before all others, oldest first, with their hashes in any order. No more than [`FILES_MAX`].
    pub(crate) fn push_front(&mut self, older: Vec<(Span, Vec<u64>)>) {
        let files = older.iter().map(|(file, _)| *file).collect();
        let mut all: Vec<u64> = Vec::with_capacity(older.iter().map(|(_, hashes)| hashes.len()).sum());
        for (file, (_, hashes)) in (0..).zip(&older) {
            all.extend(hashes.iter().map(|hash| hash & !FILE | file));
        }
        all.sort_unstable();
        self.segments.push_front(Segment { files, hashes: Hashes::Table(Table::new(&all)) });
    }

    /// Where ids may stand in files whose running maximum is not before a time; and the oldest such file.
    pub(crate) fn find(&self, ids: &[Id], since_us: i64) -> (Vec<Suspect>, Option<u64>) {
        let (mut suspects, mut since) = (Vec::new(), None);
        for segment in &self.segments {
            let first = segment.files.partition_point(|file| file.running_max_us < since_us);
            let Some(oldest) = segment.files.get(first) else { continue };
            since = since.or(Some(oldest.start));
            segment.find(ids, first, &mut suspects);
        }
        suspects.sort_unstable();
        (suspects, since)
    }

    /// Forgets segments of which no file reaches up to a time.
    pub(crate) fn forget_before(&mut self, since_us: i64) {
        let is_old = |segment: &Segment| segment.files.last().is_none_or(|file| file.running_max_us < since_us);
        while self.segments.front().is_some_and(is_old) {
            self.segments.pop_front();
        }
    }

    /// Is there more than the newest segment?
    pub(crate) fn can_forget(&self) -> bool {
        self.segments.len() > 1
    }

    /// Forgets the oldest segment and says how many files that were.
    pub(crate) fn forget_oldest(&mut self) -> usize {
        self.segments.pop_front().map_or(0, |segment| segment.files.len())
    }

    #[cfg(test)]
    pub(crate) fn segments(&self) -> usize {
        self.segments.len()
    }

    /// Bytes held.
    pub(crate) fn bytes(&self) -> usize {
        self.segments.iter().map(Segment::bytes).sum()
    }
}

impl Segment {
    /// Two runs become one unless the older is the larger, as in a binary counter: an id is moved at most eight times.
    fn merged(&self, newer: &Segment) -> Option<Segment> {
        let is_due = self.files.len() <= newer.files.len() && self.files.len() + newer.files.len() <= FILES_MAX;
        match (&self.hashes, &newer.hashes) {
            (Hashes::Run(left), Hashes::Run(right)) if is_due => {
                let run = merged(left, right, self.files.len() as u64);
                Some(Segment { files: [&*self.files, &*newer.files].concat(), hashes: Hashes::Run(run) })
            }
            _ => None,
        }
    }

    fn packed_if_full(self) -> Segment {
        match self.hashes {
            Hashes::Run(run) if self.files.len() == FILES_MAX || run.len() >= RUN_IDS_MAX => {
                Segment { files: self.files, hashes: Hashes::Table(Table::new(&run)) }
            }
            hashes => Segment { hashes, ..self },
        }
    }

    fn find(&self, ids: &[Id], first: usize, suspects: &mut Vec<Suspect>) {
        let mut suspect = |row: u32, place: usize| {
            if place >= first {
                suspects.push(Suspect { file: self.files[place].start, row });
            }
        };
        match &self.hashes {
            Hashes::Run(run) => find_in_run(run, ids, &mut suspect),
            Hashes::Table(table) => ids.iter().for_each(|id| table.find(id.hash, |place| suspect(id.row, place))),
        }
    }

    fn bytes(&self) -> usize {
        let hashes = match &self.hashes {
            Hashes::Run(run) => run.capacity() * size_of::<u64>(),
            Hashes::Table(table) => table.bytes(),
        };
        hashes + self.files.capacity() * size_of::<Span>() + size_of::<Segment>()
    }
}

/// Two sorted runs as one; the places of the right one's files come behind those of the left.
fn merged(left: &[u64], right: &[u64], left_files: u64) -> Vec<u64> {
    let mut run = Vec::with_capacity(left.len() + right.len());
    let (mut l, mut r) = (0, 0);
    while l < left.len() && r < right.len() {
        let moved = right[r] + left_files;
        if left[l] <= moved {
            run.push(left[l]);
            l += 1;
        } else {
            run.push(moved);
            r += 1;
        }
    }
    run.extend_from_slice(&left[l..]);
    run.extend(right[r..].iter().map(|entry| entry + left_files));
    run
}

/// Both are sorted: each search begins where the last one ended, with a step of the distance to be expected.
fn find_in_run(run: &[u64], ids: &[Id], mut suspect: impl FnMut(u32, usize)) {
    let step = (run.len() / ids.len().max(1)).max(1);
    let mut from = 0;
    for id in ids {
        let wanted = id.hash & !FILE;
        let mut to = from;
        while run.get(to).is_some_and(|entry| *entry < wanted) {
            from = to + 1;
            to += step;
        }
        from += run[from..to.min(run.len()).max(from)].partition_point(|entry| *entry < wanted);
        for entry in run[from..].iter().take_while(|entry| **entry & !FILE == wanted) {
            suspect(id.row, usize::try_from(entry & FILE).expect("a byte"));
        }
    }
}
