//! Goal: what published SDKs send is taken as it is, and nothing of it is lost. Method: requests recorded from unmodified
//! SDKs, byte for byte; each event is read back from the journal.

use std::{collections::BTreeSet, fs, path::PathBuf};

use event::Event;
use gateway::Log;
use serde_json::{Value, json};

use crate::harness::{Gateway, Reply, events, journal};

fn fixtures() -> Vec<(String, Vec<u8>)> {
    let dir = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    let mut found: Vec<_> = fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "http"))
        .map(|path| (path.file_stem().unwrap().to_str().unwrap().to_owned(), fs::read(path).unwrap()))
        .collect();
    found.sort();
    found
}

#[test]
fn every_recorded_request_is_taken_whole() {
    let mut calls = BTreeSet::new();
    for (name, request) in fixtures() {
        let (_dir, journal) = journal(1);
        let gateway = Gateway::start(Log::journal(journal.clone()), |_| {});
        let mut client = gateway.connect();
        client.send(&request);
        let reply = client.reply();
        assert_eq!(reply.status, 200, "{name}: {reply:?}");
        if name.ends_with("-preflight") {
            continue;
        }
        assert!(reply.rejected().is_empty(), "{name}: {reply:?}");
        let stored = events(&journal, |event| {
            check(&name, event);
            calls.insert(event.kind.to_owned());
        });
        assert_eq!(reply.json()["accepted"], stored, "{name}");
        assert!(stored > 0, "{name}");
        gateway.stop();
    }
    let expected = ["alias", "group", "identify", "page_view", "screen_view", "track"].map(str::to_owned);
    assert_eq!(calls, expected.into(), "each call was recorded");
}

/// The scripts behind the recordings tell the same story through every SDK, and number its steps.
fn check(sdk: &str, event: &Event<'_>) {
    let properties: Value = serde_json::from_str(event.properties.unwrap()).unwrap();
    let of = |path: &str| properties.pointer(path).cloned().unwrap_or_default();
    assert_eq!(event.user_key(), Some("u1"), "{sdk}");
    assert!(event.event_id.len() > 16, "{sdk}: {}", event.event_id);
    assert!((event.event_time - event.received_at).abs() < 1000 * 24 * 3600 * 1_000_000, "{sdk}");
    assert!(event.library.is_some_and(|library| library.contains('/')), "{sdk}: {:?}", event.library);
    match event.kind {
        "identify" => {
            let traits = of("/traits");
            let traits = if traits.is_null() { of("/context/traits") } else { traits };
            assert_eq!((&traits["plan"], &traits["n"]), (&json!("pro"), &json!(1)), "{sdk}");
        }
        "page_view" => {
            assert_eq!(of("/n"), 2, "{sdk}");
            assert!(event.url.is_some_and(|url| url.contains("://shop.example/home?q=1")), "{sdk}: {:?}", event.url);
            assert_eq!((event.path, event.title), (Some("/home"), Some("Shop")), "{sdk}");
            assert!(event.referrer.is_some_and(|url| url.ends_with("://search.example/")), "{sdk}");
            assert_eq!((event.campaign_source, event.campaign_name), (Some("mail"), Some("spring")), "{sdk}");
            assert_eq!(event.locale, Some("de-DE"), "{sdk}");
            assert!(event.name == Some("Home") || of("/name") == "Home", "{sdk}");
            assert!(event.user_agent.is_some_and(|agent| agent.contains("Shop/1.0") || agent.contains("Mozilla")));
        }
        "track" if event.name == Some("click") => {
            assert_eq!(of("/n"), 3, "{sdk}");
            let element = (event.element, event.element_text, event.element_href);
            assert_eq!(element, (Some("a#buy"), Some("Buy now"), Some("/cart")), "{sdk}");
        }
        "track" => {
            assert_eq!((event.name, of("/n"), of("/total")), (Some("Order Completed"), json!(4), json!(12.5)), "{sdk}");
        }
        "screen_view" => assert_eq!((event.name, of("/n")), (Some("Cart"), json!(5)), "{sdk}"),
        "group" => assert_eq!((of("/groupId"), of("/traits/n")), (json!("g1"), json!(6)), "{sdk}"),
        "alias" => assert!(of("/previousId").is_string(), "{sdk}"),
        other => panic!("{sdk}: what is {other}?"),
    }
    assert!(!event.properties.unwrap().contains("203.0.113.7"), "{sdk}: an address is kept under the policy only");
    assert!(of("/writeKey").is_null(), "{sdk}");
}

fn post(gateway: &Gateway, path: &str, body: &str) -> Reply {
    let mut client = gateway.connect();
    let length = body.len();
    client.send(format!("POST {path} HTTP/1.1\r\nhost: x\r\ncontent-length: {length}\r\n\r\n{body}").as_bytes());
    client.reply()
}

#[test]
fn every_route_of_the_api_takes_its_call() {
    let (_dir, journal) = journal(1);
    let gateway = Gateway::start(Log::journal(journal.clone()), |_| {});
    let mut expected = Vec::new();
    for (long, short, kind) in [
        ("page", "p", "page_view"),
        ("track", "t", "track"),
        ("identify", "i", "identify"),
        ("group", "g", "group"),
        ("alias", "a", "alias"),
        ("screen", "s", "screen_view"),
    ] {
        for path in [format!("/v1/{long}"), format!("/v1/{short}"), format!("/v1/{long}/")] {
            assert_eq!(post(&gateway, &path, r#"{"userId":"u"}"#).status, 200, "{path}");
            expected.push(kind.to_owned());
        }
        for path in ["/v1/batch", "/v1/b", "/v1/import/"] {
            let body = format!(r#"{{"batch":[{{"type":"{long}","userId":"u"}}]}}"#);
            assert_eq!(post(&gateway, path, &body).status, 200, "{path}");
            expected.push(kind.to_owned());
        }
    }
    let mut kinds = Vec::new();
    events(&journal, |event| kinds.push(event.kind.to_owned()));
    assert_eq!(kinds, expected, "in the order in which they came");
    gateway.check_ledger();
    gateway.stop();
}

#[test]
fn a_bad_event_costs_one_event_and_a_bad_body_everything() {
    let (_dir, journal) = journal(1);
    let gateway = Gateway::start(Log::journal(journal.clone()), |_| {});
    let good = |user: &str| format!(r#"{{"type":"track","event":"e","userId":"{user}"}}"#);
    let body = format!(r#"{{"batch":[{},{{"type":"track"}},7,{}]}}"#, good("a"), good("b"));
    let reply = post(&gateway, "/v1/batch", &body);
    assert_eq!((reply.status, &reply.json()["accepted"]), (200, &json!(2)), "{reply:?}");
    let expected = [(1, "no_user_key".to_owned()), (2, "not_an_object".to_owned())].into();
    assert_eq!(reply.rejected(), expected);
    for (path, body, code) in [
        ("/v1/batch", "{\"batch\":[{]}", "malformed_json"),
        ("/v1/batch", "[]", "not_an_object"),
        ("/v1/b", "{\"batch\":{}}", "invalid_type"),
        ("/v1/b", "{}", "empty_batch"),
        ("/v1/import", "", "empty_batch"),
        ("/v1/t", "{}", "no_user_key"),
        ("/v1/t", "[]", "not_an_object"),
        ("/v1/p", "{\"userId\":{}}", "invalid_type"),
        ("/v1/p", "{\"userId\":\"u\",\"timestamp\":\"noon\"}", "invalid_time"),
    ] {
        let reply = post(&gateway, path, body);
        assert_eq!((reply.status, reply.code().as_deref()), (400, Some(code)), "{path} {body}");
    }
    let mut users = Vec::new();
    events(&journal, |event| users.push(event.user_id.unwrap().to_owned()));
    assert_eq!(users, ["a", "b"]);
    gateway.check_ledger();
    gateway.stop();
}
