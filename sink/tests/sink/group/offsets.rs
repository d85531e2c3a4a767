//! What a sink tells the log of its progress, for lag tools.

use std::time::Duration;

use rdkafka::{
    ClientConfig, Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer},
};

use super::{PARTITIONS, Setup, share};
use crate::{
    kafka::stop,
    process::{Sink, wait_for},
};

/// The sum of the offsets that the broker holds for the group.
fn committed(setup: &Setup) -> usize {
    let asking: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", setup.brokers)
        .set("group.id", &setup.topic)
        .create()
        .expect("a consumer");
    let mut partitions = TopicPartitionList::new();
    for partition in 0..PARTITIONS {
        partitions.add_partition(&setup.topic, partition.cast_signed());
    }
    let committed = asking.committed_offsets(partitions, Duration::from_secs(30)).expect("an answer");
    let elements = committed.elements();
    let offsets = elements.iter().map(|element| match element.offset() {
        Offset::Offset(offset) => offset,
        _ => 0,
    });
    offsets.sum::<i64>().try_into().expect("not negative")
}

/// Partitions whose committed offset a member shows.
fn shown(member: &Sink) -> usize {
    let metrics = member.admin("/metrics");
    metrics.lines().filter(|line| line.starts_with("footfall_sink_kafka_committed_offset{")).count()
}

/// The group's offsets follow the lake, and each is shown by the member that has the partition.
#[test]
fn the_log_is_told_what_the_lake_holds() {
    if kafka::left_out() {
        return;
    }
    let mut setup = Setup::new("offsets", "300ms");
    let first = setup.sink(&[]);
    setup.produce(200);
    setup.wait("the rows");
    wait_for("the offsets", || committed(&setup) == 200);
    wait_for("all offsets", || shown(&first) == 4);
    let second = setup.sink(&[]);
    wait_for("two shares", || share(&first) == 2 && share(&second) == 2);
    assert_eq!(shown(&first), 2, "what has gone is not shown");
    wait_for("the offsets of the other share", || shown(&second) == 2);
    setup.produce(100);
    setup.wait("the rows of both");
    stop(first);
    stop(second);
    assert_eq!(committed(&setup), 300, "the end of a member tells the rest");
    setup.must_hold();
}
