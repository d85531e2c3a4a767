//! Goal: limits count events, refuse a request as a whole, tell when it fits, and believe no client about its address.
//! Method: one gateway over a journal for each, with limits that are slow enough to be exact.

use std::time::{Duration, Instant};

use gateway::{
    Log,
    config::{KeySettings, Serving},
};

use crate::{
    harness::{Gateway, Reply, array, event, events, journal, request, stored},
    keys::key,
};

fn limited(name: &str, events_per_second: u32, burst: u32) -> KeySettings {
    KeySettings { events_per_second: Some(events_per_second), burst: Some(burst), ..key(name, name) }
}

fn batch(events: usize) -> String {
    array(&(0..events).map(|n| event("u", n)).collect::<Vec<_>>())
}

fn post(gateway: &Gateway, headers: &str, events: usize) -> Reply {
    let mut client = gateway.connect();
    client.send(&request(headers, batch(events).as_bytes()));
    client.reply()
}

#[track_caller]
fn check_refused(reply: &Reply, code: &str) -> u64 {
    assert_eq!((reply.status, reply.code().as_deref()), (429, Some(code)), "{reply:?}");
    reply.header("retry-after").expect("when to send again").parse().expect("whole seconds")
}

#[test]
fn over_its_quota_a_source_waits_and_others_do_not() {
    let (_dir, journal) = journal(1);
    let log = Log::journal(journal.clone());
    let keys = vec![limited("hot", 10, 30), limited("other", 10, 30), key("free", "free")];
    let gateway = Gateway::serve(|_| log, Serving { keys, ..Serving::default() }, None);
    let hot = "x-write-key: hot\r\n";
    assert_eq!(post(&gateway, hot, 25).status, 200);
    let start = Instant::now();
    let seconds = check_refused(&post(&gateway, hot, 25), "quota_exceeded");
    assert!((1..=2).contains(&seconds), "20 events are lacking at 10 a second: {seconds}");
    assert_eq!(stored(&journal).len(), 25, "nothing of a refused request is stored");
    assert_eq!(post(&gateway, "x-write-key: free\r\n", 500).status, 200);
    let reply = post(&gateway, "x-write-key: other\r\n", 31);
    assert_eq!((reply.status, reply.code().as_deref()), (413, Some("too_many_events")), "more than a burst never fits");
    assert_eq!(post(&gateway, "x-write-key: other\r\n", 30).status, 200);
    std::thread::sleep(Duration::from_secs(seconds).saturating_sub(start.elapsed()) + Duration::from_millis(50));
    assert_eq!(post(&gateway, hot, 25).status, 200, "after Retry-After it fits");
    assert_eq!(gateway.metric(r#"gateway_events_rejected_total{code="quota_exceeded"}"#), 25);
    gateway.check_ledger();
    gateway.stop();
}

#[test]
fn an_exhausted_source_is_refused_before_its_body_is_read() {
    let (_dir, journal) = journal(1);
    let log = Log::journal(journal);
    let gateway = Gateway::serve(|_| log, Serving { keys: vec![limited("hot", 1, 50)], ..Serving::default() }, None);
    assert_eq!(post(&gateway, "x-write-key: hot\r\n", 50).status, 200);
    let mut client = gateway.connect();
    let head = "POST /v1/events HTTP/1.1\r\nhost: x\r\nx-write-key: hot\r\nexpect: 100-continue\r\n";
    client.send(format!("{head}content-length: 1000\r\n\r\n").as_bytes());
    check_refused(&client.reply(), "quota_exceeded");
    gateway.check_ledger();
    gateway.stop();
}

#[test]
fn an_address_has_its_own_limit_and_only_proxies_name_it() {
    let (_dir, journal) = journal(1);
    let log = Log::journal(journal.clone());
    let mut settings = Serving::default();
    settings.gateway.limits.events_per_second_per_address = Some(1);
    settings.gateway.limits.burst_per_address = Some(10);
    settings.gateway.trusted_proxies = vec!["127.0.0.0/8".to_owned(), "10.0.0.0/8".to_owned()];
    let gateway = Gateway::serve(|_| log, settings, None);
    let from = |forwarded: &str, events| post(&gateway, &format!("x-forwarded-for: {forwarded}\r\n"), events);
    assert_eq!(from("203.0.113.77", 10).status, 200);
    assert!(check_refused(&from("203.0.113.77", 10), "address_quota_exceeded") >= 9);
    // Whatever the client writes in front makes no other address of it.
    check_refused(&from("198.51.100.9, 203.0.113.77", 10), "address_quota_exceeded");
    check_refused(&from("203.0.113.77, 10.1.2.3", 10), "address_quota_exceeded");
    assert_eq!(from("198.51.100.9", 10).status, 200);
    assert_eq!(from("2001:db8:1:2::1", 10).status, 200);
    check_refused(&from("2001:db8:1:2:ffff::9", 10), "address_quota_exceeded");
    assert_eq!(from("garbage", 10).status, 200, "the proxy itself");
    let mut ips = Vec::new();
    events(&journal, |event| ips.push(event.ip.unwrap_or_default().to_owned()));
    ips.dedup();
    assert_eq!(ips, ["203.0.113.0", "198.51.100.0", "2001:db8:1::", "127.0.0.0"], "the stored address is the client's");
    gateway.check_ledger();
    gateway.stop();
}

#[test]
fn without_trusted_proxies_the_peer_is_the_client() {
    let (_dir, journal) = journal(1);
    let gateway = Gateway::start(Log::journal(journal.clone()), |settings| {
        settings.limits.events_per_second_per_address = Some(1);
        settings.limits.burst_per_address = Some(10);
    });
    assert_eq!(post(&gateway, "x-forwarded-for: 203.0.113.1\r\n", 10).status, 200);
    check_refused(&post(&gateway, "x-forwarded-for: 203.0.113.2\r\n", 10), "address_quota_exceeded");
    let mut ips = Vec::new();
    events(&journal, |event| ips.push(event.ip.unwrap_or_default().to_owned()));
    assert!(ips.iter().all(|ip| ip == "127.0.0.0"), "{ips:?}");
    gateway.stop();
}
