//! A sink whose time of day jumps back by an hour, and forth again.

use std::{fs, path::PathBuf};

use kafka::Broker;
use s3::{ADMIN, SeaweedFs};

use crate::{
    kafka::{produce, stop},
    lake::{assert_exactly_once_in_order, rows},
    process::wait_for,
    s3::{Bucket, sink},
};

/// Debian's package `faketime`; it changes the time of day that a process sees.
fn faketime() -> Option<PathBuf> {
    let folders = fs::read_dir("/usr/lib").ok()?.flatten();
    folders.map(|folder| folder.path().join("faketime/libfaketime.so.1")).find(|library| library.exists())
}

/// S3 refuses signatures that are a quarter of an hour old or young: such a sink writes nothing until its clock is right.
/// A lake on disk takes files all the time, because no file depends on the time of day. (The jump is not made the other
/// way round: libfaketime does not know the C11 calls by which librdkafka waits until a time of day, so that such a wait
/// would last until the real clock shows the hour.)
#[test]
fn a_clock_that_jumps_delays_files_at_most() {
    if kafka::left_out() {
        return;
    }
    let Some(faketime) = faketime() else {
        return super::left_out("needs Debian's package faketime");
    };
    let (brokers, server) = (Broker::shared().brokers(), SeaweedFs::shared());
    let topic = Broker::shared().fresh_topic("sink-clock", 1);
    let bucket = Bucket::fresh(server, "clock");
    let folder = tempfile::tempdir().expect("a folder");
    let (clock, disk) = (folder.path().join("clock"), folder.path().join("lake"));
    let jump = |by: &str| fs::write(&clock, by).expect("written");
    jump("+0");
    let mut environment = server.environment(ADMIN);
    for (key, value) in [
        ("LD_PRELOAD", faketime.display().to_string()),
        ("FAKETIME_TIMESTAMP_FILE", clock.display().to_string()),
        ("FAKETIME_NO_CACHE", "1".to_owned()),
        ("FAKETIME_DONT_FAKE_MONOTONIC", "1".to_owned()),
    ] {
        environment.push((key, value));
    }
    let on_s3 = sink(brokers, &topic, &format!("{topic}-s3"), &bucket.lake(), &environment);
    let on_disk = sink(brokers, &topic, &format!("{topic}-disk"), &disk.display().to_string(), &environment);
    let mut events = 0;
    let mut more = || {
        produce(brokers, &topic, events..events + 100);
        events += 100;
        events
    };
    let all = more();
    wait_for("the first rows", || bucket.rows().len() == all && rows(&disk).len() == all);
    for _ in 0..2 {
        let before = on_s3.store_errors("denied");
        jump("-3600");
        let all = more();
        wait_for("rows on disk", || rows(&disk).len() == all);
        wait_for("a refusal", || on_s3.store_errors("denied") > before && !on_s3.is_ready());
        jump("+0");
        wait_for("rows on S3", || bucket.rows().len() == all && on_s3.is_ready());
    }
    let said = [stop(on_s3), stop(on_disk)];
    assert!(said[0].contains("RequestTimeTooSkewed"), "{}", said[0]);
    assert_exactly_once_in_order(&bucket.rows(), events);
    assert_exactly_once_in_order(&rows(&disk), events);
}
