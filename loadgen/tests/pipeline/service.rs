//! The product's real binaries as child processes: started on free ports, killed, restarted, and ended with the test.
use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use kafka::Broker;
use tempfile::TempDir;

/// Partitions of a test's topic.
pub(crate) const PARTITIONS: u32 = 12;

/// One of the workspace's binaries. `cargo test --workspace` builds them all beside the load generator's.
pub(crate) fn binary(name: &str) -> PathBuf {
    let beside = Path::new(env!("CARGO_BIN_EXE_footfall-loadgen")).with_file_name(name);
    assert!(
        beside.is_file(),
        "{} is not built: run `cargo test --workspace`, or `cargo build --workspace` first",
        beside.display()
    );
    beside
}

/// A new folder for one test, deleted with it; or one below `FOOTFALL_TEST_FOLDER`, kept so that others can look at the lake.
pub(crate) fn folder(test: &str) -> TempDir {
    match std::env::var_os("FOOTFALL_TEST_FOLDER") {
        None => tempfile::tempdir().expect("a temporary folder"),
        Some(parent) => {
            let prefix = format!("{test}-");
            let mut folder = tempfile::Builder::new().prefix(&prefix).tempdir_in(parent).expect("a writable folder");
            folder.disable_cleanup(true);
            eprintln!("kept: {}", folder.path().display());
            folder
        }
    }
}

/// A port that was free a moment ago. A service that is killed and restarted must come back on the same one.
pub(crate) fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback has free ports");
    listener.local_addr().expect("a bound listener has an address").port()
}

/// A running binary with its admin port. What it logs goes to `<name>.log` in `folder`, across restarts.
#[derive(Debug)]
pub(crate) struct Service {
    name: String,
    binary: PathBuf,
    arguments: Vec<String>,
    admin_port: u16,
    log: PathBuf,
    /// Variables of the environment, beside this process's own.
    environment: Vec<(String, String)>,
    child: Option<Child>,
}

impl Service {
    /// Starts `binary arguments... --admin 127.0.0.1:<free>` and waits until it is ready.
    pub(crate) fn start(name: &str, binary_name: &str, arguments: &[String], folder: &Path) -> Service {
        let mut service = Service::stopped(name, binary_name, arguments, folder);
        service.restart();
        service
    }

    /// One that has not been started yet.
    pub(crate) fn stopped(name: &str, binary_name: &str, arguments: &[String], folder: &Path) -> Service {
        let admin_port = free_port();
        let mut arguments = arguments.to_vec();
        arguments.extend(["--admin".to_owned(), format!("127.0.0.1:{admin_port}")]);
        let log = folder.join(format!("{name}.log"));
        let (name, binary, environment) = (name.to_owned(), binary(binary_name), Vec::new());
        Service { name, binary, arguments, admin_port, log, environment, child: None }
    }

    /// Sets a variable for the next starts.
    pub(crate) fn set(&mut self, variable: &str, value: &str) {
        self.environment.retain(|(name, _)| name != variable);
        self.environment.push((variable.to_owned(), value.to_owned()));
    }

    /// Starts it once with a failpoint (see `sink/src/failpoint.rs`) and waits until it has killed itself there.
    pub(crate) fn must_die_at(&mut self, failpoint: &str) {
        let before = self.environment.clone();
        self.set("FOOTFALL_FAILPOINT", failpoint);
        self.spawn();
        self.environment = before;
        let mut child = self.child.take().expect("it was just started");
        let deadline = Instant::now() + Duration::from_secs(90);
        loop {
            if let Some(status) = child.try_wait().expect("our own child can be waited for") {
                let logged = self.logged();
                assert_eq!(status.signal(), Some(9), "{} at {failpoint} ended with {status}: {logged}", self.name);
                return;
            }
            if Instant::now() > deadline {
                child.kill().expect("our own child can be killed");
                panic!("{} did not come to {failpoint}, perhaps for lack of events: {}", self.name, self.logged());
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Starts it again with the same arguments and waits until it is ready.
    pub(crate) fn restart(&mut self) {
        self.spawn();
        self.wait_until_ready();
    }

    /// SIGKILL: nothing of the process runs after this line.
    pub(crate) fn kill_9(&mut self) {
        let mut child = self.child.take().expect("it is running");
        child.kill().expect("our own child can be killed");
        child.wait().expect("our own child can be waited for");
    }

    /// SIGTERM, and then a clean end within a minute.
    pub(crate) fn terminate(&mut self) {
        let mut child = self.child.take().expect("it is running");
        let pid = rustix::process::Pid::from_child(&child);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).expect("our own child takes a signal");
        let deadline = Instant::now() + Duration::from_secs(60);
        loop {
            if let Some(status) = child.try_wait().expect("our own child can be waited for") {
                assert!(status.success(), "{} ended with {status} after SIGTERM: {}", self.name, self.logged());
                return;
            }
            if Instant::now() > deadline {
                child.kill().expect("our own child can be killed");
                panic!("{} did not end within a minute of SIGTERM: {}", self.name, self.logged());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// How many label values a metric has at the moment.
    pub(crate) fn series(&self, metric: &str) -> usize {
        let text = get(self.admin_port, "/metrics").map(|(_, body)| body).unwrap_or_default();
        text.lines().filter(|line| line.strip_prefix(metric).is_some_and(|rest| rest.starts_with('{'))).count()
    }

    /// The value of a metric without labels at the moment.
    pub(crate) fn value(&self, metric: &str) -> Option<f64> {
        let (_, text) = get(self.admin_port, "/metrics")?;
        text.lines().find_map(|line| line.strip_prefix(metric)?.strip_prefix(' ')?.parse().ok())
    }

    /// The end of its log, for a panic message.
    pub(crate) fn logged(&self) -> String {
        let text = std::fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        format!("the end of {}:\n{}", self.log.display(), lines[lines.len().saturating_sub(25)..].join("\n"))
    }

    fn spawn(&mut self) {
        let log = OpenOptions::new().create(true).append(true).open(&self.log).expect("the test's folder is writable");
        let child = command(&self.binary, &self.arguments, &self.environment, log);
        self.child = Some(child);
    }

    fn wait_until_ready(&mut self) {
        let deadline = Instant::now() + Duration::from_secs(90);
        while get(self.admin_port, "/readyz").is_none_or(|(status, _)| status != 200) {
            let child = self.child.as_mut().expect("it was just started");
            if let Some(status) = child.try_wait().expect("our own child can be waited for") {
                panic!("{} ended with {status} instead of getting ready: {}", self.name, self.logged());
            }
            assert!(Instant::now() < deadline, "{} is not ready after 90 s: {}", self.name, self.logged());
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

pub(crate) fn start_gateway(broker: &Broker, topic: &str, port: u16, folder: &Path) -> Service {
    let mut gateway = stopped_gateway("gateway", broker, topic, port, folder);
    gateway.restart();
    gateway
}

/// One that has not been started yet.
pub(crate) fn stopped_gateway(name: &str, broker: &Broker, topic: &str, port: u16, folder: &Path) -> Service {
    let listen = format!("127.0.0.1:{port}");
    let arguments = ["--brokers", broker.brokers(), "--topic", topic, "--listen", &listen];
    Service::stopped(name, "footfall-gateway", &arguments.map(str::to_owned), folder)
}

pub(crate) fn start_sink(name: &str, broker: &Broker, topic: &str, lake: &Path, folder: &Path) -> Service {
    let mut sink = stopped_sink(name, broker, topic, lake, folder);
    sink.restart();
    sink
}

/// One that has not been started yet, in a group named after the topic.
pub(crate) fn stopped_sink(name: &str, broker: &Broker, topic: &str, lake: &Path, folder: &Path) -> Service {
    let lake = lake.to_str().expect("UTF-8");
    let arguments = ["run", "--brokers", broker.brokers(), "--topic", topic, "--group", topic, "--lake", lake];
    let arguments: Vec<String> = arguments.iter().chain(&["--roll-interval", "1s"]).map(|&a| a.to_owned()).collect();
    Service::stopped(name, "footfall-sink", &arguments, folder)
}

fn command(binary: &Path, arguments: &[String], environment: &[(String, String)], log: File) -> Child {
    let stdout = log.try_clone().expect("a file handle can be cloned");
    let mut command = Command::new(binary);
    command.args(arguments).envs(environment.iter().cloned()).stdin(Stdio::null()).stdout(stdout).stderr(log);
    command.spawn().unwrap_or_else(|error| panic!("{} does not start: {error}", binary.display()))
}

/// `GET path` on a loopback port: status and body, or nothing while it does not answer.
fn get(port: u16, path: &str) -> Option<(u16, String)> {
    exchanged(port, &format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"))
}

/// Posts events until the gateway on a loopback port takes them.
pub(crate) fn post(port: u16, events: &str) {
    let head = "POST /v1/events HTTP/1.1\r\nHost: localhost\r\nConnection: close";
    let request = format!("{head}\r\nContent-Length: {}\r\n\r\n{events}", events.len());
    let deadline = Instant::now() + Duration::from_secs(90);
    while exchanged(port, &request).is_none_or(|(status, _)| status != 200) {
        assert!(Instant::now() < deadline, "the gateway on port {port} does not take events for 90 s");
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn exchanged(port: u16, request: &str) -> Option<(u16, String)> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(5))).ok()?;
    stream.write_all(request.as_bytes()).ok()?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).ok()?;
    let answer = String::from_utf8_lossy(&answer);
    let (head, body) = answer.split_once("\r\n\r\n")?;
    Some((head.split(' ').nth(1)?.parse().ok()?, body.to_owned()))
}
