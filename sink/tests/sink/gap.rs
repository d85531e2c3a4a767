//! Goal: what the log loses before it is read stops the sink, unless that is accepted; then it is marked, counted and
//! seen by the audit, and everything behind it is a row. Method: both logs, both made to lose records for real.

use std::{path::Path, sync::Arc, time::Duration};

use ::journal::{Batch, Journal, Options};
use kafka::Broker;
use operator::{Failure, Health};
use prometheus_client::{encoding::text::encode, registry::Registry};
use rdkafka::{
    ClientConfig, Offset, TopicPartitionList,
    admin::{AdminClient, AdminOptions},
    client::DefaultClientContext,
    producer::{BaseProducer, BaseRecord, Producer},
};
use sink::{Metrics, Settings, Source, Store};
use tokio_util::sync::CancellationToken;

use super::{
    lake::{event, rows},
    process::{Sink, output, wait_for},
};

fn produce(brokers: &str, topic: &str, numbers: std::ops::Range<usize>) {
    let producer: BaseProducer = ClientConfig::new().set("bootstrap.servers", brokers).create().expect("a producer");
    for number in numbers {
        let (user, value) = event(number);
        producer.send(BaseRecord::to(topic).key(&user).payload(&value)).expect("queued");
    }
    producer.flush(Duration::from_secs(30)).expect("delivered");
}

async fn lose_everything(brokers: &str, topic: &str) {
    let admin: AdminClient<DefaultClientContext> =
        ClientConfig::new().set("bootstrap.servers", brokers).create().expect("an admin client");
    let mut before = TopicPartitionList::new();
    before.add_partition_offset(topic, 0, Offset::End).expect("an offset");
    admin.delete_records(&before, &AdminOptions::new()).await.expect("deleted");
}

fn sink(brokers: &str, topic: &str, lake: &str, flags: &[&str]) -> Sink {
    let all = ["run", "--brokers", brokers, "--topic", topic, "--group", topic, "--lake", lake];
    Sink::start(&[&all[..], &["--roll-interval", "300ms", "--admin", "127.0.0.1:0"], flags].concat(), &[])
}

fn stop(sink: Sink) -> String {
    sink.terminate();
    let (code, stderr) = sink.end();
    assert_eq!(code, Some(0), "{stderr}");
    stderr
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gap_in_kafka_stops_the_sink_until_it_is_accepted_and_marked() {
    if kafka::left_out() {
        return;
    }
    let (brokers, topic) = (Broker::shared().brokers(), Broker::shared().fresh_topic("gap", 1));
    let folder = tempfile::tempdir().expect("a folder");
    let (lake, url) = (folder.path(), format!("file://{}", folder.path().display()));
    produce(brokers, &topic, 0..200);
    let running = sink(brokers, &topic, &url, &[]);
    wait_for("the rows", || rows(lake).len() == 200);
    stop(running);
    produce(brokers, &topic, 200..350);
    lose_everything(brokers, &topic).await;
    produce(brokers, &topic, 350..400);

    let (code, stderr) = sink(brokers, &topic, &url, &[]).end();
    let line = stderr.lines().last().unwrap_or_default();
    assert_eq!(code, Some(69), "{stderr}");
    for part in ["partition 0", "the 150 records from offset 200 to 349", "--accept-gap"] {
        assert!(line.contains(part), "{line}");
    }
    assert_eq!(rows(lake).len(), 200);

    let running = sink(brokers, &topic, &url, &["--accept-gap"]);
    wait_for("the rows behind the gap", || rows(lake).len() == 250);
    let said = stop(running);
    assert!(said.contains("their loss is accepted") && said.contains("records=150"), "{said}");
    let audit = ["audit", "--lake", &url, "--topic", &topic, "--brokers", brokers, "--full"];
    let (code, stdout, stderr) = output(&audit);
    assert_eq!(code, Some(0), "{stdout}{stderr}");
    assert!(stdout.contains("gap_marker") && stdout.contains("from 200 to 349 were lost"), "{stdout}");
    assert!(stdout.contains("150 lost"), "{stdout}");

    // Other records under the same offsets are no gap.
    let admin: AdminClient<DefaultClientContext> =
        ClientConfig::new().set("bootstrap.servers", brokers).create().expect("an admin client");
    admin.delete_topics(&[&topic], &AdminOptions::new()).await.expect("deleted");
    tokio::time::sleep(Duration::from_secs(1)).await;
    Broker::shared().create_topic(&topic, 1);
    produce(brokers, &topic, 0..450);
    let (code, stderr) = sink(brokers, &topic, &url, &["--accept-gap"]).end();
    assert!(code == Some(69) && stderr.contains("another incarnation of the log"), "{code:?} {stderr}");
}

async fn append(journal: &Journal, numbers: std::ops::Range<usize>) {
    for number in numbers {
        let (user, value) = event(number);
        let mut batch = Batch::new(1_700_000_000_000_000 + number as i64);
        batch.push(0, user.as_bytes(), &value);
        journal.append(batch).await.expect("appended");
    }
}

/// Runs a sink over a journal until the lake has so many rows; returns its metrics.
async fn run(journal: &Journal, lake: &Path, accept_gap: bool, until: usize) -> Result<String, Failure> {
    let roll_interval = Duration::from_millis(100);
    let settings = Settings { lake: lake.display().to_string(), roll_interval, accept_gap, ..Settings::default() };
    let (store, shutdown) = (Store::open(&settings.lake).expect("a lake"), CancellationToken::new());
    let (source, token) = (Source::journal(journal.clone()), shutdown.clone());
    let mut registry = Registry::default();
    let metrics = Arc::new(Metrics::register(&mut registry));
    let task =
        tokio::spawn(async move { sink::run(settings, source, store, metrics, &Health::default(), token).await });
    for _ in 0..3000 {
        if rows(lake).len() >= until || task.is_finished() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    shutdown.cancel();
    task.await.expect("no panic")?;
    let mut text = String::new();
    encode(&mut text, &registry).expect("text");
    Ok(text)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gap_in_the_journal_is_marked_and_counted() {
    let folder = tempfile::tempdir().expect("a folder");
    let journal = Journal::open(folder.path().join("journal"), Options::new(1)).expect("a journal");
    let lake = folder.path().join("lake");
    append(&journal, 0..100).await;
    run(&journal, &lake, false, 100).await.expect("a clean end");
    append(&journal, 100..160).await;
    journal.truncate_below(0, 130).expect("truncated");

    let refused = run(&journal, &lake, false, 200).await.expect_err("it must be refused");
    assert_eq!(refused.code(), 69);
    assert!(refused.to_string().contains("the 30 records from offset 100 to 129"), "{refused}");
    let metrics = run(&journal, &lake, true, 130).await.expect("a clean end");
    assert_eq!(rows(&lake).len(), 130);
    for line in ["sink_gap_records_total 30", r#"sink_rolls_total{reason="gap"} 1"#] {
        assert!(metrics.lines().any(|other| other == line), "{line} is not in\n{metrics}");
    }
    // It is in the chain like every file.
    let metrics = run(&journal, &lake, false, 130).await.expect("a clean end");
    assert!(metrics.contains("sink_gap_records_total 0"), "{metrics}");
}
