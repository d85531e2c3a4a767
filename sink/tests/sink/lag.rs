//! Lag as an operator sees it, while partitions move.

use kafka::Broker;

use super::{
    kafka::{produce, stop},
    observed::Observed,
    process::wait_for,
};

const LAG: &str = "footfall_sink_lag_messages";

/// A partition that has moved is told by its new owner alone, at once, and by nobody when both have gone.
#[test]
fn a_partition_that_has_moved_is_told_by_its_new_owner_alone() {
    if kafka::left_out() {
        return;
    }
    let brokers = Broker::shared().brokers();
    let topic = Broker::shared().fresh_topic("lag", 4);
    let folder = tempfile::tempdir().expect("a folder");
    // No file is complete in this time, and nothing of what moves is written.
    let environment = [("FOOTFALL__SINK__ROLL_INTERVAL", "10m"), ("FOOTFALL__KAFKA__REVOKE_TIMEOUT", "0s")];
    let start = || Observed::start(brokers, &topic, folder.path(), &environment);
    produce(brokers, &topic, 0..200);
    let first = start();
    wait_for("the lag of all partitions", || first.sum(LAG) >= 200.0);
    let second = start();
    wait_for("two shares", || {
        let (mine, theirs) = (first.series(LAG), second.series(LAG));
        mine.len() == 2 && theirs.len() == 2
    });
    let (mine, theirs) = (first.series(LAG), second.series(LAG));
    assert!(
        mine.iter().all(|(partition, _)| theirs.iter().all(|(other, _)| other != partition)),
        "{mine:?} {theirs:?}"
    );
    // Whoever has just got a partition knows what is in it, read or not.
    wait_for("the whole lag", || first.sum(LAG) + second.sum(LAG) >= 200.0);
    produce(brokers, &topic, 200..300);
    wait_for("the new lag", || first.sum(LAG) + second.sum(LAG) >= 300.0);
    assert_eq!((first.series("footfall_sink_lag_seconds").len(), first.sum(LAG) + second.sum(LAG)), (2, 300.0));
    stop(first.sink);
    wait_for("the share of the one that left", || second.series(LAG).len() == 4);
    wait_for("the lag of what it did not write", || second.sum(LAG) < 300.0);
    stop(second.sink);
}
