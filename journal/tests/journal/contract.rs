//! Append, read, wait, truncate: a table of cases, and random histories against a plain model.

use crate::{Owned, owned, read_all};
use journal::{AppendError, Batch, Journal, Options, ReadError, TruncateError};
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use std::time::Duration;

fn open(dir: &tempfile::TempDir, partitions: u32) -> Journal {
    Journal::open(dir.path(), Options::new(partitions)).unwrap()
}

/// Appends each request given as `partition:value` words; expects the values of partition 0 from `from` on.
#[track_caller]
fn check(requests: &[&str], from: u64, bytes_max: usize, expected: &[&str]) {
    let dir = tempfile::tempdir().unwrap();
    let mut journal = open(&dir, 2);
    for (timestamp_us, request) in requests.iter().enumerate() {
        let mut batch = Batch::new(timestamp_us as i64);
        for word in request.split_whitespace() {
            let (partition, value) = word.split_once(':').unwrap();
            batch.push(partition.parse().unwrap(), b"key", value.as_bytes());
        }
        journal.append(batch).wait_blocking().unwrap();
    }
    for _ in 0..2 {
        let records = journal.read(0, from, bytes_max).unwrap();
        let got: Vec<_> = records.iter().map(|record| str::from_utf8(record.value).unwrap().to_owned()).collect();
        assert_eq!(got, expected, "requests {requests:?} from {from}");
        assert!(records.iter().zip(from..).all(|(record, offset)| record.offset == offset));
        assert_eq!(records.next_offset(), from + expected.len() as u64);
        drop(journal);
        journal = open(&dir, 2);
    }
}

#[test]
fn a_read_begins_at_the_offset_and_takes_whole_entries() {
    check(&[], 0, 100, &[]);
    check(&["0:a"], 0, 0, &["a"]);
    check(&["0:a"], 1, 100, &[]);
    check(&["1:x", "1:y"], 0, 100, &[]);
    check(&["0:a 0:b 0:c"], 1, 0, &["b", "c"]);
    check(&["0:a 0:b 0:c", "0:d"], 2, 0, &["c"]);
    check(&["0:a 0:b 0:c", "0:d"], 2, 1000, &["c", "d"]);
    check(&["0:a 1:x 0:b", "1:y 0:c", "0:d"], 0, 1000, &["a", "b", "c", "d"]);
    check(&["0:a 1:x 0:b", "1:y 0:c", "0:d"], 2, 1, &["c"]);
    check(&["", "0:", "0:b"], 0, 1000, &["", "b"]);
}

#[test]
fn what_cannot_be_is_said() {
    let dir = tempfile::tempdir().unwrap();
    let journal = open(&dir, 2);
    let mut batch = Batch::new(0);
    batch.push(0, b"k", b"v");
    batch.push(2, b"k", b"v");
    let append = journal.append(batch).wait_blocking();
    assert!(matches!(append, Err(AppendError::NoPartition { partition: 2, partitions: 2 })));
    assert_eq!(journal.end_offset(0), 0, "half of a refused request was written");
    journal.append(Batch::new(0)).wait_blocking().unwrap();
    assert_eq!(journal.stats().groups, 0, "an empty request needs no write");
    assert!(matches!(journal.read(0, 1, 9), Err(ReadError::BeyondEnd { end: 0, .. })));
    assert!(matches!(journal.read(5, 0, 9), Err(ReadError::NoPartition { partition: 5, .. })));
    assert!(matches!(journal.truncate_below(0, 1), Err(TruncateError::BeyondEnd { end: 0, .. })));
    assert!(matches!(journal.truncate_below(2, 0), Err(TruncateError::NoPartition { .. })));
}

#[tokio::test(flavor = "multi_thread")]
async fn wait_wakes_on_the_record_it_waits_for() {
    let dir = tempfile::tempdir().unwrap();
    let journal = open(&dir, 2);
    let waiting = journal.clone();
    let wait = tokio::spawn(async move {
        waiting.wait(1, 2).await;
        waiting.end_offset(1)
    });
    for partition in [1, 0, 0, 1] {
        let mut batch = Batch::new(0);
        batch.push(partition, b"k", b"v");
        journal.append(batch).await.unwrap();
        assert!(!wait.is_finished(), "woken too early");
    }
    let mut batch = Batch::new(0);
    batch.push(1, b"k", b"v");
    journal.append(batch).await.unwrap();
    let end = tokio::time::timeout(Duration::from_secs(60), wait).await.unwrap().unwrap();
    assert_eq!(end, 3);
    journal.wait(1, 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_keep_their_order_and_share_fsyncs() {
    let dir = tempfile::tempdir().unwrap();
    let journal = open(&dir, 1);
    let appends: Vec<_> = (0..2000u32)
        .map(|n| {
            let mut batch = Batch::new(0);
            batch.push(0, b"k", &n.to_be_bytes());
            journal.append(batch)
        })
        .collect();
    for append in appends {
        append.await.unwrap();
    }
    let values: Vec<_> = read_all(&journal, 0, 10_000).into_iter().map(|(_, _, _, value)| value).collect();
    assert_eq!(values, (0..2000u32).map(|n| n.to_be_bytes().to_vec()).collect::<Vec<_>>());
    let stats = journal.stats();
    assert_eq!((stats.appends, stats.records), (2000, 2000));
    assert_eq!(stats.fsyncs, stats.groups);
    assert!(stats.groups < 1000, "no sharing: {stats:?}");
}

/// forall histories of append, truncate and reopen: read(from) = model[from..], and offsets never change.
#[test]
fn random_histories_agree_with_a_plain_model() {
    let seed = rand::random::<u64>();
    println!("seed {seed}");
    let mut rng = SmallRng::seed_from_u64(seed);
    let dir = tempfile::tempdir().unwrap();
    let options = Options { write_buffer_bytes: 0, ..Options::new(3) };
    let mut journal = Journal::open(dir.path(), options.clone()).unwrap();
    let id = journal.id();
    let mut model: Vec<Vec<Owned>> = vec![Vec::new(); 3];
    let mut starts = [0u64; 3];
    for step in 0..400 {
        let partition = rng.random_range(0..3u32);
        let end = model[partition as usize].len() as u64;
        match rng.random_range(0..20) {
            0 => {
                drop(journal);
                journal = Journal::open(dir.path(), options.clone()).unwrap();
                assert_eq!(journal.id(), id);
            }
            1 | 2 => {
                let below = rng.random_range(0..=end);
                journal.truncate_below(partition, below).unwrap();
                starts[partition as usize] = starts[partition as usize].max(below);
            }
            3..=7 => {
                let from = rng.random_range(0..=end);
                let bytes_max = rng.random_range(0..200_000);
                let start = starts[partition as usize];
                match journal.read(partition, from, bytes_max) {
                    Err(ReadError::Truncated { start: found, .. }) => assert!(found == start && from < start),
                    Err(error) => panic!("step {step}: {error}"),
                    Ok(records) => {
                        assert!(from >= start && (from == end || !records.is_empty()));
                        let got: Vec<_> = records.iter().map(owned).collect();
                        let from = from as usize;
                        assert_eq!(got, model[partition as usize][from..from + records.len()]);
                    }
                }
            }
            _ => {
                let mut batch = Batch::new(step);
                for _ in 0..rng.random_range(1..40) {
                    let partition = rng.random_range(0..3u32);
                    let mut value = vec![0; rng.random_range(0..3000)];
                    rng.fill(&mut value[..]);
                    let records = &mut model[partition as usize];
                    batch.push(partition, &[partition as u8; 3], &value);
                    records.push((records.len() as u64, step, vec![partition as u8; 3], value));
                }
                journal.append(batch).wait_blocking().unwrap();
            }
        }
        for partition in 0..3u32 {
            assert_eq!(journal.end_offset(partition), model[partition as usize].len() as u64);
            assert_eq!(journal.start_offset(partition), starts[partition as usize]);
        }
    }
}
