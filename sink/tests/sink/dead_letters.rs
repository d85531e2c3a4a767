//! Goal: a dead letter is listed and shown, and after a fix it enters the log again and becomes one row, with the time at
//! which it was first received. Method: a real Kafka, sinks and commands as processes, and a schema registry that learns
//! an id between two runs.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::TcpListener,
    path::Path,
    time::Duration,
};

use kafka::Broker;
use rdkafka::{
    ClientConfig, Message, Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer},
    message::{Header, Headers, OwnedHeaders},
    producer::{BaseProducer, BaseRecord, Producer},
};

use super::{
    lake::{event, files, rows},
    process::{Sink, output, wait_for},
};

const NEW_ID: u32 = 4_000_000;

fn produce(brokers: &str, topic: &str) {
    let producer: BaseProducer = ClientConfig::new().set("bootstrap.servers", brokers).create().expect("a producer");
    for number in 0..15 {
        let (user, mut value) = event(number);
        if number >= 10 {
            value[1..5].copy_from_slice(&NEW_ID.to_be_bytes());
        }
        let trace = format!("00-{number}");
        let headers = OwnedHeaders::new().insert(Header { key: "traceparent", value: Some(&trace) });
        let headers = headers.insert(Header { key: "tenant", value: Some(&[0xff, 0x00][..]) });
        producer.send(BaseRecord::to(topic).key(&user).payload(&value).headers(headers)).expect("queued");
    }
    for _ in 0..2 {
        producer.send(BaseRecord::to(topic).key("user-1").payload("garbage")).expect("queued");
    }
    producer.flush(Duration::from_secs(30)).expect("delivered");
}

/// The least that a registry is: it knows that one id stands for our schema. Ends with the process.
fn registry() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    std::thread::spawn(move || {
        for connection in listener.incoming().flatten() {
            let mut lines = BufReader::new(connection.try_clone().expect("a socket")).lines();
            let request = lines.next().and_then(Result::ok).unwrap_or_default();
            let mut length = 0;
            for line in lines.by_ref().map_while(Result::ok).take_while(|line| !line.is_empty()) {
                if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                    length = value.trim().parse().unwrap_or(0);
                }
            }
            let _ = (&connection).take(length).read_to_end(&mut Vec::new());
            let known = request.starts_with(&format!("GET /schemas/ids/{NEW_ID} "));
            let (status, body) = match known {
                true => ("200 OK", serde_json::json!({ "schema": event::Version::NEWEST.schema() }).to_string()),
                false => ("404 Not Found", r#"{"error_code":40403,"message":"not found"}"#.to_owned()),
            };
            let head = "content-type: application/json\r\nconnection: close";
            let answer = format!("HTTP/1.1 {status}\r\n{head}\r\ncontent-length: {}\r\n\r\n{body}", body.len());
            let _ = (&connection).write_all(answer.as_bytes());
        }
    });
    url
}

fn sink(brokers: &str, topic: &str, lake: &str, more: &[&str]) -> Sink {
    let flags = ["run", "--brokers", brokers, "--topic", topic, "--group", topic, "--lake", lake];
    Sink::start(&[&flags[..], &["--roll-interval", "2s", "--admin", "127.0.0.1:0"], more].concat(), &[])
}

fn stop(sink: Sink) {
    sink.terminate();
    let (code, stderr) = sink.end();
    assert_eq!(code, Some(0), "{stderr}");
}

#[track_caller]
fn check(flags: &[&str], code: i32, expected: &[&str]) -> String {
    let (ended, stdout, stderr) = output(&[&["dead-letters"], flags].concat());
    let said = format!("{stdout}{stderr}");
    assert_eq!(ended, Some(code), "{said}");
    expected.iter().for_each(|part| assert!(said.contains(part), "{part} is not in\n{said}"));
    said
}

/// Origins that the records of a topic name in their headers, each with what the record was traced as.
fn origins(brokers: &str, topic: &str) -> Vec<(String, String)> {
    let consumer: BaseConsumer =
        ClientConfig::new().set("bootstrap.servers", brokers).set("group.id", "origins").create().expect("a consumer");
    let mut list = TopicPartitionList::new();
    list.add_partition_offset(topic, 0, Offset::Beginning).expect("an offset");
    consumer.assign(&list).expect("assigned");
    let (_, end) = consumer.fetch_watermarks(topic, 0, Duration::from_secs(30)).expect("watermarks");
    let mut origins = Vec::new();
    loop {
        let message = consumer.poll(Duration::from_secs(30)).expect("a message").expect("a message");
        let headers = message.headers().into_iter().flat_map(Headers::iter);
        let headers: Vec<_> = headers.map(|header| (header.key, header.value.expect("a value"))).collect();
        if let [trace @ .., ("footfall-retry-of", origin)] = &headers[..] {
            assert_eq!((trace[0].0, trace[1]), ("traceparent", ("tenant", &[0xff, 0x00][..])));
            let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("text");
            origins.push((text(origin), text(trace[0].1)));
        }
        if message.offset() + 1 == end {
            return origins;
        }
    }
}

fn marks(lake: &Path) -> Vec<std::path::PathBuf> {
    let folder = lake.join("dead-letters");
    let partition = std::fs::read_dir(folder).expect("a folder").next().expect("a topic").expect("an entry").path();
    let files = std::fs::read_dir(partition.join("partition=00000")).expect("a folder");
    files
        .map(|file| file.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|it| it == "json"))
        .collect()
}

#[test]
fn a_letter_enters_the_log_again_after_a_fix_and_becomes_one_row() {
    if kafka::left_out() {
        return;
    }
    let (brokers, topic) = (Broker::shared().brokers(), Broker::shared().fresh_topic("letters", 1));
    let folder = tempfile::tempdir().expect("a folder");
    let (lake, url) = (folder.path().join("lake"), format!("file://{}", folder.path().join("lake").display()));
    produce(brokers, &topic);
    let running = sink(brokers, &topic, &url, &[]);
    let letters = || files(&lake.join("dead-letters")).len();
    wait_for("rows and letters", || rows(&lake).len() == 10 && letters() > 0);
    stop(running);

    let at = ["--lake", &url, "--topic", &topic];
    let with = |command: &'static str, more: &[&'static str]| -> Vec<String> {
        [&[command], &at[..], more].concat().into_iter().map(str::to_owned).collect()
    };
    let run = |flags: Vec<String>, code: i32, expected: &[&str]| {
        check(&flags.iter().map(String::as_str).collect::<Vec<_>>(), code, expected)
    };
    run(with("list", &[]), 0, &["partition 0", "5 unknown_schema", "2 not_framed", "7 dead letters", "0 retried"]);
    run(with("list", &["--reason", "not_framed"]), 0, &["2 dead letters of 1 files"]);
    run(with("list", &["--since", "2999-01-01T00:00:00Z"]), 0, &["0 dead letters of 0 files"]);
    run(with("list", &["--format", "json"]), 0, &[r#""unknown_schema":5"#, r#""first_offset":10"#]);
    let one = ["--partition", "0", "--offset", "10"];
    run(
        with("show", &one),
        0,
        &[
            "schema id 4000000",
            "unknown_schema",
            "now       the value has the unknown",
            "user-10",
            "traceparent: \"00-10\"",
        ],
    );
    run(with("show", &["--partition", "0", "--offset", "3"]), 1, &["no dead letter at offset 3"]);
    let raw = folder.path().join("raw");
    let mut flags = with("show", &["--partition", "0", "--offset", "16", "--raw", "-o"]);
    flags.push(raw.display().to_string());
    run(flags.clone(), 0, &["7 bytes"]);
    assert_eq!(std::fs::read(&raw).expect("written"), b"garbage");
    run(flags, 69, &["cannot be written"]);

    // Nothing is mended yet.
    let again = |more: &[&str]| {
        let flags = [&["retry"], &at[..], &["--brokers", brokers], more].concat();
        flags.into_iter().map(str::to_owned).collect::<Vec<_>>()
    };
    run(again(&[]), 0, &["0 letters sent, 7 skipped", "offset 10: it would be a dead letter again"]);
    assert!(marks(&lake).is_empty() && origins(brokers, &topic).is_empty());

    let config = folder.path().join("sink.toml").display().to_string();
    let cache = folder.path().join("ids.json");
    std::fs::write(&config, format!("[schema.registry]\nurl='{}'\ncache='{}'\n", registry(), cache.display()))
        .expect("written");
    let fixed = ["--config", &config];
    run(again(&[&fixed[..], &["--dry-run"]].concat()), 0, &["5 letters would be sent, 2 skipped"]);
    assert!(marks(&lake).is_empty() && origins(brokers, &topic).is_empty());
    let running = sink(brokers, &topic, &url, &fixed);
    run(again(&fixed), 0, &["5 letters sent, 2 skipped, 0 had been sent before"]);
    wait_for("the rows of the letters", || rows(&lake).len() == 15);
    run(again(&fixed), 0, &["0 letters sent, 2 skipped, 5 had been sent before"]);
    let expected = (10..15).map(|offset| (format!("{topic}/0/{offset}"), format!("00-{offset}")));
    assert_eq!(origins(brokers, &topic), expected.collect::<Vec<_>>(), "with the headers that they had");
    run(with("list", &[]), 0, &["7 dead letters of 1 files", "5 retried"]);

    // As after a crash between sending and marking: what is sent twice is dropped.
    marks(&lake).iter().for_each(|mark| std::fs::remove_file(mark).expect("removed"));
    run(again(&fixed), 0, &["5 letters sent, 2 skipped, 0 had been sent before"]);
    let audit = ["audit", "--lake", &url, "--topic", &topic, "--brokers", brokers];
    wait_for("the end of the log in the lake", || output(&audit).1.contains("up to offset 27"));
    stop(running);
    let mut ids: Vec<_> = rows(&lake).into_iter().map(|row| row.event_id).collect();
    ids.sort();
    ids.dedup();
    assert_eq!((ids.len(), rows(&lake).len()), (15, 15));
    let received = super::lake::received(&lake);
    assert!((10..15).all(|number| received[&format!("e{number}")] == 1_700_000_000_000_000 + number), "{received:?}");
    // Without the registry the letters would still be none.
    let (code, stdout, stderr) = output(&[&audit[..], &fixed].concat());
    assert_eq!(code, Some(0), "{stdout}{stderr}");
    assert!(stdout.contains("5 duplicates"), "{stdout}");
}

/// The letters are in the lake before the data file that counts them, and a sink may die in between.
#[test]
fn letters_of_a_sink_that_died_before_its_file_came_are_there_once() {
    if kafka::left_out() {
        return;
    }
    let brokers = Broker::shared().brokers();
    // Who comes after it cuts where it did, or elsewhere.
    for (rows_max, objects) in [("13", 2), ("1000", 2)] {
        let topic = Broker::shared().fresh_topic("letters-killed", 1);
        let folder = tempfile::tempdir().expect("a folder");
        let (lake, url) = (folder.path().join("lake"), format!("file://{}", folder.path().join("lake").display()));
        produce(brokers, &topic);
        let start = |environment: &[(&str, &str)]| {
            let flags = ["run", "--brokers", brokers, "--topic", &topic, "--group", &topic, "--lake", &url];
            let more = ["--roll-interval", "2s", "--admin", "127.0.0.1:0"];
            Sink::start(
                &[&flags[..], &more].concat(),
                &[&[("FOOTFALL__KAFKA__SESSION_TIMEOUT", "6s")], environment].concat(),
            )
        };
        let limit = "FOOTFALL__SINK__ROLL_ROWS_MAX";
        let (code, stderr) = start(&[(limit, "13"), ("FOOTFALL_FAILPOINT", "before_put:1")]).end();
        assert_eq!(code, None, "it kills itself: {stderr}");
        assert_eq!((files(&lake.join("events")).len(), files(&lake.join("dead-letters")).len()), (0, 1));

        let running = start(&[(limit, rows_max)]);
        wait_for("all rows", || rows(&lake).len() == 10);
        wait_for("all letters", || files(&lake.join("dead-letters")).len() == objects);
        stop(running);
        let at = ["--lake", &url, "--topic", &topic];
        check(&[&["list"], &at[..]].concat(), 0, &["7 dead letters of "]);
        let (code, stdout, stderr) = output(&[&["audit"], &at[..], &["--brokers", brokers, "--full"]].concat());
        assert_eq!(code, Some(0), "{stdout}{stderr}");
        assert_eq!(stdout.matches("note  leftover").count(), usize::from(rows_max != "13"), "{stdout}");
        let forced = [&["retry"], &at[..], &["--brokers", brokers, "--force"]].concat();
        check(&forced, 0, &["7 letters sent, 0 skipped, 0 had been sent before"]);
    }
}

#[test]
fn what_cannot_be_done_is_one_line() {
    #[track_caller]
    fn check(flags: &[&str], code: i32, expected: &str) {
        let (ended, stdout, stderr) = output(&[&["dead-letters"], flags].concat());
        assert_eq!((ended, stdout.as_str(), stderr.lines().count()), (Some(code), "", 1), "{stderr}");
        assert!(stderr.starts_with("footfall-sink: ") && stderr.contains(expected), "{stderr}");
    }
    let folder = tempfile::tempdir().expect("a folder");
    let lake = folder.path().display().to_string();
    check(&["list"], 64, "sink.lake is missing");
    check(&["list", "--lake", "/nowhere/at/all"], 69, "/nowhere/at/all");
    check(&["list", "--lake", &lake, "--since", "soon"], 64, "2026-01-31T12:00:00Z");
    check(&["show", "--lake", &lake, "--partition", "0", "--offset", "1"], 1, "no dead letter at offset 1");
    check(&["show", "--lake", &lake, "--partition", "0", "--offset", "1", "--raw"], 64, "--output");
    check(&["retry", "--lake", &lake], 64, "add --brokers or --journal");
    check(&["retry", "--lake", &lake, "--brokers", "127.0.0.1:9"], 69, "no Kafka broker answers");
    check(&["retry", "--lake", &lake, "--journal", &lake], 69, "there is no journal in it");
}
