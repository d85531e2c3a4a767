//! Is the lake what it promises to be?
//!
//! Responsible for walking every chain of a topic: do the files tile the log, does each hold what its footer says, do
//! its rows stand in order, is there anything that belongs to no chain; and, where the log is at hand, does the log give
//! the same files again. Promises: changes nothing; keeps a few files at a time in memory, and a few numbers for each
//! file of one partition. It may run beside sinks that write.

mod chain;
mod file;
mod finding;
mod rederive;
mod rows;
mod tiling;
mod tree;

#[cfg(test)]
mod tests;

use std::{collections::HashMap, sync::Arc};

use operator::{Failure, Health};
use prometheus_client::registry::Registry;

pub use self::{
    finding::{ChainFacts, Finding, Kind, Line, Summary},
    rederive::Rederive,
    tiling::{Placed, Tiling},
};
use crate::{
    Metrics, Settings, Store,
    budget::Budget,
    object_path::Chain,
    source::{Replay, SourceError},
};

/// What to look at.
#[derive(Clone, Debug)]
pub struct Options {
    /// This partition only.
    pub partition: Option<u32>,
    /// Read every row, not only the footers.
    pub with_rows: bool,
    /// Which files are derived again, if there is a log.
    pub rederive: Rederive,
    /// Rows from these offsets on, by partition, do not count.
    pub until: HashMap<u32, u64>,
}

/// Why an audit has no result.
#[derive(Debug, thiserror::Error)]
pub enum AuditError {
    /// The store did not answer.
    #[error("lake {lake} cannot be read ({reason}): check the store")]
    Store { lake: String, reason: object_store::Error },
    /// There is nothing to audit.
    #[error("lake {lake} holds nothing of topic {topic}: check --lake and --topic")]
    Nothing { lake: String, topic: String },
    /// There is no such partition.
    #[error("lake {lake} holds nothing of partition {partition} of topic {topic}: check --partition")]
    NoPartition { lake: String, topic: String, partition: u32 },
    /// The log did not answer.
    #[error(transparent)]
    Log(#[from] SourceError),
    /// What makes files cannot be had.
    #[error(transparent)]
    Parts(#[from] Failure),
}

impl From<AuditError> for Failure {
    fn from(error: AuditError) -> Failure {
        match error {
            AuditError::Parts(failure) => failure,
            AuditError::Log(error @ SourceError::Settings(_)) => Failure::config(error),
            error => Failure::environment(error),
        }
    }
}

/// Audits a topic's chains and reports line by line, the summary last.
///
/// # Errors
/// When lake or log do not answer. What was reported until then holds.
pub async fn run(
    settings: &Settings,
    store: &Store,
    log: Option<Replay>,
    options: &Options,
    report: &mut (dyn FnMut(Line) + Send),
) -> Result<Summary, AuditError> {
    let (lake, topic) = (|| store.url().to_owned(), settings.topic.as_str());
    let mut rederiver = match log {
        Some(log) => Some(rederive::Rederiver::new(log, options.rederive, parts(settings, store).await?)),
        None => None,
    };
    let mut summary = Summary::default();
    let last = report;
    let mut report = |line: Line| {
        summary.add(&line);
        last(line);
    };
    let listed = tree::partitions(store, topic).await;
    let (mut partitions, strays) = listed.map_err(|reason| AuditError::Store { lake: lake(), reason })?;
    if partitions.is_empty() {
        return Err(AuditError::Nothing { lake: lake(), topic: topic.to_owned() });
    }
    match options.partition {
        None => strays.into_iter().for_each(|stray| report(Line::Finding(stray))),
        Some(partition) if partitions.contains(&partition) => partitions = vec![partition],
        Some(partition) => return Err(AuditError::NoPartition { lake: lake(), topic: topic.to_owned(), partition }),
    }
    for partition in partitions {
        let chain = Chain::new(topic, partition);
        let facts = chain::walk(store, chain, options, rederiver.as_mut(), &mut report).await?;
        report(Line::Partition(facts));
    }
    last(Line::Summary(summary));
    Ok(summary)
}

/// What takes records the way of every file.
async fn parts(settings: &Settings, store: &Store) -> Result<crate::partition::WriterParts, Failure> {
    let metrics = Arc::new(Metrics::register(&mut Registry::default()));
    let lake = Health::default().register("lake");
    let budget = Budget::new(settings.memory_bytes_max, Arc::clone(&metrics));
    crate::writer_parts(settings, store.clone(), metrics, lake, &budget).await
}
