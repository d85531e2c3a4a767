//! What the broker says about the log, now and then.
//!
//! Responsible for three things that messages do not tell: where the log ends, also for a partition that is paused or
//! stalled; which advisory offset the broker holds (the results of asynchronous commits are not reported); and whether
//! the topic still is the one that was joined. Runs beside the consumer's thread, so that a slow broker stops nothing.

use std::{
    sync::{Arc, Weak},
    time::Duration,
};

use rdkafka::{Offset, TopicPartitionList, consumer::Consumer as _, error::KafkaResult};
use tokio::time::{MissedTickBehavior, interval};

use super::{Consumer, incarnation, rebalance::Change};
use crate::source::SourceError;

const INTERVAL: Duration = Duration::from_secs(5);
const TIMEOUT: Duration = Duration::from_secs(2);

/// Looks until the consumer is gone.
pub(super) async fn run(consumer: Weak<Consumer>, topic: Arc<str>) {
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
        Ok(_) => context.source.readiness.log.set(true, ""),
        Err(error) => {
            context.source.readiness.log.set(false, format!("the broker does not answer: {error}"));
            return Err(error);
        }
    }
    let mut list = TopicPartitionList::new();
    for partition in partitions {
        let (_, end) = consumer.fetch_watermarks(topic, partition.cast_signed(), TIMEOUT)?;
        if let Some(lag) = context.source.metrics.lag().partition(partition) {
            lag.log_end(end.cast_unsigned());
        }
        list.add_partition(topic, partition.cast_signed());
    }
    for element in consumer.committed_offsets(list, TIMEOUT)?.elements() {
        if let Offset::Offset(offset) = element.offset() {
            context.source.metrics.kafka_committed(element.partition().cast_unsigned(), offset);
        }
    }
    Ok(())
}
