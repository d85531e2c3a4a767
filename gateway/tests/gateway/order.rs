//! Goal: a user's events stand in Kafka in the order in which they were accepted, in the user's partition. Method: many
//! connections at once, each with users of its own; everything read back by a consumer and compared.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use gateway::Log;
use rdkafka::{
    ClientConfig, Message, Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer},
    message::BorrowedMessage,
};

use crate::harness::{Client, Gateway, PATIENCE, array, event, kafka_settings, large_event, request};

/// What a record says: partition, key, event id, timestamp in milliseconds, received_at in microseconds.
pub(crate) struct Found {
    pub(crate) partition: i32,
    pub(crate) key: String,
    pub(crate) event_id: String,
    timestamp_ms: i64,
    received_at_us: i64,
}

/// Every event of the topic, each partition in its order.
pub(crate) fn consume(brokers: &str, topic: &str, partitions: i32) -> Vec<Found> {
    let found = |record: BorrowedMessage<'_>| {
        let event = event::decode(record.payload().unwrap()).expect("every record decodes");
        Found {
            partition: record.partition(),
            key: String::from_utf8(record.key().unwrap().to_vec()).unwrap(),
            event_id: event.event_id.to_owned(),
            timestamp_ms: record.timestamp().to_millis().unwrap(),
            received_at_us: event.received_at,
        }
    };
    read_topic(brokers, topic, partitions, found)
}

/// Something of every record of a topic.
pub(crate) fn read_topic<T>(
    brokers: &str,
    topic: &str,
    partitions: i32,
    look: impl Fn(BorrowedMessage<'_>) -> T,
) -> Vec<T> {
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", brokers)
        .set("group.id", "reader")
        .set("enable.auto.commit", "false")
        .create()
        .unwrap();
    let mut from = TopicPartitionList::new();
    let mut left = 0;
    for partition in 0..partitions {
        from.add_partition_offset(topic, partition, Offset::Beginning).unwrap();
        left += consumer.fetch_watermarks(topic, partition, PATIENCE).unwrap().1;
    }
    consumer.assign(&from).unwrap();
    let (mut found, start) = (Vec::new(), Instant::now());
    while left > 0 {
        assert!(start.elapsed() < PATIENCE, "{left} records are missing");
        let Some(record) = consumer.poll(Duration::from_millis(100)) else { continue };
        found.push(look(record.unwrap()));
        left -= 1;
    }
    found
}

/// Sends `batches` requests of `size` events for three users of connection `number`, four requests at a time.
fn send(client: &mut Client, number: usize, batches: usize, size: usize) -> usize {
    let mut sequence = 0;
    for _ in 0..batches / 4 {
        for _ in 0..4 {
            let mut events = Vec::new();
            for _ in 0..size {
                events.push(event(format!("c{number}-u{}", sequence % 3), sequence));
                sequence += 1;
            }
            client.send(&request("", array(&events).as_bytes()));
        }
        for _ in 0..4 {
            let reply = client.reply();
            assert_eq!((reply.status, reply.json()["accepted"].as_u64()), (200, Some(size as u64)), "{reply:?}");
        }
    }
    sequence
}

#[test]
fn a_users_events_are_in_order_and_in_the_users_partition() {
    if kafka::left_out() {
        return;
    }
    const PARTITIONS: i32 = 12;
    let broker = kafka::Broker::shared();
    let topic = broker.fresh_topic("gateway-order", PARTITIONS as u32);
    let log = Log::kafka(&kafka_settings(broker.brokers(), &topic), &[]).unwrap();
    let gateway = Gateway::start(log, |_| {});
    let address = gateway.address;
    let senders: Vec<_> = (0..8)
        .map(|number| std::thread::spawn(move || send(&mut Client::connect(address), number, 40, 1 + number * 7)))
        .collect();
    let sent: usize = senders.into_iter().map(|sender| sender.join().unwrap()).sum();

    let found = consume(broker.brokers(), &topic, PARTITIONS);
    assert_eq!(found.len(), sent);
    let mut last = BTreeMap::new();
    for record in &found {
        assert_eq!(
            event::partition(record.key.as_bytes(), PARTITIONS as u32),
            record.partition as u32,
            "{}",
            record.key
        );
        assert_eq!(record.timestamp_ms, record.received_at_us / 1000);
        let (user, sequence) = record.event_id.rsplit_once('-').unwrap();
        assert_eq!(user, record.key);
        let sequence: i64 = sequence.parse().unwrap();
        let before = last.insert(user.to_owned(), (sequence, record.received_at_us));
        assert!(before.is_none_or(|(earlier, _)| earlier + 3 == sequence), "{user}: {sequence} follows {before:?}");
        assert!(before.is_none_or(|(_, earlier)| earlier <= record.received_at_us), "{user}: time went back");
    }
    assert_eq!(last.len(), 24);
    gateway.check_ledger();
    gateway.stop();
}

#[test]
fn a_topic_is_made_only_when_asked() {
    if kafka::left_out() {
        return;
    }
    let broker = kafka::Broker::shared();
    let mut settings = kafka_settings(broker.brokers(), "gateway-made");
    let error = Log::kafka(&settings, &[]).expect_err("the topic is missing").to_string();
    assert!(error.contains("gateway-made") && error.contains("--create-topics"), "{error}");
    settings.create_topics = true;
    settings.partitions = 5;
    let gateway = Gateway::start(Log::kafka(&settings, &[]).expect("the topic is made"), |_| {});
    let large = large_event("u", (1 << 20) - 500);
    assert_eq!(gateway.post(&large).status, 200, "a topic of ours takes the largest event");
    let users: Vec<String> = (0..50).map(|user| event(user, 0)).collect();
    assert_eq!(gateway.post(array(&users)).status, 200);
    let partitions: std::collections::BTreeSet<i32> =
        consume(broker.brokers(), "gateway-made", 5).iter().map(|record| record.partition).collect();
    assert_eq!(partitions.len(), 5);
    gateway.stop();

    let topic = broker.fresh_topic("gateway-small", 1);
    let gateway = Gateway::start(Log::kafka(&kafka_settings(broker.brokers(), &topic), &[]).unwrap(), |_| {});
    let reply = gateway.post(array(&[event("u", 1), large]));
    assert_eq!((reply.status, reply.rejected()), (200, [(1, "event_too_large".to_owned())].into()), "{reply:?}");
    gateway.stop();
}
