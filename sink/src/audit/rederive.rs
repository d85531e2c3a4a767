//! A file from the log, once more.
//!
//! Responsible for reading the records between a file's two offsets and taking them the way of every file, up to its
//! bytes, which then are not brought into any lake. What comes out has to be what the lake holds.

use std::{sync::Arc, time::Duration};

use super::{AuditError, finding::Kind};
use crate::{
    buffer::{Buffer, Part},
    footer::Footer,
    object_path::Chain,
    partition::WriterParts,
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
}

/// The file has been cut already.
const UNCUT: RollPolicy = RollPolicy { interval: Duration::MAX, bytes_max: usize::MAX, rows_max: usize::MAX };

impl Rederiver {
    pub(super) fn new(replay: Replay, which: Rederive, parts: WriterParts) -> Rederiver {
        Rederiver { replay, which, parts }
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
        let mut buffer = Buffer::new(start_offset, before_us);
        tokio::task::block_in_place(|| self.fill(&mut buffer, chain.partition, log.start, next_offset))?;
        let version = footer.version();
        let Some(promotion) = Promotion::from_text(version, &footer.columns) else { return Ok(None) };
        // As the file's writer read the log, which may have been an older one.
        let schema_ids = self.parts.schema_ids.as_of(version);
        let parts = WriterParts { promotion: Arc::new(promotion), schema_ids, ..self.parts.clone() };
        let writer = Arc::new(parts.writer(chain.partition, footer.log_id.as_str().into(), 0, 0));
        let derived = match writer.derived(buffer, footer.duplicates_since).await {
            Ok(derived) => derived,
            Err(error) => return Ok(Some((Kind::NotInLog, format!("it cannot be derived again: {error}")))),
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

fn said(footer: &Footer) -> String {
    format!(
        "{} rows with the hash {:016x}, {} dead letters and {} duplicates up to offset {}",
        footer.rows, footer.row_hash, footer.dead_letters, footer.duplicates, footer.next_offset
    )
}
