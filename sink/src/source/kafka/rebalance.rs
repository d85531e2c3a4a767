//! What happens when the group gives partitions to this process or takes them away.
//!
//! Responsible for the rebalance callback, the only place where ownership changes. It runs inside `poll`, on the
//! consumer's thread. On assign it finds, with a deadline, where the chain of each partition ends, and assigns exactly
//! these offsets; on revoke it gives the partitions' tasks a moment to write what they have, so that a group that never
//! comes to rest gets on all the same, stops them and answers. A partition that was lost is stopped at once: somebody else
//! may have it. Neither matters to what is in the lake. The rest of the work is left as events that the thread takes up
//! before it looks at the next message.

use std::{
    collections::HashMap,
    mem::take,
    ops::Range,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use futures::{StreamExt, TryStreamExt, future::join_all, stream};
use parking_lot::Mutex;
use rdkafka::{
    ClientContext, Offset, TopicPartitionList,
    consumer::{Consumer as _, ConsumerContext},
    types::RDKafkaRespErr,
};
use tokio::{runtime::Handle, time::timeout};

use super::{Consumer, incarnation, log_range, member::Member};
use crate::{
    budget::{Held, Holder},
    metrics::Rebalance,
    resume::Resume,
    source::{Ownership, SourceContext, SourceError, Tenure},
};

/// How long the broker may take to answer a question in the callback.
const BROKER_TIMEOUT: Duration = Duration::from_secs(10);

/// Chains that are looked up at the same time.
const RESUMES_AT_ONCE: usize = 32;

/// A change of ownership, to be taken up by the consumer's thread.
#[derive(Debug)]
pub(super) enum Change {
    Assigned {
        partition: u32,
        resume: Resume,
        /// First offset to read.
        position: u64,
        tenure: Tenure,
    },
    Revoked {
        partition: u32,
    },
    Failed(SourceError),
}

/// The consumer's context.
pub(super) struct Context {
    pub(super) source: SourceContext,
    pub(super) member: Member,
    /// The client's queue, for as long as there is a client.
    _queue: Held,
    runtime: Handle,
    log_id: OnceLock<Arc<str>>,
    /// Stops the tasks of the partitions that are ours.
    owned: Mutex<HashMap<u32, Ownership>>,
    changes: Mutex<Vec<Change>>,
    has_changes: AtomicBool,
    /// Has the group said what this member gets, be it nothing?
    has_share: AtomicBool,
    begun: Instant,
}

impl Context {
    pub(super) fn new(source: SourceContext, runtime: Handle, member: Member) -> Context {
        let mut queue = source.budget.hold(Holder::Client);
        queue.set(source.budget.client_bytes());
        Context {
            source,
            member,
            _queue: queue,
            runtime,
            log_id: OnceLock::new(),
            owned: Mutex::default(),
            changes: Mutex::default(),
            has_changes: AtomicBool::new(false),
            has_share: AtomicBool::new(false),
            begun: Instant::now(),
        }
    }

    pub(super) fn set_log_id(&self, log_id: String) {
        self.log_id.set(log_id.into()).expect("it is set once, before the group is joined");
    }

    pub(super) fn log_id(&self) -> &Arc<str> {
        self.log_id.get().expect("it is set before the group is joined")
    }

    /// Has the group said what this member gets?
    pub(super) fn has_share(&self) -> bool {
        self.has_share.load(Relaxed)
    }

    /// Time since the client was made, which joins at once.
    pub(super) fn age(&self) -> Duration {
        self.begun.elapsed()
    }

    /// Partitions that are ours now.
    pub(super) fn owned(&self) -> Vec<u32> {
        self.owned.lock().keys().copied().collect()
    }

    /// Does something that must not happen while a partition is taken away.
    pub(super) fn while_owned(&self, act: impl FnOnce(&dyn Fn(u32) -> bool)) {
        let owned = self.owned.lock();
        act(&|partition| owned.contains_key(&partition));
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
        let resumes = partitions.iter().map(|&partition| async move {
            Ok::<_, SourceError>((partition, self.source.resume(partition, self.log_id()).await?))
        });
        let resumes = stream::iter(resumes).buffer_unordered(RESUMES_AT_ONCE);
        let resumes: Vec<_> = self.runtime.block_on(resumes.try_collect())?;
        let starts = log_range::starts(consumer, topic, &partitions, BROKER_TIMEOUT).map_err(SourceError::Kafka)?;
        let ends = log_range::ends(consumer, topic, &partitions, BROKER_TIMEOUT).map_err(SourceError::Kafka)?;
        for (partition, resume) in resumes {
            let log = starts[&partition]..ends[&partition];
            let (resume, position) = self.checked(partition, resume, log)?;
            let offset = Offset::Offset(position.cast_signed());
            assigned.add_partition_offset(topic, partition.cast_signed(), offset).map_err(SourceError::Kafka)?;
            let (ownership, tenure) = Ownership::begin();
            self.owned.lock().insert(partition, ownership);
            self.leave(Change::Assigned { partition, resume, position, tenure });
        }
        consumer.incremental_assign(&assigned).map_err(SourceError::Kafka)
    }

    /// The resume point, which must lie within the log, and where to read from. The two differ for a chain that is still
    /// empty: its first file has the key 0 whatever the log still holds, because writers that disagreed on the first key
    /// could both win.
    fn checked(
        &self,
        partition: u32,
        listed: Option<Resume>,
        mut log: Range<u64>,
    ) -> Result<(Resume, u64), SourceError> {
        let Some(listed) = listed else {
            tracing::info!(
                partition,
                start = log.start,
                "the lake has no file of this partition yet: it begins where the log begins"
            );
            return Ok((Resume::at(0), log.start));
        };
        let confirming = self.source.confirmed(partition, self.log_id(), listed, &mut log);
        let mut resume = self.runtime.block_on(confirming)?;
        let position = self.source.position(partition, &mut resume, log.clone())?;
        tracing::info!(partition, next = resume.next, log_end = log.end, "resuming where the partition's chain ends");
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

    /// Stops the tasks before the answer, after which somebody else may write.
    fn revoke(&self, consumer: &Consumer, taken: &TopicPartitionList, is_lost: bool) -> Result<(), SourceError> {
        let partitions: Vec<u32> = taken.elements().iter().map(|taken| taken.partition().cast_unsigned()).collect();
        // What has been given and not been taken up yet has no task.
        self.changes
            .lock()
            .retain(|change| !matches!(change, Change::Assigned { partition, .. } if partitions.contains(partition)));
        let ending: Vec<Ownership> =
            partitions.iter().filter_map(|partition| self.owned.lock().remove(partition)).collect();
        let wait = self.member.revoke_timeout;
        if !is_lost && !wait.is_zero() {
            ending.iter().for_each(|ownership| ownership.released.cancel());
            let ended = join_all(ending.iter().map(|ownership| ownership.ended.cancelled()));
            // What is not written in time is read again by the next owner.
            let _ = self.runtime.block_on(async { timeout(wait, ended).await });
        }
        ending.iter().for_each(|ownership| ownership.revoked.cancel());
        partitions.iter().for_each(|&partition| self.leave(Change::Revoked { partition }));
        consumer.incremental_unassign(taken).map_err(SourceError::Kafka)
    }
}

impl ClientContext for Context {}

impl ConsumerContext for Context {
    fn rebalance(&self, consumer: &Consumer, event: RDKafkaRespErr, partitions: &mut TopicPartitionList) {
        let started = Instant::now();
        let (kind, result) = match event {
            RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS => {
                (Rebalance::Assigned, self.assign(consumer, partitions))
            }
            _ if consumer.assignment_lost() => (Rebalance::Lost, self.revoke(consumer, partitions, true)),
            _ => (Rebalance::Revoked, self.revoke(consumer, partitions, false)),
        };
        self.source.metrics.rebalance(kind, partitions.count(), started.elapsed());
        match result {
            Ok(()) => {
                self.has_share.store(true, Relaxed);
                self.source.readiness.log.set(true, "");
            }
            Err(error) => {
                // The group waits for an answer, also from a process that is about to end.
                let _ = consumer.incremental_assign(&TopicPartitionList::new());
                self.leave(Change::Failed(error));
            }
        }
    }
}
