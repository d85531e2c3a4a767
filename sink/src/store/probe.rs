//! The boot probe: does the lake keep the one promise on which everything rests?
//!
//! Responsible for finding out, before a record is read, that of all who create one key exactly one succeeds, that the
//! others change nothing, and that what was created can be read and listed. A store that honours the condition only
//! when nobody else is about would pass a plain repeat, so creates race, for several keys, over connections that are open
//! already, so that they meet in the store. Promises to leave nothing where a reader looks, and to take away what it wrote
//! where it may.

use std::time::Duration;

use bytes::Bytes;
use futures::{
    TryStreamExt,
    future::{join_all, try_join_all},
};
use object_store::{Error, ObjectStoreExt, path::Path};
use tokio::time::{Instant, sleep, timeout};

use super::{Store, StoreError, StoreErrorKind, reason};
use crate::object_path;

/// Creates that race for one key.
const RACERS: usize = 16;
/// Keys that are raced for. All at once, because some stores let racers wait for seconds.
const KEYS: usize = 3;
/// A race without a clear winner, as when an answer was lost, is run again with another key so often.
const ATTEMPTS_MAX: usize = 4;
/// A list may lag so long behind a create.
const LIST_PATIENCE: Duration = Duration::from_secs(5);
/// All of it must be over in this time.
const PROBE_TIMEOUT: Duration = Duration::from_secs(60);

impl Store {
    /// Proves that the lake can be written and that a key can be created only once, in a race and in sequence.
    ///
    /// # Errors
    /// When it cannot be written or does not answer, or when a second create succeeds or changes the object.
    pub async fn probe(&self) -> Result<(), StoreError> {
        let started = Instant::now();
        let folder = object_path::probe(self.root(), &uuid::Uuid::new_v4().to_string());
        let probed = timeout(PROBE_TIMEOUT, self.race(&folder)).await;
        // What is left over where deleting is not allowed lies where no reader looks.
        let _ = timeout(PROBE_TIMEOUT, self.clean(&folder)).await;
        let url = || self.url().to_owned();
        probed.unwrap_or_else(|_| Err(StoreError::Silent { url: url(), timeout: PROBE_TIMEOUT }))?;
        tracing::info!(
            lake = self.url(),
            elapsed_ms = started.elapsed().as_millis(),
            "the lake can be written, and of those that create one key exactly one succeeds"
        );
        Ok(())
    }

    async fn race(&self, folder: &Path) -> Result<(), StoreError> {
        let absent = folder.clone().join("absent");
        join_all((0..KEYS * RACERS).map(|_| self.objects().head(&absent))).await;
        try_join_all((0..KEYS).map(|key| self.clear_race(folder, key))).await?;
        self.listed(folder).await
    }

    /// Races until there is a clear winner.
    async fn clear_race(&self, folder: &Path, key: usize) -> Result<(), StoreError> {
        let mut attempt = 0;
        loop {
            let error = match self.round(&folder.clone().join(format!("race-{key}-{attempt}"))).await? {
                Round::Clear => return Ok(()),
                Round::Unclear(error) => error,
            };
            attempt += 1;
            if attempt == ATTEMPTS_MAX {
                return Err(self.not_writable(&error));
            }
        }
    }

    /// One key: raced for, read, created once more, and read again.
    async fn round(&self, path: &Path) -> Result<Round, StoreError> {
        let content = |racer: usize| Bytes::from(format!("racer {racer}"));
        let answers = join_all((0..RACERS).map(|racer| self.create(path, content(racer)))).await;
        let mut winners = answers.iter().enumerate().filter(|(_, answer)| answer.is_ok()).map(|(racer, _)| racer);
        let Some(winner) = winners.next() else {
            let errors = answers.into_iter().filter_map(Result::err);
            let unclear = errors.max_by_key(|error| !is_refusal(error)).expect("there are racers and none won");
            return Ok(Round::Unclear(unclear));
        };
        if winners.next().is_some() {
            return Err(self.not_exclusive("several of those that created one key at once succeeded"));
        }
        self.holds(path, &content(winner)).await?;
        match self.create(path, Bytes::from_static(b"too late")).await {
            Ok(()) => return Err(self.not_exclusive("a second create of the same key succeeded")),
            Err(error) if is_refusal(&error) => {}
            Err(error) => return Ok(Round::Unclear(error)),
        }
        self.holds(path, &content(winner)).await?;
        Ok(Round::Clear)
    }

    async fn holds(&self, path: &Path, expected: &Bytes) -> Result<(), StoreError> {
        let kept = async { self.objects().get(path).await?.bytes().await }.await;
        match kept.map_err(|error| self.not_writable(&error))? {
            kept if kept == expected => Ok(()),
            _ => Err(self.not_exclusive("a refused create changed the object")),
        }
    }

    /// Does a list show what was created? A chain is found by listing it.
    async fn listed(&self, folder: &Path) -> Result<(), StoreError> {
        let deadline = Instant::now() + LIST_PATIENCE;
        loop {
            let shown = self.paths(folder).await.map_err(|error| self.not_writable(&error))?;
            if shown.len() >= KEYS {
                return Ok(());
            }
            if Instant::now() >= deadline {
                return Err(StoreError::NotListed { url: self.url().to_owned(), patience: LIST_PATIENCE });
            }
            sleep(Duration::from_millis(200)).await;
        }
    }

    async fn clean(&self, folder: &Path) -> object_store::Result<()> {
        for path in self.paths(folder).await? {
            self.objects().delete(&path).await?;
        }
        Ok(())
    }

    async fn paths(&self, folder: &Path) -> object_store::Result<Vec<Path>> {
        self.objects().list(Some(folder)).map_ok(|meta| meta.location).try_collect().await
    }

    fn not_writable(&self, error: &Error) -> StoreError {
        let advice = StoreErrorKind::of(error).advice();
        StoreError::NotWritable { url: self.url().to_owned(), reason: reason(error), advice }
    }

    fn not_exclusive(&self, how: &'static str) -> StoreError {
        StoreError::NotExclusive { url: self.url().to_owned(), how }
    }
}

/// What a race showed.
enum Round {
    /// One won, and nobody else changed anything.
    Clear,
    /// Nobody is known to have won, or the repeat got no clear answer.
    Unclear(Error),
}

/// Did the store say that there is such an object?
fn is_refusal(error: &Error) -> bool {
    matches!(error, Error::AlreadyExists { .. } | Error::Precondition { .. })
}
