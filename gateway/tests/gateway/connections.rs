//! Goal: a client that is slow, silent or one too many takes nothing away from others.

use std::time::Duration;

use gateway::Log;

use crate::harness::{Gateway, PATIENCE, event, journal, request, until};

#[test]
fn each_phase_of_a_connection_has_its_timeout() {
    let (_dir, journal) = journal(1);
    let gateway = Gateway::start(Log::journal(journal), |settings| {
        settings.header_timeout = Duration::from_millis(200);
        settings.idle_timeout = Duration::from_millis(600);
        settings.body_timeout = Duration::from_millis(300);
    });
    let mut silent = gateway.connect();
    let mut head = gateway.connect();
    head.send(b"POST /v1/ev");
    let mut body = gateway.connect();
    body.send(b"POST /v1/events HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\n[");
    let mut idle = gateway.connect();
    assert_eq!(idle.post(event("u", 1)).status, 200);
    assert!(silent.is_closed() && idle.is_closed());
    let reply = head.reply();
    assert_eq!((reply.status, reply.code().as_deref()), (408, Some("head_timeout")));
    assert!(head.is_closed());
    let reply = body.reply();
    assert_eq!((reply.status, reply.code().as_deref()), (408, Some("body_timeout")));
    for (phase, count) in [("idle", 2), ("header", 1), ("body", 1)] {
        let metric = format!(r#"gateway_timeouts_total{{phase="{phase}"}}"#);
        assert_eq!(gateway.metric(&metric), count, "{phase}");
    }
    gateway.check_ledger();
    gateway.stop();
}

#[test]
fn a_body_may_be_slow_but_not_silent() {
    let (_dir, journal) = journal(1);
    let gateway = Gateway::start(Log::journal(journal), |settings| {
        settings.body_silence_timeout = Duration::from_millis(500);
        // Longer than the test waits: only the silence can end the body.
        settings.body_timeout = 2 * PATIENCE;
        settings.request_timeout = 2 * PATIENCE;
    });
    let mut slow = gateway.connect();
    let whole = request("", event("u", 1).as_bytes());
    let (first, rest) = whole.split_at(whole.len() - 15);
    slow.send(first);
    for byte in rest {
        slow.send(&[*byte]);
        std::thread::sleep(Duration::from_millis(50));
    }
    assert_eq!(slow.reply().status, 200);
    let mut silent = gateway.connect();
    silent.send(first);
    assert_eq!(silent.reply().code().as_deref(), Some("body_timeout"));
    gateway.stop();
}

#[test]
fn an_old_connection_ends_between_two_requests() {
    let (_dir, journal) = journal(1);
    let gateway = Gateway::start(Log::journal(journal), |settings| {
        settings.header_timeout = Duration::from_millis(50);
        settings.connection_age_max = Duration::from_millis(300);
    });
    let mut client = gateway.connect();
    assert_eq!(client.post(event("u", 1)).status, 200);
    assert!(client.is_closed());
    assert_eq!(gateway.metric(r#"gateway_timeouts_total{phase="idle"}"#), 0);
    gateway.stop();
}

#[test]
fn one_address_has_a_cap_of_its_own() {
    let (_dir, journal) = journal(1);
    let gateway = Gateway::start(Log::journal(journal), |settings| settings.connections_per_address_max = 1);
    let mut first = gateway.connect();
    assert_eq!(first.post(event("u", 1)).status, 200);
    assert_eq!(gateway.connect().reply().code().as_deref(), Some("overloaded"));
    assert_eq!(gateway.metric("gateway_connections_refused_total"), 1);
    drop(first);
    until("there is room again", || gateway.metric("gateway_connections") == 0);
    assert_eq!(gateway.post(event("u", 2)).status, 200);
    gateway.stop();
}

#[test]
fn a_connection_in_use_is_not_timed_out() {
    let (_dir, journal) = journal(1);
    let gateway = Gateway::start(Log::journal(journal), |settings| {
        settings.header_timeout = Duration::from_millis(300);
        settings.idle_timeout = Duration::from_millis(2000);
    });
    let mut client = gateway.connect();
    for n in 0..10 {
        assert_eq!(client.post(event("u", n)).status, 200);
        std::thread::sleep(Duration::from_millis(100));
    }
    gateway.stop();
}

#[test]
fn one_connection_too_many_is_told_so() {
    let (_dir, journal) = journal(1);
    let gateway = Gateway::start(Log::journal(journal), |settings| settings.connections_max = 2);
    let (mut first, mut second) = (gateway.connect(), gateway.connect());
    assert_eq!(first.post(event("u", 1)).status, 200);
    assert_eq!(second.post(event("u", 2)).status, 200);
    let mut third = gateway.connect();
    let reply = third.reply();
    assert_eq!((reply.status, reply.code().as_deref()), (503, Some("overloaded")));
    assert_eq!(reply.header("access-control-allow-origin"), Some("*"));
    assert!(third.is_closed());
    drop(first);
    until("there is room again", || gateway.metric("gateway_connections") == 1);
    assert_eq!(gateway.post(event("u", 3)).status, 200);
    assert_eq!(gateway.metric("gateway_connections_refused_total"), 1);
    gateway.stop();
}

#[test]
fn an_answer_does_not_wait_for_the_rest_of_the_next_request() {
    let (_dir, journal) = journal(1);
    let gateway = Gateway::start(Log::journal(journal), |_| {});
    let mut client = gateway.connect();
    let whole = request("", event("u", 1).as_bytes());
    client.send(&[&whole[..], &whole[..30]].concat());
    assert_eq!(client.reply().status, 200);
    client.send(&whole[30..]);
    assert_eq!(client.reply().status, 200);
    gateway.stop();
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    let (_dir, journal) = journal(1);
    let gateway = Gateway::start(Log::journal(journal.clone()), |_| {});
    let mut client = gateway.connect();
    let bad = request("", b"[]");
    let requests: Vec<u8> =
        (0..20).flat_map(|n| if n % 5 == 4 { bad.clone() } else { request("", event("u", n).as_bytes()) }).collect();
    client.send(&requests);
    for n in 0..20 {
        assert_eq!(client.reply().status, if n % 5 == 4 { 400 } else { 200 });
    }
    let expected: Vec<String> = (0..20).filter(|n| n % 5 != 4).map(|n| format!("u-{n}")).collect();
    assert_eq!(crate::harness::stored(&journal), expected);
    gateway.stop();
}

#[test]
fn a_client_that_asks_first_need_not_send_a_body_in_vain() {
    let (_dir, journal) = journal(1);
    let gateway = Gateway::start(Log::journal(journal), |_| {});
    let head = |bytes: usize| {
        format!("POST /v1/events HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-length: {bytes}\r\n\r\n")
    };
    let mut client = gateway.connect();
    client.send(head(6 << 20).as_bytes());
    assert_eq!(client.reply().status, 413);
    let (mut client, body) = (gateway.connect(), event("u", 1));
    client.send(head(body.len()).as_bytes());
    assert_eq!(client.reply().status, 100);
    client.send(body.as_bytes());
    assert_eq!(client.reply().status, 200);
    gateway.stop();
}
