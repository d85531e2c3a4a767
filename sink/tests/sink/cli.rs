//! What the operator sees when the sink cannot start: one line that says what to do, and the exit code.

use super::process::Sink;

/// Port 9 (discard) of loopback: nothing listens there.
const NO_BROKER: &str = "127.0.0.1:9";

fn check(flags: &[&str], environment: &[(&str, &str)], code: i32, expected: &[&str]) {
    let (ended, stderr) = Sink::start(flags, environment).end();
    assert_eq!(ended, Some(code), "{stderr}");
    let line = stderr.lines().last().unwrap_or_default();
    for part in expected {
        assert!(line.starts_with("footfall-sink: ") && line.contains(part), "{stderr}");
    }
}

#[test]
fn wrong_settings_exit_64() {
    check(&["run", "--brokers", NO_BROKER], &[], 64, &["sink.lake is missing", "--lake"]);
    check(&["run", "--lake", "memory:///"], &[], 64, &["kafka.brokers is missing", "--brokers"]);
    check(
        &["run", "--lake", "memory:///", "--roll-interval", "soon"],
        &[],
        64,
        &["`--roll-interval`", "expected a duration"],
    );
    check(&["run", "--lak", "x"], &[], 64, &["--lak"]);
    let admin = ["--admin", "127.0.0.1:0"];
    check(
        &[&["run", "--brokers", NO_BROKER, "--lake", "ftp://x"], &admin[..]].concat(),
        &[],
        64,
        &["ftp://x", "s3://"],
    );
    let flags = ["run", "--lake", "memory:///", "--brokers", NO_BROKER];
    check(&flags, &[("FOOTFALL__SINK__ROLL_BITES_MAX", "1")], 64, &["ROLL_BITES_MAX"]);
    check(
        &flags,
        &[("FOOTFALL__KAFKA__PROPERTIES", "{\"auto.offset.reset\"=\"earliest\"}")],
        64,
        &["kafka.properties"],
    );
    let column = "[{name=\"offset\",from=\"url\",type=\"string\"}]";
    check(&flags, &[("FOOTFALL__COLUMNS", column)], 64, &["columns[0] is the column offset from \"url\""]);
    let column = "[{name=\"plan\",from=\"properties.plan\",type=\"text\"}]";
    check(&flags, &[("FOOTFALL__COLUMNS", column)], 64, &["FOOTFALL__COLUMNS", "text"]);
}

#[test]
fn a_lake_or_broker_that_is_not_there_exits_69() {
    let admin = ["--admin", "127.0.0.1:0"];
    let run = |lake| [&["run", "--brokers", NO_BROKER, "--lake", lake], &admin[..]].concat();
    check(&run("file:///nowhere/at/all"), &[], 69, &["/nowhere/at/all", "create it"]);
    check(&run("memory:///"), &[], 69, &["no Kafka broker answers at 127.0.0.1:9", "check --brokers"]);
}

#[test]
fn check_config_checks_and_starts_nothing() {
    let flags = ["run", "--brokers", NO_BROKER, "--lake", "file:///nowhere", "--check-config"];
    let (code, stderr) = Sink::start(&flags, &[]).end();
    assert_eq!((code, stderr.as_str()), (Some(0), ""));
}
