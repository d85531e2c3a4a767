//! One file: judged, freed of duplicates, sorted, encoded, and brought into the lake.
//!
//! Responsible for the order of these steps. The work of the CPU is done on a blocking thread, for few files at a time,
//! and the records are let go as soon as the file's bytes exist.

use std::{
    ops::Range,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering::Relaxed},
    },
};

use bytes::Bytes;
use tokio::{
    sync::{Mutex, OwnedMutexGuard, Semaphore, SemaphorePermit},
    time::{Duration, Instant, timeout},
};

use super::Written;
use crate::{
    budget::{Budget, Holder, Leaving},
    buffer::{Buffer, Place},
    commit::{CommitError, Committer, Outcome},
    cpu::on_blocking_thread,
    dead_letter, decode,
    duplicates::{ChainIds, Duplicates, DuplicatesError, Sieve, Suspect},
    failpoint::{self, Point},
    footer::Footer,
    journey::{Journey, Stage},
    metrics::Metrics,
    object_path::Chain,
    promote::Promotion,
    resume,
    roll::CutReason,
    schema_ids::SchemaIds,
    sort,
    writer::{self, WRITER, WrittenFile},
};

/// What the writers of all partitions share.
#[derive(Clone, Debug)]
pub(crate) struct WriterParts {
    pub(crate) topic: Arc<str>,
    pub(crate) committer: Committer,
    pub(crate) duplicates: Duplicates,
    pub(crate) metrics: Arc<Metrics>,
    /// Files that may be encoded at the same time.
    pub(crate) sealers: Arc<Semaphore>,
    pub(crate) budget: Budget,
    pub(crate) checkpoint_files: u32,
    pub(crate) promotion: Arc<Promotion>,
    pub(crate) schema_ids: SchemaIds,
}

/// Makes the files of one partition.
#[derive(Debug)]
pub(crate) struct Writer {
    shared: WriterParts,
    chain: Chain,
    log_id: Arc<str>,
    policy_hash: u64,
    /// What the chain's earlier files hold.
    ids: Arc<Mutex<ChainIds>>,
    /// Files of the chain since its newest checkpoint.
    files: AtomicU32,
}

/// Why a file is not in the lake.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WriteError {
    #[error(transparent)]
    Commit(#[from] CommitError),
    #[error(transparent)]
    Duplicates(#[from] DuplicatesError),
}

/// A file's records, each with its fate.
struct Sifted {
    sieve: Sieve,
    dead_letters: Vec<(Place, decode::DeadReason)>,
    /// Start of the oldest file that was looked at for duplicates.
    since: u64,
}

/// A file's bytes and what belongs to them.
struct Sealed {
    file: WrittenFile,
    dead_letters: Option<Bytes>,
    dead_reasons: Vec<&'static str>,
    /// Of the rows, sorted.
    id_hashes: Vec<u64>,
}

impl Sealed {
    fn bytes(&self) -> usize {
        self.file.bytes.len() + self.dead_letters.as_ref().map_or(0, Bytes::len)
    }
}

impl WriterParts {
    pub(crate) fn writer(&self, partition: u32, log_id: Arc<str>, limits_hash: u64, files: u32) -> Writer {
        let chain = Chain::new(&*self.topic, partition);
        let policy_hash = self.promotion.policy_hash(limits_hash);
        let ids = Arc::new(Mutex::new(self.duplicates.chain(chain.clone())));
        Writer { shared: self.clone(), chain, log_id, policy_hash, ids, files: AtomicU32::new(files) }
    }
}

impl Writer {
    /// Learns what the chain's files up to its end hold, so that the first file need not wait for it.
    pub(crate) async fn learn(self: Arc<Self>, next: u64, running_max_us: i64) {
        // An error comes again when the first file is made, and stops the partition then.
        let _ = self.ids.lock().await.reach(next, running_max_us).await;
    }

    /// Makes one file of a buffer and brings it into the lake.
    ///
    /// # Errors
    /// When what lies in the file's place, or before it in the window of duplicates, is damaged or of another log.
    pub(crate) async fn write(
        self: Arc<Self>,
        buffer: Buffer,
        cut: CutReason,
        leaving: Leaving,
        mut journey: Journey,
    ) -> Result<Written, WriteError> {
        let first_us = buffer.extent().first_us;
        let (sealed, mut ids) = self.sealed(buffer, cut, leaving, &mut journey).await?;
        let mut uploading = self.shared.budget.hold(Holder::Upload);
        uploading.set(sealed.bytes());
        self.store_dead_letters(&sealed).await;
        let WrittenFile { footer, bytes, mismatches } = sealed.file;
        failpoint::pass(Point::BeforePut);
        let outcome = self.shared.committer.create(&self.chain, &footer, bytes.clone()).await?;
        failpoint::pass(Point::AfterPut);
        if outcome == Outcome::Created {
            journey.end(Stage::Upload);
            self.shared.metrics.arrived(&journey, first_us);
            self.shared.metrics.committed(&footer, bytes.len(), cut, &sealed.dead_reasons);
            self.shared.metrics.mismatched(&mismatches);
        }
        if !matches!(outcome, Outcome::Lost(_)) {
            let footer = footer.clone();
            on_blocking_thread(move || ids.keep(&footer, sealed.id_hashes)).await;
        }
        self.checkpoint(&footer, &outcome).await;
        Ok(Written { outcome, footer })
    }

    /// Brings a file without rows into the lake, which says that the records of these offsets were lost.
    ///
    /// # Errors
    /// As [`Writer::write`].
    pub(crate) async fn mark_gap(
        self: Arc<Self>,
        lost: Range<u64>,
        running_max_us: i64,
    ) -> Result<Written, WriteError> {
        let empty = Buffer::new(lost.start, running_max_us);
        let sieve = Sieve::new(Vec::new(), &[], &empty);
        let sifted = Sifted { sieve, dead_letters: Vec::new(), since: lost.start };
        let mut footer = self.footer(&empty, &sifted, CutReason::Gap);
        footer.next_offset = lost.end;
        (footer.min_timestamp_us, footer.max_timestamp_us) = (running_max_us, running_max_us);
        let WrittenFile { footer, bytes, .. } = writer::write(&empty, &[], footer, &self.shared.promotion);
        let outcome = self.shared.committer.create(&self.chain, &footer, bytes.clone()).await?;
        if outcome == Outcome::Created {
            self.shared.metrics.committed(&footer, bytes.len(), CutReason::Gap, &[]);
            tracing::error!(
                partition = footer.partition,
                first_offset = lost.start,
                last_offset = lost.end - 1,
                records = lost.end - lost.start,
                "the log lost records before they were read; their loss is accepted and marked in the lake"
            );
        }
        self.checkpoint(&footer, &outcome).await;
        Ok(Written { outcome, footer })
    }

    /// Looks for duplicates from a file's start on, whatever the window is.
    pub(crate) async fn look_from(&self, since: u64) {
        self.ids.lock().await.look_from(since);
    }

    /// What the file of a buffer would say about itself, looking for duplicates from a file's start on. Nothing is brought
    /// into the lake.
    ///
    /// # Errors
    /// When a file before it cannot be read.
    pub(crate) async fn derived(self: &Arc<Self>, buffer: Buffer, since: u64) -> Result<Footer, WriteError> {
        self.look_from(since).await;
        let leaving = self.shared.budget.open_file().leave(buffer.extent().log_bytes);
        let (sealed, _) = self.sealed(buffer, CutReason::Shutdown, leaving, &mut Journey::begin()).await?;
        Ok(sealed.file.footer)
    }

    /// Judge -> duplicates -> sort -> write.
    async fn sealed(
        self: &Arc<Self>,
        mut buffer: Buffer,
        cut: CutReason,
        leaving: Leaving,
        journey: &mut Journey,
    ) -> Result<(Sealed, OwnedMutexGuard<ChainIds>), WriteError> {
        let extent = buffer.extent();
        let mut ids = Arc::clone(&self.ids).lock_owned().await;
        ids.reach(extent.start, extent.opened_us).await?;
        let _encoding = self.shared.budget.encoding(extent.records, extent.log_bytes).await;
        let turn = self.turn().await;
        journey.end(Stage::Turn);
        let writer = Arc::clone(self);
        let sift = move || {
            let (sifted, suspects) = writer.sift(&mut buffer, &ids);
            (buffer, ids, sifted, suspects)
        };
        let ((buffer, ids, mut sifted, suspects), sifting) = timed_on_blocking_thread(sift).await;
        drop(turn);
        ids.drop_held(suspects, &mut sifted.sieve, &buffer).await?;
        let _turn = self.turn().await;
        let writer = Arc::clone(self);
        let seal = move || {
            let sealed = writer.seal(&buffer, sifted, cut);
            drop((buffer, leaving));
            sealed
        };
        let (sealed, sealing) = timed_on_blocking_thread(seal).await;
        self.shared.metrics.sealed(sifting + sealing);
        journey.end(Stage::Encode);
        Ok((sealed, ids))
    }

    /// Few files are worked on at the same time.
    async fn turn(&self) -> SemaphorePermit<'_> {
        self.shared.sealers.acquire().await.expect("the semaphore is never closed")
    }

    /// What the records are, and which of them may be in the lake already.
    fn sift(&self, buffer: &mut Buffer, ids: &ChainIds) -> (Sifted, Vec<Suspect>) {
        let judged = decode::judge(buffer, &self.shared.schema_ids);
        let sieve = Sieve::new(judged.rows, &judged.id_hashes, buffer);
        let (suspects, since) = ids.suspects(&sieve, buffer.extent());
        (Sifted { sieve, dead_letters: judged.dead_letters, since }, suspects)
    }

    fn seal(&self, buffer: &Buffer, sifted: Sifted, cut: CutReason) -> Sealed {
        let footer = self.footer(buffer, &sifted, cut);
        let Sifted { sieve, dead_letters: letters, .. } = sifted;
        let (mut rows, id_hashes) = sieve.finish();
        sort::by_user(&mut rows, buffer);
        let file = writer::write(buffer, &rows, footer, &self.shared.promotion);
        let dead_letters = (!letters.is_empty()).then(|| dead_letter::encode(buffer, self.chain.partition, &letters));
        let dead_reasons = letters.iter().map(|(_, reason)| reason.label()).collect();
        Sealed { file, dead_letters, dead_reasons, id_hashes }
    }

    fn footer(&self, buffer: &Buffer, sifted: &Sifted, cut: CutReason) -> Footer {
        let extent = buffer.extent();
        let (in_file, across_files) = sifted.sieve.counts();
        Footer {
            topic: self.chain.topic.clone(),
            partition: self.chain.partition,
            log_id: self.log_id.to_string(),
            start_offset: extent.start,
            next_offset: extent.next,
            rows: 0,
            dead_letters: sifted.dead_letters.len() as u64,
            duplicates: in_file + across_files,
            duplicates_across_files: across_files,
            duplicates_since: sifted.since,
            min_timestamp_us: extent.min_us,
            max_timestamp_us: extent.max_us,
            running_max_timestamp_us: extent.running_max_us,
            cut_reason: cut.label().to_owned(),
            policy_hash: self.policy_hash,
            schema_id: self.shared.promotion.version().number(),
            row_hash: 0,
            columns: String::new(),
            writer: WRITER.to_owned(),
        }
    }

    /// Dead letters come first: a data file promises that they are there.
    async fn store_dead_letters(&self, sealed: &Sealed) {
        let Some(letters) = &sealed.dead_letters else { return };
        let footer = &sealed.file.footer;
        let committer = &self.shared.committer;
        let path = self.chain.dead_letters(committer.store.root(), footer.start_offset, footer.next_offset);
        committer.create_once(&path, letters.clone()).await;
        tracing::warn!(
            partition = footer.partition,
            records = footer.dead_letters,
            first_reason = sealed.dead_reasons.first(),
            %path,
            "records that are no events went to the dead letters"
        );
    }

    /// Now and then, so that a restart lists few files. Losing one costs a longer list.
    async fn checkpoint(&self, mine: &Footer, outcome: &Outcome) {
        let file = match outcome {
            Outcome::Created | Outcome::Adopted => mine,
            Outcome::Lost(winner) => winner,
        };
        if self.files.fetch_add(1, Relaxed) + 1 < self.shared.checkpoint_files {
            return;
        }
        let committer = &self.shared.committer;
        // A store that says nothing must not keep the partition from its next file.
        let written = timeout(committer.request_timeout, resume::checkpoint(&committer.store, &self.chain, file)).await;
        let partition = mine.partition;
        match written {
            Ok(Ok(())) => self.files.store(0, Relaxed),
            Ok(Err(error)) => tracing::warn!(partition, %error, "cannot write a checkpoint, trying later"),
            Err(_) => tracing::warn!(partition, "the store did not answer to a checkpoint, trying later"),
        }
    }
}

/// Runs work of the CPU, and says how long it took.
async fn timed_on_blocking_thread<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> (T, Duration) {
    let timed = move || {
        let started = Instant::now();
        (work(), started.elapsed())
    };
    on_blocking_thread(timed).await
}
