//! Goal: whatever is wrong with a lake is found, and nothing else. Method: small lakes in memory, written by the sink's
//! own path, then changed by hand.

use std::{collections::HashMap, sync::Arc};

use arrow::{
    array::{ArrayRef, RecordBatch, StringArray, UInt32Array},
    compute::{concat_batches, take_record_batch},
    datatypes::Schema,
};
use bytes::Bytes;
use object_store::{ObjectStore, ObjectStoreExt, memory::InMemory, path::Path};
use parquet::arrow::{ArrowWriter, arrow_reader::ParquetRecordBatchReaderBuilder};
use rand::{RngExt, SeedableRng, rngs::StdRng};

use super::*;
use crate::testing::{Logged, TOPIC, chain, conduct, good_log, policy, resume_point};

/// Twenty good records, one that repeats another, and one that is no event.
fn log() -> Vec<Logged> {
    let mut log = good_log(20);
    log[7] = log[6].clone();
    log[12].value = Some(b"garbage".to_vec());
    log
}

async fn written(log: &[Logged], rows_max: usize) -> Arc<dyn ObjectStore> {
    let lake: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    let resume = resume_point(&lake).await;
    conduct(Arc::clone(&lake), resume, policy(rows_max)).feed(log, 0, || 3).await;
    lake
}

async fn lines(lake: &Arc<dyn ObjectStore>, with_rows: bool) -> Vec<Line> {
    let store = Store::with_objects(Arc::clone(lake), "memory:///");
    let settings = Settings { topic: TOPIC.to_owned(), ..Settings::default() };
    let options = Options { partition: None, with_rows, rederive: Rederive::Last, until: HashMap::new() };
    let mut lines = Vec::new();
    run(&settings, &store, None, &options, &mut |line| lines.push(line)).await.expect("memory answers");
    lines
}

async fn kinds(lake: &Arc<dyn ObjectStore>, with_rows: bool) -> Vec<Kind> {
    let found = lines(lake, with_rows).await.into_iter().filter_map(|line| match line {
        Line::Finding(finding) => Some(finding.kind),
        _ => None,
    });
    let mut kinds: Vec<_> = found.collect();
    kinds.sort_unstable();
    kinds.dedup();
    kinds
}

async fn facts(lake: &Arc<dyn ObjectStore>) -> ChainFacts {
    let mut facts = lines(lake, true).await.into_iter().filter_map(|line| match line {
        Line::Partition(facts) => Some(facts),
        _ => None,
    });
    facts.next().expect("one chain")
}

fn file(start: u64) -> Path {
    chain().file(&Path::default(), start)
}

async fn get(lake: &Arc<dyn ObjectStore>, path: &Path) -> Bytes {
    lake.get(path).await.expect("there").bytes().await.expect("bytes")
}

async fn put(lake: &Arc<dyn ObjectStore>, path: &Path, content: Bytes) {
    lake.put(path, content.into()).await.expect("put");
}

/// Writes a file anew with its footer as it was and other rows.
async fn change_rows(lake: &Arc<dyn ObjectStore>, start: u64, change: impl FnOnce(RecordBatch) -> RecordBatch) {
    let reader = ParquetRecordBatchReaderBuilder::try_new(get(lake, &file(start)).await).expect("a Parquet file");
    let key_values = reader.metadata().file_metadata().key_value_metadata().cloned().expect("a footer");
    let batches: Vec<_> = reader.build().expect("a reader").map(|batch| batch.expect("a batch")).collect();
    let rows = change(concat_batches(&batches[0].schema(), &batches).expect("one schema"));
    let mut writer = ArrowWriter::try_new(Vec::new(), rows.schema(), None).expect("a writer");
    writer.write(&rows).expect("memory");
    key_values.into_iter().for_each(|pair| writer.append_key_value_metadata(pair));
    put(lake, &file(start), writer.into_inner().expect("memory").into()).await;
}

fn taken(rows: &RecordBatch, order: &[u32]) -> RecordBatch {
    take_record_batch(rows, &UInt32Array::from(order.to_vec())).expect("rows that are there")
}

fn with_text(rows: &RecordBatch, column: &str, text: &str) -> RecordBatch {
    let at = rows.schema().index_of(column).expect("a column");
    let mut columns: Vec<ArrayRef> = rows.columns().to_vec();
    columns[at] = Arc::new(StringArray::from(vec![text; rows.num_rows()]));
    RecordBatch::try_new(rows.schema(), columns).expect("one length")
}

#[tokio::test]
async fn a_sound_lake_is_clean_and_its_rows_have_one_hash_wherever_files_are_cut() {
    let lake = written(&log(), 5).await;
    assert_eq!(kinds(&lake, true).await, []);
    let facts_of_five = facts(&lake).await;
    assert_eq!((facts_of_five.rows, facts_of_five.dead_letters, facts_of_five.duplicates), (18, 1, 1));
    assert_eq!((facts_of_five.next_offset, facts_of_five.files), (20, 4));

    let of_three = facts(&written(&log(), 4).await).await;
    assert_eq!((of_three.files, of_three.rows_hash), (5, facts_of_five.rows_hash));
    let mut other = log();
    other[3].value.as_mut().expect("a value")[6] ^= 1;
    assert_ne!(facts(&written(&other, 5).await).await.rows_hash, facts_of_five.rows_hash);
}

#[tokio::test]
async fn what_is_wrong_with_the_objects_is_found() {
    async fn check(change: impl AsyncFnOnce(&Arc<dyn ObjectStore>), expected: &[Kind]) {
        let lake = written(&log(), 5).await;
        change(&lake).await;
        assert_eq!(kinds(&lake, false).await, expected);
        assert_eq!(kinds(&lake, true).await, expected);
    }
    let folder = chain().files(&Path::default());
    let dead_letters = chain().dead_letters(&Path::default(), 10, 15);
    check(async |lake| lake.delete(&file(5)).await.expect("deleted"), &[Kind::Gap]).await;
    let dependent = [Kind::Gap, Kind::Checkpoint, Kind::Leftover];
    check(async |lake| lake.delete(&file(10)).await.expect("deleted"), &dependent).await;
    check(async |lake| lake.delete(&file(0)).await.expect("deleted"), &[Kind::Gap]).await;
    check(async |lake| put(lake, &file(5), Bytes::from_static(b"PAR1 torn")).await, &[Kind::Damaged]).await;
    check(async |lake| put(lake, &file(5), get(lake, &file(0)).await).await, &[Kind::Gap, Kind::Damaged]).await;
    check(async |lake| put(lake, &file(4), get(&written(&log(), 4).await, &file(4)).await).await, &[Kind::Overlap])
        .await;
    let copy = folder.clone().join("copy of 00000000000000000000.parquet");
    check(async |lake| put(lake, &copy, get(lake, &file(0)).await).await, &[Kind::Orphan]).await;
    let elsewhere = Path::from("events/topic=events/partition=3/00000000000000000000.parquet");
    check(async |lake| put(lake, &elsewhere, get(lake, &file(0)).await).await, &[Kind::Orphan]).await;
    check(async |lake| put(lake, &folder.clone().join("notes.txt"), Bytes::new()).await, &[Kind::Leftover]).await;
    check(async |lake| put(lake, &Path::from("_probe/x-race"), Bytes::new()).await, &[Kind::Leftover]).await;
    check(async |lake| lake.delete(&dead_letters).await.expect("deleted"), &[Kind::DeadLetters]).await;
    check(async |lake| put(lake, &dead_letters, Bytes::from_static(b"torn")).await, &[Kind::DeadLetters]).await;
    // Of a writer that was killed before its data file, and of one that lost to another cut.
    for (start, next) in [(20, 25), (12, 13)] {
        let path = chain().dead_letters(&Path::default(), start, next);
        check(async |lake| put(lake, &path, get(lake, &dead_letters).await).await, &[Kind::Leftover]).await;
    }
    let checkpoint = chain().checkpoint(&Path::default(), 5);
    let wrong = r#"{"start_offset":5,"next_offset":11,"running_max_timestamp_us":1,"log_id":"log-1"}"#;
    check(async |lake| put(lake, &checkpoint, Bytes::from_static(wrong.as_bytes())).await, &[Kind::Checkpoint]).await;
}

#[tokio::test]
async fn what_is_wrong_with_the_rows_is_found() {
    async fn check(change: impl FnOnce(RecordBatch) -> RecordBatch, expected: &[Kind]) {
        let lake = written(&log(), 5).await;
        change_rows(&lake, 0, change).await;
        assert_eq!(kinds(&lake, true).await, expected);
        assert_eq!(kinds(&lake, false).await, [], "footers say nothing of it");
    }
    check(|rows| rows, &[]).await;
    check(|rows| taken(&rows, &[0, 1, 2, 3]), &[Kind::Damaged]).await;
    check(|rows| taken(&rows, &[1, 0, 2, 3, 4]), &[Kind::Damaged, Kind::Order]).await;
    check(|rows| taken(&rows, &[0, 0, 2, 3, 4]), &[Kind::Damaged, Kind::Order]).await;
    check(|rows| with_text(&rows, "title", "another"), &[Kind::Damaged]).await;
    check(|rows| with_text(&rows, "user_key", "another"), &[Kind::Damaged]).await;
    check(|rows| rows.project(&[0, 1, 2]).expect("columns"), &[Kind::Damaged]).await;
}

/// For all bytes of a file: if flipping it changes any row, the audit says so.
#[tokio::test]
async fn no_flipped_byte_changes_a_row_unseen() {
    let seed = rand::rng().random();
    println!("seed {seed}");
    let mut random = StdRng::seed_from_u64(seed);
    let lake = written(&good_log(50), 100).await;
    let sound = get(&lake, &file(0)).await;
    // How a reader cuts them into batches is nobody's business.
    let rows = |file: Bytes| -> Option<RecordBatch> {
        let builder = ParquetRecordBatchReaderBuilder::try_new(file).ok()?;
        let schema = Arc::new(Schema::new(builder.schema().fields().clone()));
        concat_batches(&schema, &builder.build().ok()?.collect::<Result<Vec<_>, _>>().ok()?).ok()
    };
    let expected = rows(sound.clone());
    let mut changed = 0;
    for _ in 0..300 {
        let (at, bit) = (random.random_range(0..sound.len()), random.random_range(0..8));
        let mut damaged = sound.to_vec();
        damaged[at] ^= 1 << bit;
        let damaged = Bytes::from(damaged);
        let is_changed = std::panic::catch_unwind(|| rows(damaged.clone())).ok().flatten() != expected;
        put(&lake, &file(0), damaged).await;
        let found = kinds(&lake, true).await;
        assert!(!is_changed || !found.is_empty(), "bit {bit} of byte {at} changes rows, and nothing is found");
        changed += usize::from(is_changed);
    }
    assert!(changed > 50, "{changed} of 300 flips changed rows");
}

#[tokio::test]
async fn a_topic_or_partition_that_is_not_there_is_no_clean_audit() {
    let lake = written(&log(), 5).await;
    let store = Store::with_objects(Arc::clone(&lake), "memory:///");
    let settings = Settings { topic: "others".to_owned(), ..Settings::default() };
    let options = Options { partition: None, with_rows: false, rederive: Rederive::Last, until: HashMap::new() };
    let nothing = run(&settings, &store, None, &options, &mut |_| {}).await.expect_err("there is none");
    assert!(nothing.to_string().contains("holds nothing of topic others"), "{nothing}");
    let settings = Settings { topic: TOPIC.to_owned(), ..settings };
    let options = Options { partition: Some(4), ..options };
    let nothing = run(&settings, &store, None, &options, &mut |_| {}).await.expect_err("there is none");
    assert!(nothing.to_string().contains("nothing of partition 4"), "{nothing}");
}
