//! The bodies of Segment's API: the quick way through a batch and the careful one come to the same.
//!
//! There is no second implementation to compare with, so bodies are compared with changed ones that must mean the same:
//! each event alone in the same envelope, beside an event that is none, and with `batch` in another place.

use gateway::{
    rejection::Code,
    stage::{Language, Taken},
};
use serde_json::value::RawValue;

use crate::{
    reference::Object,
    taken::{Fate, fates, is_json, is_too_deep, take, trim},
};

/// Events of a batch that are looked at one by one.
const ALONE_MAX: usize = 8;

/// An input is a body; its first byte says for which route.
pub(crate) fn run(input: &[u8]) {
    match input.split_first() {
        Some((b'1', body)) => single(body),
        _ => batch(input),
    }
}

fn single(body: &[u8]) {
    match take(Language::SegmentTrack, body) {
        Ok(taken) => {
            let fates = fates(&taken);
            assert_eq!(fates.len(), 1, "a single call is one event");
            check_ids(text(body), &fates[0]);
        }
        Err(code) => refused_rightly(body, code),
    }
}

fn batch(body: &[u8]) {
    let taken = match take(Language::SegmentBatch, body) {
        Ok(taken) => taken,
        Err(code) => return refused_rightly(body, code),
    };
    let Some(Envelope { around, events }) = Envelope::of(text(body)) else {
        // The reading here stops at half of a surrogate pair in a key, which the gateway passes by.
        return assert!(is_json(text(body)) && text(body).contains("\\u"), "only an object with a batch is taken");
    };
    let fates = fates(&taken);
    assert_eq!(fates.len(), events.len(), "events found");
    for (fate, event) in fates.iter().zip(&events) {
        check_ids(event, fate);
    }
    let all = events.join(",");
    let same = |body: &str, why| assert_same(&taken, &again(body), why, body);
    same(&format!("{{{}}}", [&[format!("\"batch\":[{all}]")], &around[..]].concat().join(",")), "batch comes first");
    same(&format!("{{{}}}", [&around[..], &[format!("\"batch\":[{all}]")]].concat().join(",")), "batch comes last");
    let beside = again(&format!("{{{}}}", [&around[..], &[format!("\"batch\":[7,{all}]")]].concat().join(",")));
    for (at, event) in events.iter().enumerate().take(ALONE_MAX) {
        let alone = format!("{{{}}}", [&[format!("\"batch\":[{event}]")], &around[..]].concat().join(","));
        assert_eq!(shown(&self::fates(&again(&alone))[0]), shown(&fates[at]), "alone: {alone}");
        assert_eq!(shown(&self::fates(&beside)[at + 1]), shown(&fates[at]), "beside a bad one: {alone}");
    }
}

fn again(body: &str) -> Taken {
    take(Language::SegmentBatch, body.as_bytes()).unwrap_or_else(|code| panic!("{code:?} for {body}"))
}

#[track_caller]
fn assert_same(one: &Taken, other: &Taken, why: &str, body: &str) {
    let all = |taken| fates(taken).iter().map(shown).collect::<Vec<_>>();
    assert_eq!(all(one), all(other), "{why}: {body}");
}

/// Without the id, which the gateway may have made.
fn shown(fate: &Fate<'_>) -> String {
    match fate {
        Fate::Record(event) => format!("{:?}", event::Event { event_id: "", ..**event }),
        Fate::Rejected(code) => code.facts().name.to_owned(),
    }
}

/// A body apart from its events.
struct Envelope<'a> {
    /// Its other members, as they stood.
    around: Vec<String>,
    events: Vec<&'a str>,
}

impl<'a> Envelope<'a> {
    fn of(text: &'a str) -> Option<Envelope<'a>> {
        let Object(members) = serde_json::from_str(text).ok()?;
        let batch = members.iter().rfind(|(key, _)| key == "batch")?.1;
        let events: Vec<&RawValue> = serde_json::from_str(batch).ok()?;
        let around = members.iter().filter(|(key, _)| key != "batch");
        let around = around.map(|(key, value)| format!("{}:{value}", serde_json::json!(key))).collect();
        Some(Envelope { around, events: events.into_iter().map(RawValue::get).collect() })
    }
}

fn text(body: &[u8]) -> &str {
    let text = str::from_utf8(body).expect("only UTF-8 is taken");
    trim(text.strip_prefix('\u{feff}').unwrap_or(text))
}

/// A user is who the event says it is: a text as it stands, a number by its digits.
fn check_ids(json: &str, fate: &Fate<'_>) {
    let Fate::Record(event) = fate else { return };
    let Object(members) = serde_json::from_str(json).expect("an event that is taken is an object");
    let last = |name| members.iter().rfind(|(key, _)| key == name).map(|(_, value)| *value);
    for (name, found) in [("userId", event.user_id), ("anonymousId", event.anonymous_id)] {
        let said = last(name).filter(|value| *value != "null");
        let expected = said.map(|value| match value.starts_with('"') {
            true => serde_json::from_str::<String>(value).expect("an id that is taken is a text"),
            false => value.to_owned(),
        });
        assert_eq!(found.map(str::to_owned), expected, "{name} of {json}");
    }
}

fn refused_rightly(body: &[u8], code: Code) {
    assert_eq!(str::from_utf8(body).is_err(), code == Code::InvalidUtf8, "{code:?}");
    if code == Code::InvalidUtf8 {
        return;
    }
    let text = text(body);
    match code {
        Code::NestedTooDeep => assert!(is_too_deep(text)),
        Code::MalformedJson => assert!(!is_json(text), "this is JSON"),
        Code::EmptyBatch => {
            let events = Envelope::of(text).map(|envelope| envelope.events.len());
            assert!(text.is_empty() || is_json(text) && events.unwrap_or(0) == 0, "{events:?} events");
        }
        Code::NotAnObject => assert!(is_json(text) && !text.starts_with('{')),
        Code::InvalidType => assert!(is_json(text) && Envelope::of(text).is_none()),
        other => panic!("{other:?}"),
    }
}
