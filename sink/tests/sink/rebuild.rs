//! Goal: a lake rebuilt from the log holds the same rows in the same order. Method: a real Kafka, a lake written by two
//! sinks of which one is killed, so that its cuts are nobody's plan; then rebuilt with its cuts and with others.

use std::{path::Path, time::Duration};

use kafka::Broker;
use rdkafka::{
    ClientConfig,
    producer::{BaseProducer, BaseRecord, Producer},
};

use super::{
    lake::{event, files, rows},
    process::{Sink, output, wait_for},
};

const EVENTS: usize = 1_500;

fn produce(brokers: &str, topic: &str, numbers: std::ops::Range<usize>) {
    let producer: BaseProducer = ClientConfig::new().set("bootstrap.servers", brokers).create().expect("a producer");
    for number in numbers {
        let (user, value) = event(number);
        producer.send(BaseRecord::to(topic).key(&user).payload(&value)).expect("queued");
        if number % 100 == 0 {
            producer.send(BaseRecord::to(topic).key(&user).payload("garbage")).expect("queued");
        }
    }
    producer.flush(Duration::from_secs(30)).expect("delivered");
}

fn sink(brokers: &str, topic: &str, lake: &str) -> Sink {
    let flags = ["run", "--brokers", brokers, "--topic", topic, "--group", topic, "--lake", lake];
    let environment = [("FOOTFALL__KAFKA__SESSION_TIMEOUT", "6s"), ("FOOTFALL__SINK__ROLL_ROWS_MAX", "90")];
    Sink::start(&[&flags[..], &["--roll-interval", "300ms", "--admin", "127.0.0.1:0"]].concat(), &environment)
}

fn names(lake: &Path) -> Vec<String> {
    let name = |path: std::path::PathBuf| path.strip_prefix(lake).expect("in the lake").display().to_string();
    files(lake).into_iter().map(name).collect()
}

#[track_caller]
fn check(flags: &[&str], code: i32, expected: &[&str]) {
    let (ended, stdout, stderr) = output(flags);
    let said = format!("{stdout}{stderr}");
    assert_eq!(ended, Some(code), "{said}");
    expected.iter().for_each(|part| assert!(said.contains(part), "{part} is not in\n{said}"));
}

#[test]
fn a_rebuilt_lake_holds_the_same_rows_with_the_same_cuts_and_with_others() {
    if kafka::left_out() {
        return;
    }
    let (brokers, topic) = (Broker::shared().brokers(), Broker::shared().fresh_topic("rebuild", 2));
    let folder = tempfile::tempdir().expect("a folder");
    let lakes = ["old", "like", "other"].map(|name| folder.path().join(name));
    let [old, like, other] = lakes.each_ref().map(|lake| format!("file://{}", lake.display()));
    produce(brokers, &topic, 0..EVENTS / 2);
    let (mut first, second) = (sink(brokers, &topic, &old), sink(brokers, &topic, &old));
    wait_for("the first rows", || rows(&lakes[0]).len() >= 100);
    first.kill();
    produce(brokers, &topic, EVENTS / 2..EVENTS);
    wait_for("all rows", || rows(&lakes[0]).len() >= EVENTS);
    second.terminate();
    let (code, stderr) = second.end();
    assert_eq!(code, Some(0), "{stderr}");

    let rebuild = |lake: &str, more: &[&str], code: i32, expected: &[&str]| {
        let flags = ["rebuild", "--brokers", brokers, "--topic", &topic, "--lake", lake];
        check(&[&flags[..], more].concat(), code, expected);
    };
    rebuild(&like, &["--like", &old], 0, &["partition 0: ", "rebuilt"]);
    assert_eq!(names(&lakes[1]), names(&lakes[0]), "the same files, dead letters included");
    rebuild(&like, &["--like", &old], 0, &["rebuilt 0 files"]);
    rebuild(&other, &[], 0, &["rebuilt"]);
    for lake in [&like, &other] {
        let audit = ["audit", "--lake", lake, "--topic", &topic, "--against", &old, "--brokers", brokers, "--full"];
        check(&audit, 0, &["clean: 0 errors", &format!(" {EVENTS} rows")]);
    }
    assert_eq!(rows(&lakes[1]), rows(&lakes[0]));

    // One file less is another lake.
    std::fs::remove_file(files(&lakes[1].join("events")).pop().expect("files")).expect("removed");
    let last_gone = ["audit", "--lake", &old, "--topic", &topic, "--against", &like];
    check(&last_gone, 0, &["note  behind", "clean"]);
    let whole_chain = lakes[2].join(format!("events/topic={topic}/partition=00000"));
    std::fs::remove_dir_all(whole_chain).expect("removed");
    check(
        &["audit", "--lake", &old, "--topic", &topic, "--against", &other],
        1,
        &["error differs", "has no such chain"],
    );
}

#[test]
fn what_cannot_be_rebuilt_is_one_line_and_leaves_nothing() {
    #[track_caller]
    fn check(flags: &[&str], code: i32, expected: &str) {
        let (ended, stdout, stderr) = output(&[&["rebuild"], flags].concat());
        assert_eq!((ended, stdout.as_str(), stderr.lines().count()), (Some(code), "", 1), "{stderr}");
        assert!(stderr.starts_with("footfall-sink: ") && stderr.contains(expected), "{stderr}");
    }
    let folder = tempfile::tempdir().expect("a folder");
    let lake = folder.path().join("new").display().to_string();
    check(&["--lake", &lake], 64, "add --brokers or --journal");
    check(&["--lake", &lake, "--brokers", "127.0.0.1:9"], 69, "no Kafka broker answers");
    check(&["--lake", &lake, "--brokers", "127.0.0.1:9", "--like", "/nowhere/at/all"], 69, "/nowhere/at/all");
    assert!(!Path::new(&lake).exists(), "nothing was made");
}
