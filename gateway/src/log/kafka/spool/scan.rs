//! What a drain that was cut off had already brought to Kafka.
//!
//! Responsible for reading Kafka from the checkpoint's marks to its end and picking out the records that carry this
//! spool's header. Promises that every record beyond the checkpoint that is in Kafka is found, so that none is written
//! twice. Reads what other producers wrote since, too: it takes as long as that takes, and says so.

use std::{
    collections::{BTreeMap, HashSet},
    time::{Duration, Instant},
};

use journal::Uuid;
use rdkafka::{
    ClientConfig, Message, Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer},
    error::{KafkaError as Error, RDKafkaErrorCode as Code},
    message::Headers,
};

use super::{
    checkpoint::Checkpoint,
    entry::{HEADER, Place},
};

/// For one question to the brokers.
const PATIENCE: Duration = Duration::from_secs(5);
/// A request of the process that was cut off may still lie with a broker: it is given this time to be written.
const SETTLE: Duration = Duration::from_millis(500);
const SAID_EVERY: Duration = Duration::from_secs(5);

/// Places of records at or beyond `checkpoint.drained` that are in Kafka. `None` where it was told to end.
pub(super) fn already_there(
    config: &ClientConfig,
    checkpoint: &Checkpoint,
    spool: Uuid,
    ends: impl Fn() -> bool,
) -> Result<Option<HashSet<Place>>, Error> {
    std::thread::sleep(SETTLE);
    let mut found = HashSet::new();
    for (topic, marks) in &checkpoint.marks {
        let consumer: BaseConsumer = config.create()?;
        let mut left = range(&consumer, topic, marks)?;
        let mut from = TopicPartitionList::new();
        for (&partition, &(begin, _)) in &left {
            from.add_partition_offset(topic, partition, Offset::Offset(begin))?;
        }
        consumer.assign(&from)?;
        let (mut said, mut read, mut heard) = (Instant::now(), 0_u64, Instant::now());
        while !left.is_empty() {
            if ends() {
                return Ok(None);
            }
            if said.elapsed() > SAID_EVERY {
                said = Instant::now();
                tracing::info!(topic, records_read = read, "looking up what the spool has drained already");
            }
            match consumer.poll(Duration::from_millis(100)) {
                Some(Ok(record)) => {
                    read += 1;
                    let places = record.headers().into_iter().flat_map(Headers::iter);
                    let places = places.filter(|header| header.key == HEADER);
                    let places = places.filter_map(|header| Place::from_header(header.value?, spool));
                    found.extend(places.filter(|place| checkpoint.is_beyond(*place)));
                    if left.get(&record.partition()).is_some_and(|&(_, end)| record.offset() + 1 >= end) {
                        left.remove(&record.partition());
                    }
                }
                Some(Err(Error::PartitionEOF(partition))) => drop(left.remove(&partition)),
                Some(Err(error)) => return Err(error),
                None if heard.elapsed() > PATIENCE => return Err(Error::MessageConsumption(Code::OperationTimedOut)),
                None => continue,
            }
            heard = Instant::now();
        }
    }
    Ok(Some(found))
}

/// Begin and end of what has to be read, of each partition where that is not nothing.
fn range(consumer: &BaseConsumer, topic: &str, marks: &[i64]) -> Result<BTreeMap<i32, (i64, i64)>, Error> {
    let metadata = consumer.fetch_metadata(Some(topic), PATIENCE)?;
    let partitions = metadata.topics().first().map_or(0, |topic| topic.partitions().len());
    let mut range = BTreeMap::new();
    for (partition, index) in (0..).zip(0..partitions) {
        let (low, high) = consumer.fetch_watermarks(topic, partition, PATIENCE)?;
        // A mark beyond the end is of a topic that was made anew.
        let begin = marks.get(index).copied().filter(|mark| *mark <= high).unwrap_or(0).max(low);
        if begin < high {
            range.insert(partition, (begin, high));
        }
    }
    Ok(range)
}
