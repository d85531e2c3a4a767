//! Goal: what one source sends takes nothing from the others, and a log that is late is not fed faster. Method: a log
//! that takes its time (librdkafka's mock cluster with a round-trip time), and little room.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant},
};

use gateway::{
    Log,
    config::{KeySettings, Serving},
};

use crate::{
    harness::{Gateway, event, kafka_settings, mock, request, until},
    keys::key,
};

const TOPIC: &str = "events";

fn settings(keys: &[&str]) -> Serving {
    let keys: Vec<KeySettings> = keys.iter().map(|name| key(name, name)).collect();
    Serving { keys, ..Serving::default() }
}

/// How many of the quiet source's requests were taken, and how many were not, while the hot one sent all it could.
fn beside_a_hot_source(share_max: u32) -> (u32, u32) {
    let cluster = mock(TOPIC, 4);
    let log = Log::kafka(&kafka_settings(&cluster.bootstrap_servers(), TOPIC), &[]).unwrap();
    let mut settings = settings(&["hot", "quiet"]);
    // Room for about eleven requests.
    settings.gateway.in_flight_bytes_max = 1000;
    settings.gateway.limits.source_share_max = share_max;
    let gateway = Gateway::serve(|_| log, settings, None);
    let quiet = request("x-write-key: quiet\r\n", event("q", 0).as_bytes());
    let post = |bytes: &[u8]| {
        let mut client = gateway.connect();
        client.send(bytes);
        client.reply().status
    };
    assert_eq!(post(&quiet), 200);
    cluster.broker_round_trip_time(1, Duration::from_millis(100)).unwrap();
    let hot = request("x-write-key: hot\r\n", event("h", 0).as_bytes());
    let stop = AtomicBool::new(false);
    let tally = std::thread::scope(|scope| {
        for _ in 0..20 {
            scope.spawn(|| {
                let mut client = gateway.connect();
                while !stop.load(Ordering::Relaxed) {
                    client.send(&hot);
                    // As a client that ignores Retry-After.
                    if client.reply().status != 200 {
                        std::thread::sleep(Duration::from_millis(2));
                    }
                }
            });
        }
        until("the hot source is refused", || {
            let shed = |reason| gateway.metric(&format!("gateway_requests_shed_total{{reason=\"{reason}\"}}"));
            shed("share") + shed("bytes") > 20
        });
        let mut tally = (0, 0);
        for _ in 0..20 {
            match post(&quiet) {
                200 => tally.0 += 1,
                503 => tally.1 += 1,
                status => panic!("status {status}"),
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        stop.store(true, Ordering::Relaxed);
        tally
    });
    gateway.check_ledger();
    gateway.stop();
    tally
}

#[test]
fn a_hot_source_does_not_starve_a_quiet_one() {
    assert_eq!(beside_a_hot_source(50), (20, 0), "with half of the room each");
    let (_, refused) = beside_a_hot_source(100);
    assert!(refused > 0, "without shares the hot source takes all the room, or this test shows nothing");
}

#[test]
fn a_late_log_refuses_who_made_it_late_before_the_body_is_read() {
    let cluster = mock(TOPIC, 4);
    let log = Log::kafka(&kafka_settings(&cluster.bootstrap_servers(), TOPIC), &[]).unwrap();
    let mut settings = settings(&["hot", "quiet"]);
    settings.gateway.limits.ack_delay_max = Duration::from_millis(300);
    let gateway = Gateway::serve(|_| log, settings, None);
    let send = |key: &str, sequence: u32| {
        let mut client = gateway.connect();
        client.send(&request(&format!("x-write-key: {key}\r\n"), event(key, sequence).as_bytes()));
        client
    };
    assert_eq!(send("hot", 0).reply().status, 200);
    cluster.broker_round_trip_time(1, Duration::from_secs(4)).unwrap();
    let mut waiting = [send("hot", 1), send("hot", 2)];
    until("both are with the log", || gateway.metric("gateway_events_in_flight") == 2);
    std::thread::sleep(Duration::from_millis(500));
    let mut refused = gateway.connect();
    let start = Instant::now();
    let head = "POST /v1/events HTTP/1.1\r\nhost: x\r\nx-write-key: hot\r\nexpect: 100-continue\r\n";
    refused.send(format!("{head}content-length: 100\r\n\r\n").as_bytes());
    let reply = refused.reply();
    assert_eq!((reply.status, reply.code().as_deref()), (503, Some("overloaded")), "{reply:?}");
    assert!(reply.header("retry-after").is_some());
    assert!(start.elapsed() < Duration::from_secs(2), "the refusal took {:?}", start.elapsed());
    assert_eq!(gateway.metric(r#"gateway_requests_shed_total{reason="delay"}"#), 1);
    let mut quiet = send("quiet", 1);
    until("the quiet source is let in", || gateway.metric("gateway_events_in_flight") == 3);
    assert!(waiting.iter_mut().all(|client| client.reply().status == 200));
    assert_eq!(quiet.reply().status, 200);
    cluster.broker_round_trip_time(1, Duration::ZERO).unwrap();
    until("the log is on time again", || send("hot", 3).reply().status == 200);
    gateway.check_ledger();
    gateway.stop();
}
