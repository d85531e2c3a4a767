//! One file: judged, sorted, encoded, and brought into the lake.
//!
//! Responsible for the order of these steps. The work of the CPU is done on a blocking thread, for few files at a time,
//! and the records are let go as soon as the file's bytes exist.

use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering::Relaxed},
};

use bytes::Bytes;
use tokio::{
    sync::Semaphore,
    time::{Instant, timeout},
};

use super::Written;
use crate::{
    budget::{Budget, Holder, Leaving},
    buffer::Buffer,
    commit::{CommitError, Committer, Outcome},
    dead_letter, decode,
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
    /// Files of the chain since its newest checkpoint.
    files: AtomicU32,
}

/// A file's bytes and what belongs to them.
struct Sealed {
    file: WrittenFile,
    dead_letters: Option<Bytes>,
    dead_reasons: Vec<&'static str>,
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
        Writer { shared: self.clone(), chain, log_id, policy_hash, files: AtomicU32::new(files) }
    }
}

impl Writer {
    /// Makes one file of a buffer and brings it into the lake.
    ///
    /// # Errors
    /// When what lies in the file's place is damaged or of another log.
    pub(crate) async fn write(
        self: Arc<Self>,
        buffer: Buffer,
        cut: CutReason,
        leaving: Leaving,
        mut journey: Journey,
    ) -> Result<Written, CommitError> {
        let first_us = buffer.extent().first_us;
        let sealed = self.sealed(buffer, cut, leaving, &mut journey).await;
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
        self.checkpoint(&footer, &outcome).await;
        Ok(Written { outcome, footer })
    }

    /// What the file of a buffer would say about itself. Nothing is brought into the lake.
    pub(crate) async fn derived(self: &Arc<Self>, buffer: Buffer) -> Footer {
        let leaving = self.shared.budget.open_file().leave(buffer.extent().log_bytes);
        self.sealed(buffer, CutReason::Shutdown, leaving, &mut Journey::begin()).await.file.footer
    }

    async fn sealed(
        self: &Arc<Self>,
        buffer: Buffer,
        cut: CutReason,
        leaving: Leaving,
        journey: &mut Journey,
    ) -> Sealed {
        let extent = buffer.extent();
        let _encoding = self.shared.budget.encoding(extent.records, extent.log_bytes).await;
        let _permit = self.shared.sealers.acquire().await.expect("the semaphore is never closed");
        journey.end(Stage::Turn);
        let writer = Arc::clone(self);
        let sealed = on_blocking_thread(move || {
            let sealed = writer.seal(&buffer, cut);
            drop((buffer, leaving));
            sealed
        })
        .await;
        journey.end(Stage::Encode);
        sealed
    }

    /// Decode -> sort -> write.
    fn seal(&self, buffer: &Buffer, cut: CutReason) -> Sealed {
        let started = Instant::now();
        let mut judged = decode::judge(buffer, &self.shared.schema_ids);
        sort::by_user(&mut judged.rows, buffer);
        let footer = self.footer(buffer, &judged, cut);
        let file = writer::write(buffer, &judged.rows, footer, &self.shared.promotion);
        let letters = &judged.dead_letters;
        let dead_letters = (!letters.is_empty()).then(|| dead_letter::encode(buffer, self.chain.partition, letters));
        self.shared.metrics.sealed(started.elapsed());
        let dead_reasons = letters.iter().map(|(_, reason)| reason.label()).collect();
        Sealed { file, dead_letters, dead_reasons }
    }

    fn footer(&self, buffer: &Buffer, judged: &decode::Judged, cut: CutReason) -> Footer {
        let extent = buffer.extent();
        Footer {
            topic: self.chain.topic.clone(),
            partition: self.chain.partition,
            log_id: self.log_id.to_string(),
            start_offset: extent.start,
            next_offset: extent.next,
            rows: judged.rows.len() as u64,
            dead_letters: judged.dead_letters.len() as u64,
            duplicates: judged.duplicates,
            min_timestamp_us: extent.min_us,
            max_timestamp_us: extent.max_us,
            running_max_timestamp_us: extent.running_max_us,
            cut_reason: cut.label().to_owned(),
            policy_hash: self.policy_hash,
            schema_id: event::SCHEMA_ID,
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

/// Work of the CPU. A simulated sink does it at once: with other threads no history would come again.
async fn on_blocking_thread<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    #[cfg(test)]
    if crate::simulation::is_running() {
        return work();
    }
    tokio::task::spawn_blocking(work).await.expect("a panic in this work is a bug, and ends the partition")
}
