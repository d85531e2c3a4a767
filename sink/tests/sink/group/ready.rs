//! When a member of a group is ready: as soon as it knows what it has to read.

use std::time::Duration;

use super::{CLASSIC, KIP_848, Setup, Way, share};
use crate::{
    kafka::stop,
    process::{Sink, wait_for},
};

/// A group that waits for a member that hangs gives nothing to a new one, which has nothing to be ready for.
#[test]
fn a_member_is_not_ready_before_the_group_has_given_it_its_share() {
    if kafka::left_out() {
        return;
    }
    let mut setup = Setup::new("ready", "300ms");
    let patient = Way { session_timeout: Some("30s"), ..CLASSIC };
    let first = patient.member(&setup, "first");
    wait_for("the readiness of the first", || first.is_ready());
    first.signal("STOP");
    let second = patient.member(&setup, "second");
    wait_for("the second's admin port", || !second.admin("/readyz").is_empty());
    // Longer than it takes to join, and than the time between two looks at the broker.
    std::thread::sleep(Duration::from_secs(8));
    let answer = second.admin("/readyz");
    assert!(answer.contains(" 503 ") && answer.contains("sink_log"), "it has been given nothing: {answer}");
    first.signal("CONT");
    wait_for("the readiness of both", || first.is_ready() && second.is_ready());
    setup.produce(100);
    setup.wait("the rows of both");
    stop(second);
    stop(first);
    setup.must_hold();
}

/// More members than partitions: the one that gets none is ready to take over.
#[test]
fn a_member_without_partitions_is_ready() {
    if kafka::left_out() {
        return;
    }
    let spare = [CLASSIC, KIP_848].map(|way| {
        std::thread::spawn(move || {
            let mut setup = Setup::with_partitions(1, "spare", "300ms");
            let members = ["first", "second"].map(|name| way.member(&setup, name));
            wait_for("the readiness of both", || members.iter().all(Sink::is_ready));
            let shares = || members.each_ref().map(share);
            wait_for("one share", || shares().iter().sum::<usize>() == 1);
            let [first, second] = members;
            let (busy, spare) = if share(&first) == 1 { (first, second) } else { (second, first) };
            stop(busy);
            setup.produce(100);
            setup.wait("the rows of the other");
            stop(spare);
            setup.must_hold();
        })
    });
    spare.into_iter().for_each(|spare| spare.join().expect("it holds"));
}
