//! A file from the log, once more.
//!
//! Responsible for reading the records between a file's two offsets and taking them the way of every file, up to its
//! bytes, which then are not brought into any lake. What comes out has to be what the lake holds.

use std::{sync::Arc, time::Duration};

use event::Version;

use super::{AuditError, finding::Kind};
use crate::{
    buffer::{Buffer, Part},
    duplicates::DuplicatesError,
    footer::Footer,
    object_path::{self, Chain},
    partition::{WriteError, Writer, WriterParts},
    promote::Promotion,
    roll::{CutReason, RollPolicy},
    source::{Replay, SourceError},
};

/// Which files are derived again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rederive {
    /// The last file of each chain.
    Last,
    /// The file that covers an offset.
    Offset(u64),
    /// Every file.
    All,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Rederiver {
    replay: Replay,
    which: Rederive,
    parts: WriterParts,
    /// What made the last file: for the chain's next one it knows what the files before it hold.
    writer: Option<(Made, Arc<Writer>)>,
    /// What was found unreadable last: whoever looks back to it need not try again.
    unread: Option<Unread>,
}

/// A file of a chain that is damaged or not there.
#[derive(Debug)]
struct Unread {
    partition: u32,
    /// It covers this offset.
    offset: u64,
    why: String,
}

/// What files of one writer have in common.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Made {
    partition: u32,
    log_id: String,
    version: Version,
    columns: String,
}

/// The file has been cut already.
const UNCUT: RollPolicy = RollPolicy { interval: Duration::MAX, bytes_max: usize::MAX, rows_max: usize::MAX };

impl Rederiver {
    pub(super) fn new(replay: Replay, which: Rederive, parts: WriterParts) -> Rederiver {
        Rederiver { replay, which, parts, writer: None, unread: None }
    }

    pub(super) fn wants(&self, footer: &Footer, is_last: bool) -> bool {
        let is_wanted = match self.which {
            Rederive::Last => is_last,
            Rederive::Offset(offset) => (footer.start_offset..footer.next_offset).contains(&offset),
            Rederive::All => true,
        };
        is_wanted && footer.cut_reason != CutReason::Gap.label() && footer.log_id == self.replay.log_id()
    }

    /// The log's id, if it is not the chain's.
    pub(super) fn other_log(&self, theirs: Option<&str>) -> Option<String> {
        Some(self.replay.log_id()).filter(|ours| theirs.is_some_and(|theirs| theirs != ours))
    }

    /// Where a partition of the log ends.
    pub(super) fn end(&self, partition: u32) -> Result<u64, AuditError> {
        if partition >= self.replay.partitions() {
            return Ok(0);
        }
        Ok(tokio::task::block_in_place(|| self.replay.range(partition))?.end)
    }

    /// Derives a file and compares; `before_us` is the largest timestamp of the chain before it. `None` if both agree.
    pub(super) async fn check(
        &mut self,
        chain: &Chain,
        footer: &Footer,
        before_us: i64,
    ) -> Result<Option<(Kind, String)>, AuditError> {
        let Footer { start_offset, next_offset, .. } = *footer;
        let log = tokio::task::block_in_place(|| self.replay.range(chain.partition))?;
        if log.start >= next_offset {
            return Ok(Some((
                Kind::NotInLog,
                format!("the log begins at offset {}: it cannot be derived again", log.start),
            )));
        }
        if let Some(unread) = self.unread.as_ref().filter(|unread| unread.is_needed(footer)) {
            return Ok(Some((Kind::NotDerived, unread.why.clone())));
        }
        let mut buffer = Buffer::new(start_offset, before_us);
        tokio::task::block_in_place(|| self.fill(&mut buffer, chain.partition, log.start, next_offset))?;
        let Some(writer) = self.writer(footer) else { return Ok(None) };
        let derived = match writer.derived(buffer, footer.duplicates_since).await {
            Ok(derived) => derived,
            Err(error) => {
                let unread = self.unread.insert(Unread::of(chain.partition, start_offset, error));
                return Ok(Some((Kind::NotDerived, unread.why.clone())));
            }
        };
        if derived.same_content(footer) && derived.dead_letters == footer.dead_letters {
            return Ok(None);
        }
        if log.start > start_offset {
            let message = format!("the log begins at offset {}, inside of it: it cannot be derived again", log.start);
            return Ok(Some((Kind::NotInLog, message)));
        }
        Ok(Some((Kind::Differs, format!("it has {}, the log gives {}", said(footer), said(&derived)))))
    }

    /// What makes this file again; none if its columns cannot be made.
    fn writer(&mut self, footer: &Footer) -> Option<Arc<Writer>> {
        let (partition, log_id, version) = (footer.partition, footer.log_id.clone(), footer.version());
        let made = Made { partition, log_id, version, columns: footer.columns.clone() };
        if let Some((_, writer)) = self.writer.as_ref().filter(|(before, _)| *before == made) {
            return Some(Arc::clone(writer));
        }
        let promotion = Arc::new(Promotion::from_text(version, &made.columns)?);
        // As the file's writer read the log, which may have been an older one.
        let schema_ids = self.parts.schema_ids.as_of(version);
        let parts = WriterParts { promotion, schema_ids, ..self.parts.clone() };
        let writer = Arc::new(parts.writer(partition, made.log_id.as_str().into(), 0, 0));
        self.writer = Some((made, Arc::clone(&writer)));
        Some(writer)
    }

    fn fill(&mut self, buffer: &mut Buffer, partition: u32, log_start: u64, next: u64) -> Result<(), SourceError> {
        let mut from = buffer.extent().next.max(log_start);
        while from < next {
            let chunk = self.replay.chunk(partition, from, next)?;
            let Some(last) = chunk.len().checked_sub(1) else { break };
            from = chunk.record(last).offset + 1;
            buffer.push(Part::whole(chunk), &UNCUT);
        }
        Ok(())
    }
}

impl Unread {
    /// What kept the file that starts at `start` from being derived.
    fn of(partition: u32, start: u64, error: WriteError) -> Unread {
        let (offset, why) = match error {
            WriteError::Duplicates(DuplicatesError::Corrupt { path, reason, .. }) => (
                object_path::start_offset(&path, "parquet"),
                format!("{path}, which may hold its events already, cannot be read: {reason}"),
            ),
            WriteError::Duplicates(DuplicatesError::Hole { next, .. }) => (
                next.checked_sub(1),
                format!("the file that ends at offset {next}, which may hold its events already, is not there"),
            ),
            WriteError::Commit(error) => (None, error.to_string()),
        };
        let why = format!("it was not derived again: {why}");
        Unread { partition, offset: offset.unwrap_or(start), why }
    }

    /// Does a file depend on it?
    fn is_needed(&self, footer: &Footer) -> bool {
        let looked_at = footer.duplicates_since..footer.start_offset;
        footer.partition == self.partition && looked_at.contains(&self.offset)
    }
}

fn said(footer: &Footer) -> String {
    format!(
        "{} rows with the hash {:016x}, {} dead letters and {} duplicates up to offset {}",
        footer.rows, footer.row_hash, footer.dead_letters, footer.duplicates, footer.next_offset
    )
}
