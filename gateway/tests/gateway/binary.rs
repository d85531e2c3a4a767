//! Goal: what scripts and operators meet. Method: the real binary as a child, over a mock cluster in this process.

use std::{
    io::{BufRead, BufReader, Write as _},
    net::SocketAddr,
    process::{Child, ChildStdout, Command, Stdio},
};

use flate2::{Compression, write::GzEncoder};

use crate::harness::{Client, event, mock, request, until};

const BINARY: &str = env!("CARGO_BIN_EXE_footfall-gateway");

pub(crate) struct Running {
    child: Child,
    _stdout: BufReader<ChildStdout>,
    pub(crate) gateway: SocketAddr,
    admin: SocketAddr,
}

impl Running {
    pub(crate) fn start(brokers: &str, flags: &[&str]) -> Running {
        let mut child = Command::new(BINARY)
            .args(["--brokers", brokers, "--topic", "events", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"])
            .args(flags)
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let mut address = |name: &str| {
            let mut line = String::new();
            stdout.read_line(&mut line).unwrap();
            line.trim().strip_prefix(&format!("{name} http://")).expect("the address is printed").parse().unwrap()
        };
        let (gateway, admin) = (address("gateway"), address("admin"));
        Running { child, _stdout: stdout, gateway, admin }
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn get(&self, path: &str) -> (u16, String) {
        let mut client = Client::connect(self.admin);
        client.send(format!("GET {path} HTTP/1.1\r\nhost: x\r\n\r\n").as_bytes());
        let reply = client.reply();
        (reply.status, reply.body)
    }

    /// A number of kB in `/proc/PID/status`.
    fn status_kb(&self, name: &str) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let value = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        value.split_whitespace().next().unwrap().parse().unwrap()
    }

    pub(crate) fn terminate(&mut self) -> Option<i32> {
        Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status().unwrap();
        self.child.wait().unwrap().code()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The exit code and the one line on stderr.
pub(crate) fn run(arguments: &[&str]) -> (Option<i32>, String) {
    let output = Command::new(BINARY).args(arguments).output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    let last = stderr.lines().last().unwrap_or_default().to_owned();
    (output.status.code(), last)
}

#[test]
fn it_serves_is_watched_and_ends_with_0() {
    let cluster = mock("events", 4);
    let mut running = Running::start(&cluster.bootstrap_servers(), &[]);
    until("it is ready", || running.get("/readyz").0 == 200);
    assert_eq!(running.get("/healthz").0, 200);
    let reply = Client::connect(running.gateway).post(event("u", 1));
    assert_eq!((reply.status, reply.body.as_str()), (200, r#"{"accepted":1}"#));
    let metrics = running.get("/metrics").1;
    for line in ["footfall_gateway_events_accepted_total 1\n", "footfall_build_info{binary=\"footfall-gateway\""] {
        assert!(metrics.contains(line), "{line} is missing in\n{metrics}");
    }
    assert_eq!(running.terminate(), Some(0));
}

#[test]
fn what_cannot_work_is_one_line_and_an_exit_code() {
    #[track_caller]
    fn check(arguments: &[&str], code: i32, parts: &[&str]) {
        let (found, line) = run(arguments);
        assert_eq!(found, Some(code), "{line}");
        assert!(line.starts_with("footfall-gateway: "), "{line}");
        for part in parts {
            assert!(line.contains(part), "{line} lacks {part}");
        }
    }
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    check(&["--listen", &address], 69, &["port", "in use"]);
    check(&["--lisen", "x"], 64, &["--lisen", "--listen"]);
    check(&["--partitions", "0", "--check-config"], 64, &["kafka.partitions"]);
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("gateway.toml");
    std::fs::write(&file, "[gateway]\nbody_bytes_max = 200000000\n").unwrap();
    let config = ["--check-config", "--config", file.to_str().unwrap()];
    check(&config, 64, &["gateway.in_flight_bytes_max", "gateway.body_bytes_max"]);
    std::fs::write(&file, "[kafka]\nquue_bytes_max = 1\n").unwrap();
    check(&config, 64, &["quue_bytes_max"]);
    std::fs::write(&file, "[kafka]\nlinger = \"2ms\"\n[kafka.properties]\n\"client.rack\" = \"a\"\n").unwrap();
    assert_eq!(run(&config).0, Some(0));
    for reserved in ["acks", "message.timeout.ms", "enable.gapless.guarantee"] {
        std::fs::write(&file, format!("[kafka.properties]\n\"{reserved}\" = \"1\"\n")).unwrap();
        let flags = ["--config", file.to_str().unwrap(), "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"];
        check(&flags, 64, &[reserved]);
    }
}

#[test]
fn a_broker_that_is_not_there_is_one_line() {
    let (code, line) = run(&["--brokers", "127.0.0.1:1", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"]);
    assert_eq!(code, Some(69), "{line}");
    assert!(line.contains("127.0.0.1:1") && line.contains("--brokers"), "{line}");
}

#[test]
fn a_missing_topic_is_one_line() {
    let cluster = mock("other", 1);
    let brokers = cluster.bootstrap_servers();
    let (code, line) = run(&["--brokers", &brokers, "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"]);
    assert_eq!(code, Some(69), "{line}");
    assert!(line.contains("topic events") && line.contains("--create-topics"), "{line}");
}

#[test]
fn memory_stays_flat_under_bad_input() {
    let cluster = mock("events", 4);
    let mut running = Running::start(&cluster.bootstrap_servers(), &[]);
    assert_eq!(Client::connect(running.gateway).post(event("u", 1)).status, 200);
    let before_kb = running.status_kb("VmHWM:");
    let mut bomb = GzEncoder::new(Vec::new(), Compression::best());
    let spaces = vec![b' '; 1 << 20];
    for _ in 0..1024 {
        bomb.write_all(&spaces).unwrap();
    }
    let bomb = bomb.finish().unwrap();
    assert!(bomb.len() < 2 << 20, "a bomb is small");
    let bodies = [
        (request("content-encoding: gzip\r\n", &bomb), 413),
        (request("", &b"[".repeat(5 << 20)), 400),
        (request("", &b"{},".repeat((5 << 20) / 3)), 400),
        (request("", format!("[{}{{}}]", "{},".repeat((4 << 20) / 3)).as_bytes()), 413),
        (request("", &b"{}\n".repeat((5 << 20) / 3)), 413),
        (request("", &b" ".repeat(6 << 20)), 413),
        (request("", format!("{{\"a\":\"{}", "\\u00e4".repeat(800_000)).as_bytes()), 400),
        (request("", format!("[{}1]", "1,".repeat(2 << 20)).as_bytes()), 413),
    ];
    for round in 0..3 {
        let address = running.gateway;
        let sent: Vec<_> = bodies
            .iter()
            .cloned()
            .map(|(body, status)| {
                std::thread::spawn(move || {
                    let mut client = Client::connect(address);
                    client.send(&body);
                    (client.reply().status, status)
                })
            })
            .collect();
        for (number, sent) in sent.into_iter().enumerate() {
            let (status, expected) = sent.join().unwrap();
            assert_eq!(status, expected, "body {number} in round {round}");
        }
    }
    let peak_kb = running.status_kb("VmHWM:");
    assert!(peak_kb < before_kb + (160 << 10), "memory went from {before_kb} kB to {peak_kb} kB");
    eprintln!("peak of memory {} MiB, before {} MiB", peak_kb >> 10, before_kb >> 10);
    assert_eq!(Client::connect(running.gateway).post(event("u", 2)).status, 200);
    assert_eq!(running.terminate(), Some(0));
}
