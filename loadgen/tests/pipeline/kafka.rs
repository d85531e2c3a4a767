//! Gateway and two sinks over a real Apache Kafka.
use kafka::Broker;

use crate::lake::{chain_ends, log_ends};
use crate::load::{Load, Offer};
use crate::service::{PARTITIONS, folder, free_port, start_gateway, start_sink};

/// Fractions of the run at which something happens.
const SINK_A_DIES: f64 = 0.1;
const SINK_A_IS_BACK: f64 = 0.55;
const SINK_B_RESTARTS: f64 = 0.6;
const GATEWAY_RESTARTS: f64 = 0.7;
const BROKER_RESTARTS: f64 = 0.8;

#[test]
fn killed_sinks_gateway_and_broker_lose_nothing() {
    if kafka::left_out() {
        return;
    }
    let folder = folder("kafka");
    let lake = folder.path().join("lake");
    std::fs::create_dir(&lake).expect("the test's folder is writable");
    let mut broker = Broker::start();
    broker.create_topic("events", PARTITIONS);
    let gateway_port = free_port();
    let mut gateway = start_gateway(&broker, "events", gateway_port, folder.path());
    let mut sink_a = start_sink("sink-a", &broker, "events", &lake, folder.path());
    let mut sink_b = start_sink("sink-b", &broker, "events", &lake, folder.path());
    let offer = Offer::or_from_environment(60_000, 1_500);
    let mut load = Load::start(&offer, gateway_port, &lake, folder.path());
    let mut at = 0.0;
    let mut wait_until = |fraction: f64| {
        std::thread::sleep(offer.duration().mul_f64(fraction - at));
        at = fraction;
    };

    wait_until(SINK_A_DIES);
    sink_a.kill_9();
    wait_until(SINK_A_IS_BACK);
    let taken_over = sink_b.series("footfall_sink_lag_seconds");
    assert_eq!(taken_over, PARTITIONS as usize, "the other sink took everything over: {}", sink_b.logged());
    sink_a.restart();
    wait_until(SINK_B_RESTARTS);
    sink_b.kill_9();
    sink_b.restart();
    wait_until(GATEWAY_RESTARTS);
    gateway.kill_9();
    gateway.restart();
    wait_until(BROKER_RESTARTS);
    broker.stop();
    broker.restart();

    load.must_pass().must_hold(offer.events);
    gateway.terminate();
    sink_a.terminate();
    sink_b.terminate();
    load.must_verify();
    assert_eq!(
        chain_ends(&lake, "events"),
        log_ends(broker.brokers(), "events"),
        "the chains cover the log up to its end"
    );
}
