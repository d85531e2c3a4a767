//! Goal: at the end, whoever was let in gets an answer, and nobody else is let in.

use std::{net::TcpStream, time::Duration};

use gateway::Log;

use crate::harness::{Gateway, array, event, kafka_settings, mock, request, until};

#[test]
fn requests_in_flight_are_answered_and_new_ones_find_no_one() {
    let cluster = mock("events", 4);
    let log = Log::kafka(&kafka_settings(&cluster.bootstrap_servers(), "events"), &[]).unwrap();
    let gateway = Gateway::start(log, |_| {});
    let mut idle = gateway.connect();
    assert_eq!(idle.post(event("u", 0)).status, 200);
    cluster.broker_round_trip_time(1, Duration::from_secs(2)).unwrap();
    let mut busy = gateway.connect();
    busy.send(&request("", array(&[event("u", 1), event("u", 2)]).as_bytes()));
    until("the request is in flight", || gateway.metric("gateway_events_in_flight") == 2);

    gateway.ask_to_stop();
    until("it is not ready", || gateway.health.ready().is_err_and(|why| why == ["gateway: draining"]));
    until("no connection is accepted", || TcpStream::connect(gateway.address).is_err());
    assert!(idle.is_closed(), "an idle connection has no reason to stay");
    let reply = busy.reply();
    assert_eq!((reply.status, reply.header("connection")), (200, Some("close")), "{reply:?}");
    assert!(busy.is_closed());
    gateway.check_ledger();
    gateway.stop();
}

#[test]
fn a_request_that_begins_during_the_drain_is_sent_elsewhere() {
    let cluster = mock("events", 4);
    let log = Log::kafka(&kafka_settings(&cluster.bootstrap_servers(), "events"), &[]).unwrap();
    let gateway = Gateway::start(log, |_| {});
    assert_eq!(gateway.post(event("u", 0)).status, 200);
    let mut client = gateway.connect();
    let whole = request("", event("u", 1).as_bytes());
    client.send(&whole[..20]);
    until("its head has begun", || gateway.metric("gateway_connections") == 1);
    gateway.ask_to_stop();
    client.send(&whole[20..]);
    // Its connection is closed, or it is told: never taken and left without an answer.
    if let Some(reply) = client.try_reply() {
        assert_eq!((reply.status, reply.code().as_deref()), (503, Some("draining")));
    }
    gateway.check_ledger();
    gateway.stop();
}

#[test]
fn the_drain_ends_at_its_timeout() {
    let cluster = mock("events", 4);
    let log = Log::kafka(&kafka_settings(&cluster.bootstrap_servers(), "events"), &[]).unwrap();
    let gateway = Gateway::start(log, |settings| settings.drain_timeout = Duration::from_millis(300));
    assert_eq!(gateway.post(event("u", 0)).status, 200);
    let mut stuck = gateway.connect();
    stuck.send(b"POST /v1/events HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\n[");
    until("the request is in flight", || gateway.metric("gateway_requests_in_flight") == 1);
    let start = std::time::Instant::now();
    gateway.ask_to_stop();
    until("it has ended", || gateway.has_ended());
    assert!(start.elapsed() < Duration::from_secs(5), "the drain took {:?}", start.elapsed());
}
