//! One assigned partition, on the consumer's side.
//!
//! Responsible for gathering the partition's messages into chunks and handing these over, for back-pressure, and for
//! seeks. Promises: after a seek no message from before it reaches the task under the new generation, even if the client
//! should still deliver one.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use rdkafka::{
    Message, Offset, TopicPartitionList, consumer::Consumer as _, error::KafkaResult, message::BorrowedMessage,
};
use tokio::sync::mpsc::{self, error::TrySendError};

use super::{Consumer, copy_message};
use crate::{
    budget::Budget,
    source::{CHUNK_BYTES, Chunk, chunk::Room},
};

/// Messages are gathered for so long before a chunk that is not full is handed over.
pub(super) const GATHER: Duration = Duration::from_millis(20);
/// Polling waits for it, so it is short; a seek that takes longer is tried again.
const SEEK_TIMEOUT: Duration = Duration::from_secs(1);

/// See the module.
#[derive(Debug)]
pub(super) struct Feed {
    partition: u32,
    generation: u32,
    /// Where the last seek or the assignment points, until the first message has come.
    expected: Option<u64>,
    /// A first message that is not the expected one; it is believed when it comes a second time.
    surprising: Option<u64>,
    /// A seek that the client has not taken yet.
    seeking: Option<u64>,
    open: Chunk,
    opened: Instant,
    /// What the last chunk took.
    room: Room,
    budget: Budget,
    /// Full chunks that the task has no room for.
    waiting: VecDeque<Chunk>,
    is_paused: bool,
    /// No partition is read for now.
    is_held: bool,
    /// `None` once the log has ended for the task.
    chunks: Option<mpsc::Sender<Chunk>>,
}

impl Feed {
    pub(super) fn new(partition: u32, start: u64, chunks: mpsc::Sender<Chunk>, budget: &Budget) -> Feed {
        Feed {
            partition,
            generation: 0,
            expected: Some(start),
            surprising: None,
            seeking: None,
            open: Chunk::counted(0, budget),
            opened: Instant::now(),
            room: Room::default(),
            budget: budget.clone(),
            waiting: VecDeque::new(),
            is_paused: false,
            is_held: false,
            chunks: Some(chunks),
        }
    }

    /// Copies a message into the open chunk.
    pub(super) fn push(&mut self, consumer: &Consumer, message: &BorrowedMessage<'_>) {
        let offset = message.offset().cast_unsigned();
        if self.chunks.is_none() || self.seeking.is_some() || !self.is_believed(offset) {
            return;
        }
        if self.open.is_empty() {
            self.opened = Instant::now();
            self.open.reserve(self.room);
        }
        copy_message(message, &mut self.open);
        if self.open.bytes() >= CHUNK_BYTES {
            self.hand_over(consumer);
        }
    }

    /// The first message after a seek must be the one that was asked for, or, where the log has a hole (an aborted
    /// transaction), one that comes again when asked again.
    fn is_believed(&mut self, offset: u64) -> bool {
        match self.expected {
            None => true,
            Some(expected) if offset == expected || self.surprising == Some(offset) => {
                (self.expected, self.surprising) = (None, None);
                true
            }
            Some(expected) => {
                self.surprising = Some(offset);
                self.seeking = Some(expected);
                false
            }
        }
    }

    /// Does a chunk wait to be handed over since long enough?
    pub(super) fn is_ripe(&self) -> bool {
        !self.open.is_empty() && self.opened.elapsed() >= GATHER
    }

    /// Is there anything in the open chunk?
    pub(super) fn is_gathering(&self) -> bool {
        !self.open.is_empty()
    }

    /// Hands the open chunk over; a task without room pauses the partition.
    pub(super) fn hand_over(&mut self, consumer: &Consumer) {
        if !self.open.is_empty() {
            let next = Chunk::counted(self.generation, &self.budget);
            let mut full = std::mem::replace(&mut self.open, next);
            self.room = full.room();
            full.trim();
            self.waiting.push_back(full);
        }
        self.send(consumer);
    }

    /// Sends what waits, and pauses or resumes the partition accordingly.
    pub(super) fn send(&mut self, consumer: &Consumer) {
        if self.has_ended() {
            return;
        }
        while let Some(chunk) = self.waiting.pop_front() {
            match self.chunks.as_ref().map(|chunks| chunks.try_send(chunk)) {
                Some(Err(TrySendError::Full(chunk))) => {
                    self.waiting.push_front(chunk);
                    break;
                }
                // A task that has ended has told the sink why.
                Some(Ok(()) | Err(TrySendError::Closed(_))) | None => {}
            }
        }
        let pauses = self.is_held || !self.waiting.is_empty();
        if pauses != self.is_paused && self.set_paused(consumer, pauses).is_ok() {
            self.is_paused = pauses;
        }
    }

    /// Stops to read, or goes on, because there is no room in memory, or there is again.
    pub(super) fn hold(&mut self, is_held: bool) {
        self.is_held = is_held;
    }

    /// Reads no further. The task sees the end when it has taken all chunks.
    pub(super) fn end(&mut self, consumer: &Consumer) {
        self.hand_over(consumer);
        let _ = self.set_paused(consumer, true);
        self.is_paused = true;
        if self.waiting.is_empty() {
            self.chunks = None;
        }
    }

    pub(super) fn has_ended(&self) -> bool {
        self.chunks.is_none()
    }

    /// Goes on from an offset that a task asked for.
    pub(super) fn seek(&mut self, offset: u64, generation: u32) {
        self.generation = generation;
        self.open = Chunk::counted(generation, &self.budget);
        self.waiting.clear();
        (self.expected, self.surprising, self.seeking) = (Some(offset), None, Some(offset));
    }

    /// Passes an open seek on to the client; one that it does not take now is tried again.
    pub(super) fn apply_seek(&mut self, consumer: &Consumer, topic: &str) {
        let Some(offset) = self.seeking.filter(|_| !self.has_ended()) else { return };
        if self.is_paused && self.set_paused(consumer, false).is_ok() {
            self.is_paused = false;
        }
        let to = Offset::Offset(offset.cast_signed());
        match consumer.seek(topic, self.partition.cast_signed(), to, SEEK_TIMEOUT) {
            Ok(()) => self.seeking = None,
            Err(error) => tracing::warn!(partition = self.partition, offset, %error, "cannot seek yet, trying again"),
        }
    }

    fn set_paused(&self, consumer: &Consumer, is_paused: bool) -> KafkaResult<()> {
        let mut partitions = TopicPartitionList::new();
        partitions.add_partition(&consumer.context().source.topic, self.partition.cast_signed());
        if is_paused { consumer.pause(&partitions) } else { consumer.resume(&partitions) }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use prometheus_client::registry::Registry;

    use super::*;
    use crate::metrics::Metrics;

    /// The client takes what it is asked for, and the next message has this offset.
    #[track_caller]
    fn check(feed: &mut Feed, offset: u64, is_believed: bool, asks_again: Option<u64>) {
        feed.seeking = None;
        assert_eq!((feed.is_believed(offset), feed.seeking), (is_believed, asks_again));
    }

    #[test]
    fn after_a_seek_another_message_than_the_expected_is_believed_when_it_comes_again() {
        let budget = Budget::new(1 << 20, Arc::new(Metrics::register(&mut Registry::default())));
        let mut feed = Feed::new(0, 10, mpsc::channel(1).0, &budget);
        check(&mut feed, 10, true, None);
        check(&mut feed, 11, true, None);
        feed.seek(5, 1);
        // It was on its way before the seek.
        check(&mut feed, 12, false, Some(5));
        check(&mut feed, 5, true, None);
        check(&mut feed, 8, true, None);
        feed.seek(20, 2);
        // The log has a hole.
        check(&mut feed, 22, false, Some(20));
        check(&mut feed, 22, true, None);
    }
}
