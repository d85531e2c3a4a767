//! What the crate's own tests share: a log to read, a source that a test conducts, and a reader of chains that is as
//! plain as a reader can be.

mod faulty;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use arrow::{array::AsArray, datatypes::Int64Type};
use event::Event;
use futures::TryStreamExt;
use object_store::{ObjectStore, ObjectStoreExt, path::Path};
use operator::Health;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use prometheus_client::registry::Registry;
use tokio::{
    sync::{Semaphore, mpsc},
    task::JoinHandle,
};
use tokio_util::sync::CancellationToken;

pub(crate) use faulty::{Fault, Faulty};

use crate::{
    budget::Budget,
    commit::Committer,
    config::DuplicatesSettings,
    duplicates::Duplicates,
    footer::Footer,
    metrics::Metrics,
    object_path::Chain,
    partition::{Partition, PartitionError, WriterParts},
    promote::Promotion,
    resume::{Resume, resume},
    roll::RollPolicy,
    schema_ids::SchemaIds,
    source::{Assignment, Chunk, Command, Control, Ownership, Record},
    store::Store,
};

pub(crate) const TOPIC: &str = "events";
pub(crate) const PARTITION: u32 = 3;
pub(crate) const LOG_ID: &str = "log-1";

/// A record that a test owns.
#[derive(Clone, Debug)]
pub(crate) struct Logged {
    pub(crate) timestamp_us: i64,
    pub(crate) key: Option<Vec<u8>>,
    pub(crate) value: Option<Vec<u8>>,
}

/// A good record.
pub(crate) fn logged(event_id: &str, user: &str, timestamp_us: i64) -> Logged {
    logged_from("default", event_id, user, timestamp_us)
}

/// A good record of a source.
pub(crate) fn logged_from(source: &str, event_id: &str, user: &str, timestamp_us: i64) -> Logged {
    let event = Event {
        event_id,
        kind: "page_view",
        source,
        user_id: Some(user),
        event_time: timestamp_us,
        received_at: timestamp_us,
        ..Event::default()
    };
    let mut value = Vec::new();
    event::encode(&event, &mut value);
    Logged { timestamp_us, key: Some(user.as_bytes().to_vec()), value: Some(value) }
}

/// `records` good records of few users, all different.
pub(crate) fn good_log(records: usize) -> Vec<Logged> {
    (0..records).map(|n| logged(&format!("e{n}"), &format!("user-{}", n % 5), 1_000_000)).collect()
}

pub(crate) fn policy(rows_max: usize) -> RollPolicy {
    RollPolicy { interval: Duration::from_secs(3600), bytes_max: usize::MAX, rows_max }
}

pub(crate) fn chain() -> Chain {
    Chain::new(TOPIC, PARTITION)
}

/// A partition that a test runs.
pub(crate) struct Conducted {
    pub(crate) task: JoinHandle<Result<(), PartitionError>>,
    pub(crate) chunks: Option<mpsc::Sender<Chunk>>,
    pub(crate) commands: mpsc::Receiver<Command>,
    pub(crate) revoked: CancellationToken,
    pub(crate) released: CancellationToken,
    pub(crate) metrics: Arc<Metrics>,
}

/// Starts a partition at a resume point; the test is its source.
pub(crate) fn conduct(objects: Arc<dyn ObjectStore>, resume: Resume, policy: RollPolicy) -> Conducted {
    conduct_with(objects, resume, policy, DuplicatesSettings::default())
}

/// The same with a window and a limit of memory.
pub(crate) fn conduct_with(
    objects: Arc<dyn ObjectStore>,
    resume: Resume,
    policy: RollPolicy,
    duplicates: DuplicatesSettings,
) -> Conducted {
    let metrics = Arc::new(Metrics::register(&mut Registry::default()));
    let budget = Budget::new(usize::MAX, Arc::clone(&metrics));
    conduct_as(PARTITION, objects, resume, policy, duplicates, &budget, metrics)
}

/// One of several partitions that share their memory.
pub(crate) fn conduct_within(
    budget: &Budget,
    partition: u32,
    objects: Arc<dyn ObjectStore>,
    resume: Resume,
    policy: RollPolicy,
    metrics: Arc<Metrics>,
) -> Conducted {
    conduct_as(partition, objects, resume, policy, DuplicatesSettings::default(), budget, metrics)
}

/// What partitions share to find duplicates, on a committer's store.
pub(crate) fn duplicates_of(committer: &Committer, settings: DuplicatesSettings, budget: &Budget) -> Duplicates {
    Duplicates {
        store: committer.store.clone(),
        metrics: Arc::clone(&committer.metrics),
        window: settings.window,
        memory_bytes_max: settings.memory_bytes_max,
        request_timeout: committer.request_timeout,
        back_off_min: committer.back_off_min,
        reads: Arc::new(Semaphore::new(2)),
        budget: budget.clone(),
        all: Arc::default(),
    }
}

/// Brings files into a store, and does not wait for long.
pub(crate) fn committer(objects: Arc<dyn ObjectStore>, metrics: &Arc<Metrics>) -> Committer {
    Committer {
        store: Store::with_objects(objects, "memory:///"),
        metrics: Arc::clone(metrics),
        lake: Health::default().register("lake"),
        request_timeout: Duration::from_millis(50),
        back_off_min: Duration::from_millis(1),
    }
}

/// What makes files, in a store that is asked with little patience.
pub(crate) fn writer_parts(
    objects: Arc<dyn ObjectStore>,
    duplicates: DuplicatesSettings,
    budget: &Budget,
    metrics: &Arc<Metrics>,
) -> WriterParts {
    let committer = committer(objects, metrics);
    let duplicates = duplicates_of(&committer, duplicates, budget);
    WriterParts {
        topic: TOPIC.into(),
        committer,
        duplicates,
        metrics: Arc::clone(metrics),
        sealers: Arc::new(Semaphore::new(2)),
        budget: budget.clone(),
        checkpoint_files: 3,
        promotion: Arc::new(Promotion::none()),
        schema_ids: SchemaIds::built_in(event::Version::NEWEST),
    }
}

fn conduct_as(
    partition: u32,
    objects: Arc<dyn ObjectStore>,
    resume: Resume,
    policy: RollPolicy,
    duplicates: DuplicatesSettings,
    budget: &Budget,
    metrics: Arc<Metrics>,
) -> Conducted {
    let parts = writer_parts(objects, duplicates, budget, &metrics);
    let (sender, chunks) = mpsc::channel(4);
    let (wishes, commands) = mpsc::channel(64);
    let (ownership, tenure) = Ownership::begin();
    let assignment = Assignment {
        partition,
        log_id: LOG_ID.into(),
        resume,
        chunks,
        tenure,
        control: Control { partition, commands: wishes },
    };
    let task = tokio::spawn(Partition::new(assignment, policy, &parts, budget, Arc::clone(&metrics)).run());
    Conducted {
        task,
        chunks: Some(sender),
        commands,
        revoked: ownership.revoked,
        released: ownership.released,
        metrics,
    }
}

/// Some records of a log, as a source would hand them over.
pub(crate) fn chunk(log: &[Logged], offsets: std::ops::Range<usize>, generation: u32) -> Chunk {
    let mut chunk = Chunk::new(generation);
    for offset in offsets {
        let Logged { timestamp_us, key, value } = &log[offset];
        let record =
            Record { offset: offset as u64, timestamp_us: *timestamp_us, key: key.as_deref(), value: value.as_deref() };
        chunk.push(record);
    }
    chunk
}

impl Conducted {
    /// Feeds the log in chunks, obeys seeks, and at the end of the log either lets the partition finish or, while it
    /// still may have to rewind, waits for its last commit.
    pub(crate) async fn feed(mut self, log: &[Logged], from: u64, mut chunk_records: impl FnMut() -> usize) {
        let (mut position, mut generation, mut committed) = (from as usize, 0, from as usize);
        while committed < log.len() && !self.task.is_finished() {
            let chunks = self.chunks.clone().expect("not closed yet");
            let next = (position + chunk_records()).min(log.len());
            tokio::select! {
                wish = self.commands.recv() => match wish {
                    Some(Command::Seek { offset, generation: new, .. }) => {
                        (position, generation) = (offset as usize, new);
                        // The winner's file may hold the whole rest of the log.
                        committed = committed.max(position);
                    }
                    Some(Command::Committed { next, .. }) => committed = next as usize,
                    None => break,
                },
                () = self.revoked.cancelled() => break,
                permit = chunks.reserve(), if position < log.len() => {
                    let Ok(permit) = permit else { break };
                    permit.send(chunk(log, position..next, generation));
                    position = next;
                }
                // The last records wait for no more: an operator would stop the sink now.
                () = tokio::time::sleep(Duration::from_millis(30)), if position == log.len() => break,
            }
        }
        self.finish().await.expect("the partition can go on");
    }

    /// Ends the log and waits until everything is written.
    pub(crate) async fn finish(mut self) -> Result<(), PartitionError> {
        self.chunks = None;
        let wishes = tokio::spawn(async move { while self.commands.recv().await.is_some() {} });
        let result = self.task.await.expect("no panic");
        wishes.abort();
        result
    }
}

/// Where a new writer would start, and a new writer there.
pub(crate) async fn resume_point(objects: &Arc<dyn ObjectStore>) -> Resume {
    let store = Store::with_objects(Arc::clone(objects), "memory:///");
    resume(&store, &chain(), LOG_ID).await.expect("a readable chain").unwrap_or_else(|| Resume::at(0))
}

/// A row as tests see it: offset, user key, event id.
pub(crate) type SeenRow = (u64, String, String);

/// All files of the chain in order, whole. Fails unless they tile the log from 0 on.
pub(crate) async fn read_chain(objects: &dyn ObjectStore) -> Vec<(Footer, Vec<SeenRow>)> {
    let mut files = BTreeMap::new();
    for path in list(objects, "events").await {
        let bytes = objects.get(&path).await.expect("listed").bytes().await.expect("readable");
        let reader = ParquetRecordBatchReaderBuilder::try_new(bytes).expect("a Parquet file");
        let key_values = reader.metadata().file_metadata().key_value_metadata().cloned().unwrap_or_default();
        let footer = Footer::from_key_values(&key_values).expect("a footer");
        let mut rows = Vec::new();
        for batch in reader.build().expect("a reader") {
            let batch = batch.expect("a batch");
            let column = |name: &str| batch.column_by_name(name).expect("a column").clone();
            let (keys, ids, offsets) = (column("user_key"), column("event_id"), column("_offset"));
            for row in 0..batch.num_rows() {
                rows.push((
                    offsets.as_primitive::<Int64Type>().value(row).cast_unsigned(),
                    keys.as_string::<i32>().value(row).to_owned(),
                    ids.as_string::<i32>().value(row).to_owned(),
                ));
            }
        }
        assert_eq!(footer.rows, rows.len() as u64);
        files.insert(footer.start_offset, (footer, rows));
    }
    let mut next = 0;
    for (footer, _) in files.values() {
        assert_eq!(footer.start_offset, next, "the files tile the log");
        next = footer.next_offset;
    }
    files.into_values().collect()
}

/// Offsets of all dead letters, each as often as it is there.
pub(crate) async fn read_dead_letters(objects: &dyn ObjectStore) -> Vec<(u64, String)> {
    let mut letters = Vec::new();
    for path in list(objects, "dead-letters").await {
        let bytes = objects.get(&path).await.expect("listed").bytes().await.expect("readable");
        let reader = ParquetRecordBatchReaderBuilder::try_new(bytes).expect("a Parquet file").build();
        for batch in reader.expect("a reader") {
            let batch = batch.expect("a batch");
            let offsets = batch.column_by_name("_offset").expect("a column").as_primitive::<Int64Type>().clone();
            let reasons = batch.column_by_name("reason").expect("a column").as_string::<i32>().clone();
            let rows = offsets.values().iter().zip(reasons.iter());
            letters.extend(
                rows.map(|(offset, reason)| {
                    (offset.cast_unsigned(), reason.expect("a reason is never null").to_owned())
                }),
            );
        }
    }
    letters.sort();
    letters
}

async fn list(objects: &dyn ObjectStore, folder: &str) -> Vec<Path> {
    let listed = objects.list(Some(&Path::from(folder))).map_ok(|meta| meta.location);
    listed.try_collect().await.expect("a list")
}
