//! The chain of files, seen from outside.
//!
//! Responsible for offsets: that the files of a partition cover the log without gap or overlap, that a file's name, its
//! footer and its rows agree, and that rows are sorted by user key and offset. Promises to look at every file of the
//! lake, whoever sent its events. Leaves the meaning of rows to the other rooms of `verify`.

use super::Findings;
use crate::reader::{FileError, Footer, Found, Row};

/// Offsets that a file may be ahead of its start before its rows are not followed any more: far above any roll.
const REACH_MAX: u64 = 1 << 30;

/// The file that is being read and the end of the one before.
#[derive(Debug, Default)]
pub(super) struct Chain {
    file: Option<Found>,
    /// Topic and partition of the file before, and its next offset if it is known.
    before: Option<(String, u32, Option<u64>)>,
    rows: u64,
    last_user: String,
    last_offset: i64,
    highest: Option<u64>,
    /// One bit per offset of the file.
    taken: Vec<u64>,
}

impl Chain {
    pub(super) fn begin(&mut self, found: &Found) {
        self.file = Some(found.clone());
        self.rows = 0;
        self.last_user.clear();
        self.last_offset = -1;
        self.highest = None;
        self.taken.clear();
    }

    pub(super) fn row(&mut self, row: &Row<'_>, findings: &mut Findings) {
        let file = self.file.as_ref().expect("rows come after the beginning of their file");
        self.rows += 1;
        if row.partition != i64::from(file.partition) {
            findings.wrong_partition.add(|| format!("{} has a row of partition {}", file.path, row.partition));
        }
        let sorted = match row.user_key.cmp(&self.last_user) {
            std::cmp::Ordering::Greater => {
                self.last_user.clear();
                self.last_user.push_str(row.user_key);
                true
            }
            std::cmp::Ordering::Equal => row.offset > self.last_offset,
            std::cmp::Ordering::Less => false,
        };
        if !sorted {
            findings.unsorted.add(|| format!("{}: user {:?} at offset {}", file.path, row.user_key, row.offset));
        }
        self.last_offset = row.offset;
        let reach = u64::try_from(row.offset).ok().and_then(|offset| offset.checked_sub(file.start));
        let Some(reach) = reach.filter(|reach| *reach < REACH_MAX) else {
            findings.wrong_footer.add(|| format!("{} has a row at offset {}", file.path, row.offset));
            return;
        };
        self.highest = self.highest.max(Some(file.start + reach));
        let (word, bit) = ((reach / 64) as usize, 1 << (reach % 64));
        if self.taken.len() <= word {
            self.taken.resize(word + 1, 0);
        }
        if self.taken[word] & bit != 0 {
            findings.overlaps.add(|| format!("{} has offset {} twice", file.path, row.offset));
        }
        self.taken[word] |= bit;
    }

    pub(super) fn end(&mut self, footer: Result<Footer, FileError>, findings: &mut Findings) {
        let file = self.file.take().expect("a file ends after it has begun");
        let footer = match footer {
            Ok(footer) => footer,
            Err(error) => {
                findings.unreadable.add(|| format!("{}: {error}", file.path));
                Footer::default()
            }
        };
        if let Some((topic, partition, Some(next))) = &self.before
            && (topic, *partition) == (&file.topic, file.partition)
        {
            match file.start.cmp(next) {
                std::cmp::Ordering::Greater => {
                    findings.gaps.add(|| format!("{next} to {} before {}", file.start - 1, file.path));
                }
                std::cmp::Ordering::Less => {
                    findings.overlaps.add(|| format!("{} to {} again in {}", file.start, next - 1, file.path));
                }
                std::cmp::Ordering::Equal => {}
            }
        }
        if footer != Footer::default()
            && let Some(wrong) = self.contradiction(&file, &footer)
        {
            findings.wrong_footer.add(|| format!("{}: {wrong}", file.path));
        }
        self.before = Some((file.topic, file.partition, footer.next));
    }

    fn contradiction(&self, file: &Found, footer: &Footer) -> Option<String> {
        let (Some(start), Some(next), Some(rows)) = (footer.start, footer.next, footer.rows) else {
            return Some("the footer lacks footfall.start_offset, next_offset or rows".to_owned());
        };
        if start != file.start {
            return Some(format!("the footer begins at {start}"));
        }
        if next <= start {
            return Some(format!("the footer ends at {next}"));
        }
        if rows != self.rows || rows != footer.rows_found {
            return Some(format!("the footer counts {rows} rows, there are {}", self.rows));
        }
        if self.highest.is_some_and(|highest| highest >= next) {
            return Some(format!("a row is beyond the end at {next}"));
        }
        // Fewer is possible: a log may have offsets without records.
        let accounted = rows.saturating_add(footer.dead_letters).saturating_add(footer.duplicates);
        (accounted > next - start).then(|| format!("{accounted} records are said to be in {} offsets", next - start))
    }
}
