//! The boot probe: does the lake keep the one promise on which everything rests?
//!
//! Responsible for finding out, before a record is read, that of all who create one key exactly one succeeds, that the
//! others change nothing, and that what was created can be read and listed. A store that honours the condition only
//! when nobody else is about would pass a plain repeat, so creates race, over connections that are open already, so that
//! they meet in the store. Such a store loses only some races, so there are many. Promises to leave nothing where a
//! reader looks, and to take away what it wrote where it may.

use std::time::Duration;

use bytes::Bytes;
use futures::{
    StreamExt, TryStreamExt,
    future::{join_all, try_join_all},
    stream::FuturesUnordered,
};
use object_store::{Error, ObjectStoreExt, path::Path};
use tokio::{
    sync::Semaphore,
    time::{Instant, sleep, timeout},
};

use super::{Store, StoreError, StoreErrorKind, reason};
use crate::object_path;

/// Creates that race for one key.
const RACERS: usize = 16;
/// Keys that are raced for. Adobe's s3mock 5.2 lets several win in about one race of three.
const KEYS: usize = 16;
/// A race without a clear winner, as when an answer was lost, is run again with another key so often.
const ATTEMPTS_MAX: usize = 4;
/// A list may lag so long behind a create.
const LIST_PATIENCE: Duration = Duration::from_secs(5);
/// The very first create must be answered in this time.
const FIRST_TIMEOUT: Duration = Duration::from_secs(30);
/// All the others in this time: some stores let the losers of a race wait for seconds.
const RACES_TIMEOUT: Duration = Duration::from_secs(120);

impl Store {
    /// Proves that the lake can be written and that a key can be created only once, in a race and in sequence.
    ///
    /// # Errors
    /// When it cannot be written or does not answer, or when a second create succeeds or changes the object.
    pub async fn probe(&self) -> Result<(), StoreError> {
        let started = Instant::now();
        let folder = object_path::probe(self.root(), &uuid::Uuid::new_v4().to_string());
        // Before anything else: a lake that cannot be written at all shall say so at once.
        let first = folder.clone().join("first");
        let written = self.in_time(FIRST_TIMEOUT, self.create(&first, Bytes::from_static(b"first"))).await?;
        written.map_err(|error| self.not_writable(&error))?;
        let raced = self.in_time(RACES_TIMEOUT, self.race(&folder)).await;
        // What is left over where deleting is not allowed lies where no reader looks.
        let _ = self.in_time(FIRST_TIMEOUT, self.clean(&folder)).await;
        raced??;
        // What an operator reads first is what is wrong.
        tracing::debug!(
            lake = self.url(),
            elapsed_ms = started.elapsed().as_millis(),
            "the lake can be written, and of those that create one key exactly one succeeds"
        );
        Ok(())
    }

    async fn in_time<T>(&self, limit: Duration, asked: impl Future<Output = T>) -> Result<T, StoreError> {
        timeout(limit, asked).await.map_err(|_| StoreError::Silent { url: self.url().to_owned(), timeout: limit })
    }

    async fn race(&self, folder: &Path) -> Result<(), StoreError> {
        let absent = folder.clone().join("absent");
        join_all((0..RACERS).map(|_| self.objects().head(&absent))).await;
        let turn = Semaphore::new(1);
        try_join_all((0..KEYS).map(|key| self.clear_race(&turn, folder, key))).await?;
        self.listed(folder).await
    }

    /// Races until there is a clear winner.
    async fn clear_race(&self, turn: &Semaphore, folder: &Path, key: usize) -> Result<(), StoreError> {
        let mut attempt = 0;
        loop {
            let error = match self.round(turn, &folder.clone().join(format!("race-{key}-{attempt}"))).await? {
                Round::Clear => return Ok(()),
                Round::Unclear(error) => error,
            };
            attempt += 1;
            if attempt == ATTEMPTS_MAX {
                return Err(self.not_writable(&error));
            }
        }
    }

    /// One key: raced for, read, created once more, and read again. The next race begins when somebody has won this one:
    /// some stores let losers wait for seconds.
    async fn round(&self, turn: &Semaphore, path: &Path) -> Result<Round, StoreError> {
        let content = |racer: usize| Bytes::from(format!("racer {racer}"));
        let mut ours = Some(turn.acquire().await.expect("it is never closed"));
        let mut racers: FuturesUnordered<_> =
            (0..RACERS).map(|racer| async move { self.create(path, content(racer)).await.map(|()| racer) }).collect();
        let (mut winners, mut unclear) = (Vec::new(), None);
        while let Some(answer) = racers.next().await {
            match answer {
                Ok(racer) => {
                    ours = None;
                    winners.push(racer);
                }
                Err(error) if is_refusal(&error) => _ = unclear.get_or_insert(error),
                Err(error) => unclear = Some(error),
            }
        }
        drop(ours);
        let winner = match (winners.as_slice(), unclear) {
            ([winner], _) => *winner,
            ([], Some(error)) => return Ok(Round::Unclear(error)),
            _ => return Err(self.not_exclusive("several of those that created one key at once succeeded")),
        };
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
            if shown.len() > KEYS {
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
