//! Goal: with a spool, an outage of Kafka is no outage of the gateway: what was acknowledged reaches Kafka, each user in
//! order, and twice only where a client sent it twice. Method: clients that send again what was not taken, over a real
//! broker that is killed and a gateway that is killed; the log read back and judged.

use std::{
    net::{SocketAddr, TcpListener},
    path::Path,
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant},
};

use gateway::{Log, config::SpoolSettings};
use rand::{RngExt, SeedableRng, rngs::StdRng};
use tempfile::TempDir;

use crate::{
    harness::{Client, Gateway, array, event, kafka_settings, large_event, mock, until},
    order::consume,
    resend::{Stop, Taken, judge, send},
};

const AFTER: Duration = Duration::from_millis(400);

fn settings(dir: &Path) -> SpoolSettings {
    SpoolSettings { enabled: true, dir: dir.to_owned(), after: AFTER, ..SpoolSettings::default() }
}

fn start(brokers: &str, dir: &TempDir) -> Gateway {
    let log = Log::kafka_with_spool(&kafka_settings(brokers, "events"), &[], &settings(dir.path())).unwrap();
    Gateway::start(log, |_| {})
}

fn is_drained(gateway: &Gateway) -> bool {
    gateway.metric("gateway_spooling") == 0 && gateway.metric("gateway_spool_records") == 0
}

fn disk_bytes(dir: &Path) -> u64 {
    let entries = std::fs::read_dir(dir).unwrap().map(Result::unwrap);
    entries
        .map(|entry| if entry.path().is_dir() { disk_bytes(&entry.path()) } else { entry.metadata().unwrap().len() })
        .sum()
}

#[test]
fn a_broker_killed_under_load_is_bridged() {
    if kafka::left_out() {
        return;
    }
    let mut broker = kafka::Broker::start();
    broker.create_topic("events", 3);
    let dir = tempfile::tempdir().unwrap();
    let gateway = start(broker.brokers(), &dir);
    let (address, stop, taken) = (gateway.address, AtomicBool::new(false), Taken::default());
    std::thread::scope(|scope| {
        let _stop = Stop(&stop);
        for number in 0..4 {
            let (stop, taken) = (&stop, &taken);
            scope.spawn(move || send(address, number, 12, stop, taken));
        }
        for orderly in [false, true] {
            let before = taken.events.load(Ordering::Relaxed);
            until("events are taken", || taken.events.load(Ordering::Relaxed) > before + 500);
            if orderly {
                broker.stop()
            } else {
                broker.kill()
            }
            until("the gateway spools", || gateway.metric("gateway_spooling") == 1);
            assert!(gateway.health.ready().is_ok(), "ready while it spools");
            let (events, spooled) = (taken.events.load(Ordering::Relaxed), taken.spooled.load(Ordering::Relaxed));
            until("events are spooled", || taken.events.load(Ordering::Relaxed) > events + 3000);
            assert!(taken.spooled.load(Ordering::Relaxed) > spooled + 100, "the replies say so");
            broker.restart();
            until("the spool is drained under load", || is_drained(&gateway));
        }
        let before = taken.spooled.load(Ordering::Relaxed);
        let events = taken.events.load(Ordering::Relaxed);
        until("events go to Kafka again", || taken.events.load(Ordering::Relaxed) > events + 500);
        assert!(taken.spooled.load(Ordering::Relaxed) <= before + 50, "directly");
    });
    until("the spool is drained", || is_drained(&gateway));
    gateway.check_ledger();
    let spooled = gateway.metric("gateway_spooled_total");
    assert_eq!(gateway.metric("gateway_drained_total"), spooled);
    until("its disk space comes back", || disk_bytes(dir.path()) < 140 << 20);
    gateway.stop();
    let found = consume(broker.brokers(), "events", 3);
    let repeats = judge(&found, taken.events.load(Ordering::Relaxed));
    eprintln!("{} records, {spooled} of them spooled, {repeats} repeats", found.len());
    taken.check_repeats(&found);
}

/// The binary, on an address that stays.
struct Binary {
    child: Child,
    address: SocketAddr,
}

impl Binary {
    fn start(brokers: &str, address: SocketAddr, dir: &Path) -> Binary {
        let child = command(brokers, dir).args(["--listen", &address.to_string()]).spawn().unwrap();
        Binary { child, address }
    }

    fn kill_9(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Binary {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn command(brokers: &str, dir: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_footfall-gateway"));
    command.args(["--brokers", brokers, "--topic", "events", "--admin", "127.0.0.1:0"]);
    command
        .env("FOOTFALL__SPOOL__ENABLED", "true")
        .env("FOOTFALL__SPOOL__DIR", dir)
        .env("FOOTFALL__SPOOL__AFTER", "400ms");
    command.stdout(Stdio::null());
    command
}

#[test]
fn a_gateway_killed_while_it_spools_and_while_it_drains_writes_nothing_twice() {
    if kafka::left_out() {
        return;
    }
    let seed = rand::random();
    eprintln!("seed {seed}");
    let mut rng = StdRng::seed_from_u64(seed);
    let mut broker = kafka::Broker::start();
    broker.create_topic("events", 3);
    let dir = tempfile::tempdir().unwrap();
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mut gateway = Binary::start(broker.brokers(), address, dir.path());
    let (stop, taken) = (AtomicBool::new(false), Taken::default());
    let more = |count: usize| {
        let before = taken.events.load(Ordering::Relaxed);
        until("events are taken", || taken.events.load(Ordering::Relaxed) > before + count);
    };
    std::thread::scope(|scope| {
        let _stop = Stop(&stop);
        for number in 0..4 {
            let (stop, taken) = (&stop, &taken);
            scope.spawn(move || send(address, number, 12, stop, taken));
        }
        more(300);
        broker.kill();
        more(2000);
        gateway.kill_9();
        // Kafka is down while it boots.
        gateway = Binary::start(broker.brokers(), address, dir.path());
        more(6000);
        broker.restart();
        for _ in 0..4 {
            std::thread::sleep(Duration::from_millis(rng.random_range(200..2500)));
            gateway.kill_9();
            gateway = Binary::start(broker.brokers(), address, dir.path());
            more(100);
        }
        more(500);
    });
    // Users enough for every partition of the spool: what goes past it stands behind all that was in it.
    let last: Vec<String> = (0..512).map(|user| event(format_args!("last{user}"), 0)).collect();
    until("it is drained", || {
        let reply = Client::connect(gateway.address).post(array(&last));
        reply.status == 200 && !reply.body.contains("spool")
    });
    gateway.kill_9();
    let mut found = consume(broker.brokers(), "events", 3);
    found.retain(|record| !record.event_id.starts_with("last"));
    let repeats = judge(&found, taken.events.load(Ordering::Relaxed));
    let answers = taken.spooled.load(Ordering::Relaxed);
    eprintln!("{} records, {repeats} repeats, {answers} answers from the spool", found.len());
    taken.check_repeats(&found);
    drop(gateway);
}

#[test]
fn a_slow_kafka_is_bridged_and_nobody_waits_for_the_deadline() {
    let cluster = mock("events", 3);
    let dir = tempfile::tempdir().unwrap();
    let gateway = start(&cluster.bootstrap_servers(), &dir);
    assert_eq!(gateway.post(event("u", 0)).body, r#"{"accepted":1}"#);
    cluster.broker_round_trip_time(1, Duration::from_secs(4)).unwrap();
    let begin = Instant::now();
    let reply = gateway.post(event("u", 1));
    assert_eq!((reply.status, reply.code().as_deref()), (503, Some("delivery_unknown")), "{reply:?}");
    assert!(begin.elapsed() < Duration::from_secs(4), "answered after {:?}", begin.elapsed());
    for n in 1..4 {
        let reply = gateway.post(event("u", n));
        assert_eq!((reply.status, reply.body.as_str()), (200, r#"{"accepted":1,"durability":"spool"}"#));
    }
    assert_eq!(gateway.health.notes().len(), 1, "{:?}", gateway.health.notes());
    cluster.broker_round_trip_time(1, Duration::ZERO).unwrap();
    until("the spool is drained", || is_drained(&gateway));
    assert_eq!(gateway.post(event("u", 4)).body, r#"{"accepted":1}"#);
    let ids: Vec<String> =
        consume(&cluster.bootstrap_servers(), "events", 3).into_iter().map(|found| found.event_id).collect();
    assert_eq!(ids, ["u-0", "u-1", "u-1", "u-2", "u-3", "u-4"], "what was unknown, and what was sent again");
    gateway.check_ledger();
    gateway.stop();
}

#[test]
fn a_full_spool_says_503_and_takes_events_again_when_it_is_drained() {
    let cluster = mock("events", 3);
    let dir = tempfile::tempdir().unwrap();
    let spool = SpoolSettings { bytes_max: 40_000, ..settings(dir.path()) };
    let kafka = kafka_settings(&cluster.bootstrap_servers(), "events");
    let gateway = Gateway::start(Log::kafka_with_spool(&kafka, &[], &spool).unwrap(), |_| {});
    cluster.broker_down(1).unwrap();
    until("it spools", || gateway.metric("gateway_spooling") == 1);
    let mut taken = 0;
    let refused = loop {
        let reply = gateway.post(array(&[event("u", taken), event("v", taken)]));
        if reply.status != 200 {
            break reply;
        }
        assert!(reply.body.contains("spool"), "{reply:?}");
        taken += 1;
        assert!(taken < 1000, "the bound does not hold");
    };
    assert_eq!((refused.status, refused.code().as_deref()), (503, Some("overloaded")), "{refused:?}");
    assert!(refused.header("retry-after").is_some());
    assert!(gateway.metric("gateway_spool_bytes") <= 40_000 && taken > 50, "{taken}");
    let reply = gateway.post(large_event("u", 30_000));
    assert_eq!(reply.status, 503, "{reply:?}");
    cluster.broker_up(1).unwrap();
    until("the spool is drained", || is_drained(&gateway));
    assert_eq!(gateway.post(event("u", taken)).body, r#"{"accepted":1}"#);
    gateway.check_ledger();
    gateway.stop();
}

#[test]
fn a_folder_belongs_to_one_gateway_and_is_not_left_behind() {
    let cluster = mock("events", 3);
    let dir = tempfile::tempdir().unwrap();
    let kafka = kafka_settings(&cluster.bootstrap_servers(), "events");
    let gateway = start(&cluster.bootstrap_servers(), &dir);
    let output = command(&cluster.bootstrap_servers(), dir.path()).args(["--listen", "127.0.0.1:0"]).output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(69), "{stderr}");
    assert!(stderr.lines().last().unwrap().contains("in use"), "{stderr}");
    cluster.broker_down(1).unwrap();
    until("it spools", || gateway.metric("gateway_spooling") == 1);
    assert_eq!(gateway.post(event("u", 1)).status, 200);
    gateway.stop();

    let off = SpoolSettings { enabled: false, ..settings(dir.path()) };
    let error = Log::kafka_with_spool(&kafka, &[], &off).expect_err("a record is left").to_string();
    assert!(error.contains("1 acknowledged records") && error.contains("spool.enabled"), "{error}");
    cluster.broker_up(1).unwrap();
    let gateway = start(&cluster.bootstrap_servers(), &dir);
    until("the spool is drained", || is_drained(&gateway));
    gateway.stop();
    Log::kafka_with_spool(&kafka, &[], &off).expect("nothing is left");
}
