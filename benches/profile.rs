//! What each microsecond of the gateway is: samples by `perf`, put into rooms.
//!
//! Needs Linux's perf and the right to use it. A sample belongs to the room of the function it was taken in, or to the
//! system call where that was in the kernel, and a room's share of the samples is its share of the processor time that
//! `/proc` counted meanwhile. What the compiler has inlined counts for the function it was inlined into: `parse`,
//! `validate` and `encode` are told apart by the benches of those names. The README beside this file says how to run it.

use std::{
    collections::BTreeMap,
    env,
    error::Error,
    path::Path,
    process::{Command, ExitCode},
    time::{Duration, Instant},
};

use benches::{broker::Broker, clickstream::Clickstream, load::Load, rounds::setting, server::Server};

/// Events of a request, and connections.
const CASES: [(usize, usize); 3] = [(100, 64), (1, 64), (1, 512)];

fn main() -> ExitCode {
    if !env::args().any(|word| word == "--bench") {
        eprintln!("profile: measured by cargo bench only");
        return ExitCode::SUCCESS;
    }
    match measure() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("profile: {error}");
            ExitCode::FAILURE
        }
    }
}

fn measure() -> Result<(), Box<dyn Error>> {
    let broker = Broker::start()?;
    for (batch, connections) in CASES {
        let profile = Profile::take(&broker, batch, connections)?;
        eprintln!("\n{batch} a request, {connections} connections: {:.2} us an event\n", profile.us_per_event);
        profile.print();
    }
    Ok(())
}

/// Processor time by thread and room.
struct Profile {
    us_per_event: f64,
    samples: BTreeMap<(&'static str, &'static str), u64>,
    /// Of the samples in no known room, the functions.
    unknown: BTreeMap<String, u64>,
}

impl Profile {
    fn take(broker: &Broker, batch: usize, connections: usize) -> Result<Profile, Box<dyn Error>> {
        let server = Server::start(broker, &[])?;
        let bodies = Clickstream::new(1).bodies(20_000 / batch, batch);
        let mut load = Load::open(server.listen, connections, "/v1/events", &bodies)?;
        let seconds = setting("FOOTFALL_BENCH_SECONDS", 10);
        run(&mut load, connections, Duration::from_secs(2))?;
        let folder = tempfile::tempdir()?;
        let data = folder.path().join("perf.data");
        let mut perf = Command::new("perf")
            .args(["record", "-q", "-e", "cpu-clock", "-F", "997", "-g", "-p", &server.process.id().to_string(), "-o"])
            .arg(&data)
            .args(["--", "sleep", &seconds.to_string()])
            .spawn()
            .map_err(|error| format!("perf: {error}: apt-get install linux-perf"))?;
        let before = server.process.cpu()?;
        let accepted = run(&mut load, connections, Duration::from_secs(seconds))?;
        let cpu = server.process.cpu()?.saturating_sub(before);
        if !perf.wait()?.success() {
            return Err("perf record failed: run as root, or lower kernel.perf_event_paranoid".into());
        }
        drop(load);
        server.process.stop()?;
        broker.delete(&server.topic)?;
        let us_per_event = cpu.as_secs_f64() * 1e6 / accepted as f64;
        Profile::read(&data, us_per_event)
    }

    fn read(data: &Path, us_per_event: f64) -> Result<Profile, Box<dyn Error>> {
        let script =
            Command::new("perf").args(["script", "--no-inline", "-F", "comm,ip,sym", "-i"]).arg(data).output()?;
        let text = String::from_utf8_lossy(&script.stdout);
        let (mut samples, mut unknown) = (BTreeMap::new(), BTreeMap::new());
        for sample in text.split("\n\n").filter(|sample| !sample.trim().is_empty()) {
            let mut lines = sample.trim().lines();
            let thread = thread(lines.next().unwrap_or_default());
            let stack: Vec<&str> = lines.filter_map(|line| Some(line.trim().split_once(' ')?.1)).collect();
            let leaf = stack.first().copied().unwrap_or_default();
            let room = system_call(&stack).or(room(thread, leaf));
            if room.is_none() {
                *unknown.entry(leaf.to_owned()).or_default() += 1;
            }
            *samples.entry((thread, room.unwrap_or("other"))).or_default() += 1;
        }
        Ok(Profile { us_per_event, samples, unknown })
    }

    fn print(&self) {
        let total: u64 = self.samples.values().sum();
        let mut rows: Vec<_> = self.samples.iter().collect();
        rows.sort_by_key(|(_, samples)| std::cmp::Reverse(**samples));
        eprintln!("| threads | what | us an event | share |\n|---|---|---|---|");
        for ((thread, room), samples) in rows {
            let share = *samples as f64 / total as f64;
            eprintln!("| {thread} | {room} | {:.3} | {:.1} % |", share * self.us_per_event, 100.0 * share);
        }
        let mut unknown: Vec<_> = self.unknown.iter().collect();
        unknown.sort_by_key(|(_, samples)| std::cmp::Reverse(**samples));
        for (function, samples) in unknown.iter().take(setting("FOOTFALL_BENCH_OTHERS", 5)) {
            eprintln!("other: {:.1} %: {function}", 100.0 * **samples as f64 / total as f64);
        }
    }
}

/// Says how many events were accepted.
fn run(load: &mut Load, connections: usize, duration: Duration) -> Result<u64, Box<dyn Error>> {
    let (from, mut accepted) = (Instant::now(), 0);
    while from.elapsed() < duration {
        let outcome = load.send(4 * connections)?;
        if let Some(refusal) = outcome.refusal {
            return Err(format!("a request was refused: {refusal}").into());
        }
        accepted += outcome.accepted;
    }
    Ok(accepted)
}

fn thread(line: &str) -> &'static str {
    match line.trim() {
        name if name.starts_with("rdk:") => "librdkafka",
        name if name.starts_with("tokio") => "tokio",
        name if name.contains("kafka") || name.contains("poll") => "delivery reports",
        _ => "others",
    }
}

/// What a sample in the kernel was for.
fn system_call(stack: &[&str]) -> Option<&'static str> {
    const CALLS: [(&str, &[&str]); 4] = [
        ("kernel: wait for sockets", &["do_epoll_wait", "ep_poll", "do_sys_poll", "do_epoll_ctl"]),
        ("kernel: wait for and wake threads", &["do_futex", "futex_wait", "futex_wake"]),
        ("kernel: read from sockets", &["ksys_read", "vfs_read", "do_readv", "__sys_recv", "sock_recvmsg"]),
        ("kernel: write to sockets", &["ksys_write", "vfs_write", "do_writev", "__sys_send", "sock_sendmsg"]),
    ];
    let is_in = |names: &[&str]| stack.iter().any(|function| names.iter().any(|name| function.starts_with(name)));
    let call = CALLS.iter().find(|(_, names)| is_in(names)).map(|(call, _)| *call);
    call.or_else(|| {
        is_in(&["entry_SYSCALL", "do_syscall", "asm_", "ret_from_fork", "el0t_"]).then_some("kernel: other")
    })
}

/// The room of a function.
fn room(thread: &str, function: &str) -> Option<&'static str> {
    const ROOMS: [(&str, &[&str]); 10] = [
        ("parse", &["sonic_rs", "gateway::dialect", "simdutf8", "memchr"]),
        ("validate, encode", &["gateway::batch", "event::"]),
        ("body", &["gateway::body"]),
        ("gateway, other", &["gateway::", "operator::", "prometheus_client"]),
        ("HTTP", &["hyper", "httparse", "http::", "http_body"]),
        ("tokio", &["tokio", "mio::", "futures"]),
        ("compression, checksums", &["LZ4", "lz4", "crc32", "XXH", "rd_murmur", "mtl_"]),
        ("librdkafka", &["rd_", "rdkafka", "rdk_", "mtx_", "cnd_", "unittest"]),
        ("locks", &["pthread", "__lll", "lock"]),
        ("memory", &["malloc", "free", "calloc", "realloc", "_int_", "unlink_chunk", "mem", "__mem", "sysmalloc"]),
    ];
    let is_in = |names: &[&str]| names.iter().any(|name| function.trim_start_matches('<').starts_with(name));
    let found = ROOMS.iter().find(|(_, names)| is_in(names)).map(|(room, _)| *room);
    match found {
        Some("librdkafka") if thread == "tokio" => Some("hand-over to librdkafka"),
        found => found,
    }
}
