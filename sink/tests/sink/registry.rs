//! Goal: the sink reads what was framed with the ids of a schema registry, whether that is there or not, and nothing
//! else. Method: a real registry (Apicurio), a real Kafka, sinks as processes.

use std::{fs::File, path::Path};

use apicurio::Apicurio;
use arrow::array::AsArray;
use kafka::Broker;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use rdkafka::{
    ClientConfig,
    producer::{BaseProducer, BaseRecord, Producer},
};
use registry::Settings;

use super::{
    lake::{event, files, rows},
    process::{Sink, wait_for},
};

fn produce(brokers: &str, topic: &str, numbers: std::ops::Range<usize>, schema_id: u32) {
    let producer: BaseProducer = ClientConfig::new().set("bootstrap.servers", brokers).create().expect("a producer");
    for number in numbers {
        let (user, mut value) = event(number);
        value[1..5].copy_from_slice(&schema_id.to_be_bytes());
        producer.send(BaseRecord::to(topic).key(&user).payload(&value)).expect("queued");
    }
    producer.flush(std::time::Duration::from_secs(30)).expect("delivered");
}

fn sink(brokers: &str, topic: &str, lake: &Path, registry: &Settings) -> Sink {
    let config = lake.join("sink.toml");
    let (url, cache) = (&registry.url, registry.cache.display());
    std::fs::write(&config, format!("[schema.registry]\nurl='{url}'\ncache='{cache}'\n")).expect("written");
    let (config, lake) = (config.display().to_string(), format!("file://{}", lake.display()));
    let flags = ["run", "--brokers", brokers, "--topic", topic, "--group", topic, "--lake", &lake, "--config", &config];
    Sink::start(&[&flags[..], &["--roll-interval", "300ms", "--admin", "127.0.0.1:0"]].concat(), &[])
}

fn stop(sink: Sink) {
    sink.terminate();
    let (code, stderr) = sink.end();
    assert_eq!(code, Some(0), "{stderr}");
}

/// The reasons of all dead letters.
fn dead_letters(lake: &Path) -> Vec<String> {
    let mut reasons = Vec::new();
    for file in files(&lake.join("dead-letters")) {
        let reader = ParquetRecordBatchReaderBuilder::try_new(File::open(file).expect("a file")).expect("Parquet");
        for batch in reader.build().expect("a reader").map(|batch| batch.expect("a batch")) {
            let column = batch.column_by_name("reason").expect("a column").as_string::<i32>();
            reasons.extend(column.iter().flatten().map(str::to_owned));
        }
    }
    reasons
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a schema registry (142 MB): cargo test --workspace -- --ignored registry"]
async fn registry_ids_are_read_and_foreign_ones_are_dead_letters() {
    if kafka::left_out() {
        return;
    }
    let (apicurio, broker, lake) = (Apicurio::start(), Broker::shared(), tempfile::tempdir().expect("a folder"));
    let (topic, lake) = (broker.fresh_topic("registry", 1), lake.path());
    let settings = Settings { url: apicurio.url().to_owned(), cache: lake.join("ids.json"), ..Settings::default() };
    let writer = |subject: &'static str, schema: &'static str| {
        let cache = lake.join("writer.json");
        let settings = Settings { subject: Some(subject.to_owned()), cache, ..settings.clone() };
        async move { registry::writer_id(&settings, "x", schema).await.expect("an id").id }
    };
    // The registry's first id is the built-in one of version 1.
    writer("first", r#""bytes""#).await;
    let foreign = writer("foreign", r#""string""#).await;
    // Under another subject than the sink's, so that it meets the id first in a record.
    let ours = writer("elsewhere-value", event::Version::NEWEST.schema()).await;
    assert!(![ours, foreign].contains(&event::Version::NEWEST.schema_id()) && foreign != ours);

    produce(broker.brokers(), &topic, 0..10, event::Version::NEWEST.schema_id());
    produce(broker.brokers(), &topic, 10..20, ours);
    produce(broker.brokers(), &topic, 20..22, 4_000_000);
    produce(broker.brokers(), &topic, 22..23, foreign);
    produce(broker.brokers(), &topic, 23..30, ours);
    let running = sink(broker.brokers(), &topic, lake, &settings);
    wait_for("27 rows", || rows(lake).len() == 27);
    stop(running);
    assert_eq!(dead_letters(lake), ["unknown_schema", "unknown_schema", "unreadable_schema"]);

    // Down, and a process that never met the id: what was learned before keeps working.
    apicurio.kill();
    produce(broker.brokers(), &topic, 30..40, ours);
    let running = sink(broker.brokers(), &topic, lake, &settings);
    wait_for("37 rows", || rows(lake).len() == 37);
    stop(running);
}
