//! What must hold of every body that was taken, whatever its dialect.

use std::collections::BTreeMap;

use event::{Event, decode, encode, validate};
use gateway::{
    rejection::Code,
    stage::{Stage, Taken},
};
use serde_json::value::RawValue;

/// 2026-01-02T03:04:05.678Z.
pub(crate) const RECEIVED_AT_US: i64 = 1_767_323_045_678_000;

/// What became of an event.
#[derive(Debug)]
pub(crate) enum Fate<'a> {
    Record(Box<Event<'a>>),
    Rejected(Code),
}

/// Takes the body three times, on a stage that other bodies have used before: what came before must not matter, and
/// neither may how many events there might have been.
pub(crate) fn take(body: &[u8], judge: fn(&mut Stage, &[u8], i64, u32) -> Result<Taken, Code>) -> Result<Taken, Code> {
    let mut stage = Stage::default();
    let first = judge(&mut stage, body, RECEIVED_AT_US, u32::MAX);
    let again = judge(&mut stage, body, RECEIVED_AT_US, u32::MAX);
    match (&first, &again) {
        (Ok(first), Ok(again)) => {
            assert_eq!(without_ids(first), without_ids(again), "taken otherwise the second time");
            assert_eq!(first.rejected, again.rejected, "rejected otherwise the second time");
            let just = judge(&mut stage, body, RECEIVED_AT_US, first.events);
            assert_eq!(just.map(|taken| taken.events), Ok(first.events), "as many events as allowed");
            let full = judge(&mut stage, body, RECEIVED_AT_US, first.events - 1);
            assert_eq!(full.map(|taken| taken.events), Err(Code::TooManyEvents), "one event too many");
        }
        _ => assert_eq!(first.as_ref().err(), again.as_ref().err(), "refused otherwise the second time"),
    }
    first
}

/// The records without the ids, which the gateway may have made.
fn without_ids(taken: &Taken) -> Vec<(u32, Event<'_>)> {
    let event = |value| decode(value).expect("what was encoded can be decoded");
    taken.records.iter().map(|(index, _, value)| (*index, Event { event_id: "", ..event(value) })).collect()
}

/// The fate of each event, by its position in the body.
pub(crate) fn fates(taken: &Taken) -> Vec<Fate<'_>> {
    assert!(taken.records.is_sorted_by_key(|(index, ..)| index), "the records are not in the order of the body");
    let mut fates = BTreeMap::new();
    for (index, key, value) in &taken.records {
        let event = decode(value).expect("what was encoded can be decoded");
        holds(&event, key, value);
        assert!(fates.insert(*index, Fate::Record(Box::new(event))).is_none(), "two fates for event {index}");
    }
    for (index, code) in &taken.rejected {
        assert!(fates.insert(*index, Fate::Rejected(*code)).is_none(), "two fates for event {index}");
    }
    assert!(taken.events > 0, "a body without an event was taken");
    assert!(fates.keys().copied().eq(0..taken.events), "events without a fate: {:?}", fates.keys());
    fates.into_values().collect()
}

fn holds(event: &Event<'_>, key: &[u8], value: &[u8]) {
    assert_eq!(validate(event), Ok(()), "a record breaks a rule");
    assert_eq!(event.user_key().map(str::as_bytes), Some(key), "the record's key is not its user");
    assert_eq!(event.received_at, RECEIVED_AT_US);
    let mut again = Vec::new();
    encode(event, &mut again);
    assert_eq!(again, value, "encode(decode(value)) is another value");
    if let Some(text) = event.properties {
        let json: Result<&RawValue, _> = serde_json::from_str(text);
        assert!(json.is_ok_and(|json| json.get().starts_with('{')), "properties are no JSON object: {text}");
    }
}
