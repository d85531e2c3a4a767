//! What an acknowledged event costs the gateway, beside the floor, on a real Kafka.
//!
//! Both programs run as processes of their own and take turns; the cost is the server's processor time, which criterion
//! sees as the time of one iteration. A run is void, and stops the bench, unless every answer is a `200` and the topic
//! grew by exactly what was accepted. The README beside this file says how to run it and how to read it.

use std::{
    env,
    error::Error,
    io,
    net::{SocketAddr, TcpListener},
    process::{Command, ExitCode},
    thread,
    time::{Duration, Instant},
};

use benches::{
    broker::{Broker, PARTITIONS},
    clickstream::{Clickstream, Dialect},
    load::Load,
    offer::{Offer, Offered},
    process::{Process, binary, myself},
    rounds::{FLOOR, Run, alternate, keep, setting, table, us_per_event},
    server::wait_until_accepting,
};
use criterion::{BenchmarkGroup, Criterion, SamplingMode, Throughput, measurement::WallTime};

#[path = "floor/gateway.rs"]
mod floor;

/// Samples of a round, the fewest that criterion takes.
const SAMPLES: usize = 10;

struct Case {
    batch: usize,
    connections: usize,
    /// At one event a request most of the cost is wake-ups, which vary: more rounds.
    rounds: usize,
}

const CASES: [Case; 3] = [
    Case { batch: 100, connections: 64, rounds: 3 },
    Case { batch: 1, connections: 64, rounds: 6 },
    Case { batch: 1, connections: 512, rounds: 6 },
];

fn main() -> ExitCode {
    let words: Vec<String> = env::args().collect();
    match words.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [_, FLOOR, listen, brokers, topic] => floor::serve(listen, brokers, topic),
        _ if !words.iter().any(|word| word == "--bench") => eprintln!("gateway: measured by cargo bench only"),
        _ => {
            if let Err(error) = measure() {
                eprintln!("gateway: {error}");
                return ExitCode::FAILURE;
            }
        }
    }
    ExitCode::SUCCESS
}

fn measure() -> Result<(), Box<dyn Error>> {
    let programs = Program::all()?;
    let broker = Broker::start()?;
    let mut criterion = Criterion::default().without_plots().configure_from_args();
    let mut runs = Vec::new();
    warm_up(&broker, &programs[0])?;
    for case in &CASES {
        let requests = if case.batch == 1 { 20_000 } else { 100_000 / case.batch };
        let bodies = [Dialect::Native, Dialect::Segment]
            .map(|dialect| Clickstream::new(1).bodies_of(dialect, requests, case.batch));
        let programs: Vec<&Program> =
            programs.iter().filter(|program| program.dialect == Dialect::Native || case.batch > 1).collect();
        let name = format!("{} a POST, {} connections", case.batch, case.connections);
        let mut group = criterion.benchmark_group(format!("gateway/{name}"));
        configure(&mut group);
        for (round, turn) in alternate(programs.len(), setting("FOOTFALL_BENCH_ROUNDS", case.rounds)) {
            let program = programs[turn];
            let bodies = &bodies[program.dialect as usize];
            let mut session = None;
            group.bench_function(format!("{}/{}", program.name, round + 1), |bencher| {
                // Outside of what criterion times: it estimates from the first sample how many events a sample takes.
                let session = session.get_or_insert_with(|| {
                    Session::start(&broker, program, case, bodies).unwrap_or_else(|error| void(program, &*error))
                });
                bencher.iter_custom(|events| session.sample(events).unwrap_or_else(|error| void(program, &*error)));
            });
            if let Some(session) = session {
                runs.push(session.finish(&name, round).unwrap_or_else(|error| void(program, &*error)));
            }
        }
        group.finish();
    }
    eprintln!("\n{}\nkept in {}", table(&runs), keep("gateway", &runs)?.display());
    Ok(())
}

fn configure(group: &mut BenchmarkGroup<'_, WallTime>) {
    group.throughput(Throughput::Elements(1)).sampling_mode(SamplingMode::Flat).sample_size(SAMPLES);
    group.warm_up_time(Duration::from_secs(3));
    group.measurement_time(Duration::from_secs(setting("FOOTFALL_BENCH_SECONDS", 10)));
}

/// Criterion has no way to give up: a run that proves nothing ends the bench.
fn void(program: &Program, error: &dyn Error) -> ! {
    panic!("void: {}: {error}", program.name)
}

/// The broker's own warm-up: its first minute costs the servers more.
fn warm_up(broker: &Broker, program: &Program) -> Result<(), Box<dyn Error>> {
    let case = &CASES[0];
    let bodies = Clickstream::new(2).bodies(100, case.batch);
    let mut session = Session::start(broker, program, case, &bodies)?;
    let from = Instant::now();
    while from.elapsed() < Duration::from_secs(10) {
        session.sample(100_000)?;
    }
    session.finish("warm-up", 0)?;
    Ok(())
}

/// A server to measure: its words may hold `{listen}`, `{brokers}` and `{topic}`.
struct Program {
    name: String,
    path: std::path::PathBuf,
    words: Vec<String>,
    dialect: Dialect,
}

impl Program {
    /// The floor, the product, and another server where `FOOTFALL_BENCH_PEER` names one (`NAME=COMMAND WORD...`).
    fn all() -> Result<Vec<Program>, Box<dyn Error>> {
        let product = binary("footfall-gateway", &["event", "journal", "operator", "gateway"])?;
        let flags = "--brokers {brokers} --topic {topic} --listen {listen} --admin 127.0.0.1:0";
        let flags = format!("{flags} --create-topics --partitions {PARTITIONS}");
        let mut programs = vec![
            Program::new(FLOOR, myself()?.get_program().into(), "floor {listen} {brokers} {topic}"),
            Program::new("footfall-gateway", product.clone(), &flags),
            Program { dialect: Dialect::Segment, ..Program::new("footfall-gateway, Segment", product, &flags) },
        ];
        if let Ok(peer) = env::var("FOOTFALL_BENCH_PEER") {
            let parts = peer.split_once('=').and_then(|(name, command)| Some((name, command.split_once(' ')?)));
            let (name, (path, words)) = parts.ok_or("FOOTFALL_BENCH_PEER: not of the form NAME=COMMAND WORD...")?;
            programs.push(Program::new(name, path.into(), words));
        }
        Ok(programs)
    }

    fn new(name: &str, path: std::path::PathBuf, words: &str) -> Program {
        let words = words.split_whitespace().map(str::to_owned).collect();
        Program { name: name.into(), path, words, dialect: Dialect::Native }
    }

    fn start(&self, listen: SocketAddr, brokers: &str, topic: &str) -> io::Result<Process> {
        let listen = listen.to_string();
        let fill =
            |word: &String| word.replace("{listen}", &listen).replace("{brokers}", brokers).replace("{topic}", topic);
        Process::start(Command::new(&self.path).args(self.words.iter().map(fill)).env("RUST_LOG", "warn"))
    }
}

/// One server under load.
struct Session<'a> {
    broker: &'a Broker,
    program: &'a Program,
    case: &'a Case,
    topic: String,
    listen: SocketAddr,
    bodies: &'a [String],
    server: Process,
    load: Load,
    /// Records in the topic before the first sample.
    count: u64,
    samples: Vec<Sample>,
}

struct Sample {
    accepted: u64,
    cpu: Duration,
    cpu_with_ended_threads: Duration,
    wall: Duration,
    latencies_us: Vec<u32>,
}

impl<'a> Session<'a> {
    fn start(
        broker: &'a Broker,
        program: &'a Program,
        case: &'a Case,
        bodies: &'a [String],
    ) -> Result<Session<'a>, Box<dyn Error>> {
        let topic = broker.topic()?;
        let listen = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        let mut server = program.start(listen, broker.addresses(), &topic)?;
        wait_until_accepting(listen, &mut server)?;
        let mut load = Load::open(listen, case.connections, program.dialect.path(), bodies)?;
        // The first request makes the producer look up the topic.
        let from = Instant::now();
        while load.send(1)?.refusal.is_some() {
            if from.elapsed() > Duration::from_secs(30) {
                return Err("the server refuses the first request for 30 s".into());
            }
            thread::sleep(Duration::from_millis(100));
        }
        let count = broker.count(&topic)?;
        Ok(Session { broker, program, case, topic, listen, bodies, server, load, count, samples: Vec::new() })
    }

    /// Sends this many events and says what they cost the server, in whole requests.
    fn sample(&mut self, events: u64) -> Result<Duration, Box<dyn Error>> {
        let requests = usize::try_from(events)?.div_ceil(self.case.batch);
        let (cpu, ticks, from) = (self.server.cpu()?, self.server.cpu_with_ended_threads()?, Instant::now());
        let outcome = self.load.send(requests)?;
        let sample = Sample {
            accepted: outcome.accepted,
            cpu: self.server.cpu()?.saturating_sub(cpu),
            cpu_with_ended_threads: self.server.cpu_with_ended_threads()?.saturating_sub(ticks),
            wall: from.elapsed(),
            latencies_us: outcome.latencies_us,
        };
        if let Some(refusal) = outcome.refusal {
            return Err(format!("a request was refused: {refusal}").into());
        }
        if sample.accepted != (requests * self.case.batch) as u64 {
            return Err(format!("accepted {} of {requests} requests", sample.accepted).into());
        }
        let cost = sample.cpu.mul_f64(events as f64 / sample.accepted as f64);
        self.samples.push(sample);
        // Criterion takes no time of zero, and its first warm-up sample of one event may cost less than is counted.
        Ok(cost.max(Duration::from_nanos(1)))
    }

    /// Offers half of what the closed loop reached, over as many connections.
    fn at_half(&self, events_per_second: f64) -> io::Result<Offered> {
        let offer = Offer {
            address: self.listen,
            path: self.program.dialect.path(),
            bodies: self.bodies,
            requests_per_second: events_per_second / 2.0 / self.case.batch as f64,
            duration: Duration::from_secs(setting("FOOTFALL_BENCH_SECONDS", 10)),
            connections: self.case.connections,
        };
        offer.run(|| ())
    }

    fn finish(self, case: &str, round: usize) -> Result<Run, Box<dyn Error>> {
        // The samples before are criterion's warm-up.
        let measured = &self.samples[self.samples.len().saturating_sub(SAMPLES)..];
        let events: u64 = measured.iter().map(|sample| sample.accepted).sum();
        let wall: Duration = measured.iter().map(|sample| sample.wall).sum();
        let rss_peak_mib = self.server.rss_peak_bytes()? as f64 / f64::from(1 << 20);
        let half = self.at_half(events as f64 / wall.as_secs_f64())?;
        if half.answers.keys().any(|code| code != "ok") || half.broken > 0 {
            return Err(format!("refused at half of capacity: {:?}", half.answers).into());
        }
        let accepted = half.accepted + self.samples.iter().map(|sample| sample.accepted).sum::<u64>();
        let stored = self.broker.count(&self.topic)? - self.count;
        if stored != accepted {
            return Err(format!("accepted {accepted} events, but the topic grew by {stored}").into());
        }
        self.server.stop()?;
        self.broker.delete(&self.topic)?;
        let sum = |field: fn(&Sample) -> Duration| measured.iter().map(field).sum::<Duration>();
        let (cpu, ticks) = (sum(|sample| sample.cpu), sum(|sample| sample.cpu_with_ended_threads));
        if ticks > cpu.mul_f64(1.05) + Duration::from_millis(20 * SAMPLES as u64) {
            return Err(format!("threads ended during the run: {cpu:?} counted, {ticks:?} used").into());
        }
        let mut latencies: Vec<u32> = measured.iter().flat_map(|sample| &sample.latencies_us).copied().collect();
        latencies.sort_unstable();
        let ms = |sorted_us: &[u32], share| Some(Offered::percentile_ms(sorted_us, share));
        Ok(Run {
            case: case.into(),
            program: self.program.name.clone(),
            round: round + 1,
            events,
            cpu_us_per_event: us_per_event(cpu, events),
            events_per_second: events as f64 / wall.as_secs_f64(),
            rss_peak_mib,
            p50_ms: ms(&latencies, 0.5),
            p99_ms: ms(&latencies, 0.99),
            half_p50_ms: ms(&half.latencies_us, 0.5),
            half_p99_ms: ms(&half.latencies_us, 0.99),
            bytes_per_event: None,
            files: None,
        })
    }
}
