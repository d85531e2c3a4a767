//! Sinks that die by SIGKILL at every step of their path, and at random moments under load.
//!
//! Goal: 0 lost, 0 duplicated, 0 reordered, and chains that tile the log, wherever a sink dies; the log gives every file
//! again. Method: a debug build kills itself where `FOOTFALL_FAILPOINT` says; the independent reader and the audit judge.
//! By default one sink dies once at each point, in one run; `FOOTFALL_TEST_SEEDS=3` gives each point and seed a run
//! of its own, and more random kills.
use std::time::{Duration, Instant};

use kafka::Broker;
use rand::{RngExt, SeedableRng, rngs::StdRng, seq::SliceRandom};

use crate::audit;
use crate::lake::{chain_ends, left_halfway, log_ends};
use crate::load::{Load, Offer};
use crate::service::{PARTITIONS, Service, folder, free_port, start_gateway, stopped_sink};

/// Every point, and how often it may be passed before the sink dies there.
const POINTS: [(&str, u32); 6] = [
    ("after_consume", 60),
    ("in_row_group", 40),
    ("before_put", 40),
    ("during_put", 40),
    ("after_put", 40),
    ("after_commit", 3),
];

/// Seeds of a long run.
fn seeds() -> Option<u64> {
    let text = std::env::var("FOOTFALL_TEST_SEEDS").ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("FOOTFALL_TEST_SEEDS={text} is not a number")))
}

#[test]
fn a_sink_killed_at_every_step_loses_and_doubles_nothing() {
    if kafka::left_out() {
        return;
    }
    let Some(seeds) = seeds() else {
        let seed = rand::rng().random_range(0..1_000_000);
        let mut points = POINTS;
        points.shuffle(&mut StdRng::seed_from_u64(seed));
        return die_at("all points", &points, seed, &Offer::or_from_environment(12_000, 500));
    };
    for (point, times) in POINTS {
        for seed in 1..=seeds {
            let points = [(point, times); 3];
            die_at(point, &points, seed, &Offer::or_from_environment(12_000, 800));
        }
    }
}

/// One sink under load dies at these points, one after the other.
fn die_at(what: &str, points: &[(&str, u32)], seed: u64, offer: &Offer) {
    let mut dice = StdRng::seed_from_u64(seed);
    let mut run = Run::start(&format!("kills-{}", what.replace(' ', "-")), offer);
    let mut sink = run.sink("sink");
    // The same member after each restart: it need not wait until the group has given up the one that died.
    sink.set("FOOTFALL__KAFKA__GROUP_INSTANCE_ID", "sink");
    let mut died = Vec::new();
    for (point, times) in points {
        let times = dice.random_range(1..=*times);
        let milliseconds = if *point == "during_put" { format!(":{}", dice.random_range(0..4)) } else { String::new() };
        let failpoint = format!("{point}:{times}{milliseconds}");
        sink.must_die_at(&failpoint);
        died.push(failpoint);
    }
    sink.restart();
    let verdict = run.judge(offer, &mut [sink]);
    eprintln!("kill matrix: {what}, seed {seed}: died at {}; {verdict}", died.join(", "));
}

#[test]
fn sinks_killed_at_random_moments_lose_and_double_nothing() {
    if kafka::left_out() {
        return;
    }
    let Some(seeds) = seeds() else {
        return die_at_random(3, rand::rng().random_range(0..1_000_000), 4, &Offer::or_from_environment(12_000, 500));
    };
    for sinks in [2, 3] {
        for seed in 1..=seeds {
            die_at_random(sinks, seed, 12, &Offer::or_from_environment(60_000, 1_000));
        }
    }
}

/// Several sinks under load, of which one after the other dies and comes back.
fn die_at_random(sinks: usize, seed: u64, kills: u32, offer: &Offer) {
    let mut dice = StdRng::seed_from_u64(seed);
    let mut run = Run::start(&format!("kills-random-{sinks}"), offer);
    let mut sinks: Vec<Service> = (0..sinks).map(|number| run.sink(&format!("sink-{number}"))).collect();
    for sink in &mut sinks {
        sink.set("FOOTFALL__KAFKA__SESSION_TIMEOUT", "6s");
        sink.restart();
    }
    for _ in 0..kills {
        let victim = dice.random_range(0..sinks.len());
        std::thread::sleep(offer.duration().mul_f64(0.8 / f64::from(kills) * dice.random_range(0.1..1.0)));
        sinks[victim].kill_9();
        std::thread::sleep(Duration::from_millis(dice.random_range(0..1_500)));
        sinks[victim].restart();
    }
    let number = sinks.len();
    let verdict = run.judge(offer, &mut sinks);
    eprintln!("kill matrix: {kills} kills of {number} sinks at random, seed {seed}; {verdict}");
}

/// A pipeline under load, up to its sinks.
struct Run {
    folder: tempfile::TempDir,
    topic: String,
    gateway: Service,
    load: Load,
    started: Instant,
}

impl Run {
    fn start(name: &str, offer: &Offer) -> Run {
        let (folder, broker, port) = (folder(name), Broker::shared(), free_port());
        let topic = broker.fresh_topic("kills", PARTITIONS);
        let lake = folder.path().join("lake");
        std::fs::create_dir(&lake).expect("the test's folder is writable");
        let gateway = start_gateway(broker, &topic, port, folder.path());
        let load = Load::start(offer, port, &lake, folder.path());
        Run { folder, topic, gateway, load, started: Instant::now() }
    }

    fn sink(&self, name: &str) -> Service {
        let lake = self.folder.path().join("lake");
        stopped_sink(name, Broker::shared(), &self.topic, &lake, self.folder.path())
    }

    /// Waits for everything to come into the lake, ends all, and looks at what is there.
    fn judge(&mut self, offer: &Offer, sinks: &mut [Service]) -> String {
        let report = self.load.must_pass();
        report.must_hold(offer.events);
        self.gateway.terminate();
        sinks.iter_mut().for_each(Service::terminate);
        self.load.must_verify();
        let (broker, lake) = (Broker::shared(), self.folder.path().join("lake"));
        let (chains, log) = (chain_ends(&lake, &self.topic), log_ends(broker.brokers(), &self.topic));
        assert_eq!(chains, log, "the chains cover the log up to its end");
        let seconds = self.started.elapsed().as_secs();
        let audit = audit::must_be_clean(broker, &self.topic, &lake, &[]);
        assert_eq!(audit.rows, report.rows(), "audit and reader see the same rows");
        format!(
            "{} events, 0 lost, {} doubled, 0 reordered in {seconds} s; audit clean: {} files, all derived again, {} leftovers; \
             {} PUTs left halfway",
            offer.events,
            report.rows() - offer.events,
            audit.files,
            audit.leftovers,
            left_halfway(&lake)
        )
    }
}
