//! The reader against Parquet files that appear while it looks.
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use loadgen::arrival::Clock;
use loadgen::ledger::{Ledger, Outcome, Users};
use loadgen::reader::{Lake, known, watch};
use loadgen::tally::Tallies;
use loadgen::verify::verify;
use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;

use crate::lake::{PlannedRow, path, put};

/// Ten acknowledged events of user 0, and their rows in order.
fn ten() -> (Ledger, Vec<PlannedRow>) {
    let mut ledger = Ledger::new("run", Users::Numbered("u".to_owned()));
    let rows = (0..10)
        .map(|offset| {
            let id = ledger.add(0, 0);
            ledger.record(id.number, Outcome::Ok);
            (id.text("run"), "u0".to_owned(), offset)
        })
        .collect();
    (ledger, rows)
}

fn open(folder: &Path) -> Lake {
    Lake::open(folder.to_str().unwrap()).unwrap()
}

async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let began = Instant::now();
    while !holds() {
        assert!(began.elapsed() < Duration::from_secs(30), "{what} did not come about");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn rows_are_seen_once_when_their_file_appears_and_old_files_are_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let (ledger, rows) = ten();
    put(folder.path(), 1, 0, 1, &[("other-0-0-0".to_owned(), "x".to_owned(), 0)]);
    let lake = open(folder.path());
    let before = known(&lake).await.unwrap();
    assert_eq!(before.len(), 1);
    let (ledger, tallies) = (Arc::new(Mutex::new(ledger)), Arc::new(Tallies::default()));
    let (clock, stop) = (Clock::started_now(), CancellationToken::new());
    let watching = tokio::spawn(watch(lake, before, Arc::clone(&ledger), Arc::clone(&tallies), clock, stop.clone()));
    put(folder.path(), 0, 0, 4, &rows[..4]);
    until("the first file", || tallies.snapshot().visible == 4).await;
    put(folder.path(), 0, 4, 8, &rows[4..8]);
    until("the second file", || tallies.snapshot().visible == 8).await;
    put(folder.path(), 0, 8, 10, &rows[8..]);
    stop.cancel();
    let watched = watching.await.unwrap();
    assert_eq!((watched.files, watched.visible.count(), watched.torn.len()), (3, 10, 0), "a last look was taken");
    assert_eq!(ledger.lock().tally().ok_unseen, 0);
}

#[tokio::test]
async fn half_a_file_is_remembered_even_if_it_is_whole_later() {
    let folder = tempfile::tempdir().unwrap();
    let (ledger, rows) = ten();
    let (ledger, tallies) = (Arc::new(Mutex::new(ledger)), Arc::new(Tallies::default()));
    let (clock, stop) = (Clock::started_now(), CancellationToken::new());
    let whole = crate::lake::parquet(0, 0, 10, &rows);
    std::fs::write(path(folder.path(), 0, 0), &whole[..whole.len() / 2]).unwrap();
    let before = std::collections::HashSet::new();
    let watching = tokio::spawn(watch(open(folder.path()), before, ledger, Arc::clone(&tallies), clock, stop.clone()));
    tokio::time::sleep(Duration::from_millis(200)).await;
    put(folder.path(), 0, 0, 10, &rows);
    until("the whole file", || tallies.snapshot().visible == 10).await;
    stop.cancel();
    assert_eq!(watching.await.unwrap().torn.len(), 1);
}

/// Plants a fault into a lake on disk and expects one finding.
async fn check(plant: impl FnOnce(&Path, Vec<PlannedRow>), expected: &[(&str, u64)]) {
    let folder = tempfile::tempdir().unwrap();
    let (ledger, rows) = ten();
    plant(folder.path(), rows);
    let findings = verify(&ledger, &open(folder.path())).await.unwrap();
    let found: Vec<_> = findings.failures().into_iter().filter(|(_, finding)| finding.count > 0).collect();
    let found: Vec<_> = found.into_iter().map(|(name, finding)| (name, finding.count)).collect();
    assert_eq!(found, expected, "{findings:#?}");
}

#[tokio::test]
async fn faults_in_files_are_found() {
    check(|lake, rows| drop((put(lake, 0, 0, 5, &rows[..5]), put(lake, 0, 5, 10, &rows[5..]))), &[]).await;
    check(|lake, rows| drop(put(lake, 0, 0, 5, &rows[..5])), &[("missing", 5)]).await;
    check(
        |lake, rows| drop((put(lake, 0, 0, 5, &rows[..5]), put(lake, 0, 6, 10, &rows[6..]))),
        &[("missing", 1), ("gaps", 1)],
    )
    .await;
    check(
        |lake, rows| drop((put(lake, 0, 0, 5, &rows[..5]), put(lake, 0, 4, 10, &rows[4..]))),
        &[("duplicated", 1), ("overlaps", 1)],
    )
    .await;
    // Two events exchanged over two files: file after file is the order.
    let swap = |lake: &Path, mut rows: Vec<PlannedRow>| {
        let (id, other) = (rows[4].0.clone(), rows[5].0.clone());
        (rows[4].0, rows[5].0) = (other, id);
        put(lake, 0, 0, 5, &rows[..5]);
        put(lake, 0, 5, 10, &rows[5..]);
    };
    check(swap, &[("reordered", 1)]).await;
    let tear = |lake: &Path, rows: Vec<PlannedRow>| {
        put(lake, 0, 0, 5, &rows[..5]);
        let file = put(lake, 0, 5, 10, &rows[5..]);
        let whole = std::fs::read(&file).unwrap();
        std::fs::write(&file, &whole[..whole.len() - 1]).unwrap();
    };
    check(tear, &[("missing", 5), ("unreadable files", 1)]).await;
}
