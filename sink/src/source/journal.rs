//! The journal as a source: every partition, in this process.
//!
//! Responsible for reading each partition from its resume point, waiting at the end of the log, and giving back to the
//! journal what the lake holds. Promises: the journal drops a record only after this process itself has created the file
//! that holds it, so that the file is known to be on disk.

use std::{ops::Range, sync::Arc, time::Duration};

use ::journal::{Journal, ReadError};
use tokio::{
    sync::mpsc,
    task::JoinSet,
    time::{Instant, sleep},
};
use tokio_util::sync::CancellationToken;

use crate::{
    lag::now_us,
    resume::Resume,
    source::{
        Assignment, CHUNK_BYTES, CHUNKS_WAITING_MAX, Chunk, Command, Control, Ownership, Record, Running,
        SourceContext, SourceError,
    },
};

/// The journal as a source.
#[derive(Debug)]
pub struct JournalSource {
    journal: Journal,
}

/// At the end of the log, records are gathered for so long before they are handed over: one hand-over then carries many.
const GATHER: Duration = Duration::from_millis(10);
/// Room in memory is looked for so often.
const ROOM_POLL: Duration = Duration::from_millis(5);
/// When the sink stops, what the log holds at that moment is still written, if it can be read in this time.
const DRAIN: Duration = Duration::from_secs(10);

impl JournalSource {
    pub(crate) fn new(journal: Journal) -> JournalSource {
        JournalSource { journal }
    }

    /// Finds all resume points and starts to read.
    pub(crate) async fn start(self, context: SourceContext) -> Result<Running, SourceError> {
        let log_id: Arc<str> = self.journal.id().to_string().into();
        let mut feeds = JoinSet::new();
        let (assignments, assigned) = mpsc::channel(self.journal.partitions().max(1) as usize);
        let stop = CancellationToken::new();
        for partition in 0..self.journal.partitions() {
            let (resume, position) = self.resume_point(&context, partition, &log_id).await?;
            let (sender, chunks) = mpsc::channel(CHUNKS_WAITING_MAX);
            let (commands, wishes) = mpsc::channel(16);
            let feed = Feed {
                journal: self.journal.clone(),
                partition,
                position,
                generation: 0,
                chunks: sender,
                wishes,
                stop: stop.clone(),
                context: context.clone(),
            };
            let assignment = Assignment {
                partition,
                log_id: Arc::clone(&log_id),
                resume,
                chunks,
                tenure: Ownership::begin().1,
                control: Control { partition, commands },
            };
            assignments.try_send(assignment).expect("the channel has room for all partitions");
            feeds.spawn(feed.run());
        }
        drop(assignments);
        context.readiness.log.set(true, "");
        let done = tokio::spawn(async move {
            while let Some(ended) = feeds.join_next().await {
                ended.map_err(|error| SourceError::Panicked(error.to_string()))??;
            }
            Ok(())
        });
        Ok(Running { assignments: assigned, drain: stop, leave: CancellationToken::new(), done })
    }

    /// The end of a partition's chain, and where to read from.
    async fn resume_point(
        &self,
        context: &SourceContext,
        partition: u32,
        log_id: &str,
    ) -> Result<(Resume, u64), SourceError> {
        let mut log = self.journal.start_offset(partition)..self.journal.end_offset(partition);
        // A journal drops only what a lake holds: an empty lake beside a journal that does not begin at 0 is the wrong
        // one.
        let listed = context.resume(partition, log_id).await?.unwrap_or_else(|| Resume::at(0));
        let mut resume = context.confirmed(partition, log_id, listed, &mut log).await?;
        let position = context.position(partition, &mut resume, log)?;
        Ok((resume, position))
    }
}

/// Reads one partition.
struct Feed {
    journal: Journal,
    partition: u32,
    position: u64,
    generation: u32,
    chunks: mpsc::Sender<Chunk>,
    wishes: mpsc::Receiver<Command>,
    stop: CancellationToken,
    context: SourceContext,
}

impl Feed {
    async fn run(mut self) -> Result<(), SourceError> {
        while !self.stop.is_cancelled() {
            if self.position >= self.journal.end_offset(self.partition) {
                self.wait().await;
            } else if self.context.budget.is_full() {
                self.wait_for_room().await;
            } else if !self.hand_over().await? {
                return Ok(());
            }
        }
        self.drain().await
    }

    /// At the end of the log: waits for records, a wish, or the stop.
    async fn wait(&mut self) {
        self.note_end();
        tokio::select! {
            () = self.journal.wait(self.partition, self.position) => sleep(GATHER).await,
            Some(wish) = self.wishes.recv() => self.obey(wish).await,
            () = self.stop.cancelled() => {}
        }
    }

    /// Memory is short: what is on its way into the lake makes room.
    async fn wait_for_room(&mut self) {
        tokio::select! {
            () = sleep(ROOM_POLL) => self.note_end(),
            Some(wish) = self.wishes.recv() => self.obey(wish).await,
            () = self.stop.cancelled() => {}
        }
    }

    /// Hands the next records to the task; false when there is no task any more.
    async fn hand_over(&mut self) -> Result<bool, SourceError> {
        let chunk = self.read().await?;
        let next = chunk.len().checked_sub(1).map_or(self.position, |last| chunk.record(last).offset + 1);
        let chunks = self.chunks.clone();
        loop {
            tokio::select! {
                // The task first says what it wants, and then has room.
                Some(wish) = self.wishes.recv() => {
                    self.obey(wish).await;
                    if chunk.generation != self.generation {
                        return Ok(true);
                    }
                }
                permit = chunks.reserve() => {
                    let Ok(permit) = permit else { return Ok(false) };
                    permit.send(chunk);
                    self.position = next;
                    return Ok(true);
                }
            }
        }
    }

    fn note_end(&self) {
        if let Some(lag) = self.context.metrics.lag().partition(self.partition) {
            lag.log_end(self.journal.end_offset(self.partition), now_us());
        }
    }

    async fn read(&self) -> Result<Chunk, SourceError> {
        let (journal, partition, position, generation) =
            (self.journal.clone(), self.partition, self.position, self.generation);
        self.note_end();
        let budget = self.context.budget.clone();
        let reading = tokio::task::spawn_blocking(move || {
            read(&journal, partition, position..u64::MAX, Chunk::counted(generation, &budget))
        });
        let read = reading.await.map_err(|error| SourceError::Panicked(error.to_string()))?;
        read.map_err(|reason| SourceError::Journal { partition, reason })
    }

    /// The log as it is at the stop is written too: whoever stops the process finds its events in the lake. After that,
    /// commits are served until the task has finished.
    async fn drain(mut self) -> Result<(), SourceError> {
        let (end, deadline) = (self.journal.end_offset(self.partition), Instant::now() + DRAIN);
        while self.position < end && Instant::now() < deadline {
            if !self.hand_over().await? {
                return Ok(());
            }
        }
        let Feed { journal, partition, chunks, mut wishes, .. } = self;
        drop(chunks);
        while let Some(wish) = wishes.recv().await {
            if let Command::Committed { next, .. } = wish {
                truncate(&journal, partition, next).await;
            }
        }
        Ok(())
    }

    async fn obey(&mut self, wish: Command) {
        match wish {
            Command::Seek { offset, generation, .. } => {
                self.position = offset;
                self.generation = generation;
            }
            Command::Committed { partition, next } => truncate(&self.journal, partition, next).await,
        }
    }
}

/// The lake has the records either way; what is not dropped now is dropped with the next file.
async fn truncate(journal: &Journal, partition: u32, next: u64) {
    let journal = journal.clone();
    let dropped = tokio::task::spawn_blocking(move || journal.truncate_below(partition, next));
    if let Ok(Err(error)) = dropped.await {
        tracing::warn!(partition, next, %error, "cannot drop from the journal what the lake holds");
    }
}

/// Adds the first records of a range to a chunk, about as many as it takes. Blocks.
pub(super) fn read(
    journal: &Journal,
    partition: u32,
    offsets: Range<u64>,
    mut chunk: Chunk,
) -> Result<Chunk, ReadError> {
    let records = journal.read(partition, offsets.start, CHUNK_BYTES)?;
    for record in records.iter().take_while(|record| record.offset < offsets.end) {
        let (key, value) = (Some(record.key), Some(record.value));
        chunk.push(Record { offset: record.offset, timestamp_us: record.timestamp_us, key, value });
    }
    Ok(chunk)
}
