//! What is dropped, and what is not.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use object_store::{ObjectStore, ObjectStoreExt};
use prometheus_client::registry::Registry;

use super::{lake, rows, window, write};
use crate::{
    budget::Budget,
    buffer::{Buffer, Part},
    config::DuplicatesSettings,
    decode::judge,
    duplicates::{Sieve, Suspect, memory::PACK_FILES},
    metrics::Metrics,
    partition::{PartitionError, WriteError},
    schema_ids::SchemaIds,
    source::Command,
    testing::{
        Fault, Faulty, Logged, PARTITION, chain, chunk, committer, conduct_with, duplicates_of, good_log, logged,
        logged_from, policy, resume_point,
    },
};

const SECOND: i64 = 1_000_000;
const HOUR: i64 = 3600 * SECOND;

/// Writes a log in files of two records by one process, or by a new one for each file: the rows are the same.
async fn check(log: &[Logged], settings: &DuplicatesSettings, expected: &[u64]) {
    let one = lake();
    write(&one, log, log.len(), 2, settings).await;
    assert_eq!(rows(&one).await.0, expected, "one process");
    let many = lake();
    for next in (2..=log.len()).step_by(2) {
        write(&many, log, next, 2, settings).await;
    }
    assert_eq!(rows(&many).await.0, expected, "a process for each file");
}

#[tokio::test]
async fn an_event_that_comes_again_is_one_row_the_first() {
    let log = [
        logged("a", "u", 0),
        logged("b", "u", SECOND),
        logged("c", "u", 60 * SECOND),
        logged("a", "u", 61 * SECOND),
        logged("b", "u", 23 * HOUR),
        logged("d", "u", 23 * HOUR),
    ];
    check(&log, &window(86_400), &[0, 1, 2, 5]).await;
}

#[tokio::test]
async fn the_same_id_of_another_source_is_another_event() {
    let log = [
        logged_from("web", "a", "u", 0),
        logged_from("app", "b", "u", 0),
        logged_from("app", "a", "u", 1),
        logged_from("web", "b", "u", 1),
        logged_from("app", "a", "u", 2),
        logged_from("web", "b", "v", 2),
    ];
    check(&log, &window(86_400), &[0, 1, 2, 3]).await;
}

#[tokio::test]
async fn what_comes_again_after_the_window_is_a_new_row() {
    // The running maximum at the end of the first file is 1 s; the window of 10 s ends at 11 s.
    let again = |seconds: i64| {
        let at = seconds * SECOND;
        [logged("a", "u", 0), logged("b", "u", SECOND), logged("a", "u", at), logged("c", "u", at)]
    };
    check(&again(11), &window(10), &[0, 1, 3]).await;
    check(&again(12), &window(10), &[0, 1, 2, 3]).await;
    let [a, b, mut late, c] = again(11);
    late.timestamp_us += 1;
    check(&[a, b, late, c], &window(10), &[0, 1, 2, 3]).await;
    check(&again(11), &window(0), &[0, 1, 2, 3]).await;
    // A clock that goes back moves no window.
    check(&again(-500), &window(10), &[0, 1, 3]).await;
    let [a, b, again, c] = again(12);
    check(&[a, b, again, c, logged("b", "u", SECOND), logged("c", "u", SECOND)], &window(10), &[0, 1, 2, 3, 4]).await;
}

#[tokio::test]
async fn a_file_at_the_very_end_of_the_window_is_kept_and_loaded() {
    let log = [
        logged("a", "u", 0),
        logged("b", "u", SECOND),
        logged("c", "u", 11 * SECOND),
        logged("d", "u", 11 * SECOND),
        logged("a", "u", 11 * SECOND),
        logged("e", "u", 11 * SECOND),
    ];
    check(&log, &window(10), &[0, 1, 2, 3, 5]).await;
}

/// So little memory holds only what is newest.
fn tight() -> DuplicatesSettings {
    DuplicatesSettings { memory_bytes_max: 1, ..window(3600) }
}

#[tokio::test]
async fn what_is_too_much_for_the_memory_is_forgotten_from_the_old_end() {
    let log = [
        logged("a", "u", 0),
        logged("b", "u", 0),
        logged("c", "u", 0),
        logged("d", "u", 0),
        logged("a", "u", 0),
        logged("d", "u", 0),
    ];
    let lake = lake();
    write(&lake, &log, 6, 2, &tight()).await;
    let (offsets, last) = rows(&lake).await;
    assert_eq!((offsets, last.duplicates_since), (vec![0, 1, 2, 3, 4], 2));
}

#[tokio::test]
async fn no_more_is_loaded_than_the_memory_may_hold() {
    let lake = lake();
    let files = PACK_FILES + 20;
    let mut log = good_log(files);
    write(&lake, &log, files, 1, &window(3600)).await;
    let oldest = chain().file(&object_store::path::Path::default(), 0);
    lake.put(&oldest, b"not read at all".as_slice().into()).await.expect("put");
    log.push(log[files - 1].clone());
    let partition = conduct_with(Arc::clone(&lake), resume_point(&lake).await, policy(1), tight());
    partition.chunks.as_ref().expect("open").send(chunk(&log, files..files + 1, 0)).await.expect("room");
    let metrics = Arc::clone(&partition.metrics);
    partition.finish().await.expect("written");
    assert_eq!(metrics.duplicates().counts(), (0, 1));
}

#[tokio::test]
async fn the_footer_counts_what_was_dropped_and_says_since_when() {
    let at = |n: i64| n * 10 * SECOND;
    let log = [
        logged("a", "u", at(0)),
        logged("b", "u", at(0)),
        logged("c", "u", at(1)),
        logged("d", "u", at(1)),
        logged("c", "u", at(2)),
        logged("e", "u", at(2)),
        logged("e", "u", at(2)),
        logged("c", "u", at(2)),
    ];
    let lake = lake();
    write(&lake, &log, 4, 2, &window(15)).await;
    write(&lake, &log, 8, 4, &window(15)).await;
    let (offsets, last) = rows(&lake).await;
    assert_eq!(offsets, [0, 1, 2, 3, 5]);
    assert_eq!((last.rows, last.duplicates, last.duplicates_across_files, last.duplicates_since), (1, 3, 1, 2));
}

#[tokio::test]
async fn the_loser_of_a_create_knows_what_the_winner_wrote() {
    let lake = lake();
    let log = [logged("a", "u", 0), logged("b", "u", 0), logged("b", "u", 1), logged("a", "u", 1), logged("c", "u", 1)];
    let mut loser = conduct_with(Arc::clone(&lake), resume_point(&lake).await, policy(3), window(60));
    // The loser has looked at the empty chain, and then another writes two files into it.
    tokio::time::sleep(Duration::from_millis(20)).await;
    write(&lake, &log, 2, 1, &window(60)).await;
    for (generation, start) in (0..).zip(0..3) {
        let chunks = loser.chunks.as_ref().expect("open");
        chunks.send(chunk(&log, start..start + 3, generation)).await.expect("room");
        if start < 2 {
            let wish = loser.commands.recv().await;
            let (offset, generation) = (start as u64 + 1, generation + 1);
            assert_eq!(wish, Some(Command::Seek { partition: PARTITION, offset, generation }));
        }
    }
    loser.finish().await.expect("written");
    assert_eq!(rows(&lake).await.0, [0, 1, 4]);
}

#[tokio::test]
async fn suspicion_is_not_enough() {
    let lake = lake();
    let mut log = good_log(4);
    write(&lake, &log, 4, 4, &window(60)).await;
    log.extend([log[2].clone(), logged("new", "user-0", 1), logged_from("other", "e2", "user-0", 1)]);
    let metrics = Arc::new(Metrics::register(&mut Registry::default()));
    let budget = Budget::new(usize::MAX, Arc::clone(&metrics));
    let ids = duplicates_of(&committer(lake, &metrics), window(60), &budget).chain(chain());
    let mut buffer = Buffer::new(4, 0);
    buffer.push(Part::whole(chunk(&log, 4..7, 0)), &policy(10));
    let judged = judge(&mut buffer, &SchemaIds::built_in(event::Version::NEWEST));
    let mut sieve = Sieve::new(judged.rows, &judged.id_hashes, &buffer);
    let suspects = (0..3).map(|row| Suspect { file: 0, row }).collect();
    ids.drop_held(suspects, &mut sieve, &buffer).await.expect("readable");
    let left: Vec<u64> = sieve.finish().0.iter().map(|row| buffer.record(row.place).offset).collect();
    assert_eq!(left, [5, 6]);
}

#[tokio::test]
async fn no_record_is_dropped_or_written_while_the_store_does_not_tell() {
    let inner = lake();
    let mut log = good_log(4);
    write(&inner, &log, 4, 4, &window(60)).await;
    log.extend([log[2].clone(), logged("new", "user-0", 1_000_000)]);
    // A few looks fail, then some do not, and so on.
    let looks = AtomicUsize::new(0);
    let faulty = Faulty::puts(&inner, |_| Fault::None);
    let faulty: Arc<dyn ObjectStore> = Arc::new(faulty.and_gets(move |_| match looks.fetch_add(1, Relaxed) % 7 {
        0 => Fault::Refused,
        1 => Fault::Hang,
        _ => Fault::None,
    }));
    let partition = conduct_with(faulty, resume_point(&inner).await, policy(10), window(60));
    partition.chunks.as_ref().expect("open").send(chunk(&log, 4..6, 0)).await.expect("room");
    partition.finish().await.expect("written in the end");
    assert_eq!(rows(&inner).await.0, [0, 1, 2, 3, 5]);
}

#[tokio::test]
async fn nothing_is_written_while_a_file_of_the_window_cannot_be_read() {
    let inner = lake();
    let log = good_log(6);
    write(&inner, &log, 4, 2, &window(60)).await;
    let is_down = Arc::new(AtomicBool::new(true));
    let down = Arc::clone(&is_down);
    let faulty = Faulty::puts(&inner, |_| Fault::None);
    let faulty = faulty.and_gets(move |_| if down.load(Relaxed) { Fault::Refused } else { Fault::None });
    let partition = conduct_with(Arc::new(faulty), resume_point(&inner).await, policy(2), window(60));
    partition.chunks.as_ref().expect("open").send(chunk(&log, 4..6, 0)).await.expect("room");
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(rows(&inner).await.0.len(), 4);
    is_down.store(false, Relaxed);
    partition.finish().await.expect("written in the end");
    assert_eq!(rows(&inner).await.0.len(), 6);
}

#[tokio::test]
async fn a_file_of_the_window_that_is_damaged_or_gone_stops_the_partition() {
    async fn check(harm: impl AsyncFnOnce(&dyn ObjectStore, &object_store::path::Path), expected: &str) {
        let lake = lake();
        let log = good_log(8);
        write(&lake, &log, 6, 2, &window(60)).await;
        let resume = resume_point(&lake).await;
        harm(lake.as_ref(), &chain().file(&object_store::path::Path::default(), 2)).await;
        let partition = conduct_with(lake, resume, policy(2), window(60));
        partition.chunks.as_ref().expect("open").send(chunk(&log, 6..8, 0)).await.expect("room");
        let Err(PartitionError::Write { reason: WriteError::Duplicates(reason), .. }) = partition.finish().await else {
            panic!("the partition must stop");
        };
        let line = reason.to_string();
        assert!(line.contains(expected) && line.contains("duplicates.window"), "{line}");
    }
    let damage = async |lake: &dyn ObjectStore, path: &object_store::path::Path| {
        lake.put(path, b"certainly not a Parquet file".as_slice().into()).await.expect("put");
    };
    check(damage, "00000000000000000002.parquet").await;
    let delete = async |lake: &dyn ObjectStore, path: &object_store::path::Path| {
        lake.delete(path).await.expect("deleted");
    };
    check(delete, "ends at offset 4").await;
}

#[tokio::test]
async fn files_that_were_cleared_away_from_the_old_end_are_no_longer_looked_at() {
    let lake = lake();
    let mut log = good_log(6);
    write(&lake, &log, 6, 2, &window(60)).await;
    for start in [0, 2] {
        lake.delete(&chain().file(&object_store::path::Path::default(), start)).await.expect("deleted");
    }
    log.extend([log[0].clone(), log[5].clone()]);
    let partition = conduct_with(Arc::clone(&lake), resume_point(&lake).await, policy(2), window(60));
    partition.chunks.as_ref().expect("open").send(chunk(&log, 6..8, 0)).await.expect("room");
    let metrics = Arc::clone(&partition.metrics);
    partition.finish().await.expect("written");
    assert_eq!(metrics.duplicates().counts(), (0, 1));
}
