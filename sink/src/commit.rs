//! The create that is the commit.
//!
//! Responsible for bringing a finished file into the lake: one PUT with create-if-absent, and, whatever the answer was
//! unless it was yes, a look at what lies there (rule B of the chain). Promises: never overwrites, never deletes, and
//! never concludes from an error; a lost reply to a create that succeeded ends as "adopted". Keeps trying for as long as
//! the store does not answer, and says so. Leaves rule A, one file of a partition after the other, to the partition.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use object_store::{ObjectStoreExt, path::Path};
use operator::Condition;
use tokio::time::Instant;

#[cfg(test)]
use crate::simulation::{self, Bug};
use crate::{
    back_off::BackOff,
    failpoint::{self, Point},
    footer::{self, Footer, FooterError},
    metrics::{CommitOutcome, Metrics},
    object_path::Chain,
    store::{Store, StoreErrorKind, reason},
};

/// How a create ended.
#[derive(Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The file is this writer's.
    Created,
    /// There is a file with the same content: this writer's own, whose answer was lost, or its twin's.
    Adopted,
    /// Another writer's file covers the start offset; the chain goes on where it ends.
    Lost(Box<Footer>),
}

/// Why there is no outcome. A store that does not answer is not a reason: it is asked again.
#[derive(Debug, thiserror::Error)]
pub enum CommitError {
    /// What lies at the key is not a data file.
    #[error(
        "the file {path} of lake {lake} cannot be read ({reason}): restore it, or, if the log still holds its records, \
         move it out of the lake, and start again"
    )]
    Corrupt { lake: String, path: Path, reason: String },
    /// What lies at the key was written from other records.
    #[error(
        "{path} in lake {lake} was written from another incarnation of the log ({theirs}, now {ours}), so that its \
         offsets mean other records: use another topic name or another lake"
    )]
    Incarnation { lake: String, path: Path, theirs: String, ours: String },
}

/// Brings objects into the lake; see the module.
#[derive(Clone, Debug)]
pub struct Committer {
    pub store: Store,
    pub metrics: Arc<Metrics>,
    /// Not ready while creates fail.
    pub lake: Condition,
    /// How long one request may take before its outcome counts as unclear.
    pub request_timeout: Duration,
    /// First wait between two attempts; it doubles up to ten seconds.
    pub back_off_min: Duration,
}

/// What a look found.
enum Found {
    Nothing,
    File(Box<Footer>),
}

impl Committer {
    /// Creates the data file, or finds out what lies in its place.
    ///
    /// # Errors
    /// When what lies there is damaged or of another log.
    pub async fn create(&self, chain: &Chain, mine: &Footer, content: Bytes) -> Result<Outcome, CommitError> {
        let path = chain.file(self.store.root(), mine.start_offset);
        let mut back_off = BackOff::new(self.back_off_min);
        loop {
            failpoint::pass(Point::DuringPut);
            let Err(unclear) = self.put(&path, content.clone()).await else {
                self.metrics.commit(CommitOutcome::Created);
                return Ok(Outcome::Created);
            };
            match self.look(&path).await? {
                Some(Found::File(theirs)) => return self.judge(&path, mine, theirs),
                // AlreadyExists of nothing is how a store says that two creates met: neither may have won.
                Some(Found::Nothing) | None => self.wait(&mut back_off, &path, &unclear).await,
            }
        }
    }

    /// Creates an object whose name says what it holds, so that one that is there already is as good.
    pub async fn create_once(&self, path: &Path, content: Bytes) {
        let mut back_off = BackOff::new(self.back_off_min);
        loop {
            let Err(unclear) = self.put(path, content.clone()).await else { return };
            let present = tokio::time::timeout(self.request_timeout, self.store.objects().head(path)).await;
            if matches!(present, Ok(Ok(_))) {
                self.lake.set(true, "");
                self.metrics.outage().answered();
                return;
            }
            self.wait(&mut back_off, path, &unclear).await;
        }
    }

    /// One PUT. Every error, also a timeout, leaves open whether the object is there.
    async fn put(&self, path: &Path, content: Bytes) -> Result<(), String> {
        let started = Instant::now();
        let put = tokio::time::timeout(self.request_timeout, self.store.create(path, content)).await;
        let (kind, unclear) = match put {
            Ok(Ok(())) => {
                self.metrics.put_seconds(started.elapsed());
                self.lake.set(true, "");
                return Ok(());
            }
            Ok(Err(error)) => (StoreErrorKind::of(&error), reason(&error)),
            Err(_) => (StoreErrorKind::Timeout, format!("no answer within {:?}", self.request_timeout)),
        };
        self.metrics.store_error(kind);
        Err(unclear)
    }

    /// Reads what lies at a key; `None` when the store does not tell.
    async fn look(&self, path: &Path) -> Result<Option<Found>, CommitError> {
        let read = footer::read(self.store.objects().as_ref(), path);
        match tokio::time::timeout(self.request_timeout, read).await {
            Ok(Ok(Some(footer))) => Ok(Some(Found::File(Box::new(footer)))),
            Ok(Ok(None)) => Ok(Some(Found::Nothing)),
            Ok(Err(FooterError::Corrupt(reason))) => {
                Err(CommitError::Corrupt { lake: self.store.url().to_owned(), path: path.clone(), reason })
            }
            Ok(Err(FooterError::Store(error))) => {
                self.metrics.store_error(StoreErrorKind::of(&error));
                Ok(None)
            }
            Err(_) => {
                self.metrics.store_error(StoreErrorKind::Timeout);
                Ok(None)
            }
        }
    }

    fn judge(&self, path: &Path, mine: &Footer, theirs: Box<Footer>) -> Result<Outcome, CommitError> {
        self.lake.set(true, "");
        self.metrics.outage().answered();
        let lake = || self.store.url().to_owned();
        if theirs.log_id != mine.log_id {
            let (theirs, ours) = (theirs.log_id, mine.log_id.clone());
            return Err(CommitError::Incarnation { lake: lake(), path: path.clone(), theirs, ours });
        }
        if (theirs.start_offset, theirs.partition) != (mine.start_offset, mine.partition) {
            let reason = "its footer does not match its name".to_owned();
            return Err(CommitError::Corrupt { lake: lake(), path: path.clone(), reason });
        }
        let is_same = theirs.same_content(mine);
        #[cfg(test)]
        let is_same = is_same || simulation::is_planted(Bug::AdoptsUnread);
        let outcome = if is_same { Outcome::Adopted } else { Outcome::Lost(theirs) };
        self.metrics.commit(match outcome {
            Outcome::Adopted => CommitOutcome::Adopted,
            _ => CommitOutcome::Lost,
        });
        Ok(outcome)
    }

    async fn wait(&self, back_off: &mut BackOff, path: &Path, unclear: &str) {
        let wait = back_off.next();
        tracing::warn!(
            %path,
            attempts = back_off.attempts(),
            wait_ms = wait.as_millis(),
            error = unclear,
            "cannot create a file in the lake, trying again; its records stay in the log until it is there"
        );
        self.lake.set(false, format!("{path} cannot be created: {unclear}"));
        self.metrics.outage().failing();
        tokio::time::sleep(wait).await;
    }
}
