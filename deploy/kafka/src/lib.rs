//! Apache Kafka for tests: real brokers on loopback through the script `kafka` beside this crate.
//!
//! Responsible for starting, stopping, killing and restarting them. Promises that nothing outlives the test process, even
//! when that is killed, and that brokers of tests in parallel do not collide. Leaves producing and consuming to the tests.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use tempfile::TempDir;

/// Set to `1` to leave out the tests that need a broker.
pub const WITHOUT_KAFKA: &str = "FOOTFALL_TEST_WITHOUT_KAFKA";

/// Running brokers with a data folder of their own. Dropping it ends them and deletes their data.
#[derive(Debug)]
pub struct Broker {
    dir: TempDir,
    brokers: String,
}

/// True where tests that need a broker are to be left out, which only `FOOTFALL_TEST_WITHOUT_KAFKA=1` does, and says so on
/// stderr. Begin such a test with `if kafka::left_out() { return; }`.
pub fn left_out() -> bool {
    let left_out = std::env::var_os(WITHOUT_KAFKA).is_some_and(|value| value == "1");
    if left_out {
        let test = std::thread::current().name().unwrap_or("a test").to_owned();
        // Not `eprintln!`: the test harness hides that of a test that passes.
        let _ = writeln!(std::io::stderr(), "\nLEFT OUT: {test} needs Kafka, and {WITHOUT_KAFKA}=1 is set");
    }
    left_out
}

/// The script that runs brokers.
pub fn script() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("kafka")
}

impl Broker {
    /// One node.
    ///
    /// # Panics
    /// Where it cannot start; the message names what is missing and how to get it.
    pub fn start() -> Broker {
        Broker::start_nodes(1)
    }

    /// One node, or three with every partition on each of them and two in sync for an acknowledgement.
    ///
    /// # Panics
    /// As [`Broker::start`].
    pub fn start_nodes(count: u32) -> Broker {
        let dir = tempfile::Builder::new().prefix("footfall-kafka-").tempdir().expect("a temporary folder");
        let mut broker = Broker { dir, brokers: String::new() };
        broker.up(&["--nodes", &count.to_string()]);
        broker
    }

    /// One node shared by all tests of this process; it ends with the process. Use topics of your own.
    ///
    /// # Panics
    /// As [`Broker::start`].
    pub fn shared() -> &'static Broker {
        static SHARED: OnceLock<Broker> = OnceLock::new();
        SHARED.get_or_init(Broker::start)
    }

    /// `HOST:PORT`, comma-separated; the same after a restart.
    pub fn brokers(&self) -> &str {
        &self.brokers
    }

    /// Creates a topic that does not exist yet, with a copy on every node.
    pub fn create_topic(&self, name: &str, partitions: u32) {
        self.run("topic", &[name, "--partitions", &partitions.to_string()]);
    }

    /// Creates a topic under a new name that begins with `prefix`, for tests that share a broker.
    pub fn fresh_topic(&self, prefix: &str, partitions: u32) -> String {
        static NEXT: AtomicU32 = AtomicU32::new(1);
        let name = format!("{prefix}-{}", NEXT.fetch_add(1, Ordering::Relaxed));
        self.create_topic(&name, partitions);
        name
    }

    /// Lets each producer's connection write only so many bytes a second, by Kafka's own quota: a slow log.
    pub fn limit_producers(&self, bytes_per_second: u32) {
        self.run("quota", &["--producer-bytes", &bytes_per_second.to_string()]);
    }

    /// Stops all nodes in an orderly way; data and ports stay.
    pub fn stop(&self) {
        self.run("down", &[]);
    }

    /// Ends all nodes with SIGKILL; data and ports stay.
    pub fn kill(&self) {
        self.run("down", &["--kill"]);
    }

    /// Ends one node (from 1) with SIGKILL.
    pub fn kill_node(&self, node: u32) {
        self.run("down", &["--kill", "--node", &node.to_string()]);
    }

    /// Starts every node that does not run, and waits until all of them serve.
    pub fn restart(&mut self) {
        self.up(&[]);
    }

    fn up(&mut self, more: &[&str]) {
        let owner = std::process::id().to_string();
        let printed = self.run("up", &[&["--owner", &owner, "--discard"], more].concat());
        let brokers = printed.lines().find_map(|line| line.strip_prefix("brokers "));
        self.brokers = brokers.expect("`kafka up` prints its brokers").to_owned();
    }

    fn run(&self, command: &str, more: &[&str]) -> String {
        let output = Command::new(script()).arg(command).arg("--dir").arg(self.dir.path()).args(more).output();
        let output = output.unwrap_or_else(|error| panic!("cannot run {}: {error}", script().display()));
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(
            output.status.success(),
            "{}\n(to leave out the tests that need Kafka: {WITHOUT_KAFKA}=1)",
            stderr.trim_end()
        );
        String::from_utf8_lossy(&output.stdout).into_owned()
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        // A test that is already panicking must not abort; what is left then is ended by the watcher.
        let _ = Command::new(script()).args(["down", "--kill", "--dir"]).arg(self.dir.path()).output();
    }
}
