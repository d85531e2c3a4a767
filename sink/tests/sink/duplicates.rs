//! Events that are sent again, on a real Kafka.

use kafka::Broker;

use super::{
    kafka::{produce, sink, stop},
    lake::{assert_exactly_once_in_order, rows},
    process::wait_for,
};

/// The same events are produced again: beside the running sink, after it was killed and another has taken its partitions,
/// and by a client that begins anew from the first. Each is one row, the first.
#[test]
fn events_that_are_sent_again_land_once() {
    if ::kafka::left_out() {
        return;
    }
    let brokers = Broker::shared().brokers();
    let topic = Broker::shared().fresh_topic("sink-again", 4);
    let folder = tempfile::tempdir().expect("a folder");
    let lake = folder.path().join("lake");
    produce(brokers, &topic, 0..1_000);
    let mut first = sink(brokers, &topic, &lake);
    wait_for("the first rows", || rows(&lake).len() == 1_000);
    produce(brokers, &topic, 500..1_500);
    wait_for("the new rows", || rows(&lake).len() >= 1_500);
    let second = sink(brokers, &topic, &lake);
    first.kill();
    produce(brokers, &topic, 0..2_000);
    wait_for("the rows of the second sink", || rows(&lake).len() >= 2_000);
    produce(brokers, &topic, 1_999..2_001);
    wait_for("the last row", || rows(&lake).len() >= 2_001);
    stop(second);
    assert_exactly_once_in_order(&rows(&lake), 2_001);
}
