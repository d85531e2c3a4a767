//! `footfall-sink` as an operator sees it: by its admin port and its process.

use std::{
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    path::Path,
    time::Duration,
};

use super::process::Sink;

/// A running sink and its admin port.
pub(crate) struct Observed {
    pub(crate) sink: Sink,
    admin_port: u16,
}

impl Observed {
    pub(crate) fn start(brokers: &str, topic: &str, lake: &Path, environment: &[(&str, &str)]) -> Observed {
        let listener = TcpListener::bind("127.0.0.1:0").expect("loopback has free ports");
        let admin_port = listener.local_addr().expect("bound").port();
        drop(listener);
        let (admin, lake) = (format!("127.0.0.1:{admin_port}"), format!("file://{}", lake.display()));
        let flags =
            ["run", "--brokers", brokers, "--topic", topic, "--group", topic, "--lake", &lake, "--admin", &admin];
        Observed { sink: Sink::start(&flags, environment), admin_port }
    }

    fn get(&self, path: &str) -> Option<String> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.admin_port)).ok()?;
        stream.set_read_timeout(Some(Duration::from_secs(5))).ok()?;
        write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        Some(answer)
    }

    pub(crate) fn is_ready(&self) -> bool {
        self.get("/readyz").is_some_and(|answer| answer.starts_with("HTTP/1.1 200"))
    }

    /// A metric without labels; 0 while it does not answer.
    pub(crate) fn metric(&self, name: &str) -> f64 {
        let answer = self.get("/metrics").unwrap_or_default();
        let value = answer.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.parse().ok());
        value.unwrap_or(0.0)
    }

    /// The label values of a metric with one label, and its values.
    pub(crate) fn series(&self, name: &str) -> Vec<(String, f64)> {
        let answer = self.get("/metrics").unwrap_or_default();
        let of_name = answer.lines().filter_map(|line| line.strip_prefix(name)?.strip_prefix('{')?.split_once("} "));
        of_name.map(|(label, value)| (label.to_owned(), value.parse().expect("a number"))).collect()
    }

    /// Over all label values.
    pub(crate) fn sum(&self, name: &str) -> f64 {
        self.series(name).iter().map(|(_, value)| value).sum()
    }

    /// The most that was ever in RAM.
    pub(crate) fn peak_mib(&self) -> usize {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.sink.id())).expect("it runs");
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("Linux tells it");
        line.trim().trim_end_matches(" kB").parse::<usize>().expect("a number") / 1024
    }
}
