//! What must hold of every body that was taken, whatever its dialect.

use std::collections::BTreeMap;

use event::{Event, decode, encode, validate};
use gateway::{
    rejection::Code,
    stage::{self, Language, Stage, Taken},
};
use serde_json::value::RawValue;

use crate::reference::Object;

/// 2026-01-02T03:04:05.678Z.
pub(crate) const RECEIVED_AT_US: i64 = 1_767_323_045_678_000;

/// What became of an event.
#[derive(Debug)]
pub(crate) enum Fate<'a> {
    Record(Box<Event<'a>>),
    Rejected(Code),
}

/// Takes a request four times, on a stage that other requests have used before: what came before must not matter, and
/// neither may how many events there might have been.
pub(crate) fn take(language: Language, told: &[u8]) -> Result<Taken, Code> {
    let mut stage = Stage::default();
    let first = stage.judge(language, told, RECEIVED_AT_US, u32::MAX);
    let again = stage.judge(language, told, RECEIVED_AT_US, u32::MAX);
    match (&first, &again) {
        (Ok(first), Ok(again)) => {
            assert_same(first, again, "taken otherwise the second time");
            assert_eq!(stage::told(language, told), first.events as usize, "events found again");
            let just = stage.judge(language, told, RECEIVED_AT_US, first.events).map(|taken| taken.events);
            // Of two batches the last one counts, but the first one may be too large.
            let is_refused_for_another = just == Err(Code::TooManyEvents) && batches(told) > 1;
            assert!(just == Ok(first.events) || is_refused_for_another, "{just:?}: as many events as allowed");
            let full = stage.judge(language, told, RECEIVED_AT_US, first.events - 1);
            assert_eq!(full.map(|taken| taken.events), Err(Code::TooManyEvents), "one event too many");
        }
        _ => assert_eq!(first.as_ref().err(), again.as_ref().err(), "refused otherwise the second time"),
    }
    first
}

fn batches(told: &[u8]) -> usize {
    let members = serde_json::from_slice(told).map(|Object(members)| members).unwrap_or_default();
    members.iter().filter(|(key, _)| key == "batch").count()
}

/// Both have the same fates.
#[track_caller]
pub(crate) fn assert_same(one: &Taken, other: &Taken, why: &str) {
    assert_eq!(without_ids(one), without_ids(other), "{why}");
    assert_eq!(one.rejected, other.rejected, "{why}");
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

/// Without the white space that may stand around a line or a document.
pub(crate) fn trim(text: &str) -> &str {
    text.trim_matches(|letter: char| letter.is_ascii_whitespace())
}

pub(crate) fn is_json(text: &str) -> bool {
    serde_json::from_str::<&RawValue>(text).is_ok()
}

/// Whether a text may be refused for its depth. One that is no JSON may always be.
pub(crate) fn is_too_deep(text: &str) -> bool {
    let (mut depth, mut deepest, mut in_string, mut escaped) = (0_usize, 0, false, false);
    for byte in text.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            b'{' | b'[' if !in_string => depth += 1,
            b'}' | b']' if !in_string => depth = depth.saturating_sub(1),
            _ => {}
        }
        deepest = deepest.max(depth);
    }
    deepest > 1024 || !is_json(text)
}
