//! A real Kafka as the log, sinks as processes that are killed.

use std::{path::Path, time::Duration};

use kafka::Broker;
use rdkafka::{
    ClientConfig, Offset, TopicPartitionList,
    admin::{AdminClient, AdminOptions},
    client::DefaultClientContext,
    consumer::{BaseConsumer, CommitMode, Consumer},
    producer::{BaseProducer, BaseRecord, Producer},
};

use super::{
    lake::{assert_exactly_once_in_order, event, rows},
    process::{Sink, wait_for},
};

const PARTITIONS: i32 = 4;
const TIMEOUT: Duration = Duration::from_secs(30);

pub(crate) fn produce(brokers: &str, topic: &str, events: std::ops::Range<usize>) {
    let producer: BaseProducer = ClientConfig::new()
        .set("bootstrap.servers", brokers)
        .set("enable.idempotence", "true")
        .set("partitioner", "murmur2_random")
        .create()
        .expect("a producer");
    for number in events {
        let (user, value) = event(number);
        producer.send(BaseRecord::to(topic).key(&user).payload(&value)).expect("queued");
    }
    producer.flush(TIMEOUT).expect("delivered");
}

pub(crate) fn sink(brokers: &str, topic: &str, lake: &Path) -> Sink {
    sink_of_group(brokers, topic, topic, "1000", lake)
}

fn sink_of_group(brokers: &str, topic: &str, group: &str, rows_max: &str, lake: &Path) -> Sink {
    let lake = format!("file://{}", lake.display());
    let flags = ["run", "--brokers", brokers, "--topic", topic, "--group", group, "--lake", &lake];
    let more = ["--roll-interval", "300ms", "--admin", "127.0.0.1:0"];
    let environment = [("FOOTFALL__KAFKA__SESSION_TIMEOUT", "6s"), ("FOOTFALL__SINK__ROLL_ROWS_MAX", rows_max)];
    Sink::start(&[&flags[..], &more].concat(), &environment)
}

/// Says for the group, in Kafka's own book, that everything has been read.
fn forge_committed_offsets(brokers: &str, topic: &str) {
    let consumer: BaseConsumer =
        ClientConfig::new().set("bootstrap.servers", brokers).set("group.id", topic).create().expect("a consumer");
    let mut offsets = TopicPartitionList::new();
    for partition in 0..PARTITIONS {
        let (_, end) = consumer.fetch_watermarks(topic, partition, TIMEOUT).expect("watermarks");
        offsets.add_partition_offset(topic, partition, Offset::Offset(end)).expect("an offset");
    }
    consumer.commit(&offsets, CommitMode::Sync).expect("the group is empty, so anybody may commit");
}

fn admin(brokers: &str) -> AdminClient<DefaultClientContext> {
    ClientConfig::new().set("bootstrap.servers", brokers).create().expect("an admin client")
}

/// Ends a sink in an orderly way; returns what it said.
pub(crate) fn stop(sink: Sink) -> String {
    sink.terminate();
    let (code, stderr) = sink.end();
    assert_eq!(code, Some(0), "{stderr}");
    stderr
}

/// Two sinks share a topic; one is killed, the other takes over; then a third comes after somebody has changed the
/// committed offsets. Every event is one row, each user's in order.
#[test]
fn killed_sinks_lose_and_double_nothing() {
    if kafka::left_out() {
        return;
    }
    let brokers = Broker::shared().brokers();
    let topic = Broker::shared().fresh_topic("sink-kill", PARTITIONS.cast_unsigned());
    let folder = tempfile::tempdir().expect("a folder");
    let lake = folder.path().join("lake");
    produce(brokers, &topic, 0..2_000);
    let (mut first, second) = (sink(brokers, &topic, &lake), sink(brokers, &topic, &lake));
    wait_for("the first rows", || rows(&lake).len() >= 500);
    produce(brokers, &topic, 2_000..4_000);
    first.kill();
    produce(brokers, &topic, 4_000..6_000);
    wait_for("the rows of both sinks", || rows(&lake).len() >= 6_000);
    stop(second);
    assert_exactly_once_in_order(&rows(&lake), 6_000);

    produce(brokers, &topic, 6_000..7_000);
    forge_committed_offsets(brokers, &topic);
    let third = sink(brokers, &topic, &lake);
    wait_for("the rows of the third sink", || rows(&lake).len() >= 7_000);
    stop(third);
    assert_exactly_once_in_order(&rows(&lake), 7_000);
}

/// Two groups each believe that all partitions are theirs, as a member does that has not noticed its loss: every file is
/// raced for, and the loser of each race seeks. They cut differently, or they would only make each other's files.
#[test]
fn two_groups_on_one_lake_write_each_event_once() {
    if kafka::left_out() {
        return;
    }
    let brokers = Broker::shared().brokers();
    let topic = Broker::shared().fresh_topic("sink-race", PARTITIONS.cast_unsigned());
    let folder = tempfile::tempdir().expect("a folder");
    let lake = folder.path().join("lake");
    std::fs::create_dir(&lake).expect("a folder");
    let rivals = ["20", "33"].map(|rows| sink_of_group(brokers, &topic, &format!("{topic}-{rows}"), rows, &lake));
    for part in 0..20 {
        produce(brokers, &topic, part * 200..(part + 1) * 200);
        std::thread::sleep(Duration::from_millis(150));
    }
    wait_for("all rows", || rows(&lake).len() >= 4_000);
    let said = rivals.map(stop);
    assert!(said.iter().any(|said| said.contains("another writer created the file first")), "there was a race");
    assert_exactly_once_in_order(&rows(&lake), 4_000);
}

#[test]
fn sigterm_writes_what_is_buffered() {
    if kafka::left_out() {
        return;
    }
    let brokers = Broker::shared().brokers();
    let topic = Broker::shared().fresh_topic("sink-term", PARTITIONS.cast_unsigned());
    let folder = tempfile::tempdir().expect("a folder");
    let lake = folder.path().join("lake");
    produce(brokers, &topic, 0..10);
    let running = sink(brokers, &topic, &lake);
    wait_for("the first rows", || rows(&lake).len() == 10);
    produce(brokers, &topic, 10..1_000);
    std::thread::sleep(Duration::from_millis(100));
    stop(running);
    let stopped_at = rows(&lake).len();
    assert_exactly_once_in_order(&rows(&lake), stopped_at.max(10));
    let again = sink(brokers, &topic, &lake);
    wait_for("the rest", || rows(&lake).len() == 1_000);
    stop(again);
    assert_exactly_once_in_order(&rows(&lake), 1_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_that_lost_what_the_lake_needs_stops_the_sink() {
    if kafka::left_out() {
        return;
    }
    let brokers = Broker::shared().brokers();
    let topic = Broker::shared().fresh_topic("sink-gap", PARTITIONS.cast_unsigned());
    let folder = tempfile::tempdir().expect("a folder");
    let lake = folder.path().join("lake");
    produce(brokers, &topic, 0..200);
    let running = sink(brokers, &topic, &lake);
    wait_for("the rows", || rows(&lake).len() == 200);
    stop(running);

    // Retention passes the lake.
    produce(brokers, &topic, 200..400);
    let mut before = TopicPartitionList::new();
    for partition in 0..PARTITIONS {
        before.add_partition_offset(&topic, partition, Offset::End).expect("an offset");
    }
    admin(brokers).delete_records(&before, &AdminOptions::new()).await.expect("deleted");
    let (code, stderr) = sink(brokers, &topic, &lake).end();
    let line = stderr.lines().last().unwrap_or_default();
    assert!(code == Some(69) && line.contains("gone from the log"), "{code:?} {stderr}");

    // The topic is made anew: other records under the same offsets.
    admin(brokers).delete_topics(&[&topic], &AdminOptions::new()).await.expect("deleted");
    tokio::time::sleep(Duration::from_secs(1)).await;
    Broker::shared().create_topic(&topic, PARTITIONS.cast_unsigned());
    produce(brokers, &topic, 0..400);
    let (code, stderr) = sink(brokers, &topic, &lake).end();
    let line = stderr.lines().last().unwrap_or_default();
    assert!(code == Some(69) && line.contains("another incarnation of the log"), "{code:?} {stderr}");
}
