//! Goal: without Kafka the gateway says so quickly, and with Kafka back it takes events again by itself.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
    sync::{
        OnceLock,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use gateway::Log;

use crate::{
    harness::{Client, Gateway, array, event, kafka_settings, until},
    order::consume,
};

#[test]
fn a_stopped_broker_is_a_quick_503_and_a_started_one_is_found_again() {
    if kafka::left_out() {
        return;
    }
    let mut broker = kafka::Broker::start();
    broker.create_topic("events", 3);
    let log = Log::kafka(&kafka_settings(broker.brokers(), "events"), &[]).unwrap();
    let gateway = Gateway::start(log, |_| {});
    assert_eq!(gateway.post(event("u", 0)).status, 200);
    broker.kill();
    until("the gateway has noticed", || gateway.health.ready().is_err());
    for n in 0..5 {
        let start = Instant::now();
        let reply = gateway.post(event("u", format_args!("1{n}")));
        assert_eq!((reply.status, reply.code().as_deref()), (503, Some("log_unavailable")), "{reply:?}");
        assert!(reply.header("retry-after").is_some());
        assert!(start.elapsed() < Duration::from_secs(1), "the 503 took {:?}", start.elapsed());
    }
    broker.restart();
    until("it is ready again", || gateway.health.ready().is_ok());
    until("events are taken again", || gateway.post(event("u", 2)).status == 200);
    gateway.check_ledger();
    gateway.stop();
}

/// Goal: a broker that lets the producer wait, because it sent more than its quota, is late and not down. Method: clients
/// that send more than the quota for as long as it takes to be refused, and for a while longer.
#[test]
fn a_broker_that_makes_the_producer_wait_is_no_outage() {
    if kafka::left_out() {
        return;
    }
    let broker = kafka::Broker::start();
    broker.create_topic("events", 3);
    broker.limit_producers(64 << 10);
    let log = Log::kafka(&kafka_settings(broker.brokers(), "events"), &[]).unwrap();
    let gateway = Gateway::start(log, |settings| settings.limits.ack_delay_max = Duration::from_millis(500));
    let (address, refused_at) = (gateway.address, OnceLock::new());
    let client = &|number: usize| {
        let mut codes = BTreeSet::new();
        // Nothing that compression could make small.
        let noise: String =
            (0..4000_u64).map(|n| format!("{:x}", (n + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15))).collect();
        for n in 0.. {
            let event = format!(r#"{{"type":"click","user_id":"u{number}-{n}","noise":"{noise}{number}{n}"}}"#);
            let reply = Client::connect(address).post(event);
            if reply.status != 200 {
                refused_at.get_or_init(Instant::now);
                codes.insert(reply.code().expect("a code"));
            }
            if refused_at.get().is_some_and(|at| at.elapsed() > Duration::from_secs(5)) {
                break;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        codes
    };
    let codes: BTreeSet<String> = std::thread::scope(|scope| {
        let clients: Vec<_> = (0..16).map(|number| scope.spawn(move || client(number))).collect();
        clients.into_iter().flat_map(|client| client.join().unwrap()).collect()
    });
    assert!(codes.contains("overloaded") && !codes.contains("log_unavailable"), "{codes:?}");
    assert!(gateway.health.ready().is_ok());
    gateway.check_ledger();
}

/// Sends batches of two users of its own until told to stop, each batch again until it is taken whole. Returns how many
/// events were taken, and how often it had to send again.
fn send(address: SocketAddr, number: usize, stop: &AtomicBool) -> (usize, usize) {
    let (mut taken, mut repeated) = (0, 0);
    while !stop.load(Ordering::Relaxed) {
        let events: Vec<String> = (taken..taken + 10).map(|n| event(format!("c{number}u{}", n % 2), n)).collect();
        while Client::connect(address).post(array(&events)).status != 200 {
            repeated += 1;
            std::thread::sleep(Duration::from_millis(50));
        }
        taken += events.len();
        std::thread::sleep(Duration::from_millis(5));
    }
    (taken, repeated)
}

/// Goal: nothing acknowledged is lost and no user is out of order, whatever the broker did in between. Method: clients
/// that send again what was not taken, a broker killed twice under them; the first record of each event id counts.
#[test]
fn a_broker_killed_under_load_loses_and_reorders_nothing() {
    if kafka::left_out() {
        return;
    }
    let mut broker = kafka::Broker::start();
    broker.create_topic("events", 3);
    let gateway = Gateway::start(Log::kafka(&kafka_settings(broker.brokers(), "events"), &[]).unwrap(), |_| {});
    let (address, stop) = (gateway.address, AtomicBool::new(false));
    let sent: Vec<(usize, usize)> = std::thread::scope(|scope| {
        let senders: Vec<_> = (0..4)
            .map(|number| {
                scope.spawn({
                    let stop = &stop;
                    move || send(address, number, stop)
                })
            })
            .collect();
        for _ in 0..2 {
            let before = gateway.metric("gateway_events_accepted_total");
            until("events are taken", || gateway.metric("gateway_events_accepted_total") > before + 500);
            broker.kill();
            until("the gateway has noticed", || gateway.health.ready().is_err());
            broker.restart();
            until("it is ready again", || gateway.health.ready().is_ok());
        }
        let before = gateway.metric("gateway_events_accepted_total");
        until("events are taken again", || gateway.metric("gateway_events_accepted_total") > before + 500);
        stop.store(true, Ordering::Relaxed);
        senders.into_iter().map(|sender| sender.join().unwrap()).collect()
    });
    gateway.check_ledger();
    gateway.stop();

    let found = consume(broker.brokers(), "events", 3);
    let (mut seen, mut last) = (BTreeSet::new(), BTreeMap::new());
    for record in &found {
        let (user, sequence) = record.event_id.rsplit_once('-').unwrap();
        let sequence: usize = sequence.parse().unwrap();
        if seen.insert(&record.event_id) {
            let before = last.insert(user, sequence);
            assert!(before.is_none_or(|before| before + 2 == sequence), "{user}: {sequence} follows {before:?}");
        }
    }
    let taken: usize = sent.iter().map(|(taken, _)| taken).sum();
    assert_eq!(seen.len(), taken, "events taken and events found; {} records", found.len());
    assert!(sent.iter().any(|(_, repeated)| *repeated > 0), "the outage was felt");
}
