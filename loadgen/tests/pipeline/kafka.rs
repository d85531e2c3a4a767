//! Gateway and two sinks over a real Apache Kafka.
use std::path::Path;
use std::time::Duration;

use kafka::Broker;
use parquet::file::reader::{FileReader, SerializedFileReader};
use rdkafka::{
    ClientConfig,
    consumer::{BaseConsumer, Consumer},
};

use crate::load::{Load, Offer};
use crate::service::{Service, folder, free_port};

pub(crate) const PARTITIONS: u32 = 12;

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
    let mut gateway = start_gateway(&broker, gateway_port, folder.path());
    let mut sink_a = start_sink("sink-a", &broker, &lake, folder.path());
    let mut sink_b = start_sink("sink-b", &broker, &lake, folder.path());
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
    assert_eq!(chain_ends(&lake), log_ends(broker.brokers()), "the chains cover the log up to its end");
}

fn start_gateway(broker: &Broker, port: u16, folder: &Path) -> Service {
    let listen = format!("127.0.0.1:{port}");
    let arguments = ["--brokers", broker.brokers(), "--topic", "events", "--listen", &listen];
    Service::start("gateway", "footfall-gateway", &arguments.map(str::to_owned), folder)
}

pub(crate) fn start_sink(name: &str, broker: &Broker, lake: &Path, folder: &Path) -> Service {
    let lake = lake.to_str().expect("UTF-8");
    let arguments = ["run", "--brokers", broker.brokers(), "--topic", "events", "--group", "lake", "--lake", lake];
    let arguments: Vec<String> = arguments.iter().chain(&["--roll-interval", "1s"]).map(|&a| a.to_owned()).collect();
    Service::start(name, "footfall-sink", &arguments, folder)
}

/// Where each partition's newest file says that the next one starts; 0 for a partition without files.
pub(crate) fn chain_ends(lake: &Path) -> Vec<i64> {
    let ends = (0..PARTITIONS).map(|partition| {
        let files = std::fs::read_dir(lake.join(format!("events/topic=events/partition={partition:05}")));
        let files = files.into_iter().flatten().map(|entry| entry.expect("a readable folder").path());
        let Some(newest) = files.filter(|path| path.extension().is_some_and(|e| e == "parquet")).max() else {
            return 0;
        };
        let reader = SerializedFileReader::new(std::fs::File::open(&newest).expect("a readable file"));
        let reader = reader.unwrap_or_else(|error| panic!("{}: {error}", newest.display()));
        let footer = reader.metadata().file_metadata().key_value_metadata().expect("a footer").clone();
        let next = footer.into_iter().find(|pair| pair.key == "footfall.next_offset").and_then(|pair| pair.value);
        next.expect("a next offset").parse().expect("a number")
    });
    ends.collect()
}

/// The end offset of each partition, from the broker.
pub(crate) fn log_ends(brokers: &str) -> Vec<i64> {
    let consumer: BaseConsumer =
        ClientConfig::new().set("bootstrap.servers", brokers).create().expect("a consumer can be made");
    let ends = (0..PARTITIONS as i32).map(|partition| {
        let watermarks = consumer.fetch_watermarks("events", partition, Duration::from_secs(20));
        watermarks.expect("the broker answers").1
    });
    ends.collect()
}
