//! Goal: tests can rely on their brokers. Method: real brokers, seen from outside through their ports.

use std::net::TcpStream;
use std::path::Path;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use kafka::Broker;

const DEADLINE: Duration = Duration::from_secs(60);

fn answers(brokers: &str) -> bool {
    brokers.split(',').all(|addr| TcpStream::connect(addr).is_ok())
}

#[track_caller]
fn eventually(what: &str, condition: impl Fn() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < DEADLINE, "{what}: not within {DEADLINE:?}");
        std::thread::sleep(Duration::from_millis(100));
    }
}

fn script(arguments: &[&str], dir: &Path) -> Output {
    Command::new(kafka::script()).args(arguments).arg("--dir").arg(dir).output().expect("the script runs")
}

fn stdout(output: &Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn a_restart_keeps_ports_and_topics() {
    if kafka::left_out() {
        return;
    }
    let mut broker = Broker::start();
    let brokers = broker.brokers().to_owned();
    assert!(answers(&brokers), "ready means that the port answers");
    broker.create_topic("events", 3);
    broker.kill();
    assert!(!answers(&brokers), "killed");
    broker.restart();
    assert_eq!(broker.brokers(), brokers);
    // Only a broker that still has the topic takes this without creating it.
    let described = topics(&brokers);
    assert!(described.lines().any(|line| line == "events"), "{described}");
    broker.stop();
    assert!(!answers(&brokers), "stopped");
}

/// Topic names, asked from Kafka's own tool.
fn topics(brokers: &str) -> String {
    let lib = kafka::script().with_file_name("lib").join("*");
    let tool = "org.apache.kafka.tools.TopicCommand";
    let output =
        Command::new("java").arg("-cp").arg(lib).args([tool, "--list", "--bootstrap-server", brokers]).output();
    stdout(&output.expect("java runs"))
}

#[test]
fn brokers_in_parallel_do_not_collide() {
    if kafka::left_out() {
        return;
    }
    let other = std::thread::spawn(Broker::start);
    let (one, other) = (Broker::start(), other.join().expect("the other starts too"));
    assert_ne!(one.brokers(), other.brokers());
    assert!(answers(one.brokers()) && answers(other.brokers()));
    let gone = one.brokers().to_owned();
    drop(one);
    assert!(!answers(&gone), "dropped");
    assert!(answers(other.brokers()), "the other lives on");
}

#[test]
fn the_end_of_its_owner_ends_the_broker_and_its_data() {
    if kafka::left_out() {
        return;
    }
    let dir = tempfile::tempdir().expect("a temporary folder").keep();
    let mut owner = Command::new("sleep").arg("600").spawn().expect("sleep runs");
    let up = script(&["up", "--discard", "--owner", &owner.id().to_string()], &dir);
    let brokers = stdout(&up).trim().trim_start_matches("brokers ").to_owned();
    assert!(answers(&brokers));
    owner.kill().expect("SIGKILL is sent");
    owner.wait().expect("it ended");
    eventually("broker and folder are gone", || !answers(&brokers) && !dir.exists());
}

#[test]
fn three_nodes_survive_the_loss_of_one() {
    if kafka::left_out() {
        return;
    }
    let mut cluster = Broker::start_nodes(3);
    let brokers: Vec<String> = cluster.brokers().split(',').map(str::to_owned).collect();
    assert_eq!(brokers.len(), 3);
    cluster.create_topic("events", 2);
    cluster.kill_node(2);
    assert!(answers(&brokers[0]) && !answers(&brokers[1]) && answers(&brokers[2]));
    cluster.restart();
    assert!(answers(cluster.brokers()), "all three again");
}

#[test]
fn up_again_changes_nothing_and_down_ends_only_its_own() {
    if kafka::left_out() {
        return;
    }
    let dir = tempfile::tempdir().expect("a temporary folder");
    let own = std::process::id().to_string();
    let first = stdout(&script(&["up", "--owner", &own], dir.path()));
    let pid = std::fs::read_to_string(dir.path().join("node-1/pid")).expect("the pid file");
    assert_eq!(stdout(&script(&["up", "--owner", &own], dir.path())), first);
    assert_eq!(std::fs::read_to_string(dir.path().join("node-1/pid")).expect("the pid file"), pid);
    // A pid that was given to another process since: its start time differs, and it must live on.
    let mut stranger = Command::new("sleep").arg("600").spawn().expect("sleep runs");
    std::fs::write(dir.path().join("node-1/pid"), format!("{} 1\n", stranger.id())).expect("written");
    stdout(&script(&["down", "--kill"], dir.path()));
    assert!(stranger.try_wait().expect("asked").is_none(), "the stranger must not be touched");
    stranger.kill().expect("SIGKILL is sent");
    stranger.wait().expect("it ended");
    std::fs::write(dir.path().join("node-1/pid"), pid).expect("written");
    stdout(&script(&["down", "--kill"], dir.path()));
    assert!(!answers(first.trim().trim_start_matches("brokers ")));
}

#[test]
fn a_wrong_command_says_what_is_wrong() {
    #[track_caller]
    fn check(arguments: &[&str], code: i32, line: &str) {
        let output = Command::new(kafka::script()).args(arguments).output().expect("the script runs");
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!((output.status.code(), stderr.lines().count()), (Some(code), 1), "{stderr}");
        assert!(stderr.contains(line), "{line:?} is not in {stderr:?}");
    }
    let dir = tempfile::tempdir().expect("a temporary folder");
    let dir = dir.path().to_str().expect("UTF-8");
    check(&[], 64, "a command is missing");
    check(&["up"], 64, "--dir is missing");
    check(&["up", "--dir", dir, "--nodes", "2"], 64, "--nodes is 1 or 3");
    check(&["up", "--dir", dir, "--prot", "1"], 64, "unknown flag --prot");
    check(&["down", "--dir", dir], 69, "nothing was started in");
    check(&["topic", "--dir", dir, "events", "--partitions", "1"], 69, "run `kafka up --dir");
    check(&["up", "--dir", "/proc/nothing"], 69, "cannot write to /proc/nothing");
}
