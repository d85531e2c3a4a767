//! Goal: who may send is decided by the write key, wherever the request carries it, and before its body is read where
//! the head tells. Method: one gateway over a journal, a table of requests, and the stored events' sources.

use gateway::{
    Log,
    config::{KeyRoute, KeySettings, Serving},
};
use journal::Journal;

use crate::harness::{Client, Gateway, Reply, event, events, journal};

pub(crate) fn key(key: &str, name: &str) -> KeySettings {
    KeySettings { key: key.to_owned(), name: name.to_owned(), ..KeySettings::default() }
}

fn start(keys: Vec<KeySettings>) -> (tempfile::TempDir, Journal, Gateway) {
    let (dir, journal) = journal(1);
    let log = Log::journal(journal.clone());
    let gateway = Gateway::serve(|_| log, Serving { keys, ..Serving::default() }, None);
    (dir, journal, gateway)
}

/// A POST to any path; `headers` are whole lines.
fn post(gateway: &Gateway, path: &str, headers: &str, body: &str) -> Reply {
    let mut client = gateway.connect();
    let head = format!("POST {path} HTTP/1.1\r\nhost: x\r\n{headers}content-length: {}\r\n\r\n", body.len());
    client.send(&[head.as_bytes(), body.as_bytes()].concat());
    client.reply()
}

fn sources(journal: &Journal) -> Vec<String> {
    let mut sources = Vec::new();
    events(journal, |event| sources.push(event.source.to_owned()));
    sources
}

#[test]
fn the_key_names_the_source_wherever_it_is() {
    let (_dir, journal, gateway) = start(vec![key("web-1", "web"), key("web-2", "web"), key("us:er", "app")]);
    let native = event("u", 1);
    let track = r#"{"userId":"u","event":"Bought","type":"track"}"#;
    let mut expected = Vec::new();
    let mut check = |path: &str, headers: &str, body: &str, source: Result<&str, &str>| {
        let reply = post(&gateway, path, headers, body);
        match source {
            Ok(source) => {
                assert_eq!(reply.status, 200, "{path} {headers} {body}: {reply:?}");
                expected.push(source.to_owned());
            }
            Err(code) => {
                assert_eq!((reply.status, reply.code().as_deref()), (401, Some(code)), "{path} {headers} {body}");
                assert!(!reply.body.contains("web-"), "a refusal tells a key: {}", reply.body);
            }
        }
    };
    // echo -n web-1: | base64, and so on
    check("/v1/events", "authorization: Basic d2ViLTE6\r\n", &native, Ok("web"));
    check("/v1/events", "authorization: Basic dXM6ZXI6\r\n", &native, Ok("app"));
    check("/v1/events", "authorization: Bearer web-2\r\n", &native, Ok("web"));
    check("/v1/events", "x-write-key: us:er\r\n", &native, Ok("app"));
    check("/v1/events?writeKey=us%3Aer", "", &native, Ok("app"));
    check("/v1/events", "x-write-key: web-3\r\n", &native, Err("unknown_key"));
    check("/v1/events", "", &native, Err("key_missing"));
    check("/v1/events", "", &native.replacen('{', r#"{"writeKey":"web-1","#, 1), Err("key_missing"));
    check("/v1/track", "", track, Err("key_missing"));
    check("/v1/track", "", &track.replacen('{', r#"{"writeKey":"web-1","#, 1), Ok("web"));
    check("/v1/track", "", &track.replacen('{', r#"{"writeKey":"web-3","#, 1), Err("unknown_key"));
    check("/v1/track", "", &track.replacen('{', r#"{"writeKey":"***","#, 1), Err("key_missing"));
    check("/v1/track", "x-write-key: us:er\r\n", &track.replacen('{', r#"{"writeKey":"***","#, 1), Ok("app"));
    check("/v1/track", "x-write-key: us:er\r\n", &track.replacen('{', r#"{"writeKey":"web-3","#, 1), Ok("app"));
    check("/v1/batch", "", &format!(r#"{{"batch":[{track}],"writeKey":"web-2"}}"#), Ok("web"));
    check("/v1/batch?writeKey=us:er", "", &format!(r#"{{"batch":[{track}]}}"#), Ok("app"));
    assert_eq!(sources(&journal), expected);
    gateway.check_ledger();
    assert_eq!(gateway.metric(r#"gateway_requests_answered_total{code="unknown_key"}"#), 2);
    gateway.stop();
}

#[test]
fn a_key_in_the_head_is_judged_before_the_body_is_read() {
    let (_dir, _journal, gateway) = start(vec![key("web-1", "web")]);
    let ask = |header: &str| {
        let mut client = gateway.connect();
        let head = "POST /v1/events HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-length: 1000\r\n";
        client.send(format!("{head}{header}\r\n").as_bytes());
        client.reply().status
    };
    assert_eq!(ask("x-write-key: nobody\r\n"), 401);
    assert_eq!(ask(""), 401);
    assert_eq!(ask("x-write-key: web-1\r\n"), 100);
    gateway.stop();
}

#[test]
fn a_key_is_good_for_its_origins_and_routes() {
    let browser = KeySettings { origins: vec!["https://shop.example".to_owned()], ..key("web-1", "web") };
    let server = KeySettings { routes: vec![KeyRoute::Segment], ..key("back", "backend") };
    let (_dir, journal, gateway) = start(vec![browser, server]);
    #[track_caller]
    fn check(reply: &Reply, status: u16, code: Option<&str>) {
        assert_eq!((reply.status, reply.code().as_deref()), (status, code), "{reply:?}");
    }
    let web = |origin: &str| post(&gateway, "/v1/events", &format!("x-write-key: web-1\r\n{origin}"), &event("u", 1));
    check(&web("origin: https://shop.example\r\n"), 200, None);
    check(&web(""), 200, None);
    check(&web("origin: https://evil.example\r\n"), 403, Some("origin_not_allowed"));
    check(&web("origin: null\r\n"), 403, Some("origin_not_allowed"));
    check(&post(&gateway, "/v1/events", "x-write-key: back\r\n", &event("u", 2)), 403, Some("route_not_allowed"));
    let track = r#"{"userId":"u","event":"Bought"}"#;
    check(&post(&gateway, "/v1/track", "x-write-key: back\r\norigin: https://any.example\r\n", track), 200, None);
    assert_eq!(sources(&journal), ["web", "web", "backend"]);
    gateway.check_ledger();
    gateway.stop();
}

#[test]
fn a_star_takes_every_key_and_none() {
    let (_dir, journal, gateway) = start(vec![key("*", "rest"), key("web-1", "web")]);
    for headers in ["x-write-key: web-1\r\n", "x-write-key: nobody\r\n", ""] {
        assert_eq!(post(&gateway, "/v1/events", headers, &event("u", 1)).status, 200, "{headers}");
    }
    assert_eq!(post(&gateway, "/v1/track", "", r#"{"userId":"u","event":"e","writeKey":"web-1"}"#).status, 200);
    assert_eq!(sources(&journal), ["web", "rest", "rest", "web"]);
    gateway.stop();
}

#[test]
fn the_key_of_a_pixel_is_in_its_query() {
    let (_dir, journal, gateway) = start(vec![key("mail", "newsletter")]);
    let get = |query: &str| {
        let mut client: Client = gateway.connect();
        client.send(format!("GET /v1/pixel.gif?{query} HTTP/1.1\r\nhost: x\r\n\r\n").as_bytes());
        let mut bytes = [0; 12];
        std::io::Read::read_exact(&mut client.stream, &mut bytes).unwrap();
        String::from_utf8(bytes[9..].to_vec()).unwrap()
    };
    assert_eq!(get("type=open&user_id=u&writeKey=mail"), "200");
    assert_eq!(get("type=open&user_id=u&writeKey=nobody"), "401");
    assert_eq!(get("type=open&user_id=u"), "401");
    assert_eq!(sources(&journal), ["newsletter"]);
    let mut properties = String::new();
    events(&journal, |event| properties.push_str(event.properties.unwrap_or_default()));
    assert!(!properties.contains("mail"), "the key is no property: {properties}");
    gateway.stop();
}
