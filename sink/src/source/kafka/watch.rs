//! What the broker says about the log, now and then.
//!
//! Responsible for what messages do not tell: where the log ends, also for a partition that is paused or stalled; which
//! advisory offset the broker holds (the results of asynchronous commits are not reported); whether the topic still is the
//! one that was joined; and whether this is a member without partitions. Runs beside the consumer's thread, so that a slow
//! broker stops nothing.

use std::{
    sync::{Arc, Weak},
    time::Duration,
};

use rdkafka::{Offset, TopicPartitionList, consumer::Consumer as _, error::KafkaResult};
use tokio::time::{MissedTickBehavior, interval};

use super::{Consumer, incarnation, log_range, rebalance::Change};
use crate::{lag::now_us, source::SourceError};

const INTERVAL: Duration = Duration::from_secs(5);
const TIMEOUT: Duration = Duration::from_secs(2);
/// A member's first partitions come with the answer to its first heartbeat, or when others have given them up.
const SHARE_WITHIN: Duration = Duration::from_secs(10);

/// Looks until the consumer is gone.
pub(super) async fn run(consumer: Weak<Consumer>, topic: Arc<str>) {
    if let Some(consumer) = consumer.upgrade() {
        consumer.context().source.metrics.lag().looked(now_us());
    }
    let mut ticks = interval(INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let (consumer, topic) = (Weak::clone(&consumer), Arc::clone(&topic));
        let looked = tokio::task::spawn_blocking(move || consumer.upgrade().map(|consumer| look(&consumer, &topic)));
        match looked.await {
            Ok(Some(Ok(()))) => {}
            Ok(Some(Err(error))) => tracing::debug!(%error, "the broker does not say where the log ends"),
            Ok(None) | Err(_) => return,
        }
    }
}

fn look(consumer: &Consumer, topic: &str) -> KafkaResult<()> {
    let (context, partitions) = (consumer.context(), consumer.context().owned());
    match incarnation::topic_id(consumer, topic, TIMEOUT) {
        Ok(id) if id != **context.log_id() => {
            context.leave(Change::Failed(SourceError::Recreated { topic: topic.to_owned() }));
            return Ok(());
        }
        Err(error) if incarnation::is_unknown_topic(&error) => {
            tracing::warn!(topic, "the topic is not there any more");
            context.source.readiness.log.set(false, format!("topic {topic} does not exist"));
            return Ok(());
        }
        Ok(_) if knows_share(consumer, topic) => context.source.readiness.log.set(true, ""),
        Ok(_) => {}
        Err(error) => {
            context.source.readiness.log.set(false, format!("the broker does not answer: {error}"));
            return Err(error);
        }
    }
    let asked_us = now_us();
    let ends = log_range::ends(consumer, topic, &partitions, TIMEOUT)?;
    for (partition, end) in &ends {
        if let Some(lag) = context.source.metrics.lag().partition(*partition) {
            lag.log_end(*end, asked_us);
        }
    }
    context.source.metrics.lag().looked(asked_us);
    if partitions.is_empty() {
        return Ok(());
    }
    note_committed(consumer, topic, &partitions)
}

/// Is it known what this member gets? Who gets nothing is told so by `classic`, and nothing at all by `consumer`: such a
/// member is known by a group that answers and has given it nothing for a while.
fn knows_share(consumer: &Consumer, topic: &str) -> bool {
    let context = consumer.context();
    if context.has_share() || !context.member.is_untold || context.age() < SHARE_WITHIN {
        return context.has_share();
    }
    let mut any = TopicPartitionList::new();
    any.add_partition(topic, 0);
    consumer.committed_offsets(any, TIMEOUT).is_ok()
}

/// What the broker holds for the group. A partition that has been taken away meanwhile gets no number.
fn note_committed(consumer: &Consumer, topic: &str, partitions: &[u32]) -> KafkaResult<()> {
    let mut list = TopicPartitionList::new();
    for partition in partitions {
        list.add_partition(topic, partition.cast_signed());
    }
    let committed = consumer.committed_offsets(list, TIMEOUT)?;
    consumer.context().while_owned(|owns| {
        for element in committed.elements() {
            let partition = element.partition().cast_unsigned();
            if let Offset::Offset(offset) = element.offset()
                && owns(partition)
            {
                consumer.context().source.metrics.kafka_committed(partition, offset);
            }
        }
    });
    Ok(())
}
