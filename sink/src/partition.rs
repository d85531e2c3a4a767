//! THE PATH of one partition: buffer -> roll -> decode -> duplicates -> sort -> write -> dead letters -> commit.
//!
//! Responsible for one partition from its resume point until it is taken away or the log ends. Promises:
//! - Rule A: a file is not created before the one that it follows is known to be in the lake. There is one write at a
//!   time; meanwhile the next file's records are gathered.
//! - Rule B: after losing a create the partition drops everything it holds and goes on where the winner's file ends.
//!
//! A partition that will go to somebody else writes what it has. What is taken away is dropped; what is in flight then may
//! still land, and whoever writes next finds it.

#[cfg(test)]
mod tests;
mod write;

use std::{collections::VecDeque, ops::Range, sync::Arc};

use tokio::{
    sync::mpsc,
    time::{Duration, Instant, sleep_until},
};
use tokio_util::task::AbortOnDropHandle;

pub(crate) use write::{WriteError, Writer, WriterParts};

#[cfg(test)]
use crate::simulation::{self, Bug};
use crate::{
    budget::{Budget, OpenFile},
    buffer::{Buffer, Part},
    commit::Outcome,
    failpoint::{self, Point},
    footer::Footer,
    journey::{Journey, Stage},
    lag::Watched,
    metrics::Metrics,
    roll::{CutReason, RollPolicy},
    source::{Assignment, Chunk, Control, Tenure},
};

/// Why a partition cannot be written any further.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PartitionError {
    #[error("partition {partition}: {reason}")]
    Write { partition: u32, reason: WriteError },
    #[error("partition {partition}: the program failed while it made a file: {reason}")]
    Panicked { partition: u32, reason: String },
}

/// One partition's state.
#[derive(Debug)]
pub(crate) struct Partition {
    policy: RollPolicy,
    metrics: Arc<Metrics>,
    writer: Arc<Writer>,
    control: Control,
    tenure: Tenure,
    /// Closed when the log ends or the sink stops.
    chunks: mpsc::Receiver<Chunk>,
    ended: bool,
    /// Seeks so far; chunks of an older generation are not for this buffer.
    generation: u32,
    /// The open file.
    open: Buffer,
    /// When the open file got its first record.
    opened: Instant,
    /// The way of the open file so far.
    journey: Journey,
    /// Set once the open file is complete.
    cut: Option<CutReason>,
    /// Records behind the cut.
    behind: VecDeque<Part>,
    /// The file before the open one, on its way into the lake.
    writing: Option<Writing>,
    /// Learns what the chain's earlier files hold, while the first file is gathered.
    _learning: AbortOnDropHandle<()>,
    /// The open file, as the memory budget sees it.
    open_file: OpenFile,
    lag: Watched,
    /// What the log lost before the open file, until it is marked.
    lost: Option<Range<u64>>,
}

/// A file on its way into the lake.
#[derive(Debug)]
struct Writing {
    task: AbortOnDropHandle<Result<Written, WriteError>>,
    /// Timestamp of its oldest record, if it has any.
    oldest_us: Option<i64>,
}

/// A file that arrived, or met another in its place.
#[derive(Debug)]
pub(crate) struct Written {
    pub(crate) outcome: Outcome,
    pub(crate) footer: Footer,
}

/// What a step of the loop waited for.
enum Step {
    Revoked,
    Released,
    Written(Result<Result<Written, WriteError>, tokio::task::JoinError>),
    Chunk(Option<Chunk>),
    Idle,
    Memory,
}

impl Partition {
    /// A partition at its resume point.
    pub(crate) fn new(
        assignment: Assignment,
        policy: RollPolicy,
        parts: &WriterParts,
        budget: &Budget,
        metrics: Arc<Metrics>,
    ) -> Partition {
        let resume = &assignment.resume;
        let start = resume.lost_until.unwrap_or(resume.next);
        let lag = metrics.lag().start(assignment.partition, resume.next, resume.running_max_us);
        let writer = parts.writer(assignment.partition, assignment.log_id, policy.hash(), resume.files);
        let writer = Arc::new(writer);
        let learning = tokio::spawn(Arc::clone(&writer).learn(resume.next, resume.running_max_us));
        Partition {
            lost: resume.lost_until.map(|until| resume.next..until),
            policy,
            writer,
            control: assignment.control,
            tenure: assignment.tenure,
            chunks: assignment.chunks,
            ended: false,
            generation: 0,
            open: Buffer::new(start, resume.running_max_us),
            opened: Instant::now(),
            journey: Journey::begin(),
            cut: None,
            behind: VecDeque::new(),
            writing: None,
            _learning: AbortOnDropHandle::new(learning),
            open_file: budget.open_file(),
            lag,
            metrics,
        }
    }

    /// Writes the partition until it is taken away or everything that was read is in the lake.
    ///
    /// # Errors
    /// When the chain cannot be continued.
    pub(crate) async fn run(mut self) -> Result<(), PartitionError> {
        self.mark_gap();
        loop {
            self.fill();
            self.start_write();
            if self.is_finished() {
                return Ok(());
            }
            match self.step().await {
                Step::Revoked => return Ok(()),
                Step::Released => self.ended = true,
                Step::Written(written) => self.settle(written).await?,
                Step::Chunk(Some(chunk)) => self.take(chunk),
                Step::Chunk(None) => self.ended = true,
                Step::Idle => self.close(CutReason::Idle),
                Step::Memory => self.close(CutReason::Memory),
            }
        }
    }

    /// What the log has lost becomes a file without rows, before the file of what comes behind it.
    fn mark_gap(&mut self) {
        let Some(lost) = self.lost.take() else { return };
        let task = tokio::spawn(Arc::clone(&self.writer).mark_gap(lost, self.open.extent().running_max_us));
        self.writing = Some(Writing { task: AbortOnDropHandle::new(task), oldest_us: None });
    }

    /// Waits for the next thing to do.
    async fn step(&mut self) -> Step {
        let is_idle_timed = self.writing.is_none() && !self.open.is_empty() && self.cut.is_none();
        let idle_at = self.opened + self.policy.interval.min(Duration::from_secs(86_400));
        let is_taking = self.cut.is_none() && !self.ended;
        tokio::select! {
            biased;
            () = self.tenure.revoked.cancelled() => Step::Revoked,
            () = self.tenure.released.cancelled(), if !self.ended => Step::Released,
            written = joined(&mut self.writing) => Step::Written(written),
            () = sleep_until(idle_at), if is_idle_timed => Step::Idle,
            () = self.open_file.asked() => Step::Memory,
            chunk = self.chunks.recv(), if is_taking => Step::Chunk(chunk),
        }
    }

    /// Takes a chunk from the source, unless it was read before the last seek.
    fn take(&mut self, chunk: Chunk) {
        if chunk.generation == self.generation && !chunk.is_empty() {
            self.metrics.read(chunk.len(), chunk.log_bytes());
            self.behind.push_back(Part::whole(chunk));
            failpoint::pass(Point::AfterConsume);
        }
    }

    /// Moves waiting records into the open file, until it is cut.
    fn fill(&mut self) {
        while self.cut.is_none() {
            let Some(part) = self.behind.pop_front() else { break };
            if self.open.is_empty() {
                self.opened = Instant::now();
                self.journey = Journey::begin();
            }
            if let Some((reason, rest)) = self.open.push(part, &self.policy) {
                self.close(reason);
                rest.into_iter().for_each(|rest| self.behind.push_front(rest));
            }
        }
        if self.cut.is_none() && !self.open.is_empty() && self.ended {
            let is_released = self.tenure.released.is_cancelled();
            self.close(if is_released { CutReason::Revoked } else { CutReason::Shutdown });
        }
        let can_be_cut = self.writing.is_none() && self.cut.is_none() && !self.open.is_empty();
        self.open_file.set(if can_be_cut { self.open.memory_bytes() } else { 0 });
        self.note_lag();
    }

    /// The open file is complete.
    fn close(&mut self, reason: CutReason) {
        if self.cut.is_none() {
            self.cut = Some(reason);
            self.journey.end(Stage::Buffer);
        }
    }

    /// Rule A: the next file is written when the one before it is in the lake, and not earlier.
    fn start_write(&mut self) {
        let may_write = self.writing.is_none();
        #[cfg(test)]
        let may_write = may_write || simulation::is_planted(Bug::SkipsRuleA);
        if !may_write {
            return;
        }
        let Some(cut) = self.cut.take() else { return };
        let extent = *self.open.extent();
        let file = std::mem::replace(&mut self.open, Buffer::new(extent.next, extent.running_max_us));
        let leaving = self.open_file.leave(file.memory_bytes());
        let journey = std::mem::replace(&mut self.journey, Journey::begin());
        let task = tokio::spawn(Arc::clone(&self.writer).write(file, cut, leaving, journey));
        self.writing = Some(Writing { task: AbortOnDropHandle::new(task), oldest_us: Some(extent.min_us) });
        self.fill();
    }

    /// Rule B: what the lake holds decides how the chain goes on.
    async fn settle(
        &mut self,
        written: Result<Result<Written, WriteError>, tokio::task::JoinError>,
    ) -> Result<(), PartitionError> {
        self.writing = None;
        let partition = self.control.partition;
        let Written { outcome, footer } = written
            .map_err(|error| PartitionError::Panicked { partition, reason: error.to_string() })?
            .map_err(|reason| PartitionError::Write { partition, reason })?;
        match outcome {
            Outcome::Created => {
                self.lag.committed(footer.next_offset, footer.running_max_timestamp_us);
                self.control.committed(footer.next_offset).await;
            }
            // The log is not told: on a local disk the folder's entry may still be another process's to make durable. The
            // next file of this chain makes it so.
            Outcome::Adopted => self.lag.committed(footer.next_offset, footer.running_max_timestamp_us),
            Outcome::Lost(winner) => self.rewind(&winner).await,
        }
        Ok(())
    }

    /// Drops everything held and goes on where the winner's file ends.
    async fn rewind(&mut self, winner: &Footer) {
        tracing::warn!(
            partition = self.control.partition,
            start_offset = winner.start_offset,
            next_offset = winner.next_offset,
            writer = winner.writer,
            "another writer created the file first: dropped the buffer, going on where its file ends"
        );
        #[cfg(test)]
        if simulation::is_planted(Bug::KeepsBuffer) {
            return;
        }
        self.generation += 1;
        self.open = Buffer::new(winner.next_offset, winner.running_max_timestamp_us);
        self.behind.clear();
        self.cut = None;
        self.lag.committed(winner.next_offset, winner.running_max_timestamp_us);
        self.control.seek(winner.next_offset, self.generation).await;
    }

    fn is_finished(&self) -> bool {
        self.ended && self.writing.is_none() && self.open.is_empty() && self.behind.is_empty()
    }

    fn note_lag(&self) {
        let open = self.open.extent();
        let oldest_us = match &self.writing {
            Some(writing) => writing.oldest_us,
            None => (open.records > 0).then_some(open.min_us),
        };
        self.lag.pending(oldest_us, open.next);
    }
}

/// The end of the write, if there is one.
async fn joined(writing: &mut Option<Writing>) -> Result<Result<Written, WriteError>, tokio::task::JoinError> {
    match writing {
        Some(writing) => (&mut writing.task).await,
        None => std::future::pending().await,
    }
}
