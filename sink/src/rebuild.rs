//! A lake from the log, once more.
//!
//! Responsible for writing every record that the log holds into a lake of its own, on the way of every file. Promises:
//! the same rows in the same order as the sink writes them; a rebuild that was stopped goes on where its chains end. With
//! a lake to go by, files are cut where that one's are, so that they hold the same rows and end where it ends; without
//! one they are cut by the limits in the settings, and end where the log ended at the start.

use std::{ops::Range, sync::Arc};

use operator::Failure;
use tokio::{
    task::block_in_place,
    time::{Duration, Instant},
};

use crate::{
    Settings, Store,
    audit::{self, AuditError},
    buffer::{Buffer, Part},
    commit::Outcome,
    footer::{self, Footer, FooterError},
    journey::Journey,
    object_path::Chain,
    partition::{WriteError, Writer, WriterParts, Written},
    promote::Promotion,
    resume::{Resume, ResumeError, resume},
    roll::{CutReason, RollPolicy},
    source::{Replay, SourceError},
};

/// Why a lake is not rebuilt.
#[derive(Debug, thiserror::Error)]
pub enum RebuildError {
    /// The chain's end is not known.
    #[error(transparent)]
    Resume(#[from] ResumeError),
    /// The log does not answer.
    #[error(transparent)]
    Log(#[from] SourceError),
    /// A file cannot be made, or what lies in its place is no file of this chain.
    #[error("partition {partition}: {reason}")]
    Write { partition: u32, reason: String },
    /// The lake to go by cannot be read.
    #[error(transparent)]
    Like(#[from] AuditError),
    /// The lake to go by is no whole chain.
    #[error(
        "the chain of partition {partition} in the lake to go by is not whole at offset {offset}: audit it, and rebuild without it"
    )]
    NotWhole { partition: u32, offset: u64 },
    /// The lake to go by is of other records.
    #[error(
        "the lake to go by was written from another incarnation of the log ({theirs}, now {ours}): rebuild without it"
    )]
    Incarnation { theirs: String, ours: String },
    /// Somebody else writes there.
    #[error("somebody else writes partition {partition} in lake {lake}: rebuild into a lake that nobody writes")]
    Written { partition: u32, lake: String },
    /// The log does not begin where the lake ends.
    #[error(
        "the log of partition {partition} begins at offset {start}, so that the {} records from offset {next} on cannot be \
         rebuilt: use --accept-gap to rebuild the rest and mark the gap",
        start - next
    )]
    Gone { partition: u32, next: u64, start: u64 },
    /// What makes files cannot be had.
    #[error(transparent)]
    Parts(#[from] Failure),
}

impl From<RebuildError> for Failure {
    fn from(error: RebuildError) -> Failure {
        match error {
            RebuildError::Parts(failure) => failure,
            error => Failure::environment(error),
        }
    }
}

/// What was written of a partition.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rebuilt {
    /// Partition of the topic.
    pub partition: u32,
    /// Files.
    pub files: u64,
    /// Rows.
    pub rows: u64,
    /// First offset that no file covers.
    pub next_offset: u64,
    /// Files that do not hold what the lake to go by holds.
    pub differing: u64,
}

/// A long rebuild says where it is.
const PROGRESS: Duration = Duration::from_secs(10);
/// Where the cut is known.
const UNCUT: RollPolicy = RollPolicy { interval: Duration::MAX, bytes_max: usize::MAX, rows_max: usize::MAX };

/// Rebuilds the lake of a topic; `report` hears of each partition that is done. `settings.accept_gap` rebuilds also
/// what is left of a log that has lost its beginning.
///
/// # Errors
/// When a lake or the log does not answer or do not belong together. What was written until then is whole files.
pub async fn run(
    settings: &Settings,
    store: &Store,
    mut log: Replay,
    like: Option<&Store>,
    report: &mut (dyn FnMut(Rebuilt) + Send),
) -> Result<(), RebuildError> {
    store.probe().await.map_err(Failure::from)?;
    let parts = crate::unattended_parts(settings, store).await?;
    for partition in 0..log.partitions() {
        let chain = Chain::new(settings.topic.as_str(), partition);
        let log_id = log.log_id();
        let resume = resume(store, &chain, &log_id).await?.unwrap_or_else(|| Resume::at(0));
        let range = block_in_place(|| log.range(partition))?;
        let mut rebuild = Rebuild {
            settings,
            parts: &parts,
            log_id,
            log: &mut log,
            range,
            writer: None,
            chain: chain.clone(),
            done: Rebuilt { partition, next_offset: resume.next, ..Rebuilt::default() },
            running_max_us: resume.running_max_us,
            said: Instant::now(),
        };
        match like {
            Some(like) => rebuild.like(like).await?,
            None => rebuild.by_limits().await?,
        }
        report(rebuild.done);
    }
    Ok(())
}

/// The rebuild of one partition.
struct Rebuild<'a> {
    settings: &'a Settings,
    parts: &'a WriterParts,
    log_id: String,
    log: &'a mut Replay,
    range: Range<u64>,
    /// For the promoted columns of the last file.
    writer: Option<(String, Arc<Writer>)>,
    chain: Chain,
    done: Rebuilt,
    running_max_us: i64,
    said: Instant,
}

impl Rebuild<'_> {
    /// Files with the cuts of others.
    async fn like(&mut self, like: &Store) -> Result<(), RebuildError> {
        let starts = audit::starts(like, &self.chain).await?;
        for start in starts.into_iter().skip_while(|start| *start < self.done.next_offset).collect::<Vec<_>>() {
            let path = self.chain.file(like.root(), start);
            let theirs = match footer::read(like.objects().as_ref(), &path).await {
                Ok(Some(footer)) if start == self.done.next_offset => footer,
                Ok(_) | Err(FooterError::Corrupt(_)) => {
                    let (partition, offset) = (self.chain.partition, self.done.next_offset);
                    return Err(RebuildError::NotWhole { partition, offset });
                }
                Err(FooterError::Store(reason)) => {
                    return Err(AuditError::Store { lake: like.url().to_owned(), reason }.into());
                }
            };
            if theirs.log_id != self.log_id {
                return Err(RebuildError::Incarnation { theirs: theirs.log_id, ours: self.log_id.clone() });
            }
            let ours = self.file_like(&theirs).await?;
            self.done.differing += u64::from(!ours.same_content(&theirs));
        }
        Ok(())
    }

    async fn file_like(&mut self, theirs: &Footer) -> Result<Footer, RebuildError> {
        let next = theirs.next_offset;
        if theirs.cut_reason == CutReason::Gap.label() {
            return self.mark(next, &theirs.columns).await;
        }
        let left = next.saturating_sub(self.range.start.max(theirs.start_offset));
        if theirs.rows + theirs.dead_letters + theirs.duplicates > left {
            self.mark_gone(next, &theirs.columns).await?;
            if self.range.start >= next {
                return Ok(theirs.clone());
            }
        }
        let mut buffer = Buffer::new(self.done.next_offset, self.running_max_us);
        while buffer.extent().next < next {
            let Some(part) = self.read(buffer.extent().next, next)? else { break };
            buffer.push(part, &UNCUT);
        }
        self.writer(&theirs.columns).look_from(theirs.duplicates_since).await;
        let cut = CutReason::ALL.into_iter().find(|cut| cut.label() == theirs.cut_reason);
        self.write(buffer, cut.unwrap_or(CutReason::Shutdown), &theirs.columns).await
    }

    /// Files with cuts of their own.
    async fn by_limits(&mut self) -> Result<(), RebuildError> {
        let columns = self.parts.promotion.text().to_owned();
        if self.done.next_offset < self.range.start {
            self.mark_gone(self.range.start, &columns).await?;
        }
        let (policy, end) = (self.settings.roll_policy(), self.range.end);
        let mut buffer = Buffer::new(self.done.next_offset, self.running_max_us);
        let mut from = self.done.next_offset;
        while let Some(part) = self.read(from, end)? {
            from = part.next();
            let mut rest = Some(part);
            while let Some(part) = rest.take() {
                let Some((cut, behind)) = buffer.push(part, &policy) else { break };
                let after = Buffer::new(buffer.extent().next, buffer.extent().running_max_us);
                self.write(std::mem::replace(&mut buffer, after), cut, &columns).await?;
                rest = behind;
            }
        }
        if !buffer.is_empty() {
            self.write(buffer, CutReason::Shutdown, &columns).await?;
        }
        Ok(())
    }

    fn read(&mut self, from: u64, until: u64) -> Result<Option<Part>, SourceError> {
        let (log, partition, from) = (&mut *self.log, self.chain.partition, from.max(self.range.start));
        let chunk = block_in_place(|| log.chunk(partition, from, until))?;
        Ok((!chunk.is_empty()).then(|| Part::whole(chunk)))
    }

    /// Marks what the log no longer holds, up to an offset, if that is accepted.
    async fn mark_gone(&mut self, until: u64, columns: &str) -> Result<(), RebuildError> {
        if !self.settings.accept_gap {
            let (partition, next, start) = (self.chain.partition, self.done.next_offset, self.range.start);
            return Err(RebuildError::Gone { partition, next, start });
        }
        self.mark(self.range.start.min(until), columns).await.map(drop)
    }

    async fn mark(&mut self, until: u64, columns: &str) -> Result<Footer, RebuildError> {
        let lost = self.done.next_offset..until;
        let marked = self.writer(columns).mark_gap(lost, self.running_max_us).await;
        self.wrote(marked)
    }

    async fn write(&mut self, buffer: Buffer, cut: CutReason, columns: &str) -> Result<Footer, RebuildError> {
        let leaving = self.parts.budget.open_file().leave(buffer.extent().log_bytes);
        let written = self.writer(columns).write(buffer, cut, leaving, Journey::begin()).await;
        self.wrote(written)
    }

    fn wrote(&mut self, written: Result<Written, WriteError>) -> Result<Footer, RebuildError> {
        let partition = self.chain.partition;
        let failed = |error: WriteError| RebuildError::Write { partition, reason: error.to_string() };
        let Written { outcome, footer } = written.map_err(failed)?;
        if let Outcome::Lost(_) = outcome {
            let lake = self.parts.committer.store.url().to_owned();
            return Err(RebuildError::Written { partition, lake });
        }
        self.done.files += 1;
        self.done.rows += footer.rows;
        self.done.next_offset = footer.next_offset;
        self.running_max_us = footer.running_max_timestamp_us;
        if self.said.elapsed() >= PROGRESS {
            self.said = Instant::now();
            tracing::info!(
                partition = self.chain.partition,
                next_offset = footer.next_offset,
                log_end = self.range.end,
                "rebuilding"
            );
        }
        Ok(footer)
    }

    /// What makes files with these promoted columns; the same as long as they stay the same.
    fn writer(&mut self, columns: &str) -> Arc<Writer> {
        if let Some((_, writer)) = self.writer.as_ref().filter(|(text, _)| text == columns) {
            return Arc::clone(writer);
        }
        let promotion = Promotion::from_text(self.settings.version(), columns).unwrap_or_else(Promotion::none);
        let parts = WriterParts { promotion: Arc::new(promotion), ..self.parts.clone() };
        let policy_hash = self.settings.roll_policy().hash();
        let writer = Arc::new(parts.writer(self.chain.partition, self.log_id.as_str().into(), policy_hash, 0));
        self.writer = Some((columns.to_owned(), Arc::clone(&writer)));
        writer
    }
}
