//! What happens when the group gives partitions to this process or takes them away.
//!
//! Responsible for the rebalance callback, the only place where ownership changes. It runs inside `poll`, on the
//! consumer's thread. On assign it finds, with a deadline, where the chain of each partition ends, and assigns exactly
//! these offsets; on revoke it stops the partitions' tasks and answers at once. The rest of the work is left as events
//! that the thread takes up before it looks at the next message.

use std::{
    collections::HashMap,
    mem::take,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use futures::future::try_join_all;
use parking_lot::Mutex;
use rdkafka::{
    ClientContext, Offset, TopicPartitionList,
    consumer::{Consumer as _, ConsumerContext},
    types::RDKafkaRespErr,
};
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

use super::{Consumer, incarnation};
use crate::{
    budget::{Held, Holder},
    metrics::Rebalance,
    resume::Resume,
    source::{SourceContext, SourceError},
};

/// How long the broker may take to answer a question in the callback.
const BROKER_TIMEOUT: Duration = Duration::from_secs(10);

/// A change of ownership, to be taken up by the consumer's thread.
#[derive(Debug)]
pub(super) enum Change {
    Assigned {
        partition: u32,
        resume: Resume,
        /// First offset to read.
        position: u64,
        revoked: CancellationToken,
    },
    Revoked {
        partition: u32,
    },
    Failed(SourceError),
}

/// The consumer's context.
pub(super) struct Context {
    pub(super) source: SourceContext,
    /// The client's queue, for as long as there is a client.
    _queue: Held,
    runtime: Handle,
    log_id: OnceLock<Arc<str>>,
    /// Stops the tasks of the partitions that are ours.
    owned: Mutex<HashMap<u32, CancellationToken>>,
    changes: Mutex<Vec<Change>>,
    has_changes: AtomicBool,
}

impl Context {
    pub(super) fn new(source: SourceContext, runtime: Handle) -> Context {
        let mut queue = source.budget.hold(Holder::Client);
        queue.set(source.budget.client_bytes());
        Context {
            source,
            _queue: queue,
            runtime,
            log_id: OnceLock::new(),
            owned: Mutex::default(),
            changes: Mutex::default(),
            has_changes: AtomicBool::new(false),
        }
    }

    pub(super) fn set_log_id(&self, log_id: String) {
        self.log_id.set(log_id.into()).expect("it is set once, before the group is joined");
    }

    pub(super) fn log_id(&self) -> &Arc<str> {
        self.log_id.get().expect("it is set before the group is joined")
    }

    /// Partitions that are ours now.
    pub(super) fn owned(&self) -> Vec<u32> {
        self.owned.lock().keys().copied().collect()
    }

    /// What has happened since the last call.
    pub(super) fn take_changes(&self) -> Vec<Change> {
        if !self.has_changes.swap(false, Relaxed) {
            return Vec::new();
        }
        take(&mut *self.changes.lock())
    }

    /// Leaves a change for the consumer's thread.
    pub(super) fn leave(&self, change: Change) {
        self.changes.lock().push(change);
        self.has_changes.store(true, Relaxed);
    }

    fn assign(&self, consumer: &Consumer, given: &TopicPartitionList) -> Result<(), SourceError> {
        let topic = &*self.source.topic;
        let partitions: Vec<u32> = given.elements().iter().map(|given| given.partition().cast_unsigned()).collect();
        let mut assigned = TopicPartitionList::new();
        if !partitions.is_empty() {
            self.check_incarnation(consumer)?;
        }
        let ends = partitions.iter().map(|partition| self.source.resume(*partition, self.log_id()));
        let ends = self.runtime.block_on(try_join_all(ends))?;
        for (partition, end) in partitions.into_iter().zip(ends) {
            let (resume, position) = self.checked(consumer, partition, end)?;
            let offset = Offset::Offset(position.cast_signed());
            assigned.add_partition_offset(topic, partition.cast_signed(), offset).map_err(SourceError::Kafka)?;
            let revoked = CancellationToken::new();
            self.owned.lock().insert(partition, revoked.clone());
            self.leave(Change::Assigned { partition, resume, position, revoked });
        }
        consumer.incremental_assign(&assigned).map_err(SourceError::Kafka)
    }

    /// The resume point, which must lie within the log, and where to read from. The two differ for a chain that is still
    /// empty: its first file has the key 0 whatever the log still holds, because writers that disagreed on the first key
    /// could both win.
    fn checked(&self, consumer: &Consumer, partition: u32, end: Option<Resume>) -> Result<(Resume, u64), SourceError> {
        let topic = &*self.source.topic;
        let (low, high) =
            consumer.fetch_watermarks(topic, partition.cast_signed(), BROKER_TIMEOUT).map_err(SourceError::Kafka)?;
        let (start, high) = (low.cast_unsigned(), high.cast_unsigned());
        let Some(resume) = end else {
            tracing::info!(
                partition,
                start,
                "the lake has no file of this partition yet: it begins where the log begins"
            );
            return Ok((Resume::at(0), start));
        };
        let lake = || self.source.store.url().to_owned();
        if resume.next < start {
            return Err(SourceError::Gap { partition, lake: lake(), next: resume.next, start });
        }
        if resume.next > high {
            return Err(SourceError::Behind { partition, lake: lake(), next: resume.next, end: high });
        }
        tracing::info!(partition, next = resume.next, log_end = high, "resuming where the partition's chain ends");
        let position = resume.next;
        Ok((resume, position))
    }

    fn check_incarnation(&self, consumer: &Consumer) -> Result<(), SourceError> {
        let topic = &*self.source.topic;
        let id = incarnation::topic_id(consumer, topic, BROKER_TIMEOUT).map_err(SourceError::Kafka)?;
        if id == **self.log_id() {
            return Ok(());
        }
        Err(SourceError::Recreated { topic: topic.to_owned() })
    }

    /// Stops the tasks first: after the answer somebody else may write.
    fn revoke(&self, consumer: &Consumer, taken: &TopicPartitionList) -> Result<(), SourceError> {
        for element in taken.elements() {
            let partition = element.partition().cast_unsigned();
            if let Some(revoked) = self.owned.lock().remove(&partition) {
                revoked.cancel();
            }
            self.leave(Change::Revoked { partition });
        }
        consumer.incremental_unassign(taken).map_err(SourceError::Kafka)
    }
}

impl ClientContext for Context {}

impl ConsumerContext for Context {
    fn rebalance(&self, consumer: &Consumer, event: RDKafkaRespErr, partitions: &mut TopicPartitionList) {
        let metrics = &self.source.metrics;
        let result = match event {
            RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS => {
                metrics.rebalance(Rebalance::Assigned, partitions.count());
                self.assign(consumer, partitions)
            }
            _ => {
                let is_lost = consumer.assignment_lost();
                metrics.rebalance(if is_lost { Rebalance::Lost } else { Rebalance::Revoked }, partitions.count());
                self.revoke(consumer, partitions)
            }
        };
        self.source.readiness.log.set(true, "");
        if let Err(error) = result {
            // The group waits for an answer, also from a process that is about to end.
            let _ = consumer.incremental_assign(&TopicPartitionList::new());
            self.leave(Change::Failed(error));
        }
    }
}
