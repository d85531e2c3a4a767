//! One chain, from its first file to its last.
//!
//! Responsible for what no file says alone: gaps, overlaps, orphans, times that go back, checkpoints and dead letters
//! that do not fit. Files are read a few at a time, in order.

use std::{collections::BTreeMap, time::Duration};

use futures::{StreamExt, stream};
use object_store::ObjectStoreExt;
use tokio::time::Instant;

use super::{
    AuditError, Options,
    file::{self, Seen},
    finding::{ChainFacts, Finding, Kind, Line},
    rederive::Rederiver,
    tiling::{Placed, Tiling},
    tree::{self, Objects},
};
use crate::{footer::Footer, object_path::Chain, resume::Checkpoint, roll::CutReason, row_hash, store::Store};

/// Files that are read at the same time.
const FILES_AT_ONCE: usize = 4;
/// A long walk says where it is.
const PROGRESS: Duration = Duration::from_secs(10);

/// The walk along one chain.
pub(super) struct Walk<'a> {
    store: &'a Store,
    chain: Chain,
    report: &'a mut dyn FnMut(Line),
    tiling: Tiling,
    facts: ChainFacts,
    /// Largest timestamp so far; unknown behind a file that cannot be read.
    running_max_us: Option<i64>,
    log_id: Option<String>,
    /// Where the chain's files start and end.
    ends: BTreeMap<u64, u64>,
}

/// Walks the chain of a partition.
pub(super) async fn walk(
    store: &Store,
    chain: Chain,
    options: &Options,
    mut rederiver: Option<&mut Rederiver>,
    report: &mut dyn FnMut(Line),
) -> Result<ChainFacts, AuditError> {
    let failed = |reason| AuditError::Store { lake: store.url().to_owned(), reason };
    let objects = tree::objects(store, &chain).await.map_err(failed)?;
    let until = options.until.get(&chain.partition).copied().unwrap_or(u64::MAX);
    let facts = ChainFacts { partition: chain.partition, ..ChainFacts::default() };
    let mut walk = Walk {
        store,
        chain: chain.clone(),
        report,
        tiling: Tiling::begin(),
        facts,
        running_max_us: Some(i64::MIN),
        log_id: None,
        ends: BTreeMap::new(),
    };
    objects.strays.iter().for_each(|finding| (walk.report)(Line::Finding(finding.clone())));
    let looks = objects.files.iter().map(|start| {
        let chain = &chain;
        async move { (*start, file::look(store, chain, *start, options.with_rows, until).await) }
    });
    let mut looks = stream::iter(looks).buffered(FILES_AT_ONCE);
    let (mut said, mut looked) = (Instant::now(), 0);
    while let Some((start, seen)) = looks.next().await {
        let before_us = walk.running_max_us;
        if let Some(footer) = walk.file(start, seen.map_err(failed)?)
            && let Some(rederiver) = rederiver.as_deref_mut()
        {
            let is_last = objects.files.last() == Some(&start);
            walk.derive_again(rederiver, &footer, before_us, is_last).await?;
        }
        looked += 1;
        if said.elapsed() >= PROGRESS {
            said = Instant::now();
            tracing::info!(partition = chain.partition, files = looked, of = objects.files.len(), "auditing");
        }
    }
    walk.check_checkpoints(&objects).await.map_err(failed)?;
    walk.check_dead_letters(&objects);
    if let Some(rederiver) = rederiver {
        walk.check_end(rederiver)?;
    }
    walk.facts.next_offset = walk.tiling.next().unwrap_or(walk.facts.next_offset);
    Ok(walk.facts)
}

impl Walk<'_> {
    fn found(&mut self, kind: Kind, path: impl std::fmt::Display, message: impl Into<String>) {
        (self.report)(Line::Finding(Finding::new(kind, Some(self.chain.partition), path, message)));
    }

    /// Takes the next file; returns its footer if it is a sound part of the chain.
    fn file(&mut self, start: u64, seen: Seen) -> Option<Footer> {
        let path = self.chain.file(self.store.root(), start);
        let is_sound = seen.problems.is_empty();
        for (kind, message) in seen.problems {
            self.found(kind, &path, message);
        }
        match self.tiling.place(start, seen.footer.as_ref().map(|footer| footer.next_offset)) {
            Placed::InChain => {}
            Placed::AfterGap(from) => {
                self.found(Kind::Gap, &path, format!("no file covers the offsets from {from} to {}", start - 1));
            }
            Placed::Overlaps(next) => {
                let message = format!("the chain has come to offset {next} without it: readers see its rows twice");
                self.found(Kind::Overlap, &path, message);
                return None;
            }
        }
        self.facts.files += 1;
        self.facts.next_offset = start + 1;
        let Some(footer) = seen.footer else {
            self.running_max_us = None;
            return None;
        };
        self.facts.rows += seen.rows;
        self.facts.rows_hash = row_hash::with(self.facts.rows_hash, seen.rows_hash);
        self.check_footer(&path, &footer);
        self.facts.next_offset = footer.next_offset;
        self.ends.insert(start, footer.next_offset);
        is_sound.then_some(footer)
    }

    fn check_footer(&mut self, path: &object_store::path::Path, footer: &Footer) {
        let Footer { start_offset, next_offset, rows, dead_letters, duplicates, .. } = *footer;
        let records = next_offset - start_offset;
        self.facts.dead_letters += dead_letters;
        self.facts.duplicates += duplicates;
        if footer.cut_reason == CutReason::Gap.label() {
            self.facts.gap_records += records;
            let message = format!("the records from {start_offset} to {} were lost in the log", next_offset - 1);
            self.found(Kind::GapMarker, path, message);
            if rows + dead_letters + duplicates > 0 {
                self.found(Kind::Damaged, path, "it marks a gap and counts records");
            }
        }
        if rows + dead_letters + duplicates > records {
            self.found(Kind::Damaged, path, format!("it counts more than the {records} records that it covers"));
        }
        let expected = self.running_max_us.map(|before| before.max(footer.max_timestamp_us));
        if expected.is_some_and(|expected| expected != footer.running_max_timestamp_us) {
            self.found(
                Kind::Damaged,
                path,
                "the largest timestamp of its chain does not go on from the file before it",
            );
        }
        self.running_max_us = Some(footer.running_max_timestamp_us);
        match &self.log_id {
            Some(log_id) if *log_id != footer.log_id => {
                let message = format!("it is of the log {}, and the file before it of {log_id}", footer.log_id);
                self.found(Kind::Log, path, message);
            }
            _ => {}
        }
        self.log_id = Some(footer.log_id.clone());
    }

    /// A checkpoint stands for the chain up to a file: a wrong one would make a gap at the next start.
    async fn check_checkpoints(&mut self, objects: &Objects) -> object_store::Result<()> {
        for start in &objects.checkpoints {
            let path = self.chain.checkpoint(self.store.root(), *start);
            let bytes = self.store.objects().get(&path).await?.bytes().await?;
            let message = match (serde_json::from_slice::<Checkpoint>(&bytes), self.ends.get(start)) {
                (Err(error), _) => format!("it cannot be read ({error}): delete it"),
                (Ok(checkpoint), Some(end)) if checkpoint.next_offset == *end => continue,
                (Ok(checkpoint), _) => format!(
                    "it says that the file of offset {start} ends at {}, and the chain does not: delete it",
                    checkpoint.next_offset
                ),
            };
            self.found(Kind::Checkpoint, path, message);
        }
        Ok(())
    }

    /// Objects whose data file did not come, or was another writer's.
    fn check_dead_letters(&mut self, objects: &Objects) {
        for (start, next) in &objects.dead_letters {
            if self.ends.get(start) == Some(next) {
                continue;
            }
            let path = self.chain.dead_letters(self.store.root(), *start, *next);
            let message = if self.tiling.next().is_some_and(|end| *start >= end) {
                "its data file is not there: it is being written, or its writer was killed and another cut differently"
            } else {
                "its data file is another writer's, which cut differently and has dead letters of its own"
            };
            self.found(Kind::Leftover, path, message);
        }
    }

    async fn derive_again(
        &mut self,
        rederiver: &mut Rederiver,
        footer: &Footer,
        before_us: Option<i64>,
        is_last: bool,
    ) -> Result<(), AuditError> {
        let Some(before_us) = before_us.filter(|_| rederiver.wants(footer, is_last)) else { return Ok(()) };
        match rederiver.check(&self.chain, footer, before_us).await? {
            None => self.facts.rederived += 1,
            Some((kind, message)) => {
                let path = self.chain.file(self.store.root(), footer.start_offset);
                self.found(kind, path, message);
            }
        }
        Ok(())
    }

    /// The lake cannot hold what the log never had.
    fn check_end(&mut self, rederiver: &mut Rederiver) -> Result<(), AuditError> {
        let folder = self.chain.files(self.store.root());
        if let (Some(ours), Some(log_id)) = (&self.log_id, rederiver.other_log(self.log_id.as_deref())) {
            let message = format!("it was written from another incarnation of the log ({ours}, now {log_id})");
            self.found(Kind::Log, &folder, message);
            return Ok(());
        }
        let end = rederiver.end(self.chain.partition)?;
        if self.facts.next_offset > end {
            let message = format!("it goes up to offset {}, and the log ends at {end}", self.facts.next_offset);
            self.found(Kind::Log, &folder, message);
        }
        Ok(())
    }
}
