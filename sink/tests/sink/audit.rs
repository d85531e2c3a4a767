//! Goal: the audit as an operator runs it, against a real log. Method: a real Kafka with good and bad records, a sink as
//! a process, then the audit as a process, on the lake as it is and on one that was falsified with care.

use std::{collections::BTreeSet, fs::File, path::Path};

use arrow::{array::AsArray, compute::concat_batches, datatypes::Int64Type};
use kafka::Broker;
use parquet::arrow::{ArrowWriter, arrow_reader::ParquetRecordBatchReaderBuilder};
use rdkafka::{
    ClientConfig, Offset, TopicPartitionList,
    admin::{AdminClient, AdminOptions},
    client::DefaultClientContext,
    producer::{BaseProducer, BaseRecord, Producer},
};
use sink::row_hash::{RowHasher, chained};

use super::{
    lake::{event, files, rows},
    process::{Sink, output, wait_for},
};

const PARTITIONS: u32 = 2;
const GOOD: usize = 400;

/// Good events, each tenth of them twice, and records that are none.
fn produce(brokers: &str, topic: &str) {
    let producer: BaseProducer = ClientConfig::new().set("bootstrap.servers", brokers).create().expect("a producer");
    let send = |key: &str, value: &[u8]| producer.send(BaseRecord::to(topic).key(key).payload(value)).expect("queued");
    for number in 0..GOOD {
        let (user, value) = event(number);
        send(&user, &value);
        if number % 10 == 0 {
            send(&user, &value);
        }
        if number % 100 == 0 {
            send(&user, b"garbage");
        }
    }
    producer.flush(std::time::Duration::from_secs(30)).expect("delivered");
}

/// A lake of a topic, written by a sink that was then stopped; files are small.
fn write_lake(brokers: &str, topic: &str, lake: &Path) {
    produce(brokers, topic);
    let url = format!("file://{}", lake.display());
    let flags = ["run", "--brokers", brokers, "--topic", topic, "--group", topic, "--lake", &url];
    let more = ["--roll-interval", "300ms", "--admin", "127.0.0.1:0"];
    let environment = [("FOOTFALL__SINK__ROLL_ROWS_MAX", "60")];
    let running = Sink::start(&[&flags[..], &more].concat(), &environment);
    wait_for("all events", || rows(lake).iter().map(|row| &row.event_id).collect::<BTreeSet<_>>().len() == GOOD);
    running.terminate();
    let (code, stderr) = running.end();
    assert_eq!(code, Some(0), "{stderr}");
}

#[track_caller]
fn check(flags: &[&str], code: i32, expected: &[&str]) -> String {
    let (ended, stdout, stderr) = output(flags);
    assert_eq!(ended, Some(code), "{stdout}{stderr}");
    for part in expected {
        assert!(stdout.contains(part), "{part} is not in\n{stdout}{stderr}");
    }
    stdout
}

/// Takes the last row out of a file and makes its footer agree.
fn falsify(path: &Path) {
    let reader = ParquetRecordBatchReaderBuilder::try_new(File::open(path).expect("a file")).expect("a Parquet file");
    let mut footer = reader.metadata().file_metadata().key_value_metadata().cloned().expect("a footer");
    let batches: Vec<_> = reader.build().expect("a reader").map(|batch| batch.expect("a batch")).collect();
    let whole = concat_batches(&batches[0].schema(), &batches).expect("one schema");
    let rows = whole.slice(0, whole.num_rows() - 1);
    let (ids, offsets) =
        (rows.column_by_name("event_id").expect("ids"), rows.column_by_name("_offset").expect("offsets"));
    let (ids, offsets) = (ids.as_string::<i32>(), offsets.as_primitive::<Int64Type>());
    let mut hash = 0;
    for row in 0..rows.num_rows() {
        let (_, value) = event(ids.value(row)[1..].parse().expect("e and a number"));
        let event = event::decode(&value).expect("an event");
        hash = chained(hash, RowHasher::default().event(offsets.value(row).cast_unsigned(), &event));
    }
    for pair in &mut footer {
        match pair.key.as_str() {
            "footfall.rows" => pair.value = Some(rows.num_rows().to_string()),
            "footfall.row_hash" => pair.value = Some(format!("{hash:016x}")),
            _ => {}
        }
    }
    let mut writer = ArrowWriter::try_new(File::create(path).expect("a file"), rows.schema(), None).expect("a writer");
    writer.write(&rows).expect("written");
    footer.into_iter().for_each(|pair| writer.append_key_value_metadata(pair));
    writer.close().expect("written");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_gives_every_file_again_and_tells_a_falsified_one() {
    if kafka::left_out() {
        return;
    }
    let brokers = Broker::shared().brokers();
    let topic = Broker::shared().fresh_topic("audit", PARTITIONS);
    let folder = tempfile::tempdir().expect("a folder");
    let lake = folder.path().join("lake");
    write_lake(brokers, &topic, &lake);
    let url = format!("file://{}", lake.display());
    let (files, count) = (files(&lake.join("events")), rows(&lake).len());
    let lake_only = ["audit", "--lake", &url, "--topic", &topic];
    let with_log = [&lake_only[..], &["--brokers", brokers]].concat();
    let full = [&with_log[..], &["--full"]].concat();

    check(&lake_only, 0, &["clean: 0 errors", &format!(" {count} rows"), "0 files derived again"]);
    check(&with_log, 0, &["clean: 0 errors", "2 files derived again"]);
    let stdout = check(&full, 0, &[&format!("{} files derived again", files.len())]);
    assert!(files.len() > 6, "{stdout}");
    let json = check(&[&full[..], &["--format", "json", "--partition", "1"]].concat(), 0, &[r#""record":"summary""#]);
    for line in json.lines() {
        serde_json::from_str::<serde_json::Value>(line).expect("an object a line");
    }

    // What a damaged file holds is not known, and so not what the files behind it may have dropped.
    let sound = std::fs::read(&files[0]).expect("a file");
    std::fs::write(&files[0], "PAR1 torn").expect("written");
    let [damaged, behind] = [&files[0], &files[2]].map(|path| path.strip_prefix(&lake).expect("in the lake").display());
    let expected = [
        format!("error damaged: {damaged}: "),
        format!("error not_derived: {behind}: it was not derived again: {damaged}"),
    ];
    let stdout = check(&full, 1, &expected.each_ref().map(String::as_str));
    assert!(!stdout.contains("not_in_log"), "{stdout}");
    std::fs::write(&files[0], sound).expect("written");

    let falsified = &files[2];
    falsify(falsified);
    check(&lake_only, 0, &[&format!(" {} rows", count - 1)]);
    let name = falsified.strip_prefix(&lake).expect("in the lake").display().to_string();
    check(&full, 1, &[&format!("error differs: {name}: it has"), "not clean: 1 errors"]);
    let start: u64 = falsified.file_stem().and_then(|stem| stem.to_str()?.parse().ok()).expect("an offset");
    let offset = (start + 1).to_string();
    let one = [&with_log[..], &["--partition", "0", "--offset", &offset]].concat();
    check(&one, 1, &["error differs"]);

    // What retention took cannot be derived again, which is no fault of the lake.
    let admin: AdminClient<DefaultClientContext> =
        ClientConfig::new().set("bootstrap.servers", brokers).create().expect("an admin client");
    let mut before = TopicPartitionList::new();
    for partition in 0..PARTITIONS.cast_signed() {
        before.add_partition_offset(&topic, partition, Offset::End).expect("an offset");
    }
    admin.delete_records(&before, &AdminOptions::new()).await.expect("deleted");
    check(&full, 0, &["note  not_in_log", "0 files derived again"]);

    // Another topic under the same name.
    admin.delete_topics(&[&topic], &AdminOptions::new()).await.expect("deleted");
    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    Broker::shared().create_topic(&topic, PARTITIONS);
    check(&with_log, 1, &["error log", "another incarnation of the log"]);
}

#[test]
fn what_cannot_be_audited_is_one_line() {
    #[track_caller]
    fn check(flags: &[&str], code: i32, expected: &str) {
        let (ended, stdout, stderr) = output(&[&["audit"], flags].concat());
        assert_eq!((ended, stdout.as_str(), stderr.lines().count()), (Some(code), "", 1), "{stderr}");
        assert!(stderr.starts_with("footfall-sink: ") && stderr.contains(expected), "{stderr}");
    }
    let folder = tempfile::tempdir().expect("a folder");
    let lake = folder.path().display().to_string();
    check(&[], 64, "sink.lake is missing");
    check(&["--lake", &lake, "--partition", "x"], 64, "--partition");
    check(&["--lake", &lake, "--full"], 64, "add --brokers or --journal");
    check(&["--lake", &lake, "--offset", "3"], 64, "--partition");
    check(&["--lake", "/nowhere/at/all"], 69, "/nowhere/at/all");
    check(&["--lake", &lake], 69, "holds nothing of topic events");
    check(&["--lake", &lake, "--journal", &lake], 69, "there is no journal in it");
    check(&["--lake", &lake, "--brokers", "127.0.0.1:9"], 69, "no Kafka broker answers");
    assert_eq!(std::fs::read_dir(folder.path()).expect("the folder").count(), 0, "nothing was left there");
}
