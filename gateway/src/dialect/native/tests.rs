//! Goal: each form of body gives the right events, and a defect costs exactly what it should. Method: parse bytes, look
//! at the decoded records and at the rejections.

use event::decode;

use super::*;
use crate::{
    batch::{Batch, Bound, Origin},
    config::IpPolicy,
    dialect::{FIELDS, Field},
    routes::Routes,
};

const RECEIVED_AT_US: i64 = 1_767_323_045_678_000;

/// `Ok`: for each event its user and type, or `index!code`. `Err`: the code of the whole request.
fn outcome(body: &[u8], events_max: u32) -> Result<String, &'static str> {
    let mut batch = Batch::default();
    let origin = Origin {
        received_at_us: RECEIVED_AT_US,
        source: "default",
        user_agent: Some("agent"),
        ip: Some("192.0.2.0"),
        ip_policy: IpPolicy::Truncated,
        routes: &Routes::NONE,
    };
    let mut intake = batch.open(origin, Bound { events_max, event_bytes_max: 1 << 20 });
    parse(body, &mut intake).map_err(|rejection| rejection.code.facts().name)?;
    let total = intake.events() as usize;
    let mut found: Vec<(u32, String)> = batch
        .records()
        .map(|record| {
            let event = decode(record.value).expect("what we encode can be decoded");
            assert_eq!(event.user_key().map(str::as_bytes), Some(record.key));
            (record.index, format!("{}:{}", event.user_key().unwrap(), event.kind))
        })
        .collect();
    found.extend(
        batch.take_rejected().iter().map(|it| (it.index, format!("{}!{}", it.index, it.rejection.code.facts().name))),
    );
    found.sort();
    assert_eq!(found.len(), total, "every event is a record or a rejection");
    Ok(found.into_iter().map(|(_, text)| text).collect::<Vec<_>>().join(" "))
}

#[track_caller]
fn check(body: impl AsRef<[u8]>, expected: Result<&str, &str>) {
    let body = body.as_ref();
    let found = outcome(body, 1000);
    assert_eq!(found.as_deref().map_err(|code| *code), expected, "{}", String::from_utf8_lossy(body));
}

const A: &str = r#"{"type":"click","user_id":"a"}"#;
const B: &str = r#"{"type":"page_view","anonymous_id":"b"}"#;

#[test]
fn object_array_and_lines_are_understood() {
    check(A, Ok("a:click"));
    check(format!("[{A},{B}]"), Ok("a:click b:page_view"));
    check(format!(" \n[ {A} , {B} ]\r\n "), Ok("a:click b:page_view"));
    check(format!("{A}\n{B}\n"), Ok("a:click b:page_view"));
    check(format!("\n{A}\r\n\r\n{B}"), Ok("a:click b:page_view"));
    check("{\n\"type\": \"click\",\n\"user_id\": \"a\"\n}\n", Ok("a:click"));
    check(format!("\u{feff}{A}"), Ok("a:click"));
    check(r#"{"event":"signup","user_id":"","anonymous_id":"b"}"#, Ok("b:signup"));
    check(r#"{"type":"click","user_id":null,"anonymous_id":"b","properties":null,"url":null}"#, Ok("b:click"));
}

#[test]
fn a_body_that_is_no_json_is_refused_whole() {
    for body in ["{", "[", "]", "}", "x", "[{]", "nul", "\"a", r#"{"a":1,}"#, "{'a':1}", "\u{1}", "[1,]", "{} x"] {
        check(body, Err("malformed_json"));
    }
    check(format!("[{A},{B}"), Err("malformed_json"));
    check(format!("[{A},{B}]]"), Err("malformed_json"));
    check(format!("[{A},{B},]"), Err("malformed_json"));
    check(format!("[{A} {B}]"), Err("malformed_json"));
    check(format!("[{A}]{B}"), Err("malformed_json"));
    check(format!("{A}{B}"), Err("malformed_json"));
    check("{\n\"type\": \"click\",\n\"user_id\": \n}\n", Err("malformed_json"));
    check("x\ny\n", Err("malformed_json"));
}

#[test]
fn raw_values_are_checked_too() {
    for value in
        ["tru", "01", "1.", "[1,]", "{\"b\":}", "\"\\x\"", "\"\n\"", "-", "{\"b\" 1}", "[1 2]", "nan", "\"\\u12g4\""]
    {
        check(format!(r#"{{"type":"click","user_id":"a","properties":{{"a":{value}}}}}"#), Err("malformed_json"));
        check(format!(r#"[{A},{{"type":"click","user_id":"a","extra":{value}}}]"#), Err("malformed_json"));
    }
}

#[test]
fn empty_bodies_hold_no_event() {
    for body in ["", " \r\n\t", "[]", "[ ]", "\u{feff}", "\n\n"] {
        check(body, Err("empty_batch"));
    }
}

#[test]
fn a_bad_event_costs_one_event() {
    check("{}", Ok("0!field_missing"));
    check(r#"{"type":"click"}"#, Ok("0!no_user_key"));
    check(r#"{"user_id":"a"}"#, Ok("0!field_missing"));
    check(r#"{"type":"click","user_id":7}"#, Ok("0!invalid_type"));
    check(r#"{"type":{},"user_id":"a"}"#, Ok("0!invalid_type"));
    check(r#"{"type":"click","user_id":"a","properties":[]}"#, Ok("0!invalid_type"));
    check(r#"{"type":"click","user_id":"a","properties":"x"}"#, Ok("0!invalid_type"));
    check(r#"{"type":"click","user_id":"a","event_time":"yesterday"}"#, Ok("0!invalid_time"));
    check(r#"{"type":"click","user_id":"a","event_time":"1999-01-01T00:00:00Z"}"#, Ok("0!event_time_too_early"));
    check(r#"{"type":"click","user_id":"a","event_time":"2099-01-01T00:00:00Z"}"#, Ok("0!event_time_too_late"));
    check(r#"{"type":"click","user_id":"a","ip":"here"}"#, Ok("0!invalid_type"));
    check(r#"{"type":"click","user_id":"\ud800"}"#, Ok("0!invalid_type"));
    check("7", Ok("0!not_an_object"));
    check("\"text\"", Ok("0!not_an_object"));
    check(
        format!("[{A},7,null,[],{{}},{B}]"),
        Ok("a:click 1!not_an_object 2!not_an_object 3!not_an_object 4!field_missing b:page_view"),
    );
    check(format!("{A}\n7\n[{A}]\n{B}"), Ok("a:click 1!not_an_object 2!not_an_object b:page_view"));
    check(format!("{A}\n{{\"type\":\n{B}"), Ok("a:click 1!malformed_json b:page_view"));
    check(format!("garbage\n{B}"), Ok("0!malformed_json b:page_view"));
    check(format!("[{A},{{\"type\":\"{}\",\"user_id\":\"a\"}}]", "x".repeat(65)), Ok("a:click 1!field_too_long"));
    check(
        format!(r#"[{A},{{"type":"t","user_id":"a","properties":{{"a":{}{}}}}}]"#, "[".repeat(64), "]".repeat(64)),
        Ok("a:click 1!properties_too_deep"),
    );
    check(
        format!(r#"[{A},{{"type":"t","user_id":"a","x":{}{}}}]"#, "[".repeat(64), "]".repeat(64)),
        Ok("a:click 1!properties_too_deep"),
    );
}

#[test]
fn the_message_of_a_wrong_type_names_the_field() {
    let why = object::why_not(r#"{"type":"click","user_id":7}"#);
    assert_eq!(why.message, "user_id is of the wrong type: send a string or null");
    let why = object::why_not(r#"{"type":"click","properties":7}"#);
    assert_eq!(why.message, "properties is of the wrong type: send an object or null");
}

#[test]
fn the_api_documents_list_every_field() {
    let document: serde_json::Value =
        serde_json::from_str(include_str!("../../../../docs/openapi.json")).expect("docs/openapi.json is JSON");
    let described = document["components"]["schemas"]["Event"]["properties"].as_object().expect("an object");
    for key in described.keys().filter(|key| !["properties", "timezone"].contains(&key.as_str())) {
        assert!(object::field(key).is_some(), "{key} is no field");
    }
    // All but `properties`, which is no text (as `timezone` need not be), and the parts that only other dialects tell.
    let parts = [Field::ScreenWidth, Field::ScreenHeight, Field::LibraryVersion];
    assert_eq!(described.len() - 1, FIELDS - parts.len(), "a field is not described");
}

#[test]
fn text_that_is_not_utf8_is_refused() {
    check(b"{\"type\":\"click\",\"user_id\":\"\xff\"}", Err("invalid_utf8"));
    check(b"\xff", Err("invalid_utf8"));
    check(b"{\"type\":\"click\",\"user_id\":\"a\",\"properties\":{\"a\":\"\xc3\"}}", Err("invalid_utf8"));
}

#[test]
fn deep_nesting_neither_overflows_the_stack_nor_is_accepted() {
    let deep = "[".repeat(5 << 20);
    check(&deep, Err("nested_too_deep"));
    check(format!("{{\"type\":\"click\",\"user_id\":\"a\",\"x\":{deep}"), Err("nested_too_deep"));
    check(r#"{"a":"#.repeat(1 << 20), Err("nested_too_deep"));
    // The deepest that passes the gate goes through every parser on a thread of the usual 2 MiB.
    let (open, close) = ("[".repeat(1023), "]".repeat(1023));
    let check_deepest = move || {
        check(format!("{open}{close}"), Ok("0!not_an_object"));
        check(format!("[{open}{close}"), Err("malformed_json"));
        check(format!(r#"{{"type":"click","user_id":"a","x":{open}{close}}}"#), Ok("0!properties_too_deep"));
        check(format!(r#"{{"type":7,"user_id":"a","x":{open}{close}}}"#), Ok("0!invalid_type"));
        check(format!("{}{}", r#"{"a":"#.repeat(1023), "1}".to_owned() + &"}".repeat(1022)), Ok("0!field_missing"));
    };
    std::thread::Builder::new().stack_size(2 << 20).spawn(check_deepest).expect("a thread").join().expect("no panic");
}

#[test]
fn a_request_holds_only_so_many_events() {
    let many = |n: usize| format!("[{}]", vec![A; n].join(","));
    assert!(outcome(many(10).as_bytes(), 10).is_ok());
    assert_eq!(outcome(many(11).as_bytes(), 10), Err("too_many_events"));
    assert_eq!(outcome([A; 11].join("\n").as_bytes(), 10), Err("too_many_events"));
    assert_eq!(outcome(format!("[{}]", ["7"; 11].join(",")).as_bytes(), 10), Err("too_many_events"));
}

#[test]
fn defaults_fill_what_the_sender_left_out() {
    let body = r#"{"event":"sale","type":"track","user_id":"u","url":"https://x.example/a/b?c","plan":"pro","a\"b":[1, 2],
        "properties": { "price" : 1.50 },"event_time":"","ip":"203.0.113.9"}"#;
    let mut batch = Batch::default();
    let origin = Origin {
        received_at_us: RECEIVED_AT_US,
        source: "web",
        user_agent: Some("agent/1"),
        ip: Some("192.0.2.0"),
        ip_policy: IpPolicy::Truncated,
        routes: &Routes::NONE,
    };
    parse(body.as_bytes(), &mut batch.open(origin, Bound { events_max: 9, event_bytes_max: 9999 })).expect("valid");
    let value = batch.records().next().expect("one record").value.to_vec();
    let event = decode(&value).expect("what we encode can be decoded");
    assert_eq!((event.kind, event.name, event.source), ("track", Some("sale"), "web"));
    assert_eq!(event.event_id.len(), 36);
    assert_eq!((event.event_time, event.received_at), (RECEIVED_AT_US, RECEIVED_AT_US));
    assert_eq!((event.path, event.user_agent, event.ip), (Some("/a/b"), Some("agent/1"), Some("203.0.113.0")));
    assert_eq!(event.properties, Some(r#"{"plan":"pro","a\"b":[1, 2],"price" : 1.50}"#));
}

#[test]
fn properties_are_kept_as_they_came() {
    #[track_caller]
    fn check(rest: &str, expected: Option<&str>) {
        let body = format!(r#"{{"type":"t","user_id":"u"{rest}}}"#);
        let mut batch = Batch::default();
        let origin = Origin {
            received_at_us: RECEIVED_AT_US,
            source: "s",
            user_agent: None,
            ip: None,
            ip_policy: IpPolicy::None,
            routes: &Routes::NONE,
        };
        parse(body.as_bytes(), &mut batch.open(origin, Bound { events_max: 9, event_bytes_max: 9999 })).expect("valid");
        let value = batch.records().next().expect("one record").value.to_vec();
        let properties = decode(&value).expect("what we encode can be decoded").properties.map(str::to_owned);
        assert_eq!(properties.as_deref(), expected, "{body}");
    }
    check("", None);
    check(r#","properties":null"#, None);
    check(r#","properties": {"a" : 1e400,"b":"\u00e4"} "#, Some(r#"{"a" : 1e400,"b":"\u00e4"}"#));
    check(r#","x":null"#, Some(r#"{"x":null}"#));
    check(r#","x":"a\nb","properties":{ }"#, Some(r#"{"x":"a\nb"}"#));
    check(r#","x":{"y":[]},"properties":{"x":2}"#, Some(r#"{"x":{"y":[]},"x":2}"#));
}
