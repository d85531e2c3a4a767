//! The sink as a member of a group: who takes over, how fast, and what a member that hangs can do.
//!
//! Goal: whatever the group does, every event is one row, in its user's order, and the lake gets on. Method: real brokers,
//! real processes, real signals. `FOOTFALL_TEST_TAKEOVER=3` measures every way of taking over so many times and prints the
//! table of `docs/sink.md`.

mod offsets;
mod ready;
mod stuck;

use std::{
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use kafka::Broker;
use tempfile::TempDir;

use super::{
    kafka::{produce, stop},
    lake::{assert_exactly_once_in_order, cut_reasons, rows},
    process::{Sink, wait_for},
};

const PARTITIONS: u32 = 4;

/// A topic, a lake, and how many events there are.
struct Setup {
    brokers: &'static str,
    topic: String,
    folder: TempDir,
    roll_interval: &'static str,
    produced: usize,
}

impl Setup {
    fn new(name: &str, roll_interval: &'static str) -> Setup {
        Setup::with_partitions(PARTITIONS, name, roll_interval)
    }

    fn with_partitions(partitions: u32, name: &str, roll_interval: &'static str) -> Setup {
        let brokers = Broker::shared().brokers();
        let topic = Broker::shared().fresh_topic(name, partitions);
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::create_dir(folder.path().join("lake")).expect("a folder");
        Setup { brokers, topic, folder, roll_interval, produced: 0 }
    }

    fn lake(&self) -> PathBuf {
        self.folder.path().join("lake")
    }

    /// A member of the group.
    fn sink(&self, environment: &[(&str, &str)]) -> Sink {
        self.sink_of(&self.lake(), environment)
    }

    /// A member that sees the lake at another path.
    fn sink_of(&self, lake: &Path, environment: &[(&str, &str)]) -> Sink {
        let lake = format!("file://{}", lake.display());
        let flags = ["run", "--brokers", self.brokers, "--topic", &self.topic, "--group", &self.topic, "--lake", &lake];
        let more = ["--admin", "127.0.0.1:0"];
        let roll = [("FOOTFALL__SINK__ROLL_INTERVAL", self.roll_interval)];
        Sink::start(&[&flags[..], &more].concat(), &[&roll[..], environment].concat())
    }

    fn produce(&mut self, events: usize) {
        produce(self.brokers, &self.topic, self.produced..self.produced + events);
        self.produced += events;
    }

    /// Waits until everything that was produced is in the lake.
    #[track_caller]
    fn wait(&self, what: &str) {
        wait_for(what, || rows(&self.lake()).len() >= self.produced);
    }

    #[track_caller]
    fn must_hold(&self) {
        assert_exactly_once_in_order(&rows(&self.lake()), self.produced);
    }
}

/// Partitions that a member has at the moment.
fn share(member: &Sink) -> usize {
    member.admin("/metrics").lines().filter(|line| line.starts_with("footfall_sink_lag_messages{")).count()
}

/// How a member takes part, as settings.
#[derive(Clone, Copy, Debug)]
struct Way {
    name: &'static str,
    protocol: &'static str,
    is_static: bool,
    /// With KIP-848 it is the broker's.
    session_timeout: Option<&'static str>,
}

const CLASSIC: Way =
    Way { name: "cooperative-sticky", protocol: "classic", is_static: false, session_timeout: Some("6s") };
const KIP_848: Way = Way { name: "KIP-848", protocol: "consumer", is_static: false, session_timeout: None };
const WAYS: [Way; 4] = [
    CLASSIC,
    Way { name: "cooperative-sticky, static", is_static: true, ..CLASSIC },
    KIP_848,
    Way { name: "KIP-848, static", is_static: true, ..KIP_848 },
];

/// How a member goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// It is killed, and stays away.
    Kill,
    /// It stops in an orderly way, and stays away.
    Term,
    /// It stops in an orderly way, and a new process with the same settings comes.
    Restart,
}

/// The broker of these tests has the same for KIP-848.
const SESSION_TIMEOUT: Duration = Duration::from_secs(6);

impl Way {
    fn member(self, setup: &Setup, name: &str) -> Sink {
        self.member_with(setup, name, &[])
    }

    fn member_with(self, setup: &Setup, name: &str, more: &[(&'static str, &str)]) -> Sink {
        let mut environment = vec![("FOOTFALL__KAFKA__GROUP_PROTOCOL", self.protocol)];
        if let Some(session_timeout) = self.session_timeout {
            environment.push(("FOOTFALL__KAFKA__SESSION_TIMEOUT", session_timeout));
        }
        if self.is_static {
            environment.push(("FOOTFALL__KAFKA__GROUP_INSTANCE_ID", name));
        }
        environment.extend(more);
        setup.sink(&environment)
    }

    /// Time from a member's end until the lake has events of all partitions that came after it.
    fn takeover(self, end: End) -> Duration {
        let mut setup = Setup::new("takeover", "300ms");
        let (mut first, second) = (self.member(&setup, "first"), self.member(&setup, "second"));
        setup.produce(200);
        setup.wait("the rows of two members");
        wait_for("two shares", || share(&first) == 2 && share(&second) == 2);
        let ended = Instant::now();
        let mut again = None;
        match end {
            End::Kill => first.kill(),
            End::Term => drop(stop(first)),
            End::Restart => {
                stop(first);
                again = Some(self.member(&setup, "first"));
            }
        }
        setup.produce(200);
        setup.wait("the rows after a member's end");
        let takeover = ended.elapsed();
        stop(second);
        again.map(stop);
        setup.must_hold();
        takeover
    }
}

#[test]
fn whoever_remains_takes_over() {
    if kafka::left_out() {
        return;
    }
    let rounds: usize = std::env::var("FOOTFALL_TEST_TAKEOVER").map_or(0, |rounds| rounds.parse().expect("a number"));
    let [cooperative, fixed, kip_848, fixed_848] = WAYS;
    if rounds == 0 {
        // Nobody waits for the session of a member that leaves, or that comes back under its name.
        let patient = |way| Way { session_timeout: Some("45s"), ..way };
        let checked = [
            (cooperative, End::Kill),
            (patient(cooperative), End::Term),
            (patient(fixed), End::Restart),
            (kip_848, End::Kill),
            (fixed_848, End::Term),
        ];
        let taking = checked.map(|(way, end)| std::thread::spawn(move || (way, end, way.takeover(end))));
        for taken in taking {
            let (way, end, time) = taken.join().expect("it holds");
            eprintln!("{}, {end:?}: {time:.1?}", way.name);
            assert!(time < SESSION_TIMEOUT + Duration::from_secs(20), "{} after {end:?}: {time:?}", way.name);
        }
        return;
    }
    println_table(rounds);
}

/// Measured one by one, or they would measure each other.
fn println_table(rounds: usize) {
    let mut table = String::from("| members | kill -9 | SIGTERM | restart |\n|---|---|---|---|\n");
    for way in WAYS {
        let cells = [End::Kill, End::Term, End::Restart].map(|end| {
            let mut times: Vec<_> = (0..rounds).map(|_| way.takeover(end).as_secs_f64()).collect();
            times.sort_by(f64::total_cmp);
            format!("{:.1} s ({:.1}-{:.1})", times[rounds / 2], times[0], times[rounds - 1])
        });
        table += &format!("| {} | {} |\n", way.name, cells.join(" | "));
        eprintln!("{table}");
    }
}

/// A partition that moves is written up to what was read, though its file would be complete much later.
#[test]
fn a_partition_that_moves_is_written_first() {
    if kafka::left_out() {
        return;
    }
    let mut setup = Setup::new("moves", "60s");
    let patient = [("FOOTFALL__KAFKA__REVOKE_TIMEOUT", "30s")];
    let first = setup.sink(&patient);
    setup.produce(200);
    wait_for("all records", || first.value("footfall_sink_records_total") >= 200.0);
    let second = setup.sink(&patient);
    wait_for("two shares", || share(&first) == 2 && share(&second) == 2);
    assert_eq!(cut_reasons(&setup.lake()), ["revoked"; 2]);
    stop(second);
    stop(first);
    setup.must_hold();
}

/// Members come and go every second, now and then by a kill, and no file would be complete for a minute: what is read is
/// written before a partition moves, so that the lake gets on.
#[test]
fn a_rebalance_storm_does_not_stop_the_lake() {
    if kafka::left_out() {
        return;
    }
    let mut setup = Setup::new("storm", "60s");
    let environment = [("FOOTFALL__KAFKA__SESSION_TIMEOUT", "3s")];
    let mut members = std::collections::VecDeque::from([setup.sink(&environment)]);
    let (mut seen, kill) = (Vec::new(), 4);
    // How long a killed member holds up the others is the group's business; that they then get on, before the storm is
    // over, is ours.
    while seen.len() <= kill || seen[seen.len() - 1] < seen[kill] + 300 {
        assert!(seen.len() < 60, "the lake does not get on during the storm: {seen:?}");
        setup.produce(100);
        members.push_back(setup.sink(&environment));
        std::thread::sleep(Duration::from_millis(1_000));
        let mut eldest = members.pop_front().expect("one is there, and one has come");
        if seen.len() == kill {
            eldest.kill()
        } else {
            drop(stop(eldest))
        }
        seen.push(rows(&setup.lake()).len());
    }
    eprintln!("rows in the lake during the storm: {seen:?}");
    assert!(seen[kill - 1] > 0, "the lake got on before the kill: {seen:?}");
    members.into_iter().for_each(|member| drop(stop(member)));
    let last = setup.sink(&[("FOOTFALL__SINK__ROLL_INTERVAL", "1s")]);
    setup.wait("what was left");
    stop(last);
    setup.must_hold();
}

/// A member hangs for longer than the session timeout, at the moment when a file of its is complete and not yet created.
/// Another one takes over and writes the same records. When the first wakes its file comes too late: it loses, and the
/// member works on.
#[test]
fn a_member_that_hangs_cannot_change_what_happened_without_it() {
    if kafka::left_out() {
        return;
    }
    let hanging = [CLASSIC, KIP_848].map(|way| std::thread::spawn(move || hang(way)));
    hanging.into_iter().for_each(|hanging| hanging.join().expect("it holds"));
}

fn hang(way: Way) {
    let mut setup = Setup::new("hang", "1s");
    setup.produce(200);
    let began = Instant::now();
    let note = |what: &str| eprintln!("{}: {what} after {:.1?}", way.name, began.elapsed());
    let hanging = way.member_with(&setup, "hanging", &[("FOOTFALL_FAILPOINT", "stop@before_put:1")]);
    wait_for("its halt", || hanging.is_stopped());
    assert!(rows(&setup.lake()).is_empty(), "it stopped before its first file");
    // It closes its files earlier, so that they are not the very ones that the first would make.
    let mut other = way.member_with(&setup, "other", &[("FOOTFALL__SINK__ROLL_ROWS_MAX", "20")]);
    setup.produce(300);
    setup.wait("the rows of the other");
    note("the other had written");
    hanging.signal("CONT");
    setup.produce(100);
    setup.wait("the rows of both");
    note("both had written");
    other.kill();
    setup.produce(200);
    setup.wait("the rows of the one that hung");
    note("it had taken over");
    let has_lost = stop(hanging).contains("another writer created the file first");
    note(if has_lost { "its late file had lost" } else { "its late file had been given up" });
    setup.must_hold();
}

/// Ends by itself with this code and this line.
#[track_caller]
fn must_end(sink: Sink, code: i32, expected: &[&str]) {
    let (ended, stderr) = sink.end();
    let line = stderr.lines().last().unwrap_or_default();
    assert_eq!(ended, Some(code), "{stderr}");
    for part in expected {
        assert!(line.starts_with("footfall-sink: ") && line.contains(part), "{line} does not say {part}");
    }
}

#[test]
fn two_processes_with_one_instance_id_say_so() {
    if kafka::left_out() {
        return;
    }
    let mut setup = Setup::new("fenced", "300ms");
    let [_, fixed, _, fixed_848] = WAYS;
    setup.produce(100);
    let first = fixed.member(&setup, "one");
    setup.wait("the first rows");
    let second = fixed.member(&setup, "one");
    must_end(first, 70, &["another process has joined group", "as one", "kafka.group_instance_id of its own"]);
    setup.produce(100);
    setup.wait("the rows of the second");
    stop(second);

    let mut setup = Setup::new("unreleased", "300ms");
    setup.produce(100);
    let mut first = fixed_848.member(&setup, "one");
    setup.wait("the first rows");
    must_end(fixed_848.member(&setup, "one"), 69, &["still has a member one", "kafka.group_instance_id of its own"]);
    first.kill();
    must_end(fixed_848.member(&setup, "one"), 69, &["after a crash, start again", "session.timeout.ms"]);
}

#[test]
fn a_group_that_refuses_a_member_is_said() {
    if kafka::left_out() {
        return;
    }
    let setup = Setup::new("refused", "300ms");
    let short = setup.sink(&[("FOOTFALL__KAFKA__SESSION_TIMEOUT", "500ms")]);
    must_end(short, 69, &["does not take this member", "session timeout", "kafka.session_timeout"]);
    let both =
        setup.sink(&[("FOOTFALL__KAFKA__GROUP_PROTOCOL", "consumer"), ("FOOTFALL__KAFKA__SESSION_TIMEOUT", "10s")]);
    must_end(both, 64, &["kafka.session_timeout has no meaning", "group.consumer.session.timeout.ms"]);
}
