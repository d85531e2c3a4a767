//! Goal: each kind of bad input gets its status and code, and costs nothing but itself. Method: one gateway over a
//! journal, one table.

use std::io::Write as _;

use flate2::{Compression, write::GzEncoder};
use gateway::Log;

use crate::harness::{Client, Gateway, array, event, journal, large_event, request, stored};

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut to = GzEncoder::new(Vec::new(), Compression::fast());
    to.write_all(bytes).unwrap();
    to.finish().unwrap()
}

#[track_caller]
fn check(gateway: &Gateway, bytes: &[u8], status: u16, code: Option<&str>) {
    let mut client = gateway.connect();
    client.send(bytes);
    let reply = client.reply();
    assert_eq!((reply.status, reply.code().as_deref()), (status, code), "{}", reply.body);
    if let Some(seconds) = reply.header("retry-after") {
        assert!(status == 503 && seconds.parse::<u32>().is_ok(), "{reply:?}");
    }
    if code.is_some() {
        assert!(reply.json()["message"].as_str().is_some_and(|message| message.contains(": ")), "{}", reply.body);
    }
}

#[test]
fn each_bad_input_has_its_answer() {
    let (_dir, journal) = journal(4);
    let gateway = Gateway::start(Log::journal(journal.clone()), |_| {});
    let good = event("u", 1);
    let body = |body: &[u8]| request("", body);
    let refused = |bytes: &[u8], status, code| check(&gateway, bytes, status, Some(code));

    refused(&body(b"{"), 400, "malformed_json");
    refused(&body(b""), 400, "empty_batch");
    refused(&body(b"[]"), 400, "empty_batch");
    refused(&body(b"{}"), 400, "field_missing");
    refused(&body(br#"{"type":"click"}"#), 400, "no_user_key");
    refused(&body(br#"{"type":"click","user_id":7}"#), 400, "invalid_type");
    refused(&body(b"{\"type\":\"\xff\",\"user_id\":\"u\"}"), 400, "invalid_utf8");
    refused(&body(&b"[".repeat(5 << 20)), 400, "nested_too_deep");
    refused(&body(&b" ".repeat(6 << 20)), 413, "body_too_large");
    refused(&body(format!("[{}]", vec!["1"; 10_001].join(",")).as_bytes()), 413, "too_many_events");
    refused(&body(&large_event("u", 1 << 20).into_bytes()), 400, "field_too_long");

    let whole = gzip(good.as_bytes());
    refused(&body(&whole[..whole.len() - 5]), 400, "malformed_compression");
    refused(&request("content-encoding: gzip\r\n", good.as_bytes()), 400, "malformed_compression");
    refused(&request("content-encoding: br\r\n", good.as_bytes()), 400, "malformed_compression");
    refused(&request("content-encoding: compress\r\n", good.as_bytes()), 415, "unsupported_encoding");
    refused(&body(&gzip(&b" ".repeat(21 << 20))), 413, "body_too_large");

    let chunked = "POST /v1/events HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n";
    let chunk = [format!("{:x}\r\n", 1 << 20).as_bytes(), &b" ".repeat(1 << 20), b"\r\n"].concat();
    refused(&[chunked.as_bytes(), &chunk.repeat(6), b"0\r\n\r\n"].concat(), 413, "body_too_large");

    refused(b"POST /v1/event HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n\r\n{}", 404, "route_not_found");
    refused(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n", 404, "route_not_found");
    refused(b"GET /v1/events HTTP/1.1\r\nhost: x\r\n\r\n", 405, "method_not_allowed");
    refused(b"PUT /v1/events/ HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n\r\n{}", 405, "method_not_allowed");
    assert!(stored(&journal).is_empty(), "nothing of a refused request is stored");

    gateway.check_ledger();
    assert_eq!(gateway.metric("gateway_requests_in_flight"), 0);
    assert_eq!(gateway.metric("gateway_events_in_flight"), 0);
    assert_eq!(gateway.metric(r#"gateway_requests_answered_total{code="body_too_large"}"#), 3);
    gateway.stop();
}

#[test]
fn a_405_says_what_is_allowed_and_a_head_has_no_body() {
    let (_dir, journal) = journal(1);
    let gateway = Gateway::start(Log::journal(journal), |_| {});
    let mut client = gateway.connect();
    client.send(b"DELETE /v1/events HTTP/1.1\r\nhost: x\r\n\r\n");
    assert_eq!(client.reply().header("allow"), Some("POST, OPTIONS"));
    client.send(b"HEAD /nowhere HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
    let mut text = String::new();
    std::io::Read::read_to_string(&mut client.stream, &mut text).unwrap();
    assert!(text.starts_with("HTTP/1.1 404 Not Found\r\n") && text.ends_with("\r\n\r\n"), "{text}");
    gateway.stop();
}

#[test]
fn garbage_instead_of_http_is_told_off_and_closed() {
    let (_dir, journal) = journal(1);
    let gateway = Gateway::start(Log::journal(journal), |_| {});
    for garbage in [&b"\x16\x03\x01\x02\x00\x01\x00"[..], b"hello\r\n\r\n", b"\0\0\0\0\0\0\0\0", b"GET\r\n\r\n"] {
        let mut client = gateway.connect();
        client.send(garbage);
        let reply = client.try_reply().map(|reply| reply.status);
        assert_eq!(reply, Some(400), "{}", garbage.escape_ascii());
        assert!(client.is_closed());
    }
    assert_eq!(gateway.post(event("u", 1)).status, 200);
    gateway.stop();
}

#[test]
fn good_events_beside_bad_ones_are_stored() {
    let (_dir, journal) = journal(4);
    let gateway = Gateway::start(Log::journal(journal.clone()), |_| {});
    let bad = || r#"{"type":"click"}"#.to_owned();
    let reply = gateway.post(array(&[event("a", 1), bad(), event("a", 2), "7".to_owned(), event("b", 3)]));
    assert_eq!(reply.status, 200, "{reply:?}");
    assert_eq!((&reply.json()["accepted"], &reply.json()["durability"]), (&3.into(), &"journal".into()));
    let expected = [(1, "no_user_key".to_owned()), (3, "not_an_object".to_owned())].into();
    assert_eq!(reply.rejected(), expected);

    let lines = [event("a", 4), "{\"type\":".to_owned(), event("b", 5)].join("\n");
    let reply = gateway.post(lines);
    assert_eq!((reply.status, reply.rejected()), (200, [(1, "malformed_json".to_owned())].into()));

    let reply = gateway.post(array(&[bad(), bad()]));
    assert_eq!((reply.status, reply.code().as_deref(), reply.rejected().len()), (400, Some("no_user_key"), 2));

    let mut client = gateway.connect();
    client.send(&request("content-encoding: gzip\r\ncontent-type: text/plain\r\n", &gzip(event("a", 6).as_bytes())));
    assert_eq!(client.reply().status, 200);
    client.send(&request("", &gzip(event("b", 7).as_bytes())));
    assert_eq!(client.reply().status, 200, "gzip is recognised without a header");

    let mut ids = stored(&journal);
    ids.sort();
    assert_eq!(ids, ["a-1", "a-2", "a-4", "a-6", "b-3", "b-5", "b-7"]);
    gateway.check_ledger();
    assert_eq!(gateway.metric("gateway_events_accepted_total"), 7);
    assert_eq!(gateway.metric(r#"gateway_events_rejected_total{code="no_user_key"}"#), 3);
    gateway.stop();
}

#[test]
fn a_body_in_many_pieces_is_one_body() {
    let (_dir, journal) = journal(1);
    let gateway = Gateway::start(Log::journal(journal.clone()), |_| {});
    let mut client = Client::connect(gateway.address);
    for byte in request("", event("u", 1).as_bytes()) {
        client.send(&[byte]);
    }
    assert_eq!(client.reply().status, 200);
    client.send(b"POST /v1/events HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n");
    for piece in event("u", 2).as_bytes().chunks(7) {
        client.send(format!("{:x}\r\n", piece.len()).as_bytes());
        client.send(piece);
        client.send(b"\r\n");
    }
    client.send(b"0\r\n\r\n");
    assert_eq!(client.reply().status, 200);
    assert_eq!(stored(&journal), ["u-1", "u-2"]);
    gateway.stop();
}
