//! Each limit holds exactly: its last value passes, the next one is named.

use super::{Rule, Violation, limits::*, validate};
use crate::{Event, encode};

const RECEIVED_AT: i64 = 1_767_323_045_678_901;

fn valid() -> Event<'static> {
    Event {
        event_id: "e-1",
        kind: "page_view",
        source: "default",
        anonymous_id: Some("a-1"),
        event_time: RECEIVED_AT,
        received_at: RECEIVED_AT,
        ..Event::default()
    }
}

#[track_caller]
fn check(event: Event<'_>, expected: &[(&'static str, Rule)]) {
    let found = validate(&event).err().unwrap_or_default();
    let expected: Vec<_> = expected.iter().map(|&(field, rule)| Violation { field, rule }).collect();
    assert_eq!(found, expected);
}

type Set = for<'a> fn(Event<'a>, &'a str) -> Event<'a>;

/// Every text field with its limit.
const TEXTS: [(&str, usize, Set); 26] = [
    ("event_id", EVENT_ID_BYTES_MAX, |event, text| Event { event_id: text, ..event }),
    ("type", TYPE_BYTES_MAX, |event, text| Event { kind: text, ..event }),
    ("source", SOURCE_BYTES_MAX, |event, text| Event { source: text, ..event }),
    ("user_id", ID_BYTES_MAX, |event, text| Event { user_id: Some(text), ..event }),
    ("anonymous_id", ID_BYTES_MAX, |event, text| Event { anonymous_id: Some(text), ..event }),
    ("name", NAME_BYTES_MAX, |event, text| Event { name: Some(text), ..event }),
    ("session_id", ID_BYTES_MAX, |event, text| Event { session_id: Some(text), ..event }),
    ("url", URL_BYTES_MAX, |event, text| Event { url: Some(text), ..event }),
    ("path", URL_BYTES_MAX, |event, text| Event { path: Some(text), ..event }),
    ("title", TEXT_BYTES_MAX, |event, text| Event { title: Some(text), ..event }),
    ("referrer", URL_BYTES_MAX, |event, text| Event { referrer: Some(text), ..event }),
    ("element", TEXT_BYTES_MAX, |event, text| Event { element: Some(text), ..event }),
    ("element_text", TEXT_BYTES_MAX, |event, text| Event { element_text: Some(text), ..event }),
    ("element_href", URL_BYTES_MAX, |event, text| Event { element_href: Some(text), ..event }),
    ("user_agent", TEXT_BYTES_MAX, |event, text| Event { user_agent: Some(text), ..event }),
    ("ip", SHORT_BYTES_MAX, |event, text| Event { ip: Some(text), ..event }),
    ("locale", SHORT_BYTES_MAX, |event, text| Event { locale: Some(text), ..event }),
    ("screen", SHORT_BYTES_MAX, |event, text| Event { screen: Some(text), ..event }),
    ("campaign_source", LABEL_BYTES_MAX, |event, text| Event { campaign_source: Some(text), ..event }),
    ("campaign_medium", LABEL_BYTES_MAX, |event, text| Event { campaign_medium: Some(text), ..event }),
    ("campaign_name", LABEL_BYTES_MAX, |event, text| Event { campaign_name: Some(text), ..event }),
    ("campaign_term", LABEL_BYTES_MAX, |event, text| Event { campaign_term: Some(text), ..event }),
    ("campaign_content", LABEL_BYTES_MAX, |event, text| Event { campaign_content: Some(text), ..event }),
    ("library", LABEL_BYTES_MAX, |event, text| Event { library: Some(text), ..event }),
    ("properties", PROPERTIES_BYTES_MAX, |event, text| Event { properties: Some(text), ..event }),
    ("timezone", SHORT_BYTES_MAX, |event, text| Event { timezone: Some(text), ..event }),
];

#[test]
fn texts_may_be_as_long_as_their_limit_and_no_longer() {
    for (field, bytes_max, set) in TEXTS {
        let long = "x".repeat(bytes_max + 1);
        check(set(valid(), &long[1..]), &[]);
        check(set(valid(), &long), &[(field, Rule::TooLong { bytes: bytes_max + 1, bytes_max })]);
    }
}

#[test]
fn an_event_that_uses_every_limit_fits_the_record_bound() {
    let texts: Vec<_> = TEXTS.iter().map(|(_, bytes_max, _)| "x".repeat(*bytes_max)).collect();
    let event = TEXTS.iter().zip(&texts).fold(valid(), |event, ((_, _, set), text)| set(event, text));
    check(event, &[]);
    let mut value = Vec::new();
    encode(&event, &mut value);
    assert!((ENCODED_BYTES_MAX - 400..=ENCODED_BYTES_MAX).contains(&value.len()), "{}", value.len());
}

#[test]
fn required_texts_and_a_user_must_be_there() {
    check(Event { event_id: "", ..valid() }, &[("event_id", Rule::Missing)]);
    check(Event { kind: "", ..valid() }, &[("type", Rule::Missing)]);
    check(Event { source: "", ..valid() }, &[("source", Rule::Missing)]);
    check(Event { anonymous_id: None, ..valid() }, &[("user_id", Rule::NoUserKey)]);
    check(Event { anonymous_id: Some(""), user_id: Some(""), ..valid() }, &[("user_id", Rule::NoUserKey)]);
    check(Event { anonymous_id: None, user_id: Some("u"), ..valid() }, &[]);
}

#[test]
fn event_time_lies_between_2000_and_a_day_after_its_receipt() {
    let at = |event_time| Event { event_time, ..valid() };
    check(at(EVENT_TIME_MIN_US), &[]);
    check(at(EVENT_TIME_MIN_US - 1), &[("event_time", Rule::TooEarly)]);
    check(at(i64::MIN), &[("event_time", Rule::TooEarly)]);
    check(at(RECEIVED_AT + EVENT_TIME_AHEAD_MAX_US), &[]);
    check(at(RECEIVED_AT + EVENT_TIME_AHEAD_MAX_US + 1), &[("event_time", Rule::TooLate)]);
    check(at(i64::MAX), &[("event_time", Rule::TooLate)]);
    check(Event { received_at: i64::MAX, ..at(i64::MAX) }, &[]);
}

#[test]
fn properties_are_nested_64_levels_and_no_deeper() {
    let nested = |levels: usize| format!("{}{}", r#"{"a":"#.repeat(levels - 1) + "{", "}".repeat(levels));
    let (deepest, deeper) = (nested(PROPERTIES_DEPTH_MAX), nested(PROPERTIES_DEPTH_MAX + 1));
    check(Event { properties: Some(&deepest), ..valid() }, &[]);
    let too_deep = Rule::TooDeep { depth_max: PROPERTIES_DEPTH_MAX };
    check(Event { properties: Some(&deeper), ..valid() }, &[("properties", too_deep)]);
    let shortest = "[".repeat(PROPERTIES_DEPTH_MAX + 1) + &"]".repeat(PROPERTIES_DEPTH_MAX + 1);
    check(Event { properties: Some(&shortest), ..valid() }, &[("properties", too_deep)]);
}

#[test]
fn everything_wrong_is_said_at_once_in_wire_order() {
    let long = "x".repeat(300);
    let event = Event { kind: "", name: Some(&long), ip: Some(&long), anonymous_id: None, event_time: 0, ..valid() };
    check(
        event,
        &[
            ("type", Rule::Missing),
            ("user_id", Rule::NoUserKey),
            ("name", Rule::TooLong { bytes: 300, bytes_max: 256 }),
            ("event_time", Rule::TooEarly),
            ("ip", Rule::TooLong { bytes: 300, bytes_max: 64 }),
        ],
    );
}

#[test]
fn every_violation_has_a_listed_code_and_says_what_to_do() {
    #[track_caller]
    fn check(field: &'static str, rule: Rule, code: &str, text: &str) {
        let violation = Violation { field, rule };
        assert_eq!((violation.code(), violation.to_string().as_str()), (code, text));
        assert!(Violation::CODES.contains(&code));
    }
    check("type", Rule::Missing, "field_missing", "type is missing: send a text that is not empty");
    check("user_id", Rule::NoUserKey, "no_user_key", "the event has no user: send user_id or anonymous_id");
    let too_long = Rule::TooLong { bytes: 300, bytes_max: 256 };
    check("name", too_long, "field_too_long", "name has 300 bytes: send at most 256");
    let text = "properties is nested too deep: send at most 64 levels of objects and arrays";
    check("properties", Rule::TooDeep { depth_max: 64 }, "properties_too_deep", text);
    let text = "event_time is before the year 2000: set the client's clock or leave it out";
    check("event_time", Rule::TooEarly, "event_time_too_early", text);
    let text = "event_time is more than 24 hours in the future: set the client's clock or leave it out";
    check("event_time", Rule::TooLate, "event_time_too_late", text);
}
