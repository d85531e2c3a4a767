//! Goal: a request of which the end can be read in two ways is refused, whole and with what comes behind it, and the
//! connection ends. Method: raw bytes, each followed by a request that must not be served.

use gateway::Log;

use crate::harness::{Gateway, event, journal, request, stored};

/// Sends `head` and whatever follows, and then a request to smuggle.
#[track_caller]
fn check(gateway: &Gateway, bytes: &[u8], status: u16, code: &str) {
    let what = bytes.escape_ascii().to_string();
    let what = &what[..what.len().min(200)];
    let mut client = gateway.connect();
    client.send(&[bytes, &request("", event("smuggled", 1).as_bytes())].concat());
    let reply = client.try_reply().unwrap_or_else(|| panic!("no answer to {what}"));
    assert_eq!((reply.status, reply.code().as_deref()), (status, Some(code)), "{what}");
    assert!(reply.json()["message"].as_str().is_some_and(|message| message.contains(": ")), "{}", reply.body);
    assert!(client.is_closed(), "the connection goes on after {what}");
}

fn with(fields: &str) -> Vec<u8> {
    format!("POST /v1/events HTTP/1.1\r\nhost: x\r\n{fields}\r\n").into_bytes()
}

#[test]
fn what_can_be_read_in_two_ways_is_refused() {
    let (_dir, journal) = journal(1);
    let gateway = Gateway::start(Log::journal(journal.clone()), |_| {});
    let malformed = |bytes: &[u8]| check(&gateway, bytes, 400, "malformed_request");
    for fields in [
        "content-length: 4\r\ntransfer-encoding: chunked\r\n",
        "transfer-encoding: chunked\r\ncontent-length: 4\r\n",
        "content-length: 4\r\ncontent-length: 5\r\n",
        "content-length: +4\r\n",
        "content-length: 4 4\r\n",
        "content-length: 4, 4\r\n",
        "content-length: -1\r\n",
        "content-length:\r\n",
        "content-length: 18446744073709551620\r\n",
        "content-length : 4\r\n",
        "transfer-encoding: chunked, identity\r\n",
        "transfer-encoding: identity, chunked\r\n",
        "transfer-encoding: xchunked\r\n",
        "transfer-encoding: \x0bchunked\r\n",
        "transfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n",
        "transfer-encoding : chunked\r\n",
        "x: a\r\n transfer-encoding: chunked\r\n",
        "x: a\n",
        "x: a\ntransfer-encoding: chunked\r\n",
        "x: a\rtransfer-encoding: chunked\r\n",
        "x: a\0b\r\n",
        "x\0: a\r\n",
        "no colon\r\n",
        ": no name\r\n",
        "host: y\r\n",
    ] {
        malformed(&with(fields));
    }
    for head in [
        "POST /v1/events HTTP/1.0\r\ntransfer-encoding: chunked\r\n\r\n",
        "POST /v1/events HTTP/1.1\nhost: x\n\n",
        "POST /v1/events\r\n\r\n",
        "POST /v1/events HTTP/3.0\r\nhost: x\r\n\r\n",
        "POST /v1/events HTTP/1.1 x\r\nhost: x\r\n\r\n",
        "POST /v1/ev ents HTTP/1.1\r\nhost: x\r\n\r\n",
        "PO ST /v1/events HTTP/1.1\r\nhost: x\r\n\r\n",
        "P\0ST /v1/events HTTP/1.1\r\nhost: x\r\n\r\n",
        "hello\r\n\r\n",
        "\x16\x03\x01\x02\x00\x01\x00",
        "\0\0\0\0\0\0\0\0\r\n",
    ] {
        malformed(head.as_bytes());
    }
    assert!(stored(&journal).is_empty(), "nothing of a refused request, or behind it, is stored");
    gateway.check_ledger();
    gateway.stop();
}

#[test]
fn chunks_that_can_be_read_in_two_ways_are_refused() {
    let (_dir, journal) = journal(1);
    let gateway = Gateway::start(Log::journal(journal.clone()), |_| {});
    let body = event("u", 1);
    let size = format!("{:x}", body.len());
    let extension = "x".repeat(2000);
    for chunks in [
        format!("{size}\n{body}\r\n0\r\n\r\n"),
        format!("{size}\r\n{body}\n0\r\n\r\n"),
        format!("{size}\r\n{body}x\r\n0\r\n\r\n"),
        format!("+{size}\r\n{body}\r\n0\r\n\r\n"),
        format!("0x{size}\r\n{body}\r\n0\r\n\r\n"),
        format!("{size} \r\n{body}\r\n0\r\n\r\n"),
        format!("{size}\r{body}\r\n0\r\n\r\n"),
        format!("10000000000000000{size}\r\n{body}\r\n0\r\n\r\n"),
        format!("{size};{extension}\r\n{body}\r\n0\r\n\r\n"),
        format!("{size}\r\n{body}\r\n0\r\nx: y\n\r\n"),
        format!("\r\n{size}\r\n{body}\r\n0\r\n\r\n"),
    ] {
        let bytes = [with("transfer-encoding: chunked\r\n"), chunks.into_bytes()].concat();
        check(&gateway, &bytes, 400, "malformed_request");
    }
    assert!(stored(&journal).is_empty());
    gateway.check_ledger();
    gateway.stop();
}

#[test]
fn a_head_that_is_too_large_is_told_so() {
    let (_dir, journal) = journal(1);
    let gateway = Gateway::start(Log::journal(journal), |_| {});
    let too_large = |bytes: &[u8]| check(&gateway, bytes, 431, "head_too_large");
    too_large(&with(&format!("x: {}\r\n", "y".repeat(10 << 20))));
    too_large(&with(&"x: y\r\n".repeat(101)));
    too_large(&with(&"x: y\r\n".repeat(20_000)));
    too_large(format!("GET /{} HTTP/1.1\r\nhost: x\r\n\r\n", "y".repeat(66_000)).as_bytes());
    gateway.check_ledger();
    gateway.stop();
}

#[test]
fn requests_before_a_bad_one_are_served() {
    let (_dir, journal) = journal(1);
    let gateway = Gateway::start(Log::journal(journal.clone()), |_| {});
    let mut client = gateway.connect();
    let good = |n| request("", event("u", n).as_bytes());
    let bad = with("content-length: 4\r\ntransfer-encoding: chunked\r\n");
    client.send(&[good(1), good(2), bad, good(3)].concat());
    assert_eq!(client.reply().status, 200);
    assert_eq!(client.reply().status, 200);
    assert_eq!(client.reply().code().as_deref(), Some("malformed_request"));
    assert!(client.is_closed());
    assert_eq!(stored(&journal), ["u-1", "u-2"]);
    gateway.check_ledger();
    gateway.stop();
}

#[test]
fn unusual_but_clear_requests_are_served() {
    let (_dir, journal) = journal(1);
    let gateway = Gateway::start(Log::journal(journal.clone()), |_| {});
    let mut client = gateway.connect();
    let body = event("u", 1);
    let absolute = format!("POST http://x:80/v1/events HTTP/1.1\r\nhost: x\r\ncontent-length: {}\r\n\r\n", body.len());
    client.send(&[absolute.as_bytes(), body.as_bytes()].concat());
    assert_eq!(client.reply().status, 200);
    let chunks = format!("{:X};a=b\r\n{body}\r\n0\r\ntrailer: x\r\n\r\n", body.len());
    client.send(&[with("transfer-encoding: Chunked\r\n"), chunks.into_bytes()].concat());
    assert_eq!(client.reply().status, 200);
    client.send(b"\r\n\r\nOPTIONS * HTTP/1.1\r\nhost: x\r\n\r\n");
    assert_eq!(client.reply().status, 200);
    let length = body.len();
    client.send(&request(&format!("Content-Length:\t{length} \r\n"), body.as_bytes()));
    assert_eq!(client.reply().status, 200);
    assert_eq!(stored(&journal).len(), 3);
    gateway.stop();
}
