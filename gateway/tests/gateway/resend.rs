//! Goal: whatever a produce request meets, and whatever clients send again because of it, the first record of each event
//! stands in its user's order. Method: librdkafka's mock cluster, which refuses, disconnects and delays on demand; clients
//! that send a batch again until it is taken; the log read back and judged.

use std::{
    collections::{BTreeMap, HashSet},
    net::SocketAddr,
    sync::{
        Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use gateway::{Log, config::KafkaSettings};
use rand::{RngExt, SeedableRng, rngs::StdRng};
use rdkafka::{
    ClientConfig,
    admin::{AdminClient, AdminOptions, AlterConfig, ResourceSpecifier},
    types::{RDKafkaApiKey, RDKafkaRespErr},
};

use crate::{
    harness::{Client, Gateway, array, event, kafka_settings, mock, until},
    order::{Found, consume},
};

const TOPIC: &str = "events";

/// What clients know to be taken.
#[derive(Default)]
pub(crate) struct Taken {
    pub(crate) events: AtomicUsize,
    /// Batches sent again.
    pub(crate) repeated: AtomicUsize,
    /// Events that were sent more than once.
    resent: Mutex<HashSet<String>>,
    /// Answers that said `"durability":"spool"`.
    pub(crate) spooled: AtomicUsize,
}

impl Taken {
    /// A record may repeat an event only where a client sent that again.
    #[track_caller]
    pub(crate) fn check_repeats(&self, found: &[Found]) {
        let (resent, mut seen) = (self.resent.lock().unwrap(), HashSet::new());
        let again: Vec<_> = found.iter().map(|record| &record.event_id).filter(|id| !seen.insert(*id)).collect();
        let unasked: Vec<_> = again.iter().filter(|id| !resent.contains(**id)).collect();
        assert!(
            unasked.is_empty(),
            "{} of {} repeats were sent once: {:?}",
            unasked.len(),
            again.len(),
            &unasked[..4.min(unasked.len())]
        );
    }
}

/// Sends batches of three users of its own until told to stop, each batch again until it is taken whole.
pub(crate) fn send(address: SocketAddr, number: usize, size: usize, stop: &AtomicBool, taken: &Taken) {
    send_as(address, number, size, stop, taken, |_| "");
}

fn send_as<'a>(
    address: SocketAddr,
    number: usize,
    size: usize,
    stop: &AtomicBool,
    taken: &Taken,
    title: impl Fn(usize) -> &'a str,
) {
    let named = |n| event(format!("c{number}u{}", n % 3), n).replacen('{', &format!(r#"{{"title":"{}","#, title(n)), 1);
    let mut next = 0;
    while !stop.load(Ordering::Relaxed) {
        let events: Vec<String> = (next..next + size).map(named).collect();
        let ids: Vec<String> = (next..next + size).map(|n| format!("c{number}u{}-{n}", n % 3)).collect();
        loop {
            let reply = Client::try_connect(address).and_then(|mut client| client.try_post(array(&events)));
            if let Some(reply) = reply.filter(|reply| reply.status == 200) {
                let spooled = reply.body.contains(r#""durability":"spool""#);
                taken.spooled.fetch_add(usize::from(spooled), Ordering::Relaxed);
                break;
            }
            taken.repeated.fetch_add(1, Ordering::Relaxed);
            taken.resent.lock().unwrap().extend(ids.iter().cloned());
            std::thread::sleep(Duration::from_millis(50));
        }
        taken.events.fetch_add(size, Ordering::Relaxed);
        next += size;
        std::thread::sleep(Duration::from_millis(3));
    }
}

/// The first record of each event, in its user's order without a gap. Returns how many records repeat an event.
#[track_caller]
pub(crate) fn judge(found: &[Found], taken: usize) -> usize {
    let (mut seen, mut last) = (HashSet::new(), BTreeMap::new());
    for record in found {
        let (user, sequence) = record.event_id.rsplit_once('-').unwrap();
        let sequence: usize = sequence.parse().unwrap();
        if seen.insert(&record.event_id) {
            let before = last.insert(user, sequence);
            assert!(before.is_none_or(|before| before + 3 == sequence), "{user}: {sequence} follows {before:?}");
        }
    }
    assert_eq!(seen.len(), taken, "events taken and events found, in {} records", found.len());
    found.len() - seen.len()
}

/// Stops the clients also where a test fails, which else would wait for them for ever.
pub(crate) struct Stop<'a>(pub(crate) &'a AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// The mock cluster does not look at sequence numbers, and so takes the second of two requests where it has refused the
/// first: here a user has one event on its way.
fn settings(brokers: &str) -> KafkaSettings {
    let properties = [("max.in.flight".to_owned(), "1".to_owned())].into();
    KafkaSettings { properties, ..kafka_settings(brokers, TOPIC) }
}

#[test]
fn order_survives_errors_disconnects_and_delays() {
    use RDKafkaRespErr as E;
    const ERRORS: [E; 5] = [
        E::RD_KAFKA_RESP_ERR_NO_ERROR,
        E::RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION,
        E::RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT,
        E::RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS,
        E::RD_KAFKA_RESP_ERR__TRANSPORT,
    ];
    let seed = rand::random();
    eprintln!("seed {seed}");
    let mut rng = StdRng::seed_from_u64(seed);
    let cluster = mock(TOPIC, 3);
    let gateway = Gateway::start(Log::kafka(&settings(&cluster.bootstrap_servers()), &[]).unwrap(), |settings| {
        settings.request_timeout = Duration::from_secs(1);
    });
    let (address, stop, taken) = (gateway.address, AtomicBool::new(false), Taken::default());
    std::thread::scope(|scope| {
        for number in 0..4 {
            scope.spawn({
                let (stop, taken) = (&stop, &taken);
                move || send(address, number, 3, stop, taken)
            });
        }
        let _stop = Stop(&stop);
        let start = Instant::now();
        while start.elapsed() < Duration::from_secs(8) {
            let errors: Vec<E> = (0..rng.random_range(1..4)).map(|_| ERRORS[rng.random_range(0..5)]).collect();
            cluster.request_errors(RDKafkaApiKey::Produce, &errors);
            let round_trip = Duration::from_millis([0, 0, 20, 300, 1500][rng.random_range(0..5)]);
            cluster.broker_round_trip_time(1, round_trip).unwrap();
            if rng.random_range(0..6) == 0 {
                cluster.broker_down(1).unwrap();
                std::thread::sleep(Duration::from_millis(rng.random_range(10..600)));
                cluster.broker_up(1).unwrap();
            }
            std::thread::sleep(Duration::from_millis(rng.random_range(10..300)));
        }
        cluster.clear_request_errors(RDKafkaApiKey::Produce);
        cluster.broker_round_trip_time(1, Duration::ZERO).unwrap();
        let before = taken.events.load(Ordering::Relaxed);
        until("events are taken again", || taken.events.load(Ordering::Relaxed) > before + 200);
    });
    until("the queue is empty", || gateway.metric("gateway_log_queue_records") == 0);
    gateway.check_ledger();
    let found = consume(&cluster.bootstrap_servers(), TOPIC, 3);
    let repeats = judge(&found, taken.events.into_inner());
    let repeated = taken.repeated.into_inner();
    eprintln!("{} records, {repeats} of them repeats; {repeated} batches were sent again", found.len());
    assert!(repeated > 0, "the errors were felt");
    gateway.stop();
}

#[test]
fn a_record_is_not_given_up_by_time() {
    let cluster = mock(TOPIC, 1);
    let gateway = Gateway::start(Log::kafka(&settings(&cluster.bootstrap_servers()), &[]).unwrap(), |settings| {
        settings.request_timeout = Duration::from_millis(500);
    });
    assert_eq!(gateway.post(event("u", 0)).status, 200);
    // Retriable ones, which librdkafka meets with pauses of up to a second.
    cluster.request_errors(RDKafkaApiKey::Produce, &[RDKafkaRespErr::RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS; 6]);
    for n in 1..3 {
        let reply = gateway.post(event("u", n));
        assert_eq!((reply.status, reply.code().as_deref()), (503, Some("delivery_unknown")), "{reply:?}");
    }
    until("the queue is empty", || gateway.metric("gateway_log_queue_records") == 0);
    let ids: Vec<String> =
        consume(&cluster.bootstrap_servers(), TOPIC, 1).into_iter().map(|found| found.event_id).collect();
    assert_eq!(ids, ["u-0", "u-1", "u-2"], "answered as unknown, delivered later, in order");
    gateway.check_ledger();
    gateway.stop();
}

/// Goal: nothing lands behind a batch that the broker refuses for good. Method: while clients send, the topic takes smaller
/// batches from one moment to the next, so that one which was just allowed is refused in the middle of others.
#[test]
fn order_survives_a_batch_that_is_refused_for_good() {
    if kafka::left_out() {
        return;
    }
    let broker = kafka::Broker::shared();
    let topic = broker.fresh_topic("gateway-refused", 1);
    let properties = [("batch.num.messages".to_owned(), "4".to_owned())].into();
    let settings =
        KafkaSettings { properties, compression: "none".to_owned(), ..kafka_settings(broker.brokers(), &topic) };
    let gateway = Gateway::start(Log::kafka(&settings, &[]).unwrap(), |_| {});
    let (address, stop, taken) = (gateway.address, AtomicBool::new(false), Taken::default());
    // Two of twelve events are large: four records with both of them are more than the topic takes then.
    let large: String = (0..900).map(|n| char::from(b'a' + (n * n * 7 % 26) as u8)).collect();
    std::thread::scope(|scope| {
        let _stop = Stop(&stop);
        for number in 0..3 {
            let (stop, taken, large) = (&stop, &taken, &large);
            scope.spawn(move || send_as(address, number, 12, stop, taken, |n| if n % 12 < 2 { large } else { "" }));
        }
        until("events are taken", || taken.events.load(Ordering::Relaxed) > 300);
        let admin: AdminClient<_> = ClientConfig::new().set("bootstrap.servers", broker.brokers()).create().unwrap();
        let smaller = AlterConfig::new(ResourceSpecifier::Topic(&topic)).set("max.message.bytes", "2300");
        futures::executor::block_on(admin.alter_configs([&smaller], &AdminOptions::new())).unwrap();
        until("batches were refused", || taken.repeated.load(Ordering::Relaxed) > 0);
        let before = taken.events.load(Ordering::Relaxed);
        until("events are taken again", || taken.events.load(Ordering::Relaxed) > before + 300);
    });
    gateway.check_ledger();
    gateway.stop();
    let found = consume(broker.brokers(), &topic, 1);
    let repeats = judge(&found, taken.events.into_inner());
    eprintln!("{} records, {repeats} of them repeats", found.len());
}
