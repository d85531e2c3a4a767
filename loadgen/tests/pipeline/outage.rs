//! Kafka goes away under load for half of the run, which is a minute with `FOOTFALL_TEST_EVENTS=120000
//! FOOTFALL_TEST_RATE=1000`: with a spool, without one, and with a gateway that is killed while it spools.
use std::path::Path;

use kafka::Broker;

use crate::lake::{chain_ends, log_ends};
use crate::load::{Load, Offer};
use crate::service::{PARTITIONS, Service, folder, free_port, start_sink};

/// Fractions of the run at which something happens.
const BROKER_DIES: f64 = 0.2;
const GATEWAY_DIES: f64 = 0.45;
const BROKER_IS_BACK: f64 = 0.7;

#[test]
fn with_a_spool_an_outage_of_kafka_loses_and_reorders_nothing() {
    run("outage-spool", true, false);
}

#[test]
fn without_a_spool_an_outage_of_kafka_loses_and_reorders_nothing() {
    run("outage", false, false);
}

#[test]
fn a_gateway_killed_while_it_spools_loses_and_reorders_nothing() {
    run("outage-killed", true, true);
}

fn run(name: &str, with_spool: bool, killed: bool) {
    if kafka::left_out() {
        return;
    }
    let folder = folder(name);
    let lake = folder.path().join("lake");
    std::fs::create_dir(&lake).expect("the test's folder is writable");
    let mut broker = Broker::start();
    broker.create_topic("events", PARTITIONS);
    let port = free_port();
    let mut gateway = start_gateway(&broker, port, with_spool, folder.path());
    let mut sink = start_sink("sink", &broker, "events", &lake, folder.path());
    let offer = Offer::or_from_environment(20_000, 1_000);
    let mut load = Load::start(&offer, port, &lake, folder.path());
    let mut at = 0.0;
    let mut wait_until = |fraction: f64| {
        std::thread::sleep(offer.duration().mul_f64(fraction - at));
        at = fraction;
    };
    wait_until(BROKER_DIES);
    broker.kill();
    wait_until(GATEWAY_DIES);
    if killed {
        gateway.kill_9();
        gateway.restart();
    }
    wait_until(BROKER_IS_BACK);
    let spooled = gateway.value("footfall_gateway_spooled_total").expect("the metric is there");
    assert_eq!(spooled > 0.0, with_spool, "{spooled} records were spooled: {}", gateway.logged());
    broker.restart();

    load.must_pass().must_hold(offer.events);
    gateway.terminate();
    sink.terminate();
    load.must_verify();
    assert_eq!(
        chain_ends(&lake, "events"),
        log_ends(broker.brokers(), "events"),
        "the chains cover the log up to its end"
    );
}

fn start_gateway(broker: &Broker, port: u16, with_spool: bool, folder: &Path) -> Service {
    let config = folder.join("gateway.toml");
    let spool = folder.join("spool");
    let text = format!("[spool]\nenabled = {with_spool}\ndir = {spool:?}\n");
    std::fs::write(&config, text).expect("the test's folder is writable");
    let (config, listen) = (config.to_str().expect("UTF-8").to_owned(), format!("127.0.0.1:{port}"));
    let arguments = ["--config", &config, "--brokers", broker.brokers(), "--topic", "events", "--listen", &listen];
    Service::start("gateway", "footfall-gateway", &arguments.map(str::to_owned), folder)
}
