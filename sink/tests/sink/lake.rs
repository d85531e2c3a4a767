//! A reader of lakes on local disk that shares no code with the sink.

use std::{
    collections::BTreeMap,
    fs::File,
    path::{Path, PathBuf},
};

use arrow::{
    array::AsArray,
    datatypes::{Int32Type, Int64Type, TimestampMicrosecondType},
};
use parquet::{arrow::arrow_reader::ParquetRecordBatchReaderBuilder, file::reader::ChunkReader};

/// A row: where it lay, whose it is, which event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Row {
    pub(crate) partition: i32,
    pub(crate) offset: i64,
    pub(crate) user: String,
    pub(crate) event_id: String,
}

/// All `*.parquet` files below a folder, by path: file after file of a partition, as a glob would find them.
pub(crate) fn files(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let mut found: Vec<PathBuf> = Vec::new();
    for entry in entries {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            found.extend(files(&path));
        } else if path.extension().is_some_and(|extension| extension == "parquet") {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// All rows of the lake, in the order of files and rows.
pub(crate) fn rows(lake: &Path) -> Vec<Row> {
    files(&lake.join("events")).iter().flat_map(|path| read(File::open(path).expect("a file"))).collect()
}

/// The rows of one file.
pub(crate) fn read(file: impl ChunkReader + 'static) -> Vec<Row> {
    let reader = ParquetRecordBatchReaderBuilder::try_new(file).expect("a Parquet file");
    let mut rows = Vec::new();
    for batch in reader.build().expect("a reader") {
        let batch = batch.expect("a batch");
        let column = |name: &str| batch.column_by_name(name).expect("a column").clone();
        let (partitions, offsets) = (column("_partition"), column("_offset"));
        let (users, ids) = (column("user_key"), column("event_id"));
        rows.extend((0..batch.num_rows()).map(|row| Row {
            partition: partitions.as_primitive::<Int32Type>().value(row),
            offset: offsets.as_primitive::<Int64Type>().value(row),
            user: users.as_string::<i32>().value(row).to_owned(),
            event_id: ids.as_string::<i32>().value(row).to_owned(),
        }));
    }
    rows
}

/// What cut each file.
pub(crate) fn cut_reasons(lake: &Path) -> Vec<String> {
    files(&lake.join("events")).iter().filter_map(|path| facts(path).remove("footfall.cut_reason")).collect()
}

/// What a file says about itself.
fn facts(path: &Path) -> BTreeMap<String, String> {
    let file = File::open(path).expect("a file");
    let reader = ParquetRecordBatchReaderBuilder::try_new(file).expect("a Parquet file");
    let pairs = reader.metadata().file_metadata().key_value_metadata().cloned().unwrap_or_default();
    pairs.into_iter().filter_map(|pair| Some((pair.key, pair.value?))).collect()
}

/// Fails unless each partition's files follow upon each other from offset 0 on, by their names and footers.
#[track_caller]
pub(crate) fn assert_tiled(lake: &Path) {
    let mut ends = BTreeMap::new();
    for path in files(&lake.join("events")) {
        let facts = facts(&path);
        let number = |name: &str| facts[&format!("footfall.{name}")].parse::<u64>().expect("a number");
        let named: u64 = path.file_stem().and_then(|name| name.to_str()?.parse().ok()).expect("an offset");
        let end = ends.entry(number("partition")).or_insert(0);
        assert_eq!((named, number("start_offset")), (*end, *end), "{} does not follow", path.display());
        *end = number("next_offset");
    }
}

/// When each event was received, by event id.
pub(crate) fn received(lake: &Path) -> BTreeMap<String, i64> {
    let mut received = BTreeMap::new();
    for path in files(&lake.join("events")) {
        let reader =
            ParquetRecordBatchReaderBuilder::try_new(File::open(path).expect("a file")).expect("a Parquet file");
        for batch in reader.build().expect("a reader").map(|batch| batch.expect("a batch")) {
            let column = |name: &str| batch.column_by_name(name).expect("a column").clone();
            let (ids, times) = (column("event_id"), column("received_at"));
            let times = times.as_primitive::<TimestampMicrosecondType>().values().iter().copied();
            let ids = ids.as_string::<i32>().iter().map(|id| id.expect("never null").to_owned()).collect::<Vec<_>>();
            received.extend(ids.into_iter().zip(times));
        }
    }
    received
}

/// Fails unless the rows are the events `e0`, `e1`, ... up to `events`, each once, each user's in this order.
#[track_caller]
pub(crate) fn assert_exactly_once_in_order(rows: &[Row], events: usize) {
    let number = |row: &Row| row.event_id[1..].parse::<usize>().expect("e and a number");
    let mut numbers: Vec<_> = rows.iter().map(number).collect();
    numbers.sort_unstable();
    let missing: Vec<_> = (0..events).filter(|event| numbers.binary_search(event).is_err()).take(5).collect();
    assert!(missing.is_empty(), "events are missing, such as {missing:?}");
    assert_eq!(numbers.len(), events, "no event is there twice");
    let mut last: BTreeMap<&str, usize> = BTreeMap::new();
    for row in rows {
        if let Some(before) = last.insert(&row.user, number(row)) {
            assert!(before < number(row), "user {} has e{before} before {}", row.user, row.event_id);
        }
    }
}

/// An encoded event.
pub(crate) fn event(number: usize) -> (String, Vec<u8>) {
    let user = format!("user-{}", number % 50);
    let event_id = format!("e{number}");
    let event = event::Event {
        event_id: &event_id,
        kind: "click",
        source: "default",
        user_id: Some(&user),
        event_time: 1_700_000_000_000_000 + number as i64,
        received_at: 1_700_000_000_000_000 + number as i64,
        url: Some("https://shop.example/"),
        ..event::Event::default()
    };
    let mut value = Vec::new();
    event::encode(&event, &mut value);
    (user, value)
}
