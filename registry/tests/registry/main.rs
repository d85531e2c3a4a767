//! Goal: the right id or the right sentence, whatever a registry answers or does not. Method: a fake one for odd answers;
//! a real one (Apicurio) for the whole way.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking, helpers included")]

/// A registry that answers what it is told.
mod fake;
/// Apicurio.
mod real;

use std::time::Duration;

use registry::{Answer, Reader, Settings, WriterError, writer_id};
use tempfile::TempDir;

use self::fake::Fake;

const SCHEMA: &str = r#"{"type":"record","name":"Event","namespace":"footfall","fields":[
    {"name":"event_id","type":"string"},{"name":"title","type":["null","string"],"default":null}]}"#;

/// Settings for a registry, with a cache file in a folder.
pub(crate) fn settings(url: &str, folder: &TempDir) -> Settings {
    Settings {
        url: url.to_owned(),
        cache: folder.path().join("ids.json"),
        timeout: Duration::from_secs(5),
        ..Settings::default()
    }
}

/// The version before.
const OLDER: &str = r#"{"type":"record","name":"Event","namespace":"footfall","fields":[
    {"name":"event_id","type":"string"}]}"#;

/// As a registry would wrap it.
fn wrapped(schema: &str) -> String {
    serde_json::json!({"schema": schema, "id": 3}).to_string()
}

const LOOKUP: &str = "POST /subjects/events-value";
const LATEST: &str = "GET /subjects/events-value/versions/latest";
const ALLOWS: &str = "POST /compatibility/subjects/events-value/versions/latest";
const REGISTER: &str = "POST /subjects/events-value/versions";
const PROTECT: &str = "PUT /config/events-value";

#[tokio::test]
async fn a_schema_is_looked_up_then_judged_then_registered() {
    let folder = tempfile::tempdir().unwrap();
    let fake = Fake::start(&[(LOOKUP, 200, r#"{"id":7}"#)]);
    let settings = settings(&fake.url, &folder);
    assert_eq!(writer_id(&settings, "events", SCHEMA).await.unwrap().id, 7);
    assert_eq!(fake.asked(), [LOOKUP]);

    // A subject of its own is protected; one that was there before is left as it is.
    fake.answer(&[(REGISTER, 200, r#"{"id":8}"#)]);
    assert_eq!(writer_id(&settings, "events", SCHEMA).await.unwrap().id, 8);
    assert_eq!(fake.asked(), [LOOKUP, LATEST, REGISTER, PROTECT]);
    let allowed = (ALLOWS, 200, r#"{"is_compatible":true}"#);
    fake.answer(&[(LATEST, 200, &wrapped(OLDER)), allowed, (REGISTER, 200, r#"{"id":9}"#)]);
    let secret = Settings {
        user: Some("u".to_owned()),
        password: Some("p".to_owned()),
        subject: Some("events-value".to_owned()),
        ..settings
    };
    assert_eq!(writer_id(&secret, "another", SCHEMA).await.unwrap().id, 9);
    assert_eq!(fake.asked(), [LOOKUP, LATEST, ALLOWS, REGISTER].map(|call| format!("{call} dTpw")));
}

#[tokio::test]
async fn what_may_not_be_registered_is_refused_with_the_reason() {
    #[track_caller]
    fn sentence(found: Result<registry::Learned, WriterError>, parts: &[&str]) {
        let sentence = found.expect_err("refused").to_string();
        for part in parts {
            assert!(sentence.contains(part), "{sentence} does not say {part}");
        }
    }
    let folder = tempfile::tempdir().unwrap();
    let fake = Fake::start(&[]);
    let settings = settings(&fake.url, &folder);
    let lookup_only = Settings { register: false, ..settings.clone() };
    let found = writer_id(&lookup_only, "events", SCHEMA).await;
    sentence(found, &["events-value", "schema.registry.register = true"]);

    let other = wrapped(&SCHEMA.replace("\"string\"}", "\"long\"}"));
    // Apicurio allows everything unless a rule is set.
    fake.answer(&[(LATEST, 200, &other), (ALLOWS, 200, r#"{"is_compatible":true}"#), (REGISTER, 200, r#"{"id":1}"#)]);
    let found = writer_id(&settings, "events", SCHEMA).await;
    sentence(found, &["events-value", "field event_id: long cannot be read as string"]);
    let same = wrapped(SCHEMA);
    fake.answer(&[(LATEST, 200, &same), (ALLOWS, 200, r#"{"is_compatible":false}"#), (REGISTER, 200, r#"{"id":1}"#)]);
    sentence(writer_id(&settings, "events", SCHEMA).await, &["the registry's own rule"]);
    fake.answer(&[(REGISTER, 409, r#"{"error_code":409,"message":"no way"}"#)]);
    sentence(writer_id(&settings, "events", SCHEMA).await, &["cannot be followed", "no way"]);
    fake.answer(&[(LOOKUP, 401, r#"{"error_code":40101,"message":"who are you"}"#)]);
    sentence(writer_id(&settings, "events", SCHEMA).await, &["401 who are you", "schema.registry.user"]);
    assert!(!fake.asked().contains(&format!("{REGISTER} ")), "nothing of it was registered");
}

#[tokio::test]
async fn without_an_answer_the_id_of_before_counts_and_only_that() {
    let folder = tempfile::tempdir().unwrap();
    let fake = Fake::start(&[(LOOKUP, 200, r#"{"id":7}"#)]);
    let settings = settings(&fake.url, &folder);
    assert_eq!(writer_id(&settings, "events", SCHEMA).await.unwrap().id, 7);
    for (status, body) in
        [(503, "{}"), (500, ""), (200, "<html>"), (200, r#"{"id":"x"}"#), (404, "<html>"), (200, "{}")]
    {
        fake.answer(&[(LOOKUP, status, body)]);
        let learned = writer_id(&settings, "events", SCHEMA).await.unwrap();
        assert_eq!((learned.id, learned.from_cache.is_some()), (7, true), "{status} {body}");
    }
    drop(fake);
    assert!(writer_id(&settings, "events", SCHEMA).await.unwrap().from_cache.is_some());
    let sentence = writer_id(&settings, "other", SCHEMA).await.expect_err("nothing learned").to_string();
    assert!(sentence.contains("nothing was learned") && sentence.contains("ids.json"), "{sentence}");
}

#[tokio::test]
async fn an_id_is_asked_for_once_and_means_one_thing() {
    let folder = tempfile::tempdir().unwrap();
    let spaced = wrapped(&SCHEMA.replace(',', " , ").replace("\"default\":null", "\"default\":null,\"doc\":\"d\""));
    let fake = Fake::start(&[
        (LOOKUP, 200, r#"{"id":7}"#),
        ("GET /schemas/ids/8", 200, &spaced),
        ("GET /schemas/ids/9", 200, r#"{"schema":"\"string\""}"#),
    ]);
    let reader = Reader::start(&settings(&fake.url, &folder), "events", &[OLDER, SCHEMA]).await.unwrap();
    assert_eq!((reader.knows(7), reader.knows(8)), (Some(0), None));
    assert_eq!(fake.asked(), [LOOKUP, LOOKUP]);
    let other = Answer::Other(r#""string""#.into());
    for _ in 0..3 {
        assert_eq!(reader.ask(8).await, Answer::Ours(1));
        assert_eq!(reader.ask(9).await, other);
        assert_eq!(reader.ask(11).await, Answer::Missing, "asked once in these few moments");
    }
    assert_eq!(fake.asked(), ["GET /schemas/ids/8", "GET /schemas/ids/9", "GET /schemas/ids/11"]);
    let url = fake.url.clone();
    drop(fake);
    let again = Reader::start(&settings(&url, &folder), "events", &[OLDER, SCHEMA]).await.unwrap();
    assert_eq!((again.knows(7), again.knows(8), again.ask(9).await), (Some(0), Some(1), other));
    let newer = Reader::start(&settings(&url, &folder), "events", &[OLDER, SCHEMA, r#""string""#]).await.unwrap();
    assert_eq!(newer.knows(9), Some(2), "an update may make a schema ours");
    // What was learned outlives the registry and this process.
    let reader = Reader::start(&settings("http://127.0.0.1:9", &folder), "events", &[SCHEMA]).await.unwrap();
    assert!(reader.ids().is_empty(), "another registry means other things by its ids");
}

#[tokio::test]
async fn an_id_without_an_answer_is_worth_some_patience_once() {
    let folder = tempfile::tempdir().unwrap();
    let nobody = Settings { timeout: Duration::from_millis(200), ..settings("http://127.0.0.1:9", &folder) };
    let reader = Reader::start(&nobody, "events", &[SCHEMA]).await.unwrap();
    let start = tokio::time::Instant::now();
    assert_eq!(reader.ask(8).await, Answer::None);
    let first = start.elapsed();
    assert!(first >= Duration::from_secs(1), "{first:?}");
    assert_eq!(reader.ask(8).await, Answer::None);
    assert!(start.elapsed() - first < Duration::from_millis(900), "not asked again at once");
}
