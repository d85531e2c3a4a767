//! How much memory connections take: many that are idle, and few that are busy.
//!
//! The resident bytes of the release binary, on a real Kafka. Idle connections are counted twice: before their first
//! request, and after each has had one answered and keeps its buffers. The README beside this file says how to run it.

use std::{env, error::Error, net::SocketAddr, process::ExitCode, time::Duration};

use benches::{broker::Broker, clickstream::Clickstream, load::Load, offer::Offer, rounds::setting, server::Server};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::{net::TcpStream, runtime::Builder, time::sleep};

const BUSY: usize = 64;

fn main() -> ExitCode {
    if !env::args().any(|word| word == "--bench") {
        eprintln!("memory: measured by cargo bench only");
        return ExitCode::SUCCESS;
    }
    match measure() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("memory: {error}");
            ExitCode::FAILURE
        }
    }
}

fn measure() -> Result<(), Box<dyn Error>> {
    let idle: usize = setting("FOOTFALL_BENCH_CONNECTIONS", 10_000);
    open_files(idle as u64 + 200)?;
    let broker = Broker::start()?;
    eprintln!("| state | RSS MiB | KiB a connection |\n|---|---|---|");
    busy(&broker, 100)?;
    busy(&broker, 1)?;
    self::idle(&broker, idle)
}

/// A row of the table: `base` bytes are those without connections.
fn row(state: &str, bytes: u64, base: u64, connections: usize) {
    let each = bytes.saturating_sub(base) as f64 / 1024.0 / connections as f64;
    eprintln!("| {state} | {:.1} | {each:.1} |", bytes as f64 / f64::from(1 << 20));
}

/// The peak under a closed loop.
fn busy(broker: &Broker, batch: usize) -> Result<(), Box<dyn Error>> {
    let server = Server::start(broker, &[])?;
    let base = server.process.rss_bytes()?;
    let bodies = Clickstream::new(1).bodies(20_000 / batch, batch);
    let offer = Offer {
        address: server.listen,
        path: "/v1/events",
        bodies: &bodies,
        // More than it can take: every connection is busy at all times.
        requests_per_second: 1e6,
        duration: Duration::from_secs(setting("FOOTFALL_BENCH_SECONDS", 20)),
        connections: BUSY,
    };
    let offered = offer.run(|| ())?;
    if offered.answers.len() != 1 || offered.accepted == 0 {
        return Err(format!("refused below capacity: {:?}", offered.answers).into());
    }
    row(&format!("{BUSY} busy, {batch} events a request, peak"), server.process.rss_peak_bytes()?, base, BUSY);
    server.process.stop()?;
    Ok(broker.delete(&server.topic)?)
}

fn idle(broker: &Broker, connections: usize) -> Result<(), Box<dyn Error>> {
    let settings = [
        ("FOOTFALL__GATEWAY__CONNECTIONS_MAX", (connections + 100).to_string()),
        ("FOOTFALL__GATEWAY__IDLE_TIMEOUT", "10m".to_owned()),
        ("FOOTFALL__GATEWAY__HEADER_TIMEOUT", "10m".to_owned()),
    ];
    let server = Server::start(broker, &settings)?;
    let body = Clickstream::new(1).bodies(1, 1);
    // One request first: the log's client takes its memory then.
    Load::open(server.listen, 1, "/v1/events", &body)?.send(1)?;
    let base = server.process.rss_bytes()?;
    row("no connection", base, base, 1);
    let open = open(server.listen, connections)?;
    row(&format!("{connections} open, before their first request"), server.process.rss_bytes()?, base, connections);
    drop(open);
    let mut load = Load::open(server.listen, connections, "/v1/events", &body)?;
    let outcome = load.send_on_each()?;
    if let Some(refusal) = outcome.refusal {
        return Err(format!("a request was refused: {refusal}").into());
    }
    std::thread::sleep(Duration::from_secs(2));
    row(&format!("{connections} idle, after a request on each"), server.process.rss_bytes()?, base, connections);
    let held = server.metrics()?.get("footfall_gateway_connections").copied().unwrap_or_default();
    drop(load);
    server.process.stop()?;
    broker.delete(&server.topic)?;
    if held as usize == connections { Ok(()) } else { Err(format!("the gateway holds {held} connections").into()) }
}

/// Opens connections and waits until the gateway has taken them up.
fn open(address: SocketAddr, connections: usize) -> Result<Vec<TcpStream>, Box<dyn Error>> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut open = Vec::with_capacity(connections);
        for _ in 0..connections {
            open.push(TcpStream::connect(address).await?);
        }
        sleep(Duration::from_secs(2)).await;
        Ok(open)
    })
}

/// Both processes hold a file for each connection; the gateway inherits the limit.
fn open_files(files: u64) -> Result<(), Box<dyn Error>> {
    let mut limit = getrlimit(Resource::Nofile);
    if limit.current.is_none_or(|current| current >= files) {
        return Ok(());
    }
    limit.maximum = limit.maximum.map(|maximum| maximum.max(files));
    limit.current = Some(files);
    setrlimit(Resource::Nofile, Rlimit { ..limit })
        .map_err(|error| format!("cannot open {files} files ({error}): raise the limit, ulimit -n {files}").into())
}
