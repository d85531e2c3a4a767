//! Records whose event the lake already holds.
//!
//! Responsible for one row for each (source, event id): within a file, and across the files of a chain. The rule:
//!
//! - Of the records of one file with the same (source, event id) the first in log order stays.
//! - A record is dropped if an earlier file of the chain holds a row with its (source, event id), and that file is within
//!   the window: the running maximum of the log's timestamps at its end is not further back than the window from the
//!   running maximum at the new file's first record. So an id that comes again within the window is always dropped, and
//!   one that comes again after the window and the span of two files never is.
//!
//! Both depend on nothing but the log's records and the chain's earlier files, so that a replay, a process that was
//! killed and another sink all drop the same records. The footer says how many, and from which file on the chain was
//! looked at. Promises: no record is dropped on suspicion. The memory holds hashes (see [`memory`]); what they suggest is
//! confirmed on the file's own columns, and a store that does not answer is asked until it does.
//!
//! The memory is bounded over all partitions. What exceeds it is forgotten from its old end: the window is then shorter
//! than configured, which the footers, a metric and a line in the log say. Leaves to others: an id that comes again under
//! another user may lie in another partition, where this chain does not see it.

mod confirm;
mod file;
mod load;
pub mod memory;
mod sieve;
#[cfg(test)]
mod tests;

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use object_store::path::Path;
use tokio::sync::Semaphore;

pub use self::sieve::Id;
use self::{confirm::confirmed, file::IdFile, memory::Recent};
pub(crate) use self::{
    memory::Suspect,
    sieve::{Sieve, id_hash},
};
#[cfg(test)]
use crate::simulation::{self, Bug};
use crate::{
    back_off::BackOff,
    budget::{Budget, Held, Holder},
    buffer::Buffer,
    footer::{Footer, FooterError},
    metrics::Metrics,
    object_path::Chain,
    roll::Extent,
    store::{Store, StoreErrorKind},
};

/// What the partitions share.
#[derive(Clone, Debug)]
pub(crate) struct Duplicates {
    pub(crate) store: Store,
    pub(crate) metrics: Arc<Metrics>,
    /// Log time that is looked back on; 0 for none.
    pub(crate) window: Duration,
    /// Bytes that all partitions may hold together.
    pub(crate) memory_bytes_max: usize,
    /// How long one look at a file may take.
    pub(crate) request_timeout: Duration,
    pub(crate) back_off_min: Duration,
    /// Files that all partitions may read at the same time while they learn what the lake holds.
    pub(crate) reads: Arc<Semaphore>,
    pub(crate) budget: Budget,
    pub(crate) all: Arc<All>,
}

/// Enough to hide a store's latency, few enough for its limits and for memory.
pub(crate) const READS: usize = 64;

/// What all partitions hold together.
#[derive(Debug, Default)]
pub(crate) struct All {
    bytes: AtomicUsize,
    chains: AtomicUsize,
}

/// Why it cannot be known whether the lake holds a record.
#[derive(Debug, thiserror::Error)]
pub enum DuplicatesError {
    /// A file of the window is not one.
    #[error(
        "the file {path} of lake {lake} cannot be read ({reason}), and so not whether it holds a record already: restore \
         it, or set a duplicates.window that does not reach back to it"
    )]
    Corrupt { lake: String, path: Path, reason: String },
    /// Files of the window do not follow on each other.
    #[error(
        "lake {lake} lacks the file of partition {partition} that ends at offset {next}, and so it is not known whether it \
         holds a record already: restore it, or set a duplicates.window that does not reach back to it"
    )]
    Hole { lake: String, partition: u32, next: u64 },
}

/// The ids of one chain's recent files, and the way to check a record against them.
#[derive(Debug)]
pub(crate) struct ChainIds {
    shared: Duplicates,
    chain: Chain,
    recent: Recent,
    /// Start of the oldest file to look at, if the window does not say that.
    since: Option<u64>,
    /// End of the newest file in memory.
    known: Option<u64>,
    /// Bytes of this chain.
    counted: usize,
    held: Held,
}

/// Files before it are not looked at.
#[derive(Clone, Copy, Debug)]
struct Bound {
    /// Running maximum of the log's timestamps at a file's end.
    since_us: i64,
    /// Start offset.
    start: u64,
}

impl Duplicates {
    /// Nothing is known of the chain yet.
    pub(crate) fn chain(&self, chain: Chain) -> ChainIds {
        self.all.chains.fetch_add(1, Relaxed);
        ChainIds {
            shared: self.clone(),
            chain,
            recent: Recent::default(),
            since: None,
            known: None,
            counted: 0,
            held: self.budget.hold(Holder::Ids),
        }
    }

    /// Opens a file that the chain has, however long the store takes.
    async fn opened(&self, path: &Path) -> Result<IdFile, DuplicatesError> {
        let file = self.until_answered(path, || file::open(self.store.objects().as_ref(), path)).await?;
        file.ok_or_else(|| self.corrupt(path, "it was there, and is gone".to_owned()))
    }

    /// Would so many bytes more be too much?
    fn is_full(&self, more: usize) -> bool {
        self.all.bytes.load(Relaxed).saturating_add(more) > self.memory_bytes_max
    }

    /// Asks the store until it answers.
    async fn until_answered<T, F>(&self, path: &Path, attempt: impl Fn() -> F) -> Result<T, DuplicatesError>
    where
        F: Future<Output = Result<T, FooterError>>,
    {
        let mut back_off = BackOff::new(self.back_off_min);
        loop {
            let unclear = match tokio::time::timeout(self.request_timeout, attempt()).await {
                Ok(Ok(answer)) => return Ok(answer),
                Ok(Err(FooterError::Corrupt(reason))) => return Err(self.corrupt(path, reason)),
                Ok(Err(FooterError::Store(error))) => {
                    self.metrics.store_error(StoreErrorKind::of(&error));
                    error.to_string()
                }
                Err(_) => {
                    self.metrics.store_error(StoreErrorKind::Timeout);
                    format!("no answer within {:?}", self.request_timeout)
                }
            };
            let wait = back_off.next();
            tracing::warn!(
                %path,
                attempts = back_off.attempts(),
                wait_ms = wait.as_millis(),
                error = unclear,
                "cannot read which events the lake holds, trying again; the records wait in the log"
            );
            tokio::time::sleep(wait).await;
        }
    }

    fn corrupt(&self, path: &Path, reason: String) -> DuplicatesError {
        DuplicatesError::Corrupt { lake: self.store.url().to_owned(), path: path.clone(), reason }
    }
}

impl ChainIds {
    /// Looks back to the file that starts at an offset, whatever the window is: as a file did that is derived again. What
    /// is known of the chain from there on stays known, so that the chain's next file costs one more to read, not all.
    pub(crate) fn look_from(&mut self, start: u64) {
        let reaches_back = self.since.replace(start).is_some_and(|since| since <= start);
        if reaches_back && self.known.is_some_and(|known| known >= start) {
            self.recent.forget_starts_before(start);
        } else {
            (self.known, self.recent) = (None, Recent::default());
        }
    }

    /// How far back records that follow on a running maximum are looked for.
    fn bound(&self, running_max_us: i64) -> Bound {
        let window_us = i64::try_from(self.shared.window.as_micros()).unwrap_or(i64::MAX);
        let since_us = if self.since.is_some() { i64::MIN } else { running_max_us.saturating_sub(window_us) };
        Bound { since_us, start: self.since.unwrap_or(0) }
    }

    /// Is nothing to be remembered?
    fn is_off(&self) -> bool {
        self.shared.window.is_zero() && self.since.is_none()
    }

    /// Learns what the chain's files up to an offset hold, as far as it is not known: everything in the window at first,
    /// then only what another writer created in between.
    ///
    /// # Errors
    /// When a file cannot be read.
    pub(crate) async fn reach(&mut self, next: u64, running_max_us: i64) -> Result<(), DuplicatesError> {
        if self.is_off() || self.known == Some(next) {
            return Ok(());
        }
        #[cfg(test)]
        if simulation::is_planted(Bug::ForgetsAtTakeover) && self.known.is_none() {
            self.known = Some(next);
            return Ok(());
        }
        load::load(self, next, self.bound(running_max_us)).await?;
        self.known = Some(next);
        self.count();
        Ok(())
    }

    /// Which records the memory suggests to be in the lake already, and from which file's start offset on it was asked.
    pub(crate) fn suspects(&self, sieve: &Sieve, extent: &Extent) -> (Vec<Suspect>, u64) {
        let bound = self.bound(extent.opened_us);
        let (mut suspects, oldest) = self.recent.find(sieve.ids(), bound.since_us);
        // A segment is forgotten as a whole: some of its files may be before the bound.
        suspects.retain(|suspect| suspect.file >= bound.start);
        self.shared.metrics.duplicates().looked_up(sieve.ids().len());
        (suspects, oldest.map_or(extent.start, |oldest| oldest.max(bound.start)))
    }

    /// Drops the records that the lake does hold already.
    ///
    /// # Errors
    /// When a file cannot be read.
    pub(crate) async fn drop_held(
        &self,
        suspects: Vec<Suspect>,
        sieve: &mut Sieve,
        buffer: &Buffer,
    ) -> Result<(), DuplicatesError> {
        if suspects.is_empty() {
            return Ok(());
        }
        let asked = suspects.len();
        let held = confirmed(&self.shared, &self.chain, suspects, sieve, buffer).await?;
        self.shared.metrics.duplicates().confirmed(asked, held.len());
        sieve.drop_across(held);
        Ok(())
    }

    /// The lake now has this file with these ids. Takes time now and then: not for an asynchronous thread.
    pub(crate) fn keep(&mut self, file: &Footer, ids: Vec<u64>) {
        if self.is_off() || self.known.is_some_and(|known| known != file.start_offset) {
            return;
        }
        self.recent.push(memory::Span::of(file), ids);
        self.known = Some(file.next_offset);
        self.recent.forget_before(self.bound(file.running_max_timestamp_us).since_us);
        self.count();
    }

    /// Counts the memory. While all chains together hold too much, those that hold no less than the average forget their
    /// oldest files.
    fn count(&mut self) {
        let mut forgotten = 0;
        loop {
            let all = self.recount();
            let average = all / self.shared.all.chains.load(Relaxed).max(1);
            if all <= self.shared.memory_bytes_max || self.counted < average || !self.recent.can_forget() {
                break;
            }
            forgotten += self.recent.forget_oldest();
        }
        if forgotten > 0 {
            self.shared.metrics.duplicates().forgotten(forgotten);
            tracing::warn!(
                partition = self.chain.partition,
                files = forgotten,
                memory_bytes_max = self.shared.memory_bytes_max,
                "forgot the ids of files within duplicates.window, because all ids exceed duplicates.memory_bytes_max: an event \
                 of theirs that is sent again now becomes a second row; raise the one or shorten the other"
            );
        }
    }

    fn recount(&mut self) -> usize {
        let bytes = self.recent.bytes();
        // Sums wrap, so that growing and shrinking are the same step.
        let change = bytes.wrapping_sub(std::mem::replace(&mut self.counted, bytes));
        let all = self.shared.all.bytes.fetch_add(change, Relaxed).wrapping_add(change);
        self.held.set(bytes);
        all
    }
}

impl Drop for ChainIds {
    fn drop(&mut self) {
        self.recent = Recent::default();
        self.recount();
        self.shared.all.chains.fetch_sub(1, Relaxed);
    }
}
