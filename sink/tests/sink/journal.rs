//! The embedded journal as the log, a folder as the lake.

use std::{path::Path, sync::Arc, time::Duration};

use ::journal::{Batch, Journal, Options};
use operator::{Failure, Health};
use prometheus_client::registry::Registry;
use sink::{Metrics, Settings, Source, Store};
use tempfile::TempDir;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::lake::{assert_exactly_once_in_order, event, files, rows};

const PARTITIONS: u32 = 3;

struct Running {
    health: Health,
    shutdown: CancellationToken,
    task: JoinHandle<Result<(), Failure>>,
}

fn open(folder: &TempDir) -> Journal {
    Journal::open(folder.path().join("journal"), Options::new(PARTITIONS)).expect("a journal")
}

fn start(journal: &Journal, lake: &Path, roll_interval: Duration) -> Running {
    let settings = Settings { lake: lake.display().to_string(), roll_interval, ..Settings::default() };
    let store = Store::open(&settings.lake).expect("a lake");
    let shutdown = CancellationToken::new();
    let (source, token) = (Source::journal(journal.clone()), shutdown.clone());
    let health = Health::default();
    let told = health.clone();
    let task = tokio::spawn(async move {
        let metrics = Arc::new(Metrics::register(&mut Registry::default()));
        sink::run(settings, source, store, metrics, &told, token).await
    });
    Running { health, shutdown, task }
}

impl Running {
    /// A sink that is stopped before it has begun to read writes nothing: it waits until this one has.
    async fn stop(self) -> Result<(), Failure> {
        until(|| self.health.ready().is_ok()).await;
        self.shutdown.cancel();
        self.task.await.expect("no panic")
    }
}

async fn append(journal: &Journal, events: std::ops::Range<usize>) {
    for number in events {
        let (user, value) = event(number);
        let mut batch = Batch::new(1_700_000_000_000_000 + number as i64);
        batch.push(event::partition(user.as_bytes(), PARTITIONS), user.as_bytes(), &value);
        journal.append(batch).await.expect("appended");
    }
}

async fn until(mut holds: impl FnMut() -> bool) {
    for _ in 0..3000 {
        if holds() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("it does not happen");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_in_the_journal_gets_into_the_lake_once_and_in_order() {
    let folder = tempfile::tempdir().expect("a folder");
    let (journal, lake) = (open(&folder), folder.path().join("lake"));
    let running = start(&journal, &lake, Duration::from_millis(200));
    append(&journal, 0..300).await;
    until(|| rows(&lake).len() == 300).await;
    let starts: u64 = (0..PARTITIONS).map(|partition| journal.start_offset(partition)).sum();
    until(|| (0..PARTITIONS).map(|partition| journal.start_offset(partition)).sum::<u64>() == 300).await;
    running.stop().await.expect("a clean end");
    // Again, from the chain: with an interval that never passes, only the stop itself writes.
    let running = start(&journal, &lake, Duration::from_secs(3600));
    append(&journal, 300..500).await;
    running.stop().await.expect("a clean end");
    assert_exactly_once_in_order(&rows(&lake), 500);
    assert!(starts <= 300);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lake_that_does_not_belong_to_the_journal_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let (journal, lake) = (open(&folder), folder.path().join("lake"));
    let running = start(&journal, &lake, Duration::from_millis(100));
    append(&journal, 0..100).await;
    until(|| (0..PARTITIONS).all(|partition| journal.start_offset(partition) > 0)).await;
    running.stop().await.expect("a clean end");
    let refused = |journal: Journal, lake: std::path::PathBuf| async move {
        let failure = start(&journal, &lake, Duration::from_secs(1)).task.await.expect("no panic");
        let failure = failure.expect_err("it must be refused");
        assert_eq!(failure.code(), 69);
        failure.to_string()
    };
    let line = refused(journal.clone(), folder.path().join("empty")).await;
    assert!(line.contains("begins at offset") && line.contains("gone from the log"), "{line}");
    let other = tempfile::tempdir().expect("a folder");
    let line = refused(open(&other), lake.clone()).await;
    assert!(line.contains("another incarnation of the log"), "{line}");
    let tail = files(&lake.join("events")).pop().expect("a file");
    let content = std::fs::read(&tail).expect("read");
    std::fs::write(&tail, &content[..content.len() / 2]).expect("torn");
    let line = refused(journal.clone(), lake.clone()).await;
    let name = tail.file_name().expect("a name").to_string_lossy().into_owned();
    assert!(line.contains(&name) && line.contains("move it out of the lake"), "{line}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_crash_leaves_half_written_is_never_seen() {
    let folder = tempfile::tempdir().expect("a folder");
    let (journal, lake) = (open(&folder), folder.path().join("lake"));
    // A process was killed between writing the next file's bytes and giving them their name.
    for partition in 0..PARTITIONS {
        let chain = lake.join(format!("events/topic=events/partition={partition:05}"));
        std::fs::create_dir_all(&chain).expect("a folder");
        std::fs::write(chain.join("00000000000000000000.parquet#1"), b"half").expect("staged");
    }
    let running = start(&journal, &lake, Duration::from_millis(100));
    append(&journal, 0..60).await;
    running.stop().await.expect("a clean end");
    assert_exactly_once_in_order(&rows(&lake), 60);
}
