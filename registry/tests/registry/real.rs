//! The whole way with Apicurio.

use apicurio::Apicurio;
use registry::{Answer, Reader, Settings, writer_id};

use crate::settings;

const EVENT: &str = include_str!("../../../event/schema/event.v2.avsc");

#[tokio::test]
#[ignore = "needs a schema registry (142 MB): cargo test --workspace -- --ignored registry"]
async fn registry_gives_one_id_and_is_not_needed_again() {
    let mut apicurio = Apicurio::start();
    let folder = tempfile::tempdir().unwrap();
    let ours = settings(apicurio.url(), &folder);
    let foreign =
        writer_id(&Settings { subject: Some("foreign".to_owned()), ..ours.clone() }, "x", r#""string""#).await;
    let foreign = foreign.unwrap().id;
    let id = writer_id(&ours, "events", EVENT).await.unwrap().id;
    assert_ne!(id, foreign);
    assert_eq!(writer_id(&ours, "events", EVENT).await.unwrap().id, id, "a second gateway");
    assert_eq!(writer_id(&Settings { register: false, ..ours.clone() }, "events", EVENT).await.unwrap().id, id);

    let reader_folder = tempfile::tempdir().unwrap();
    let reader_settings = settings(apicurio.url(), &reader_folder);
    // Of another topic, so that it has to ask for the id.
    let reader = Reader::start(&reader_settings, "clicks", &[EVENT]).await.unwrap();
    assert_eq!(reader.knows(id), None);
    assert_eq!(reader.ask(id).await, Answer::Ours(0));
    assert_eq!(reader.ask(foreign).await, Answer::Other(r#""string""#.into()));
    assert_eq!(reader.ask(4_000_000).await, Answer::Missing);

    let taken = Settings { subject: Some("foreign".to_owned()), ..ours.clone() };
    let sentence = writer_id(&taken, "events", EVENT).await.expect_err("it holds a string").to_string();
    assert!(sentence.contains("foreign") && sentence.contains("string cannot be read as record"), "{sentence}");
    // A subject that we made refuses what could not read ours.
    let wider = EVENT.replace(r#"{"name": "type", "type": "string","#, r#"{"name": "kind", "type": "string","#);
    let sentence = writer_id(&ours, "events", &wider).await.expect_err("not BACKWARD").to_string();
    assert!(sentence.contains("field kind"), "{sentence}");

    apicurio.kill();
    let learned = writer_id(&ours, "events", EVENT).await.unwrap();
    assert_eq!((learned.id, learned.from_cache.is_some()), (id, true));
    assert_eq!(reader.knows(id), Some(0));
    assert!(Reader::start(&reader_settings, "clicks", &[EVENT]).await.unwrap().knows(id).is_some());
    let nobody = settings(apicurio.url(), &tempfile::tempdir().unwrap());
    assert!(writer_id(&nobody, "events", EVENT).await.is_err());
    apicurio.restart();
    assert!(writer_id(&nobody, "events", EVENT).await.is_ok());
}
