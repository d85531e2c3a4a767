//! The thread that owns the consumer.
//!
//! Responsible for polling without a break, so that the group sees this member alive, and for passing messages, ownership
//! and wishes between the client and the partitions' feeds. Promises: one channel operation for a chunk of messages,
//! never for each; a slow lake slows its own partition only.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use rdkafka::{
    Message, Offset, TopicPartitionList,
    consumer::{CommitMode, Consumer as _},
    error::{KafkaError, RDKafkaErrorCode},
};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::{
    Consumer,
    feed::{Feed, GATHER},
    rebalance::Change,
};
use crate::{
    failpoint::{self, Point},
    source::{Assignment, CHUNKS_WAITING_MAX, Command, Control, SourceError},
};

/// Longest wait for a message: wishes and stops are looked at in between.
const POLL: Duration = Duration::from_millis(20);
/// Messages between two looks at wishes, stops and ownership.
const MESSAGES_PER_TURN: usize = 2_000;
/// Want of memory for so long pauses all partitions. Until then nothing is polled, which the group does not notice.
const PAUSE_AFTER: Duration = Duration::from_millis(200);
/// Room in memory is looked for so often meanwhile.
const SHORT_POLL: Duration = Duration::from_millis(2);
/// Advisory offsets are sent so often.
const COMMIT_INTERVAL: Duration = Duration::from_secs(1);

/// How memory is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Room {
    Enough,
    /// There is none, since a moment ago.
    Short,
    /// There is none, and all partitions are paused.
    Paused,
}

/// See the module.
pub(super) struct Poller {
    consumer: Arc<Consumer>,
    topic: Arc<str>,
    feeds: HashMap<u32, Feed>,
    /// `None` once no more partitions are taken.
    assignments: Option<mpsc::Sender<Assignment>>,
    commands: mpsc::Sender<Command>,
    wishes: mpsc::Receiver<Command>,
    drain: CancellationToken,
    leave: CancellationToken,
    /// Since when there has been no room in memory.
    full_since: Option<Instant>,
    /// Advisory offsets that have not been sent.
    committed: HashMap<u32, u64>,
    commit_at: Instant,
}

impl Poller {
    pub(super) fn new(
        consumer: Arc<Consumer>,
        topic: Arc<str>,
        assignments: mpsc::Sender<Assignment>,
        (commands, wishes): (mpsc::Sender<Command>, mpsc::Receiver<Command>),
        drain: CancellationToken,
        leave: CancellationToken,
    ) -> Poller {
        Poller {
            consumer,
            topic,
            feeds: HashMap::new(),
            assignments: Some(assignments),
            commands,
            wishes,
            drain,
            leave,
            full_since: None,
            committed: HashMap::new(),
            commit_at: Instant::now() + COMMIT_INTERVAL,
        }
    }

    /// Polls until told to leave the group.
    pub(super) fn run(mut self) -> Result<(), SourceError> {
        let result = self.poll_until_leave();
        self.obey();
        self.send_commits(CommitMode::Sync);
        drop(self.feeds);
        // The last owner closes the consumer, which leaves the group; it must be this thread, which may block.
        while Arc::strong_count(&self.consumer) > 1 {
            std::thread::sleep(Duration::from_millis(5));
        }
        result
    }

    fn poll_until_leave(&mut self) -> Result<(), SourceError> {
        while !self.leave.is_cancelled() {
            self.take_up_changes()?;
            self.obey();
            if self.drain.is_cancelled() {
                self.end_feeds();
            }
            let room = self.room();
            for feed in self.feeds.values_mut() {
                feed.hold(room == Room::Paused);
                feed.apply_seek(&self.consumer, &self.topic);
                feed.send(&self.consumer);
            }
            if Instant::now() >= self.commit_at {
                self.send_commits(CommitMode::Async);
                self.commit_at = Instant::now() + COMMIT_INTERVAL;
            }
            match room {
                Room::Short => std::thread::sleep(SHORT_POLL),
                Room::Enough | Room::Paused => self.poll()?,
            }
            for feed in self.feeds.values_mut().filter(|feed| feed.is_ripe()) {
                feed.hand_over(&self.consumer);
            }
        }
        Ok(())
    }

    /// Is there room in memory? A pause throws away what the client has fetched, so a short want is only waited out.
    fn room(&mut self) -> Room {
        if !self.consumer.context().source.budget.is_full() {
            self.full_since = None;
            return Room::Enough;
        }
        let since = *self.full_since.get_or_insert_with(Instant::now);
        if since.elapsed() < PAUSE_AFTER { Room::Short } else { Room::Paused }
    }

    /// Takes the messages that are there; waits for the first one only.
    fn poll(&mut self) -> Result<(), SourceError> {
        let consumer = Arc::clone(&self.consumer);
        let is_gathering = self.feeds.values().any(Feed::is_gathering);
        let mut wait = if is_gathering { GATHER / 2 } else { POLL };
        for _ in 0..MESSAGES_PER_TURN {
            match consumer.poll(wait) {
                None => break,
                Some(Err(error)) => self.judge(error)?,
                Some(Ok(message)) => {
                    self.take_up_changes()?;
                    if let Some(feed) = self.feeds.get_mut(&message.partition().cast_unsigned()) {
                        feed.push(&consumer, &message);
                    }
                }
            }
            wait = Duration::ZERO;
        }
        Ok(())
    }

    fn take_up_changes(&mut self) -> Result<(), SourceError> {
        for change in self.consumer.context().take_changes() {
            match change {
                Change::Failed(error) => return Err(error),
                Change::Revoked { partition } => {
                    self.feeds.remove(&partition);
                    self.committed.remove(&partition);
                    self.consumer.context().source.metrics.kafka_revoked(partition);
                }
                Change::Assigned { partition, resume, position, tenure } => {
                    let Some(assignments) = &self.assignments else { continue };
                    let (sender, chunks) = mpsc::channel(CHUNKS_WAITING_MAX);
                    self.feeds.insert(
                        partition,
                        Feed::new(partition, position, sender, &self.consumer.context().source.budget),
                    );
                    let control = Control { partition, commands: self.commands.clone() };
                    let log_id = Arc::clone(self.consumer.context().log_id());
                    let assignment = Assignment { partition, log_id, resume, chunks, tenure, control };
                    if assignments.blocking_send(assignment).is_err() {
                        return Err(SourceError::Panicked("nobody takes partitions".to_owned()));
                    }
                }
            }
        }
        Ok(())
    }

    fn obey(&mut self) {
        while let Ok(wish) = self.wishes.try_recv() {
            match wish {
                Command::Seek { partition, offset, generation } => {
                    if let Some(feed) = self.feeds.get_mut(&partition) {
                        feed.seek(offset, generation);
                    }
                }
                Command::Committed { partition, next } => {
                    if self.feeds.contains_key(&partition) {
                        self.committed.insert(partition, next);
                    }
                }
            }
        }
    }

    /// Ends the log for all tasks. Polling goes on: the group still counts on this member.
    fn end_feeds(&mut self) {
        self.assignments = None;
        for feed in self.feeds.values_mut().filter(|feed| !feed.has_ended()) {
            feed.end(&self.consumer);
        }
    }

    /// Tells the broker what the lake holds, for lag tools. Nothing depends on it, so a failure is no more than noise.
    fn send_commits(&mut self, mode: CommitMode) {
        if self.committed.is_empty() {
            return;
        }
        let mut offsets = TopicPartitionList::new();
        for (partition, next) in self.committed.drain() {
            // Only an offset out of range could fail, and files hold none.
            let offset = Offset::Offset(next.cast_signed());
            let _ = offsets.add_partition_offset(&self.topic, partition.cast_signed(), offset);
        }
        if let Err(error) = self.consumer.commit(&offsets, mode) {
            tracing::debug!(%error, "advisory offsets were not taken");
        }
        failpoint::pass(Point::AfterCommit);
    }

    /// Which errors end the sink? Those that no waiting mends.
    fn judge(&self, error: KafkaError) -> Result<(), SourceError> {
        let topic = self.topic.to_string();
        let code = error.rdkafka_error_code();
        if let Some(refused) = code.and_then(|code| self.consumer.context().member.refused(code, &error)) {
            return Err(refused);
        }
        match code {
            Some(RDKafkaErrorCode::AutoOffsetReset | RDKafkaErrorCode::OffsetOutOfRange) => {
                Err(SourceError::OutOfRange { topic, reason: error.to_string() })
            }
            _ if matches!(error, KafkaError::MessageConsumptionFatal(_)) => Err(SourceError::Kafka(error)),
            _ => {
                tracing::warn!(topic, %error, "the Kafka client reports an error and goes on");
                Ok(())
            }
        }
    }
}
