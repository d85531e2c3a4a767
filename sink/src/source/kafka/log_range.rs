//! Where partitions begin and end in the log.
//!
//! Responsible for asking the broker about many partitions at once: one request to each broker for each end, where
//! `fetch_watermarks` costs two for every partition, one after the other, and a thousand partitions then take seconds.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use rdkafka::{
    Offset, TopicPartitionList,
    consumer::Consumer as _,
    error::{KafkaError, KafkaResult, RDKafkaErrorCode},
};

use super::Consumer;

/// Wait before a question that had no answer is asked again.
const PAUSE: Duration = Duration::from_millis(100);

/// First offset of each partition that the log still has.
pub(super) fn starts(
    consumer: &Consumer,
    topic: &str,
    partitions: &[u32],
    timeout: Duration,
) -> KafkaResult<HashMap<u32, u64>> {
    ask(consumer, topic, partitions, Offset::Beginning, timeout)
}

/// Offset behind the last record of each partition.
pub(super) fn ends(
    consumer: &Consumer,
    topic: &str,
    partitions: &[u32],
    timeout: Duration,
) -> KafkaResult<HashMap<u32, u64>> {
    ask(consumer, topic, partitions, Offset::End, timeout)
}

/// In the request that looks offsets up by time, the times -1 and -2 stand for the end and the beginning, which are also
/// the numbers of these two offsets (Kafka protocol, ListOffsets).
fn ask(
    consumer: &Consumer,
    topic: &str,
    partitions: &[u32],
    time: Offset,
    timeout: Duration,
) -> KafkaResult<HashMap<u32, u64>> {
    let mut times = TopicPartitionList::with_capacity(partitions.len());
    for partition in partitions {
        times.add_partition_offset(topic, partition.cast_signed(), time)?;
    }
    if partitions.is_empty() {
        return Ok(HashMap::new());
    }
    let deadline = Instant::now() + timeout;
    loop {
        match answered(consumer, times.clone(), deadline.saturating_duration_since(Instant::now())) {
            // A topic that is new, or whose leader moves, is not known to every broker yet.
            Err(_) if Instant::now() + PAUSE < deadline => std::thread::sleep(PAUSE),
            answer => return answer,
        }
    }
}

fn answered(consumer: &Consumer, times: TopicPartitionList, timeout: Duration) -> KafkaResult<HashMap<u32, u64>> {
    let mut offsets = HashMap::with_capacity(times.count());
    for answer in consumer.offsets_for_times(times, timeout)?.elements() {
        answer.error()?;
        let offset = match answer.offset() {
            Offset::Offset(offset) => offset.cast_unsigned(),
            _ => return Err(KafkaError::OffsetFetch(RDKafkaErrorCode::NoOffset)),
        };
        offsets.insert(answer.partition().cast_unsigned(), offset);
    }
    Ok(offsets)
}
