//! Goal: whatever a client does to a gateway, it costs a bounded amount of memory, gets a clear answer, and others are
//! served on. Method: the real binary over a mock cluster, a fresh process for each attack, its peak of memory from the
//! kernel. Prints the table of `docs/hostile-input.md`:
//! `cargo test --workspace --test gateway hostile -- --nocapture --test-threads=1`.

mod bombs;

use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader},
    net::SocketAddr,
    process::{Child, Command, Stdio},
    time::Duration,
};

use crate::{
    harness::{Client, event, mock, request, until},
    http2::Raw,
    tls,
};

/// More than this is a leak, whatever the attack was.
const PEAK_MIB_MAX: u64 = 256;

struct Victim {
    child: Child,
    stdout: BufReader<std::process::ChildStdout>,
    gateway: SocketAddr,
    admin: SocketAddr,
    is_tls: bool,
}

impl Victim {
    fn start(brokers: &str, settings: &[(&str, &str)]) -> Victim {
        let settings = settings.iter().map(|(key, value)| (format!("FOOTFALL__GATEWAY__{key}"), value));
        let mut child = Command::new(env!("CARGO_BIN_EXE_footfall-gateway"))
            .args(["--brokers", brokers, "--topic", "events", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"])
            .envs(settings)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let mut line = || {
            let mut line = String::new();
            stdout.read_line(&mut line).unwrap();
            line.trim().to_owned()
        };
        let (gateway, admin) = (line(), line());
        let address = |line: &str| line.rsplit('/').next().unwrap().parse().expect("the address is printed");
        let (is_tls, gateway, admin) = (gateway.contains("https"), address(&gateway), address(&admin));
        let victim = Victim { child, stdout, gateway, admin, is_tls };
        until("it is ready", || victim.get("/readyz").0 == 200);
        victim
    }

    fn get(&self, path: &str) -> (u16, String) {
        let mut client = Client::connect(self.admin);
        client.send(format!("GET {path} HTTP/1.1\r\nhost: x\r\n\r\n").as_bytes());
        let reply = client.reply();
        (reply.status, reply.body)
    }

    fn metric(&self, line: &str) -> u64 {
        let text = self.get("/metrics").1;
        let value = text.lines().find_map(|found| found.strip_prefix(line)?.strip_prefix(' '));
        value.unwrap_or_else(|| panic!("no metric {line}")).parse().unwrap()
    }

    fn peak_mib(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        peak.split_whitespace().next().unwrap().parse::<u64>().unwrap() >> 10
    }

    /// The same bytes on `times` connections at once.
    fn crowd(&self, times: usize, bytes: &[u8]) -> String {
        let mut clients: Vec<Client> = (0..times).map(|_| Client::connect(self.gateway)).collect();
        std::thread::scope(|scope| {
            for client in &mut clients {
                scope.spawn(|| client.send(bytes));
            }
        });
        answers(&mut clients)
    }
}

impl Drop for Victim {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = self.stdout.get_mut();
    }
}

/// What the clients were told, each answer once.
fn answers(clients: &mut [Client]) -> String {
    let mut counts = BTreeMap::<String, usize>::new();
    for client in clients {
        let answer = client.try_reply().map_or_else(
            || "closed".to_owned(),
            |reply| format!("{} `{}`", reply.status, reply.code().unwrap_or_else(|| "ok".to_owned())),
        );
        *counts.entry(answer).or_default() += 1;
    }
    let counts: Vec<String> = counts.into_iter().map(|(answer, count)| format!("{count} x {answer}")).collect();
    counts.join(", ")
}

/// Runs one attack on a process of its own and prints its row.
#[track_caller]
fn check(brokers: &str, name: &str, settings: &[(&str, &str)], expected: &str, attack: impl FnOnce(&Victim) -> String) {
    let victim = Victim::start(brokers, settings);
    let answer = attack(&victim);
    let peak_mib = victim.peak_mib();
    eprintln!("| {name} | {answer} | {peak_mib} MiB |");
    assert!(answer.contains(expected), "{name}: {answer} is not {expected}");
    assert!(peak_mib < PEAK_MIB_MAX, "{name}: {peak_mib} MiB");
    if !victim.is_tls {
        assert_eq!(
            Client::connect(victim.gateway).post(event("other", 1)).status,
            200,
            "others are served after {name}"
        );
    }
}

#[test]
fn hostile_bodies() {
    let cluster = mock("events", 4);
    let brokers = cluster.bootstrap_servers();
    check(&brokers, "one event, for comparison", &[], "200 `ok`", |victim| {
        victim.crowd(1, &request("", event("u", 1).as_bytes()))
    });
    let bombs: [(&str, &str, Vec<u8>, &str); 6] = [
        ("gzip of 4.8 GiB in 5 MiB, 8 at once", "gzip", bombs::gzip_as_large_as_a_body(), "8 x 413 `body_too_large`"),
        ("gzip of gzip of 10 GiB, 8 at once", "gzip, gzip", bombs::gzip_of_gzip(), "8 x 413 `body_too_large`"),
        ("deflate of 4.8 GiB, 8 at once", "deflate", bombs::deflate_as_large_as_a_body(), "8 x 413 `body_too_large`"),
        ("br of 256 MiB, window of 16 MiB, 8 at once", "br", bombs::brotli(), "413 `body_too_large`"),
        ("zstd of 10 GiB, 8 at once", "zstd", bombs::zstd(), "8 x 413 `body_too_large`"),
        (
            "zstd that announces a window of 2 GiB",
            "zstd",
            bombs::zstd_with_a_huge_window(),
            "400 `malformed_compression`",
        ),
    ];
    for (name, encoding, body, expected) in bombs {
        assert!(body.len() <= 5 << 20);
        let bytes = request(&format!("content-encoding: {encoding}\r\n"), &body);
        check(&brokers, name, &[], expected, |victim| victim.crowd(8, &bytes));
    }
    for (name, text, expected) in bombs::texts() {
        check(&brokers, name, &[], expected, |victim| victim.crowd(1, &request("", &text)));
    }
}

#[test]
fn hostile_heads() {
    let cluster = mock("events", 4);
    let brokers = cluster.bootstrap_servers();
    let head = |fields: &str| format!("POST /v1/events HTTP/1.1\r\nhost: x\r\n{fields}\r\n").into_bytes();
    let large = head(&format!("x: {}\r\n", "y".repeat(10 << 20)));
    check(&brokers, "a head of 10 MB, 8 at once", &[], "8 x 431 `head_too_large`", |victim| victim.crowd(8, &large));
    for (name, fields) in [
        ("Content-Length and Transfer-Encoding", "content-length: 4\r\ntransfer-encoding: chunked\r\n"),
        ("two values of Content-Length", "content-length: 4\r\ncontent-length: 5\r\n"),
        ("Transfer-Encoding: xchunked", "transfer-encoding: xchunked\r\n"),
        ("a line feed without CR", "x: a\ncontent-length: 4\r\n"),
        ("a header over two lines", "x: a\r\n b\r\n"),
        ("a NUL in a header", "x: \0\r\n"),
    ] {
        check(&brokers, name, &[], "400 `malformed_request`", |victim| victim.crowd(1, &head(fields)));
    }
    let slow = [("HEADER_TIMEOUT", "2s")];
    check(&brokers, "1,000 heads, a byte now and then", &slow, "1000 x 408 `head_timeout`", |victim| {
        let mut clients: Vec<Client> = (0..1000).map(|_| Client::connect(victim.gateway)).collect();
        for byte in b"POST /" {
            clients.iter_mut().for_each(|client| client.send(&[*byte]));
            std::thread::sleep(Duration::from_millis(100));
        }
        answers(&mut clients)
    });
    let silent = [("BODY_SILENCE_TIMEOUT", "2s")];
    check(&brokers, "1,000 bodies of 5 MiB that stop after 64 KiB", &silent, "1000 x 408 `body_timeout`", |victim| {
        let mut clients: Vec<Client> = (0..1000).map(|_| Client::connect(victim.gateway)).collect();
        let start = [&head("content-length: 5242880\r\n")[..], &[b' '; 64 << 10]].concat();
        clients.iter_mut().for_each(|client| client.send(&start));
        answers(&mut clients)
    });
}

#[test]
fn hostile_connections() {
    let cluster = mock("events", 4);
    let brokers = cluster.bootstrap_servers();
    let many = [("CONNECTIONS_MAX", "15000"), ("HEADER_TIMEOUT", "2m"), ("IDLE_TIMEOUT", "2m")];
    for (name, start) in [
        ("10,000 connections without a byte", &b""[..]),
        ("10,000 connections with a byte of a head", b"P"),
        ("10,000 connections with half a head", b"POST /v1/events HTTP/1.1\r\nhost: x\r\nx: "),
    ] {
        check(&brokers, name, &many, "10000 open", |victim| {
            let mut clients: Vec<Client> = (0..10_000).map(|_| Client::connect(victim.gateway)).collect();
            clients.iter_mut().for_each(|client| client.send(start));
            until("all are accepted", || victim.metric("footfall_gateway_connections") >= 10_000);
            let status = Client::connect(victim.gateway).post(event("u", 1)).status;
            format!("{} open, another is served: {status}", clients.len())
        });
    }
    check(&brokers, "TLS on a port without", &[], "400 `malformed_request`", |victim| {
        victim.crowd(1, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03")
    });
    let files = tempfile::tempdir().unwrap();
    tls::write(files.path(), &tls::certificate());
    let path = |name: &str| files.path().join(name).to_str().unwrap().to_owned();
    let (cert, key) = (path("cert.pem"), path("key.pem"));
    let with_tls = [("TLS__CERT", &*cert), ("TLS__KEY", &*key), ("TLS__HANDSHAKE_TIMEOUT", "2s")];
    check(&brokers, "HTTP on a port with TLS", &with_tls, "400 `malformed_request`", |victim| {
        victim.crowd(1, &request("", event("u", 1).as_bytes()))
    });
    check(&brokers, "1,000 handshakes that stop", &with_tls, "closed", |victim| {
        let mut clients: Vec<Client> = (0..1000).map(|_| Client::connect(victim.gateway)).collect();
        clients.iter_mut().for_each(|client| client.send(b"\x16\x03\x01\x02\x00\x01\x00"));
        until("they are closed", || victim.metric("footfall_gateway_connections") == 0);
        let timeouts = victim.metric(r#"footfall_gateway_timeouts_total{phase="handshake"}"#);
        format!("closed, {timeouts} timeouts")
    });
}

#[test]
fn hostile_http2() {
    let cluster = mock("events", 4);
    let brokers = cluster.bootstrap_servers();
    let flood = |name: &str, expected: &str, attack: fn(&mut Raw)| {
        check(&brokers, name, &[], expected, |victim| {
            let mut raw = Raw::connect(victim.gateway);
            attack(&mut raw);
            raw.end()
        });
    };
    flood("100,000 streams, each reset at once", "GOAWAY 11", |raw| raw.rapid_reset(100_000));
    flood("200,000 SETTINGS, no answer read", "no GOAWAY", |raw| raw.repeat(200_000, 4, 0, 0, &[]));
    flood("200,000 PING, no answer read", "no GOAWAY", |raw| raw.repeat(200_000, 6, 0, 0, &[0; 8]));
    flood("a head of 5,000 CONTINUATION of 16 KiB", "GOAWAY 11", |raw| {
        raw.frame(1, 0, 1, &[0x83, 0x86, 0x84]);
        raw.repeat(5_000, 9, 0, 1, &[0; 16 << 10]);
    });
    flood("a header of 4 KB in the table, 8,000 times in one head", "GOAWAY 11", |raw| {
        let field = [&[0x40, 1, b'x', 0x7f, 0x81, 0x1e][..], &[b'y'; 3968]].concat();
        raw.frame(1, 5, 1, &[&[0x83, 0x86, 0x84][..], &field, &[0xbe; 8000]].concat());
    });
    flood("5,000 requests, answers not let through", "GOAWAY 11", |raw| {
        raw.frame(4, 0, 0, &[0, 4, 0, 0, 0, 0]);
        for n in 0..5_000 {
            raw.frame(1, 5, 2 * n + 1, &[0x82, 0x86, 0x84, 0x41, 1, b'x']);
        }
    });
}
