//! What the gateway does when five times what it can take is offered: whether it keeps taking what it can, answers the
//! rest at once, and stays the same size.
//!
//! Capacity is measured first, by a closed loop on the same gateway. Then an open loop offers a multiple of it, with
//! clients that neither wait nor back off. Twice: with the gateway's processor time under a ceiling, and with a log that
//! takes only so many bytes a second (Kafka's producer quota). The README beside this file says how to run it.

use std::{
    collections::BTreeMap,
    env,
    error::Error,
    process::ExitCode,
    thread,
    time::{Duration, Instant},
};

use benches::{
    broker::Broker,
    ceiling::Ceiling,
    clickstream::Clickstream,
    load::Load,
    offer::{Offer, Offered},
    rounds::setting,
    server::Server,
};

/// Events of a request.
const BATCH: usize = 100;
/// Connections of the closed loop that measures capacity: as many as make large batches for the log.
const CONNECTIONS: usize = 256;
/// The gateway's own deadline of a request.
const DEADLINE: Duration = Duration::from_secs(10);
/// Kafka's quota is kept over so long: a burst at the start of it is paid for until its end.
const QUOTA_WINDOW: Duration = Duration::from_secs(15);
/// How much the gateway may grow between the first third of an overload and the rest.
const GROWTH_MAX: f64 = 1.1;

/// What keeps the gateway from taking more.
#[derive(Clone, Copy, Debug)]
enum Bound {
    Processor,
    Log,
}

fn main() -> ExitCode {
    if !env::args().any(|word| word == "--bench") {
        eprintln!("overload: measured by cargo bench only");
        return ExitCode::SUCCESS;
    }
    match measure() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("overload: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Says whether everything held.
fn measure() -> Result<bool, Box<dyn Error>> {
    let bodies = Clickstream::new(1).bodies(1000, BATCH);
    let mut holds = true;
    eprintln!("{}", Row::HEAD);
    for bound in [Bound::Processor, Bound::Log] {
        let broker = Broker::start()?;
        let row = overload(&broker, bound, &bodies)?;
        eprintln!("{row}");
        for broken in row.broken() {
            eprintln!("{bound:?}: BROKEN: {broken}");
            holds = false;
        }
    }
    Ok(holds)
}

fn overload(broker: &Broker, bound: Bound, bodies: &[String]) -> Result<Row, Box<dyn Error>> {
    let server = Server::start(broker, &[])?;
    let ceiling = match bound {
        Bound::Processor => {
            let ceiling = Ceiling::new(setting("FOOTFALL_BENCH_CORES", 0.2))?;
            ceiling.hold(server.process.id())?;
            Some(ceiling)
        }
        Bound::Log => {
            broker.limit_producers(setting("FOOTFALL_BENCH_LOG_BYTES", 2 << 20));
            None
        }
    };
    let seconds = Duration::from_secs(setting("FOOTFALL_BENCH_SECONDS", 60));
    let capacity = capacity(&server, bodies, (seconds / 4).max(QUOTA_WINDOW))?;
    let before = Ledger::settled(&server)?;
    let stored_before = broker.count(&server.topic)?;
    let factor = setting("FOOTFALL_BENCH_FACTOR", 5.0);
    let mut rss = Vec::new();
    let offered = Offer {
        address: server.listen,
        path: "/v1/events",
        bodies,
        requests_per_second: factor * capacity / BATCH as f64,
        duration: seconds,
        connections: setting("FOOTFALL_BENCH_CONNECTIONS", 3500),
    }
    .run(|| rss.extend(server.process.rss_bytes().ok()))?;
    let ledger = Ledger::settled(&server)?.since(&before);
    let stored = broker.count(&server.topic)? - stored_before;
    let row = Row { bound, capacity, factor, seconds, offered, rss, ledger, stored };
    server.process.stop()?;
    broker.delete(&server.topic)?;
    drop(ceiling);
    Ok(row)
}

/// Events that a closed loop has accepted a second, after its warm-up. A slow log may have some of it refused; then the
/// loop pauses.
fn capacity(server: &Server, bodies: &[String], duration: Duration) -> Result<f64, Box<dyn Error>> {
    let mut load = Load::open(server.listen, CONNECTIONS, "/v1/events", bodies)?;
    let mut rate = 0.0;
    for part in [QUOTA_WINDOW, duration] {
        let (from, mut events) = (Instant::now(), 0);
        while from.elapsed() < part {
            let outcome = load.send(4 * CONNECTIONS)?;
            events += outcome.accepted;
            if outcome.refusal.is_some() {
                thread::sleep(Duration::from_millis(100));
            }
        }
        rate = events as f64 / from.elapsed().as_secs_f64();
    }
    Ok(rate)
}

/// The gateway's own books.
#[derive(Debug)]
struct Ledger {
    received: u64,
    accepted: u64,
    rejected: u64,
    in_flight: u64,
    answers: BTreeMap<String, u64>,
}

impl Ledger {
    fn of(server: &Server) -> Result<Ledger, Box<dyn Error>> {
        let metrics = server.metrics()?;
        let sum = |prefix: &str| -> u64 {
            metrics.iter().filter(|(name, _)| name.starts_with(prefix)).map(|(_, value)| *value as u64).sum()
        };
        let answers = metrics.iter().filter_map(|(name, value)| {
            let code = name.strip_prefix("footfall_gateway_requests_answered_total{code=\"")?;
            Some((code.trim_end_matches("\"}").to_owned(), *value as u64))
        });
        Ok(Ledger {
            received: sum("footfall_gateway_events_received_total"),
            accepted: sum("footfall_gateway_events_accepted_total"),
            rejected: sum("footfall_gateway_events_rejected_total"),
            in_flight: sum("footfall_gateway_events_in_flight"),
            answers: answers.collect(),
        })
    }

    /// When nothing is in flight any more, not even what its client has given up.
    fn settled(server: &Server) -> Result<Ledger, Box<dyn Error>> {
        let from = Instant::now();
        loop {
            let ledger = Ledger::of(server)?;
            if ledger.in_flight == 0 || from.elapsed() > 2 * DEADLINE {
                return Ok(ledger);
            }
            thread::sleep(Duration::from_millis(200));
        }
    }

    fn since(mut self, before: &Ledger) -> Ledger {
        self.received -= before.received;
        self.accepted -= before.accepted;
        self.rejected -= before.rejected;
        for (code, requests) in &mut self.answers {
            *requests -= before.answers.get(code).unwrap_or(&0);
        }
        self.answers.retain(|_, requests| *requests > 0);
        self
    }
}

/// One overload and what came of it.
struct Row {
    bound: Bound,
    /// Events a second.
    capacity: f64,
    factor: f64,
    seconds: Duration,
    offered: Offered,
    /// Resident bytes, each second.
    rss: Vec<u64>,
    ledger: Ledger,
    /// By how much the topic grew, meanwhile.
    stored: u64,
}

impl Row {
    const HEAD: &str = "| bound by | capacity events/s | offered | accepted | p50 / p99 ms of the accepted | answers | \
                        without Retry-After | broken | RSS MiB, first third / rest | ledger: accepted / stored | \
                        sent late by, p99 ms |\n|---|---|---|---|---|---|---|---|---|---|---|";

    fn offered_factor(&self) -> f64 {
        (self.offered.requests * BATCH as u64) as f64 / self.seconds.as_secs_f64() / self.capacity
    }

    fn accepted_share(&self) -> f64 {
        self.offered.accepted_within as f64 / self.seconds.as_secs_f64() / self.capacity
    }

    /// The most memory, in MiB, in the first third and in the rest.
    fn memory(&self) -> (f64, f64) {
        let (first, rest) = self.rss.split_at(self.rss.len() / 3);
        let most = |part: &[u64]| part.iter().max().map_or(f64::NAN, |bytes| *bytes as f64 / f64::from(1 << 20));
        (most(first), most(rest))
    }

    /// What did not hold.
    fn broken(&self) -> Vec<String> {
        let p99 = Offered::percentile_ms(&self.offered.latencies_us, 0.99);
        let (first, rest) = self.memory();
        let (ours, theirs) = (&self.ledger, &self.offered);
        let accepted = theirs.accepted + theirs.accepted_in_part;
        let unknown = BATCH as u64 * theirs.answers.get("delivery_unknown").unwrap_or(&0) - theirs.accepted_in_part;
        let refusals_are_known = theirs.answers.keys().all(|code| {
            ["ok", "overloaded", "rate_limited", "log_unavailable", "delivery_unknown"].contains(&code.as_str())
        });
        let mut broken = Vec::new();
        let mut must = |holds: bool, what: &str| {
            if !holds {
                broken.push(what.to_owned());
            }
        };
        must(self.offered_factor() > 0.95 * self.factor, "the clients did not offer what they should: no proof");
        must(self.accepted_share() >= 0.9, "less than 90 % of capacity was accepted");
        must(p99 < DEADLINE.as_secs_f64() * 1e3, "p99 of the accepted is over the deadline");
        must(rest <= first * GROWTH_MAX, "memory grew");
        must(
            refusals_are_known && theirs.without_retry_after == 0,
            "an answer is neither 200 nor 429/503 with Retry-After",
        );
        must(theirs.broken == 0, "connections broke");
        must(ours.accepted == accepted, "gateway and clients count other events");
        must(ours.answers == theirs.answers, "gateway and clients count other answers");
        must(ours.received == ours.accepted + ours.rejected, "received is not accepted + rejected");
        must(self.stored >= accepted, "acknowledged events are not in the topic");
        must(self.stored <= accepted + unknown, "events are in the topic that were neither accepted nor unknown");
        broken
    }
}

impl std::fmt::Display for Row {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let offered = &self.offered;
        let ms = |share| Offered::percentile_ms(&offered.latencies_us, share);
        let answers: Vec<String> =
            offered.answers.iter().map(|(code, requests)| format!("{requests} {code}")).collect();
        let (first, rest) = self.memory();
        write!(
            f,
            "| {:?} | {:.0} | {:.2} x | {:.1} % | {:.0} / {:.0} | {} | {} | {} | {first:.0} / {rest:.0} | {} / {} | {:.0} |",
            self.bound,
            self.capacity,
            self.offered_factor(),
            100.0 * self.accepted_share(),
            ms(0.5),
            ms(0.99),
            answers.join(", "),
            offered.without_retry_after,
            offered.broken,
            self.ledger.accepted,
            self.stored,
            Offered::percentile_ms(&offered.delays_us, 0.99),
        )
    }
}
