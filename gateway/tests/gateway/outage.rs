//! Goal: without Kafka the gateway says so quickly, and with Kafka back it takes events again by itself.

use std::time::{Duration, Instant};

use gateway::Log;

use crate::harness::{Gateway, event, kafka_settings, until};

#[test]
fn a_stopped_broker_is_a_quick_503_and_a_started_one_is_found_again() {
    if kafka::left_out() {
        return;
    }
    let mut broker = kafka::Broker::start();
    broker.create_topic("events", 3);
    let log = Log::kafka(&kafka_settings(broker.brokers(), "events")).unwrap();
    let gateway = Gateway::start(log, |_| {});
    assert_eq!(gateway.post(event("u", 0)).status, 200);
    broker.kill();
    until("the gateway has noticed", || gateway.health.ready().is_err());
    for n in 0..5 {
        let start = Instant::now();
        let reply = gateway.post(event("u", format_args!("1{n}")));
        assert_eq!((reply.status, reply.code().as_deref()), (503, Some("log_unavailable")), "{reply:?}");
        assert!(reply.header("retry-after").is_some());
        assert!(start.elapsed() < Duration::from_secs(1), "the 503 took {:?}", start.elapsed());
    }
    broker.restart();
    until("it is ready again", || gateway.health.ready().is_ok());
    until("events are taken again", || gateway.post(event("u", 2)).status == 200);
    gateway.check_ledger();
    gateway.stop();
}
