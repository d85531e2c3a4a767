//! Goal: a record of another schema is a row like any other, or a dead letter with its own bytes. Method: a registry
//! that is down, whose answers were kept before.

use std::{sync::Arc, time::Duration};

use event::{Event, Version};
use prometheus_client::registry::Registry;
use registry::{Reader, Settings};

use super::{DeadReason, Judged, decoded, judge};
use crate::{
    Metrics,
    budget::Budget,
    buffer::{Buffer, Part, Place},
    schema_ids::SchemaIds,
    source::chunk::{Chunk, Record},
    testing::policy,
};

const NEWER: u32 = 9;
const NEVER_SEEN: u32 = 11;
/// What the registry gave our newest schema, and what older records have for the first one.
const TWOFOLD: u32 = 1;

fn value(version: Version, id: u32, event_id: &str) -> Vec<u8> {
    let event =
        Event { event_id, kind: "click", source: "web", user_id: Some("u"), timezone: Some("UTC"), ..Event::default() };
    let mut value = Vec::new();
    event::encode_framed(version, id, &event, &mut value);
    value
}

async fn judged(newest: Version, records: &[(&str, Vec<u8>)]) -> (Buffer, Judged) {
    let folder = tempfile::tempdir().expect("a folder");
    let url = "http://127.0.0.1:9";
    let newest_schema = Version::NEWEST.schema();
    let others = serde_json::json!({url: {"9": newest_schema, "10": r#""string""#, "1": newest_schema}});
    std::fs::write(folder.path().join("ids.schemas.json"), others.to_string()).expect("written");
    let cache = folder.path().join("ids.json");
    let settings = Settings { url: url.to_owned(), cache, timeout: Duration::from_millis(20), ..Settings::default() };
    let reader = Reader::start(&settings, "events", &SchemaIds::schemas(newest)).await.expect("a client");
    let metrics = Arc::new(Metrics::register(&mut Registry::default()));
    let budget = Budget::new(usize::MAX, Arc::clone(&metrics));
    let schema_ids = SchemaIds::learned(newest, reader, metrics, budget);
    let mut chunk = Chunk::new(0);
    for (offset, (key, value)) in (0..).zip(records) {
        chunk.push(Record { offset, timestamp_us: 0, key: Some(key.as_bytes()), value: Some(value) });
    }
    let mut buffer = Buffer::new(0, i64::MIN);
    buffer.push(Part::whole(chunk), &policy(usize::MAX));
    let judging = tokio::task::spawn_blocking(move || {
        let judged = judge(&mut buffer, &schema_ids);
        (buffer, judged)
    });
    judging.await.expect("no panic")
}

/// Offset, event id and time zone of each row.
fn rows<'b>(buffer: &'b Buffer, judged: &Judged) -> Vec<(u64, &'b str, Option<&'b str>)> {
    let row = |row: &crate::sort::Row| {
        let record = buffer.record(row.place);
        let event = decoded(record.value.expect("a row has a value"));
        (record.offset, event.event_id, event.timezone)
    };
    judged.rows.iter().map(row).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_older_sink_reads_what_a_newer_gateway_writes_and_nothing_else() {
    let truncated = value(Version::V2, NEWER, "e6")[..40].to_vec();
    let unreadable = [&[0, 0, 0, 0, 10][..], b"\x02x"].concat();
    let records = [
        ("u", value(Version::V1, 1, "e0")),
        ("u", value(Version::V2, NEWER, "e1")),
        ("u", value(Version::V1, 1, "e2")),
        ("u", value(Version::V2, NEWER, "e0")),
        ("other", value(Version::V2, NEWER, "e4")),
        ("u", unreadable),
        ("u", truncated),
        ("u", value(Version::V2, NEVER_SEEN, "e7")),
        ("u", value(Version::V2, NEWER, "e8")),
    ];
    let (buffer, judged) = judged(Version::V1, &records).await;
    let expected = [(0, "e0"), (1, "e1"), (2, "e2"), (3, "e0"), (8, "e8")];
    assert_eq!(rows(&buffer, &judged), expected.map(|(offset, event_id)| (offset, event_id, None)));
    assert_eq!(judged.id_hashes[0], judged.id_hashes[3]);
    let letter = |(place, reason): &(Place, DeadReason)| {
        let record = buffer.record(*place);
        let logged = &records[usize::try_from(record.offset).expect("few")].1;
        assert_eq!(record.value, Some(&logged[..]), "a dead letter holds what lay in the log");
        (record.offset, reason.label())
    };
    let letters: Vec<_> = judged.dead_letters.iter().map(letter).collect();
    let expected = [(4, "key_mismatch"), (5, "unreadable_schema"), (6, "truncated"), (7, "schema_unanswered")];
    assert_eq!(letters, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registry_may_give_the_built_in_id_of_the_first_version_to_another_one() {
    let records = [("u", value(Version::V1, TWOFOLD, "e0")), ("u", value(Version::V2, TWOFOLD, "e1"))];
    let (buffer, judged) = judged(Version::V2, &records).await;
    assert_eq!(rows(&buffer, &judged), [(0, "e0", None), (1, "e1", Some("UTC"))]);
}
