//! The budget alone, and partitions that share one.

use std::{sync::Arc, time::Duration};

use futures::TryStreamExt;
use object_store::{ObjectStore, memory::InMemory};
use prometheus_client::registry::Registry;
use tokio::sync::watch;

use super::*;
use crate::{
    metrics::Metrics,
    object_path::Chain,
    resume::{Resume, resume},
    roll::RollPolicy,
    source::{Chunk, Record},
    store::Store,
    testing::{Conducted, Fault, Faulty, LOG_ID, Logged, TOPIC, chunk, conduct_within, good_log, policy},
};

fn budget(bytes_max: usize) -> Budget {
    Budget::new(bytes_max, Arc::new(Metrics::register(&mut Registry::default())))
}

fn records(budget: &Budget, bytes: usize) -> Held {
    let mut held = budget.hold(Holder::Records);
    held.set(bytes);
    held
}

async fn is_asked(file: &OpenFile) -> bool {
    tokio::time::timeout(Duration::from_millis(1), file.asked()).await.is_ok()
}

#[tokio::test]
async fn when_records_wait_the_largest_file_is_cut_and_no_more_than_is_needed() {
    let budget = budget(800);
    let (large, middle, small) = (budget.open_file(), budget.open_file(), budget.open_file());
    let _records = records(&budget, 310);
    large.set(150);
    middle.set(100);
    small.set(60);
    // 3/8 of 800 are 300: the largest frees enough.
    assert!(is_asked(&large).await && !is_asked(&middle).await && !is_asked(&small).await);
    // It is being written and another one opens: what leaves is not asked for again.
    let leaving = large.leave(150);
    large.set(0);
    let more = records(&budget, 150);
    middle.set(110);
    assert!(is_asked(&middle).await && !is_asked(&small).await);
    drop((more, leaving));
    small.set(60);
    assert!(!is_asked(&small).await, "what the second frees is enough");
}

#[tokio::test]
async fn a_file_that_cannot_be_cut_is_not_asked() {
    let budget = budget(800);
    let (writing, small) = (budget.open_file(), budget.open_file());
    let _records = records(&budget, 400);
    writing.set(0);
    small.set(1);
    assert!(is_asked(&small).await && !is_asked(&writing).await);
}

#[test]
fn reading_stops_at_the_limit_and_goes_on_when_an_eighth_is_free() {
    let budget = budget(800);
    let mut records = records(&budget, 300);
    let mut upload = budget.hold(Holder::Upload);
    let mut own_share = budget.hold(Holder::Encoding);
    own_share.set(700);
    upload.set(199);
    assert!(!budget.is_full());
    upload.set(200);
    assert!(budget.is_full());
    records.set(201);
    assert!(budget.is_full(), "a little room is not enough to begin again");
    drop(records);
    assert!(!budget.is_full());
}

#[tokio::test]
async fn files_are_encoded_one_by_one_when_they_are_large() {
    let budget = budget(64 << 20);
    let first = budget.encoding(1_000, 20 << 20).await;
    let second = budget.encoding(1_000, 20 << 20);
    assert!(tokio::time::timeout(Duration::from_millis(5), second).await.is_err(), "there is room for one");
    drop(first);
    // Larger than the whole share: it goes alone.
    drop(budget.encoding(1_000, 1 << 30).await);
}

/// A lake, its store, which takes nothing until it is told that it is up, and how to tell it.
fn store_that_is_down() -> (Arc<dyn ObjectStore>, Arc<dyn ObjectStore>, watch::Sender<bool>) {
    let lake: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    let (store_is_up, is_up) = watch::channel(false);
    let store = Faulty::puts(&lake, move |_| if *is_up.borrow() { Fault::None } else { Fault::Refused });
    (lake, Arc::new(store), store_is_up)
}

/// A file and its dead letters count with every byte for as long as the store has not taken them.
#[tokio::test]
async fn encoded_files_are_counted_until_the_lake_has_them() {
    let budget = budget(64 << 20);
    let (lake, store, store_is_up) = store_that_is_down();
    let mut log = good_log(1_000);
    log.push(Logged { timestamp_us: 1_000_000, key: None, value: Some(b"no event".to_vec()) });
    let metrics = Arc::clone(&budget.shared.metrics);
    let partition = conduct_within(&budget, 0, store, Resume::at(0), policy(log.len()), metrics);
    // These records are not counted, so that what is counted are encoded bytes.
    partition.chunks.as_ref().expect("open").send(chunk(&log, 0..log.len(), 0)).await.expect("room");
    let encoded = async {
        while budget.shared.common.load(Relaxed) == 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), encoded).await.expect("encoded bytes are counted");
    let counted = budget.shared.common.load(Relaxed) as u64;
    store_is_up.send_replace(true);
    partition.finish().await.expect("written");
    let objects: Vec<_> = lake.list(None).try_collect().await.expect("a list");
    assert_eq!((objects.len(), objects.iter().map(|object| object.size).sum()), (2, counted));
    assert_eq!(budget.shared.common.load(Relaxed), 0, "everything was given back");
}

/// Partitions that share a budget far too small for what they are given, over a store that answers only when told.
struct Crowd {
    budget: Budget,
    most_bytes: Arc<AtomicUsize>,
    partitions: Vec<Conducted>,
    store_is_up: watch::Sender<bool>,
    lake: Arc<dyn ObjectStore>,
}

const BYTES_MAX: usize = 16 << 20;
const PARTITIONS: u32 = 12;
const CHUNK_RECORDS: usize = 1_000;

impl Crowd {
    fn start() -> Crowd {
        let budget = budget(BYTES_MAX);
        let (lake, store, store_is_up) = store_that_is_down();
        // Nothing but memory cuts a file.
        let policy = RollPolicy { interval: Duration::from_secs(86_400), bytes_max: usize::MAX, rows_max: usize::MAX };
        let metrics = Arc::clone(&budget.shared.metrics);
        let conduct = |partition| {
            conduct_within(&budget, partition, Arc::clone(&store), Resume::at(0), policy, Arc::clone(&metrics))
        };
        let partitions = (0..PARTITIONS).map(conduct).collect();
        Crowd { budget, most_bytes: Arc::default(), partitions, store_is_up, lake }
    }

    /// Gives every partition a log, as a source does that heeds the budget; the first one gets far more.
    fn feed(&mut self) -> Vec<tokio::task::JoinHandle<u64>> {
        let feed = |(partition, conducted): (usize, &mut Conducted)| {
            let (budget, most_bytes) = (self.budget.clone(), Arc::clone(&self.most_bytes));
            let (chunks, log) = (conducted.chunks.take().expect("open"), good_log(CHUNK_RECORDS));
            let chunks_max = if partition == 0 { 400 } else { 20 };
            tokio::spawn(async move {
                for n in 0..chunks_max {
                    while budget.is_full() {
                        tokio::time::sleep(Duration::from_millis(1)).await;
                    }
                    let mut chunk = Chunk::counted(0, &budget);
                    for (position, record) in log.iter().enumerate() {
                        let (key, value) = (record.key.as_deref(), record.value.as_deref());
                        let offset = (n * CHUNK_RECORDS + position) as u64;
                        chunk.push(Record { offset, timestamp_us: record.timestamp_us, key, value });
                    }
                    most_bytes.fetch_max(budget.shared.common.load(Relaxed), Relaxed);
                    chunks.send(chunk).await.expect("the partition lives");
                }
                (chunks_max * CHUNK_RECORDS) as u64
            })
        };
        self.partitions.iter_mut().enumerate().map(feed).collect()
    }
}

/// A store that is down fills the memory up to its bound and not further; as soon as it is back, everything goes on, though
/// nothing but memory ever cuts a file.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_is_down_fills_the_memory_and_never_blocks_it() {
    let mut crowd = Crowd::start();
    let feeding = crowd.feed();
    while !crowd.budget.is_full() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(crowd.budget.is_full() && feeding.iter().any(|feeding| !feeding.is_finished()), "reading waits");
    crowd.store_is_up.send_replace(true);
    let mut expected = Vec::new();
    for feeding in feeding {
        expected
            .push(tokio::time::timeout(Duration::from_secs(120), feeding).await.expect("all is read").expect("fed"));
    }
    for conducted in crowd.partitions {
        conducted.finish().await.expect("written");
    }
    // Each feeder may be about to make one chunk when the limit is reached.
    let chunk_bytes = 1_000 * 200;
    let most = crowd.most_bytes.load(Relaxed);
    assert!(most <= BYTES_MAX / 8 * 5 + PARTITIONS as usize * chunk_bytes, "{most} bytes were held");
    assert_eq!(crowd.budget.shared.common.load(Relaxed), 0, "everything was given back");
    assert_eq!(crowd.budget.shared.open.lock().leaving(), 0);
    let lake = Store::with_objects(crowd.lake, "memory:///");
    for (partition, expected) in (0..).zip(expected) {
        let end = resume(&lake, &Chain::new(TOPIC, partition), LOG_ID).await.expect("a readable chain");
        assert_eq!(end.expect("a file").next, expected, "partition {partition}");
    }
}
