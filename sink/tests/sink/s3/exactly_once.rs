//! Sinks that are killed and sinks that race, on S3.

use std::time::Duration;

use kafka::Broker;
use s3::{ADMIN, SeaweedFs};

use super::bucket::{Bucket, sink};
use crate::{
    kafka::{produce, stop},
    lake::assert_exactly_once_in_order,
    process::{Sink, wait_for},
};

const PARTITIONS: u32 = 4;

/// Two groups each take all partitions for theirs, cut differently and race for every file; one of them is killed,
/// and its place is taken by another.
#[test]
fn killed_and_racing_sinks_on_s3_write_each_event_once() {
    if kafka::left_out() {
        return;
    }
    let (brokers, server) = (Broker::shared().brokers(), SeaweedFs::shared());
    let topic = Broker::shared().fresh_topic("sink-s3", PARTITIONS);
    let bucket = Bucket::fresh(server, "exactly-once");
    let start = |group: &str, rows_max: &str| {
        let mut environment = server.environment(ADMIN);
        environment.push(("FOOTFALL__SINK__ROLL_ROWS_MAX", rows_max.to_owned()));
        sink(brokers, &topic, &format!("{topic}-{group}"), &bucket.lake(), &environment)
    };
    let works = |sink: &Sink| wait_for("its work", || sink.said().contains("kafka::rebalance"));
    let (mut killed, rival) = (start("first", "20"), start("rival", "33"));
    works(&killed);
    works(&rival);
    let mut produced = 0;
    let mut produce_slowly = || {
        for _ in 0..10 {
            produce(brokers, &topic, produced..produced + 200);
            produced += 200;
            std::thread::sleep(Duration::from_millis(200));
        }
    };
    produce_slowly();
    killed.kill();
    let heir = start("heir", "20");
    produce_slowly();
    works(&heir);
    produce_slowly();
    wait_for("all rows", || bucket.rows().len() >= 6_000);
    let said = [killed.said(), stop(heir), stop(rival)];
    assert!(said.iter().any(|said| said.contains("another writer created the file first")), "no race: {said:?}");
    assert_exactly_once_in_order(&bucket.rows(), 6_000);
}
