//! Goal: records carry the id of a schema registry, and a registry that is down or holds something else never leads to
//! records that nobody can read. Method: the real binary; a real registry (Apicurio) where one is needed.

use std::path::Path;

use apicurio::Apicurio;
use event::Version;
use gateway::{Log, config::Settings};
use rdkafka::Message;

use crate::{
    binary::{Running, run},
    harness::{Client, event, mock},
    order::read_topic,
};

fn config(folder: &Path, url: &str, more: &str) -> String {
    let (file, cache) = (folder.join("gateway.toml"), folder.join("ids.json"));
    let text = format!("[schema.registry]\nurl = '{url}'\ncache = '{}'\ntimeout = '20s'\n{more}\n", cache.display());
    std::fs::write(&file, text).unwrap();
    file.to_str().unwrap().to_owned()
}

#[track_caller]
fn refused(brokers: &str, config: &str, code: i32, parts: &[&str]) {
    let arguments = ["--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--brokers", brokers, "--config", config];
    let (found, line) = run(&arguments);
    assert_eq!(found, Some(code), "{line}");
    for part in parts {
        assert!(line.contains(part), "{line} lacks {part}");
    }
}

#[test]
fn without_an_answer_now_or_ever_it_does_not_start() {
    let cluster = mock("events", 1);
    let folder = tempfile::tempdir().unwrap();
    let brokers = cluster.bootstrap_servers();
    let nobody = config(folder.path(), "http://127.0.0.1:1", "");
    refused(&brokers, &nobody, 69, &["http://127.0.0.1:1 does not answer", "nothing was learned", "ids.json"]);
    refused(&brokers, &config(folder.path(), "127.0.0.1:1", ""), 64, &["schema.registry.url must be"]);
    refused(&brokers, &config(folder.path(), "http://r:1", "uri = 'x'"), 64, &["schema.registry.uri", "url"]);
}

#[test]
fn records_carry_the_id_that_was_learned() {
    const ID: u32 = 0x0102_0304;
    let cluster = mock("events", 1);
    let settings = Settings::default();
    let kafka = gateway::config::KafkaSettings { brokers: cluster.bootstrap_servers(), ..settings.kafka };
    let log = Log::kafka(&kafka, &[]).unwrap().with_schema(Version::V1, ID);
    let gateway = crate::harness::Gateway::start(log, |_| {});
    assert_eq!(gateway.post(event("u", 1)).status, 200);
    gateway.stop();
    assert_eq!(ids(&kafka.brokers), [ID]);
}

/// The schema ids of all records; every one is our event.
fn ids(brokers: &str) -> Vec<u32> {
    read_topic(brokers, "events", 1, |record| {
        let value = record.payload().unwrap();
        assert_eq!(event::decode_again(value).unwrap().1.user_id, Some("u"));
        assert_eq!(value[0], 0);
        u32::from_be_bytes(value[1..5].try_into().unwrap())
    })
}

#[test]
#[ignore = "needs a schema registry (142 MB): cargo test --workspace -- --ignored registry"]
fn registry_is_asked_at_boot_and_not_needed_again() {
    let apicurio = Apicurio::start();
    let cluster = mock("events", 1);
    let brokers = cluster.bootstrap_servers();
    let folder = tempfile::tempdir().unwrap();
    // So that the first id is not the built-in one by chance.
    let foreign = registry::Settings {
        url: apicurio.url().to_owned(),
        subject: Some("foreign".to_owned()),
        cache: folder.path().join("foreign.json"),
        ..registry::Settings::default()
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(registry::writer_id(&foreign, "x", r#""string""#)).unwrap();

    let config_file = config(folder.path(), apicurio.url(), "");
    let post = |running: &Running| assert_eq!(Client::connect(running.gateway).post(event("u", 1)).status, 200);
    let metric = |running: &Running, name: &str| {
        let metrics = running.get("/metrics").1;
        let value = metrics.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')).unwrap();
        value.parse::<u32>().unwrap()
    };
    let mut first = Running::start(&brokers, &["--config", &config_file]);
    post(&first);
    let id = metric(&first, "footfall_gateway_schema_id");
    assert_ne!(id, Version::NEWEST.schema_id());
    assert_eq!(metric(&first, "footfall_gateway_schema_id_from_cache"), 0);
    let other_folder = tempfile::tempdir().unwrap();
    let second = Running::start(&brokers, &["--config", &config(other_folder.path(), apicurio.url(), "")]);
    post(&second);

    let taken = tempfile::tempdir().unwrap();
    let taken = config(taken.path(), apicurio.url(), "subject = 'foreign'");
    refused(&brokers, &taken, 69, &["foreign", "string cannot be read as record", "schema.registry.subject"]);

    apicurio.kill();
    post(&first);
    assert_eq!(first.terminate(), Some(0));
    let again = Running::start(&brokers, &["--config", &config_file]);
    post(&again);
    assert_eq!(metric(&again, "footfall_gateway_schema_id_from_cache"), 1);
    assert_eq!(ids(&brokers), [id; 4]);
    let fresh = tempfile::tempdir().unwrap();
    refused(&brokers, &config(fresh.path(), apicurio.url(), ""), 69, &["nothing was learned"]);
}
