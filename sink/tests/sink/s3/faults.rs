//! Everything that can go wrong between a sink and its store, one after the other, and after each: every event once, in
//! order.

use std::time::Duration;

use kafka::Broker;
use s3::{
    ADMIN, SeaweedFs,
    proxy::{Fault, Proxy},
};

use super::bucket::{Bucket, sink};
use crate::{
    kafka::{produce, stop},
    lake::assert_exactly_once_in_order,
    process::wait_for,
};

/// The sink's `request_timeout` here.
const PATIENCE: Duration = Duration::from_secs(2);

/// More than the client itself tries in one request.
const CLIENT_TRIES: usize = 4;

#[test]
fn after_every_fault_of_the_store_each_event_is_there_once() {
    if kafka::left_out() {
        return;
    }
    let (brokers, server) = (Broker::shared().brokers(), SeaweedFs::shared());
    let topic = Broker::shared().fresh_topic("sink-faults", 1);
    let bucket = Bucket::fresh(server, "faults");
    let proxy = Proxy::start(&server.address());
    let mut environment = s3::environment(&proxy.endpoint(), ADMIN);
    environment.push(("FOOTFALL__SINK__REQUEST_TIMEOUT", format!("{}s", PATIENCE.as_secs())));
    environment.push(("FOOTFALL__SINK__CHECKPOINT_FILES", "3".to_owned()));
    let running = sink(brokers, &topic, &topic, &bucket.lake(), &environment);
    let mut events = 0;
    let mut check = |what: &str, faults: &[Fault]| {
        proxy.fail_puts("/events/", faults.iter().copied());
        produce(brokers, &topic, events..events + 50);
        events += 50;
        wait_for(what, || bucket.rows().len() >= events && proxy.faults_left() == 0);
        assert_exactly_once_in_order(&bucket.rows(), events);
    };
    check("no fault", &[]);
    let slow_down = Fault::Refused(503, "SlowDown");
    check("a short 503", &[slow_down]);
    check("a long 503", &[slow_down; 2 * CLIENT_TRIES]);
    check("a 500", &[Fault::Refused(500, "InternalError"); CLIENT_TRIES + 1]);
    check("a 500 that is not true", &[Fault::Belied(500, "InternalError")]);
    check("503s that are not true", &[Fault::Belied(503, "SlowDown"), slow_down, slow_down, slow_down]);
    check("a 409", &[Fault::Refused(409, "ConditionalRequestConflict"); 3]);
    check("a 409 that is not true", &[Fault::Belied(409, "ConditionalRequestConflict")]);
    check("a connection that breaks before", &[Fault::CutBefore]);
    check("a connection that breaks after", &[Fault::CutAfter]);
    check("connections that break", &[Fault::CutBefore, Fault::CutBefore, Fault::CutAfter]);
    check("no answer", &[Fault::Hang]);
    check("no answer to what arrived", &[Fault::HangAfter]);
    check("a PUT that is late", &[Fault::Late(PATIENCE + Duration::from_millis(500))]);
    check("a PUT that is late and one that hangs", &[Fault::Late(PATIENCE + Duration::from_secs(1)), Fault::Hang]);
    check("a slow answer", &[Fault::Slow(PATIENCE / 2)]);
    check("denied", &[Fault::Refused(403, "ExpiredToken"); 2]);
    proxy.slow_gets(PATIENCE * 2);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            std::thread::sleep(PATIENCE * 4);
            proxy.slow_gets(Duration::ZERO);
        });
        check("a look that takes too long", &[Fault::CutAfter]);
    });
    stop(running);
    assert_exactly_once_in_order(&bucket.rows(), events);
}

/// A list that lags shows an old end of the chain: the sink begins there, loses the creates and goes on behind the files
/// that it finds.
#[test]
fn a_sink_that_resumes_from_an_old_list_writes_each_event_once() {
    if kafka::left_out() {
        return;
    }
    let (brokers, server) = (Broker::shared().brokers(), SeaweedFs::shared());
    let topic = Broker::shared().fresh_topic("sink-stale", 1);
    let bucket = Bucket::fresh(server, "stale");
    let proxy = Proxy::start(&server.address());
    let start = |rows_max: &str| {
        let mut environment = s3::environment(&proxy.endpoint(), ADMIN);
        environment.push(("FOOTFALL__SINK__ROLL_ROWS_MAX", rows_max.to_owned()));
        sink(brokers, &topic, &format!("{topic}-{rows_max}"), &bucket.lake(), &environment)
    };
    let (first, lists) = (start("20"), proxy.seen("LIST"));
    produce(brokers, &topic, 0..100);
    wait_for("the first rows", || bucket.rows().len() == 100);
    stop(first);
    assert!(proxy.seen("LIST") > lists);
    // What the list says now is what the next two sinks see, whatever is there by then.
    proxy.stale_lists("/events/");
    let second = start("30");
    produce(brokers, &topic, 100..300);
    wait_for("rows behind the old list", || bucket.rows().len() == 300);
    stop(second);
    let third = start("45");
    produce(brokers, &topic, 300..400);
    wait_for("all rows", || bucket.rows().len() >= 400);
    let said = stop(third);
    assert!(said.contains("next=100"), "it begins at the old end: {said}");
    assert!(said.contains("another writer created the file first"), "{said}");
    assert_exactly_once_in_order(&bucket.rows(), 400);
}
