//! `footfall-sink` as a child process.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex},
    thread::JoinHandle,
    time::{Duration, Instant},
};

/// A running sink; dropping it kills it.
pub(crate) struct Sink {
    process: Child,
    stdout: Heard,
    stderr: Heard,
}

/// What came through a pipe so far.
struct Heard {
    text: Arc<Mutex<String>>,
    listening: JoinHandle<()>,
}

impl Heard {
    fn from(pipe: impl Read + Send + 'static) -> Heard {
        let text = Arc::new(Mutex::new(String::new()));
        let heard = Arc::clone(&text);
        let listening = std::thread::spawn(move || {
            for line in BufReader::new(pipe).lines() {
                *heard.lock().expect("no panic") += &format!("{}\n", line.expect("text"));
            }
        });
        Heard { text, listening }
    }

    fn text(&self) -> String {
        self.text.lock().expect("no panic").clone()
    }
}

impl Sink {
    pub(crate) fn start(flags: &[&str], environment: &[(&str, &str)]) -> Sink {
        let mut command = Command::new(env!("CARGO_BIN_EXE_footfall-sink"));
        // What the machine knows of clouds is not for tests.
        for (key, _) in std::env::vars_os().filter(|(key, _)| key.to_string_lossy().starts_with("AWS_")) {
            command.env_remove(key);
        }
        command.args(flags).envs(environment.iter().copied()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut process = command.spawn().expect("the sink's binary");
        let stdout = Heard::from(process.stdout.take().expect("piped"));
        let stderr = Heard::from(process.stderr.take().expect("piped"));
        Sink { process, stdout, stderr }
    }

    /// What it has written to stderr so far.
    pub(crate) fn said(&self) -> String {
        self.stderr.text()
    }

    /// Asks its admin port; empty while that does not answer.
    pub(crate) fn admin(&self, path: &str) -> String {
        let announced = self.stdout.text();
        let address = announced.lines().find_map(|line| line.strip_prefix("admin http://"));
        let asked = address.and_then(|address| TcpStream::connect(address).ok()).and_then(|mut stream| {
            write!(stream, "GET {path} HTTP/1.1\r\nHost: sink\r\nConnection: close\r\n\r\n").ok()?;
            let mut answer = String::new();
            stream.read_to_string(&mut answer).ok()?;
            Some(answer)
        });
        asked.unwrap_or_default()
    }

    pub(crate) fn is_ready(&self) -> bool {
        self.admin("/readyz").contains(" 200 ")
    }

    /// The value of a series at the moment.
    pub(crate) fn value(&self, series: &str) -> f64 {
        let metrics = self.admin("/metrics");
        let value = metrics.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' ')?.parse().ok());
        value.unwrap_or_default()
    }

    /// Creates and looks that failed for a reason.
    pub(crate) fn store_errors(&self, reason: &str) -> f64 {
        self.value(&format!("footfall_sink_store_errors_total{{reason=\"{reason}\"}}"))
    }

    /// SIGKILL.
    pub(crate) fn kill(&mut self) {
        self.process.kill().expect("it runs");
        self.process.wait().expect("it has ended");
    }

    /// SIGTERM.
    pub(crate) fn terminate(&self) {
        self.signal("TERM");
    }

    /// A signal by its name.
    pub(crate) fn signal(&self, name: &str) {
        let status = Command::new("kill").args(["-s", name, &self.process.id().to_string()]).status();
        assert!(status.expect("kill").success());
    }

    /// Does it stand still after SIGSTOP?
    pub(crate) fn is_stopped(&self) -> bool {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.id())).expect("it runs");
        stat.rsplit(") ").next().is_some_and(|rest| rest.starts_with('T'))
    }

    pub(crate) fn id(&self) -> u32 {
        self.process.id()
    }

    /// Exit code and stderr, once it ends by itself.
    pub(crate) fn end(mut self) -> (Option<i32>, String) {
        let deadline = Instant::now() + Duration::from_secs(120);
        let code = loop {
            if let Some(status) = self.process.try_wait().expect("a status") {
                break status.code();
            }
            assert!(Instant::now() < deadline, "the sink does not end");
            std::thread::sleep(Duration::from_millis(20));
        };
        while !self.stderr.listening.is_finished() {
            std::thread::sleep(Duration::from_millis(5));
        }
        (code, self.said())
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        if std::thread::panicking() {
            eprintln!("a sink that a failed test killed had said:\n{}", self.said());
        }
    }
}

/// Exit code, stdout and stderr of a command that ends by itself.
pub(crate) fn output(flags: &[&str]) -> (Option<i32>, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_footfall-sink")).args(flags).output().expect("the sink's binary");
    let text = |bytes| String::from_utf8(bytes).expect("text");
    (output.status.code(), text(output.stdout), text(output.stderr))
}

/// Waits until something holds.
#[track_caller]
pub(crate) fn wait_for(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(90);
    while !holds() {
        assert!(Instant::now() < deadline, "{what} does not happen");
        std::thread::sleep(Duration::from_millis(50));
    }
}
