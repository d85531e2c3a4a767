//! The sink: from the log to Parquet files in a lake, each user's events in order and each exactly once.
//!
//! ```text
//! source (journal | Kafka) --chunks--> partition: buffer -> roll -> decode -> duplicates -> sort -> write -> dead letters -> commit
//!    ^                                     |                                                             |
//!    +---- seek after a lost create -------+                        a file per cut, created if absent <--+
//! ```
//!
//! A partition's files form a chain: a file's key is its start offset, its footer says where the next one starts, and
//! each key has one winner. So the files tile the log without gap or overlap, whoever writes and however often it is
//! killed, and no other state is needed. Modules in the order of the path:

/// Waits between attempts at the store.
mod back_off;
/// The memory of everything together.
mod budget;
/// The records of the open file.
pub mod buffer;
/// The create that is the commit.
pub mod commit;
/// Settings and their rules.
pub mod config;
/// Where work of the CPU runs.
mod cpu;
/// Bad records and their object.
pub mod dead_letter;
/// Record -> row, or dead letter.
pub mod decode;
/// Records whose event the lake already holds.
pub mod duplicates;
/// Points at which tests kill the process.
mod failpoint;
/// What a file says about itself.
pub mod footer;
/// When the sink is ready.
mod health;
/// Where the time between log and lake goes.
mod journey;
/// How far the lake is behind the log.
pub mod lag;
/// Every metric.
pub mod metrics;
/// (topic, partition, offset) <-> object key.
pub mod object_path;
/// The path of one partition.
mod partition;
/// Properties that have a column of their own.
pub mod promote;
/// Where a chain ends.
pub mod resume;
/// When a file closes.
pub mod roll;
/// Rows as numbers.
pub mod row_hash;
/// The columns of a data file.
pub mod schema;
/// What schema ids stand for.
pub mod schema_ids;
#[cfg(test)]
mod simulation;
/// Rows by (user key, offset), stable.
pub mod sort;
/// Where records come from.
pub mod source;
/// The lake's object store and its boot probe.
pub mod store;
#[cfg(test)]
mod testing;
/// Sorted rows -> Parquet bytes.
pub mod writer;

// Beside the path: looking after a lake.

/// Is the lake what it promises to be?
pub mod audit;
/// A lake from the log, once more.
pub mod rebuild;

use std::{sync::Arc, time::Duration};

use operator::{Condition, Failure, Health};
use tokio::{
    sync::Semaphore,
    task::{JoinError, JoinSet},
    time::timeout,
};
use tokio_util::sync::CancellationToken;

use crate::{
    budget::Budget,
    commit::Committer,
    duplicates::Duplicates,
    health::Readiness,
    partition::{Partition, PartitionError, WriterParts},
    promote::Promotion,
    schema_ids::SchemaIds,
    source::{Assignment, Running, SourceContext, SourceError},
};
pub use crate::{
    config::{ColumnSettings, DuplicatesSettings, KafkaSettings, SchemaSettings, Settings},
    lag::Lag,
    metrics::Metrics,
    source::Source,
    store::Store,
};

/// Files that are encoded at the same time: enough to keep the CPUs busy, few enough to bound memory.
const SEALERS: usize = 2;

/// How long a sink that fails waits until the group has let it go.
const LEAVE_TIMEOUT: Duration = Duration::from_secs(5);
/// First wait before a file that could not be created is tried again.
const BACK_OFF_MIN: Duration = Duration::from_millis(100);

/// Runs a sink until `shutdown` is cancelled; then writes what is buffered, leaves the group and returns.
///
/// # Errors
/// Code 69 when log or lake cannot be used (broker or lake not there, a store that ignores create-if-absent, a corrupt
/// chain, another incarnation of the log, a gap), code 70 when it cannot go on for another reason. The lake is correct in
/// every case, and what is not in it is still in the log.
pub async fn run(
    settings: Settings,
    source: Source,
    store: Store,
    metrics: Arc<Metrics>,
    health: &Health,
    shutdown: CancellationToken,
) -> Result<(), Failure> {
    settings.check().map_err(Failure::config)?;
    metrics.promoted(settings.columns.iter().map(|column| column.name.as_str()));
    let readiness = Readiness::register(health);
    tokio::select! {
        biased;
        () = shutdown.cancelled() => return Ok(()),
        probed = store.probe() => probed.map_err(Failure::environment)?,
    }
    readiness.lake.set(true, "");
    let budget = Budget::new(settings.memory_bytes_max, Arc::clone(&metrics));
    let lake = readiness.lake.clone();
    let writers = writer_parts(&settings, store.clone(), Arc::clone(&metrics), lake, &budget).await?;
    let context = SourceContext {
        topic: settings.topic.as_str().into(),
        store: store.clone(),
        metrics: Arc::clone(&metrics),
        readiness: readiness.clone(),
        resume_timeout: settings.resume_timeout,
        accept_gap: settings.accept_gap,
        budget: budget.clone(),
    };
    let running = source.start(context).await.map_err(source_failure)?;
    let partition = |assignment: Assignment| {
        Partition::new(assignment, settings.roll_policy(), &writers, &budget, Arc::clone(&metrics))
    };
    supervise(running, partition, &settings, shutdown).await
}

/// What makes files, by the settings.
async fn writer_parts(
    settings: &Settings,
    store: Store,
    metrics: Arc<Metrics>,
    lake: Condition,
    budget: &Budget,
) -> Result<WriterParts, Failure> {
    let schema_ids = schema_ids(settings, &metrics, budget).await?;
    let committer = Committer {
        store,
        metrics: Arc::clone(&metrics),
        lake,
        request_timeout: settings.request_timeout,
        back_off_min: BACK_OFF_MIN,
    };
    let duplicates = Duplicates {
        store: committer.store.clone(),
        metrics: Arc::clone(&metrics),
        window: settings.duplicates.window,
        memory_bytes_max: settings.duplicates.memory_bytes_max,
        request_timeout: settings.request_timeout,
        back_off_min: BACK_OFF_MIN,
        reads: Arc::new(Semaphore::new(duplicates::READS)),
        budget: budget.clone(),
        all: Arc::default(),
    };
    Ok(WriterParts {
        topic: settings.topic.as_str().into(),
        committer,
        duplicates,
        metrics,
        sealers: Arc::new(Semaphore::new(SEALERS)),
        budget: budget.clone(),
        checkpoint_files: settings.checkpoint_files,
        promotion: Arc::new(Promotion::new(settings.version(), &settings.columns)),
        schema_ids,
    })
}

/// Which schema ids can be read, by the settings.
async fn schema_ids(settings: &Settings, metrics: &Arc<Metrics>, budget: &Budget) -> Result<SchemaIds, Failure> {
    let version = settings.version();
    let Some(registry) = &settings.registry else { return Ok(SchemaIds::built_in(version)) };
    let reader = registry::Reader::start(registry, &settings.topic, &SchemaIds::schemas(version)).await;
    let reader = reader.map_err(Failure::environment)?;
    Ok(SchemaIds::learned(version, reader, Arc::clone(metrics), budget.clone()))
}

/// What makes files where no sink runs: nobody looks at its metrics and its readiness.
async fn unattended_parts(settings: &Settings, store: &Store) -> Result<WriterParts, Failure> {
    let metrics = unseen_metrics();
    let budget = Budget::new(settings.memory_bytes_max, Arc::clone(&metrics));
    writer_parts(settings, store.clone(), metrics, Health::default().register("lake"), &budget).await
}

fn unseen_metrics() -> Arc<Metrics> {
    Arc::new(Metrics::register(&mut prometheus_client::registry::Registry::default()))
}

/// Runs a task for every partition until the stop, and ends all of them when one cannot go on: a partition never stops
/// silently.
async fn supervise(
    mut running: Running,
    partition: impl Fn(Assignment) -> Partition,
    settings: &Settings,
    shutdown: CancellationToken,
) -> Result<(), Failure> {
    let mut tasks = JoinSet::new();
    let result = match work(&mut running, &mut tasks, &partition, shutdown).await {
        Ok(()) => drain(&mut running, &mut tasks, &partition, settings).await,
        failed => failed,
    };
    if result.is_err() {
        // The others in the group get the partitions sooner when this member leaves in an orderly way.
        tasks.abort_all();
        running.drain.cancel();
        running.leave.cancel();
        if !running.done.is_finished() {
            let _ = timeout(LEAVE_TIMEOUT, &mut running.done).await;
        }
    }
    result
}

type Tasks = JoinSet<Result<(), PartitionError>>;

/// Until the stop.
async fn work(
    running: &mut Running,
    tasks: &mut Tasks,
    partition: impl Fn(Assignment) -> Partition,
    shutdown: CancellationToken,
) -> Result<(), Failure> {
    loop {
        tokio::select! {
            biased;
            () = shutdown.cancelled() => return Ok(()),
            ended = &mut running.done => return Err(source_ended(ended)),
            Some(assignment) = running.assignments.recv() => drop(tasks.spawn(partition(assignment).run())),
            Some(ended) = tasks.join_next() => task_ended(ended)?,
        }
    }
}

/// From the stop until everything that was read is in the lake and the group is left.
async fn drain(
    running: &mut Running,
    tasks: &mut Tasks,
    partition: impl Fn(Assignment) -> Partition,
    settings: &Settings,
) -> Result<(), Failure> {
    running.drain.cancel();
    let drained = timeout(settings.drain_timeout, async {
        while let Some(assignment) = running.assignments.recv().await {
            tasks.spawn(partition(assignment).run());
        }
        while let Some(ended) = tasks.join_next().await {
            task_ended(ended)?;
        }
        running.leave.cancel();
        match (&mut running.done).await {
            Ok(Ok(())) => Ok(()),
            ended => Err(source_ended(ended)),
        }
    });
    drained.await.unwrap_or_else(|_| {
        Err(Failure::internal(format!(
            "what was buffered could not be written to {} within {:?}: it stays in the log and is written at the next start",
            settings.lake, settings.drain_timeout
        )))
    })
}

fn task_ended(ended: Result<Result<(), PartitionError>, JoinError>) -> Result<(), Failure> {
    match ended {
        Ok(Ok(())) => Ok(()),
        // What lies in the lake has to be mended by somebody.
        Ok(Err(error @ PartitionError::Write { .. })) => Err(Failure::environment(error)),
        Ok(Err(error)) => Err(Failure::internal(error)),
        Err(error) => Err(Failure::internal(format!("the program failed while it wrote a partition: {error}"))),
    }
}

fn source_ended(ended: Result<Result<(), SourceError>, JoinError>) -> Failure {
    match ended {
        Ok(Err(error)) => source_failure(error),
        Ok(Ok(())) => Failure::internal("the log ended by itself: start the sink again"),
        Err(error) => Failure::internal(format!("the program failed while it read the log: {error}")),
    }
}

fn source_failure(error: SourceError) -> Failure {
    match error {
        SourceError::Settings(_) => Failure::config(error),
        error if error.is_environment() => Failure::environment(error),
        error => Failure::internal(error),
    }
}
