//! Where records come from: the embedded journal or Kafka.
//!
//! Responsible for handing each partition's records to its task, from the offset that the chain says, in log order, and
//! for saying when a partition is taken away. Promises: bounded memory between log and task (a task that does not keep
//! up makes its source stop reading that partition); nothing of a source ever moves a resume point, only the chain does.
//! Leaves to the partition task what becomes of the records.

use std::{ops::Range, sync::Arc, time::Duration};

use tokio::{
    sync::mpsc,
    task::JoinHandle,
    time::{Instant, sleep, timeout_at},
};
use tokio_util::sync::{CancellationToken, DropGuard};

/// New records for the log.
pub mod append;
/// Records on their way from a source to a file.
pub mod chunk;
mod error;
/// The journal as a source.
pub mod journal;
/// A Kafka topic as a source.
pub mod kafka;
/// The log between two offsets.
pub mod replay;

pub use append::Append;
pub use chunk::{Chunk, Record};
pub use error::SourceError;
pub use replay::Replay;

use crate::{
    budget::Budget,
    health::Readiness,
    metrics::Metrics,
    object_path::Chain,
    resume::{Resume, ResumeError, follow, resume},
    source::{journal::JournalSource, kafka::KafkaSource},
    store::Store,
};

/// Chunks that may wait between a source and a partition task.
pub(crate) const CHUNKS_WAITING_MAX: usize = 4;
/// Log bytes at which a source hands a chunk over without waiting for more.
pub(crate) const CHUNK_BYTES: usize = 512 * 1024;

/// The log to read.
#[derive(Debug)]
pub enum Source {
    /// The journal in this process.
    Journal(JournalSource),
    /// A Kafka topic, shared with the other members of a consumer group.
    Kafka(Box<KafkaSource>),
    /// A log that a simulation makes up.
    #[cfg(test)]
    Simulated(crate::simulation::SimulatedSource),
}

impl Source {
    /// Reads all partitions of a journal.
    pub fn journal(journal: ::journal::Journal) -> Source {
        Source::Journal(JournalSource::new(journal))
    }

    /// Reads the partitions of a Kafka topic that the consumer group gives to this process.
    pub fn kafka(settings: &crate::config::KafkaSettings, topic: &str) -> Source {
        Source::Kafka(Box::new(KafkaSource::new(settings.clone(), topic)))
    }

    pub(crate) async fn start(self, context: SourceContext) -> Result<Running, SourceError> {
        match self {
            Source::Journal(source) => source.start(context).await,
            Source::Kafka(source) => source.start(context).await,
            #[cfg(test)]
            Source::Simulated(source) => source.start(context).await,
        }
    }
}

/// What a source needs of the sink.
#[derive(Clone, Debug)]
pub(crate) struct SourceContext {
    pub(crate) topic: Arc<str>,
    pub(crate) store: Store,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) readiness: Readiness,
    pub(crate) resume_timeout: Duration,
    pub(crate) accept_gap: bool,
    pub(crate) budget: Budget,
}

impl SourceContext {
    /// The first offset to read of a partition whose chain ends at a resume point, in a log that holds these offsets.
    /// Offsets that the log has lost are noted in the resume point if their loss is accepted.
    ///
    /// # Errors
    /// When there is a gap between chain and log, or the chain goes beyond the log.
    pub(crate) fn position(&self, partition: u32, resume: &mut Resume, log: Range<u64>) -> Result<u64, SourceError> {
        let lake = || self.store.url().to_owned();
        if resume.next > log.end {
            return Err(SourceError::Behind { partition, lake: lake(), next: resume.next, end: log.end });
        }
        if resume.next >= log.start {
            return Ok(resume.next);
        }
        if !self.accept_gap {
            return Err(SourceError::Gap { partition, lake: lake(), next: resume.next, start: log.start });
        }
        resume.lost_until = Some(log.start);
        Ok(log.start)
    }
}

/// Waits between two looks at a lake that does not answer.
const RESUME_PAUSE: Duration = Duration::from_millis(250);

impl SourceContext {
    /// Where a partition's chain ends; a lake that does not answer is asked again until the time is over.
    pub(crate) async fn resume(&self, partition: u32, log_id: &str) -> Result<Option<Resume>, SourceError> {
        let chain = Chain::new(&*self.topic, partition);
        self.until_answered(partition, || resume(&self.store, &chain, log_id)).await
    }

    /// The same end, unless the log begins behind it and the chain goes on: then the list was old, and there is no gap.
    /// What the chain has was in the log, whose end may have moved since it was asked for.
    pub(crate) async fn confirmed(
        &self,
        partition: u32,
        log_id: &str,
        listed: Resume,
        log: &mut Range<u64>,
    ) -> Result<Resume, SourceError> {
        let chain = Chain::new(&*self.topic, partition);
        let looking = || follow(&self.store, &chain, log_id, listed.clone(), log.start);
        let end = self.until_answered(partition, looking).await?;
        if end != listed {
            log.end = log.end.max(end.next);
        }
        Ok(end)
    }

    async fn until_answered<T, F>(&self, partition: u32, look: impl Fn() -> F) -> Result<T, SourceError>
    where
        F: Future<Output = Result<T, ResumeError>>,
    {
        let deadline = Instant::now() + self.resume_timeout;
        loop {
            match timeout_at(deadline, look()).await {
                Ok(Ok(found)) => return Ok(found),
                Ok(Err(ResumeError::Store { .. })) if Instant::now() + RESUME_PAUSE < deadline => {
                    sleep(RESUME_PAUSE).await;
                }
                Ok(Err(error)) => return Err(error.into()),
                Err(_) => {
                    let (lake, timeout) = (self.store.url().to_owned(), self.resume_timeout);
                    return Err(SourceError::ResumeTimeout { partition, lake, timeout });
                }
            }
        }
    }
}

/// A source at work.
#[derive(Debug)]
pub(crate) struct Running {
    /// Closed when no more partitions will come.
    pub(crate) assignments: mpsc::Receiver<Assignment>,
    /// Cancel it to read no further: what has been read is handed over, and the tasks' channels are closed.
    pub(crate) drain: CancellationToken,
    /// Cancel it, after the tasks have ended, to leave the group.
    pub(crate) leave: CancellationToken,
    /// The end of the source.
    pub(crate) done: JoinHandle<Result<(), SourceError>>,
}

/// A partition that this process now writes.
#[derive(Debug)]
pub(crate) struct Assignment {
    pub(crate) partition: u32,
    /// The log's incarnation: offsets of another one mean other records.
    pub(crate) log_id: Arc<str>,
    pub(crate) resume: Resume,
    /// Closed by the source when no more will come: the task then writes what it has.
    pub(crate) chunks: mpsc::Receiver<Chunk>,
    pub(crate) tenure: Tenure,
    pub(crate) control: Control,
}

/// How long a partition is this process's, as its task sees it.
#[derive(Debug)]
pub(crate) struct Tenure {
    /// Cancelled when the partition will go to somebody else: the task then writes what it has, and ends.
    pub(crate) released: CancellationToken,
    /// Cancelled when the partition is taken away: the task then drops what it has.
    pub(crate) revoked: CancellationToken,
    /// Tells the owner that the task has ended.
    _ended: DropGuard,
}

/// The same, as its source sees it.
#[derive(Clone, Debug)]
pub(crate) struct Ownership {
    pub(crate) released: CancellationToken,
    pub(crate) revoked: CancellationToken,
    pub(crate) ended: CancellationToken,
}

impl Ownership {
    pub(crate) fn begin() -> (Ownership, Tenure) {
        let (released, revoked, ended) = (CancellationToken::new(), CancellationToken::new(), CancellationToken::new());
        let tenure =
            Tenure { released: released.clone(), revoked: revoked.clone(), _ended: ended.clone().drop_guard() };
        (Ownership { released, revoked, ended }, tenure)
    }
}

/// What a partition task asks of its source.
#[derive(Clone, Debug)]
pub(crate) struct Control {
    pub(crate) partition: u32,
    pub(crate) commands: mpsc::Sender<Command>,
}

/// A wish of a partition task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Command {
    /// Read again from `offset`; chunks from before carry an older generation.
    Seek { partition: u32, offset: u64, generation: u32 },
    /// The lake holds everything below `next`, written by this very process.
    Committed { partition: u32, next: u64 },
}

impl Control {
    /// Has the source read again from an offset.
    pub(crate) async fn seek(&self, offset: u64, generation: u32) {
        // A closed channel means that the source has ended, and then there is nothing to move.
        let _ = self.commands.send(Command::Seek { partition: self.partition, offset, generation }).await;
    }

    /// Tells the log, for its lag tools and its retention, what the lake holds.
    pub(crate) async fn committed(&self, next: u64) {
        let _ = self.commands.send(Command::Committed { partition: self.partition, next }).await;
    }
}
