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

use std::collections::{BTreeMap, HashMap};

use operator::Failure;

pub use self::{
    finding::{ChainFacts, Finding, Kind, Line, Summary},
    rederive::Rederive,
    tiling::{Placed, Tiling},
};
use crate::{
    Settings, Store,
    footer::{self, FooterError},
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
        Some(log) => {
            Some(rederive::Rederiver::new(log, options.rederive, crate::unattended_parts(settings, store).await?))
        }
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

/// Do two lakes hold the same rows, wherever their files are cut? Both are audited, up to where both have come.
///
/// # Errors
/// As [`run`].
pub async fn compare(
    settings: &Settings,
    (ours, theirs): (&Store, &Store),
    log: Option<Replay>,
    options: &Options,
    report: &mut (dyn FnMut(Line) + Send),
) -> Result<Summary, AuditError> {
    let (our_ends, their_ends) = (ends(ours, &settings.topic).await?, ends(theirs, &settings.topic).await?);
    let until = our_ends.iter().map(|(partition, end)| {
        let common = their_ends.get(partition).copied().unwrap_or(0).min(*end);
        (*partition, common)
    });
    let options = Options { until: until.collect(), ..options.clone() };
    let (mut facts, mut summary) = (BTreeMap::new(), Summary::default());
    run(settings, ours, log, &options, &mut |line| match line {
        Line::Partition(of) => drop(facts.insert(of.partition, of)),
        Line::Summary(so_far) => summary = so_far,
        line => report(line),
    })
    .await?;
    let mut other = BTreeMap::new();
    run(settings, theirs, None, &options, &mut |line| match line {
        Line::Partition(of) => drop(other.insert(of.partition, of)),
        Line::Summary(_) => {}
        line => {
            summary.add(&line);
            report(line);
        }
    })
    .await?;
    for (partition, of) in &facts {
        report(Line::Partition(*of));
        let (that, their_end) = (other.get(partition).copied().unwrap_or_default(), their_ends.get(partition));
        let line = match their_end {
            None => Some((Kind::Differs, format!("{} has no such chain", theirs.url()))),
            Some(end) if *end < of.next_offset => {
                Some((Kind::Behind, format!("{} has come to offset {end} only", theirs.url())))
            }
            Some(_) => None,
        };
        if let Some((kind, message)) = line {
            let line = Line::Finding(Finding::new(kind, Some(*partition), ours.url(), message));
            summary.add(&line);
            report(line);
        }
        if (of.rows, of.rows_hash) == (that.rows, that.rows_hash) {
            continue;
        }
        let message = format!(
            "up to offset {}, where both have come, it holds {} rows with the hash {:016x}, and {} holds {} with {:016x}",
            options.until.get(partition).copied().unwrap_or(0),
            of.rows,
            of.rows_hash,
            theirs.url(),
            that.rows,
            that.rows_hash
        );
        let line = Line::Finding(Finding::new(Kind::Differs, Some(*partition), ours.url(), message));
        summary.add(&line);
        report(line);
    }
    report(Line::Summary(summary));
    Ok(summary)
}

/// Where each chain ends, by the footer of its last file.
async fn ends(store: &Store, topic: &str) -> Result<BTreeMap<u32, u64>, AuditError> {
    let failed = |reason| AuditError::Store { lake: store.url().to_owned(), reason };
    let mut ends = BTreeMap::new();
    for partition in tree::partitions(store, topic).await.map_err(failed)?.0 {
        let chain = Chain::new(topic, partition);
        if let Some(last) = starts(store, &chain).await?.last() {
            let path = chain.file(store.root(), *last);
            let end = match footer::read(store.objects().as_ref(), &path).await {
                Ok(Some(footer)) => footer.next_offset,
                Ok(None) | Err(FooterError::Corrupt(_)) => *last,
                Err(FooterError::Store(reason)) => return Err(failed(reason)),
            };
            ends.insert(partition, end);
        }
    }
    Ok(ends)
}

/// The start offsets of a chain's files, ascending.
pub(crate) async fn starts(store: &Store, chain: &Chain) -> Result<Vec<u64>, AuditError> {
    let objects = tree::objects(store, chain).await;
    Ok(objects.map_err(|reason| AuditError::Store { lake: store.url().to_owned(), reason })?.files)
}
