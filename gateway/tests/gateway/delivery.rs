//! Goal: an answer is never better than what the log has said. Method: librdkafka's mock cluster, which delays, fails and
//! falls silent on demand.

use std::{
    net::Shutdown,
    time::{Duration, Instant},
};

use gateway::{Log, config::KafkaSettings};

use crate::harness::{Gateway, PATIENCE, array, event, kafka_settings, mock, request, until};

const TOPIC: &str = "events";

#[test]
fn no_answer_comes_before_the_acknowledgement() {
    let cluster = mock(TOPIC, 4);
    let log = Log::kafka(&kafka_settings(&cluster.bootstrap_servers(), TOPIC), &[]).unwrap();
    let gateway = Gateway::start(log, |_| {});
    assert_eq!(gateway.post(event("u", 0)).status, 200);
    cluster.broker_round_trip_time(1, Duration::from_secs(2)).unwrap();
    let mut client = gateway.connect();
    client.send(&request("", array(&[event("u", 1), event("v", 1)]).as_bytes()));
    client.stream.set_read_timeout(Some(Duration::from_millis(800))).unwrap();
    assert!(client.try_reply().is_none(), "answered before the broker's acknowledgement");
    assert_eq!(gateway.metric("gateway_events_in_flight"), 2);
    assert_eq!(gateway.metric("gateway_events_accepted_total"), 1);
    gateway.check_ledger();
    client.stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let reply = client.reply();
    assert_eq!((reply.status, reply.body.as_str()), (200, r#"{"accepted":2}"#));
    gateway.check_ledger();
    gateway.stop();
}

#[test]
fn the_deadline_answers_where_the_log_does_not() {
    let cluster = mock(TOPIC, 4);
    let log = Log::kafka(&kafka_settings(&cluster.bootstrap_servers(), TOPIC), &[]).unwrap();
    let gateway = Gateway::start(log, |settings| settings.request_timeout = Duration::from_millis(500));
    assert_eq!(gateway.post(event("u", 0)).status, 200);
    cluster.broker_round_trip_time(1, Duration::from_secs(3)).unwrap();
    let start = Instant::now();
    let reply = gateway.post(array(&[event("u", 1), r#"{"type":"click"}"#.to_owned(), event("v", 1)]));
    assert!(start.elapsed() < Duration::from_millis(2500), "answered after {:?}", start.elapsed());
    assert_eq!((reply.status, reply.code().as_deref()), (503, Some("delivery_unknown")));
    assert!(reply.header("retry-after").is_some_and(|seconds| seconds.parse::<u32>().is_ok()));
    let unknown = || "delivery_unknown".to_owned();
    assert_eq!(reply.rejected(), [(0, unknown()), (1, "no_user_key".to_owned()), (2, unknown())].into());
    assert_eq!(gateway.metric(r#"gateway_timeouts_total{phase="delivery"}"#), 1);
    assert_eq!(gateway.metric(r#"gateway_events_rejected_total{code="delivery_unknown"}"#), 2);
    gateway.check_ledger();
    gateway.stop();
}

#[test]
fn nothing_follows_an_event_that_the_queue_had_no_room_for() {
    let cluster = mock(TOPIC, 4);
    let properties = [("queue.buffering.max.messages".to_owned(), "5".to_owned())];
    let settings =
        KafkaSettings { properties: properties.into(), ..kafka_settings(&cluster.bootstrap_servers(), TOPIC) };
    let gateway = Gateway::start(Log::kafka(&settings, &[]).unwrap(), |_| {});
    let events: Vec<String> = (0..8).map(|n| event(n % 2, n)).collect();
    let reply = gateway.post(array(&events));
    assert_eq!((reply.status, reply.code().as_deref()), (503, Some("delivery_unknown")), "{reply:?}");
    let overloaded = || "overloaded".to_owned();
    assert_eq!(reply.rejected(), [(5, overloaded()), (6, overloaded()), (7, overloaded())].into());
    assert_eq!(reply.json()["accepted"], 5);

    // With no room at all, nothing was sent, and the answer may say so.
    until("the queue is empty", || gateway.metric("gateway_log_queue_records") == 0);
    cluster.broker_round_trip_time(1, Duration::from_secs(2)).unwrap();
    let mut first = gateway.connect();
    first.send(&request("", array(&events[..5]).as_bytes()));
    until("the queue is full", || gateway.metric("gateway_log_queue_records") == 5);
    let reply = gateway.post(array(&events[5..]));
    assert_eq!((reply.status, reply.code().as_deref()), (503, Some("overloaded")), "{reply:?}");
    assert_eq!(first.reply().status, 200);
    gateway.check_ledger();
    gateway.stop();
}

#[test]
fn bytes_in_flight_are_bounded_and_what_does_not_fit_is_refused_at_once() {
    let cluster = mock(TOPIC, 4);
    let log = Log::kafka(&kafka_settings(&cluster.bootstrap_servers(), TOPIC), &[]).unwrap();
    let gateway = Gateway::start(log, |settings| settings.in_flight_bytes_max = 1000);
    assert_eq!(gateway.post(event("u", 0)).status, 200);
    cluster.broker_round_trip_time(1, Duration::from_secs(2)).unwrap();
    let mut first = gateway.connect();
    first.send(&request("", array(&(0..8).map(|n| event("u", n)).collect::<Vec<_>>()).as_bytes()));
    until("the first request is in flight", || gateway.metric("gateway_events_in_flight") == 8);
    assert!(gateway.metric("gateway_body_bytes_in_flight") > 500);
    let start = Instant::now();
    let reply = gateway.post(array(&(0..8).map(|n| event("v", n)).collect::<Vec<_>>()));
    assert!(start.elapsed() < Duration::from_secs(1), "the refusal took {:?}", start.elapsed());
    assert_eq!((reply.status, reply.code().as_deref()), (503, Some("overloaded")));
    assert!(reply.header("retry-after").is_some_and(|seconds| seconds.parse::<u32>().is_ok()));
    assert_eq!(first.reply().status, 200);
    assert_eq!(gateway.metric("gateway_body_bytes_in_flight"), 0);
    gateway.check_ledger();
    gateway.stop();
}

#[test]
fn a_client_that_goes_away_is_booked() {
    let cluster = mock(TOPIC, 4);
    let log = Log::kafka(&kafka_settings(&cluster.bootstrap_servers(), TOPIC), &[]).unwrap();
    let gateway = Gateway::start(log, |_| {});
    assert_eq!(gateway.post(event("u", 0)).status, 200);
    cluster.broker_round_trip_time(1, Duration::from_secs(2)).unwrap();
    let mut in_delivery = gateway.connect();
    in_delivery.send(&request("", array(&[event("u", 1), event("v", 1)]).as_bytes()));
    let mut in_body = gateway.connect();
    in_body.send(b"POST /v1/events HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\n[");
    until("both are in flight", || {
        gateway.metric("gateway_requests_in_flight") == 2 && gateway.metric("gateway_events_in_flight") == 2
    });
    in_delivery.stream.shutdown(Shutdown::Both).unwrap();
    in_body.stream.shutdown(Shutdown::Both).unwrap();
    drop((in_delivery, in_body));
    until("both are booked", || gateway.metric("gateway_requests_in_flight") == 0);
    gateway.check_ledger();
    assert_eq!(gateway.metric("gateway_events_in_flight"), 0);
    assert_eq!(gateway.metric(r#"gateway_events_rejected_total{code="client_gone"}"#), 2);
    until("its bytes are given back", || gateway.metric("gateway_body_bytes_in_flight") == 0);
    gateway.stop();
}
