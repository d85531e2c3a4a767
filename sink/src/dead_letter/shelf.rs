//! The dead letters of a lake.
//!
//! Responsible for finding the objects that belong to the chains, for reading them, and for the marks of letters that
//! were sent again. Promises: a letter is listed once, also where a writer that lost a race left an object of its own; a
//! mark is created if absent, and none is ever changed.

use std::collections::BTreeSet;

use bytes::Bytes;
use futures::TryStreamExt;
use object_store::{Error, ObjectStoreExt, path::Path};
use serde::{Deserialize, Serialize};

use super::read::{self, Letter};
use crate::{
    footer::{self, FooterError},
    object_path::{self, Chain},
    store::Store,
};

/// Why dead letters cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum ShelfError {
    /// The store did not answer.
    #[error("lake {lake} cannot be read ({reason}): check the store")]
    Store { lake: String, reason: Error },
    /// The store did not take a mark.
    #[error(
        "letters of {path} were sent, and lake {lake} does not take the mark that says so ({reason}): mend it and retry \
         once more, what is sent twice is dropped as a duplicate"
    )]
    Mark { lake: String, path: Path, reason: Error },
    /// An object is damaged.
    #[error("{path} in lake {lake} cannot be read ({reason}): restore it")]
    Corrupt { lake: String, path: Path, reason: String },
}

/// See the module.
#[derive(Debug)]
pub struct Shelf<'a> {
    store: &'a Store,
    topic: &'a str,
}

/// Letters of one data file that are looked at together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tray {
    /// Partition of the topic.
    pub partition: u32,
    /// First offset that the data file covers.
    pub start: u64,
    /// First offset that it no longer covers.
    pub next: u64,
    /// The letters.
    pub letters: Vec<Letter>,
    /// Offsets of those that were sent again.
    pub retried: BTreeSet<u64>,
}

/// What says that letters were sent again.
#[derive(Debug, Serialize, Deserialize)]
struct Mark {
    sent_at_us: i64,
    offsets: Vec<u64>,
}

impl<'a> Shelf<'a> {
    /// The dead letters of a topic.
    pub fn new(store: &'a Store, topic: &'a str) -> Shelf<'a> {
        Shelf { store, topic }
    }

    /// The objects of all partitions, or of one, in log order: partition, start and next offset.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn objects(&self, partition: Option<u32>) -> Result<Vec<(u32, u64, u64)>, ShelfError> {
        let root = object_path::dead_letters_root(self.store.root(), self.topic);
        let mut objects = Vec::new();
        for path in self.list(&root).await? {
            let parent = path.parts().rev().nth(1).and_then(|part| object_path::partition_of(part.as_ref()));
            if let (Some(parent), Some((start, next))) = (parent, object_path::dead_letters_range(&path))
                && partition.is_none_or(|partition| partition == parent)
            {
                objects.push((parent, start, next));
            }
        }
        objects.sort_unstable();
        Ok(objects)
    }

    /// The letters of an object; `None` where its data file is another one, or not there yet.
    ///
    /// # Errors
    /// When the store does not answer or the object is damaged.
    pub async fn tray(&self, (partition, start, next): (u32, u64, u64)) -> Result<Option<Tray>, ShelfError> {
        let chain = Chain::new(self.topic, partition);
        let file = chain.file(self.store.root(), start);
        match footer::read(self.store.objects().as_ref(), &file).await {
            Ok(Some(footer)) if footer.next_offset == next => {}
            Ok(_) => return Ok(None),
            Err(FooterError::Store(reason)) => return Err(self.failed(reason)),
            Err(FooterError::Corrupt(reason)) => return Err(self.corrupt(&file, reason)),
        }
        let path = chain.dead_letters(self.store.root(), start, next);
        let letters = read::letters(self.get(&path).await?).map_err(|reason| self.corrupt(&path, reason))?;
        let retried = self.marks(&path).await?.into_iter().flat_map(|(_, mark)| mark.offsets).collect();
        Ok(Some(Tray { partition, start, next, letters, retried }))
    }

    /// Notes that letters of an object were sent again.
    ///
    /// # Errors
    /// When the store does not take it: the letters may then be sent twice.
    pub async fn mark(&self, tray: &Tray, offsets: Vec<u64>, sent_at_us: i64) -> Result<(), ShelfError> {
        let path = Chain::new(self.topic, tray.partition).dead_letters(self.store.root(), tray.start, tray.next);
        let json = serde_json::to_vec(&Mark { sent_at_us, offsets }).expect("numbers");
        let mut number = self.marks(&path).await?.last().map_or(0, |(number, _)| number + 1);
        loop {
            let mark = object_path::retried(&path, number);
            match self.store.create(&mark, Bytes::from(json.clone())).await {
                Ok(()) => return Ok(()),
                Err(Error::AlreadyExists { .. }) => number += 1,
                Err(reason) => {
                    let lake = self.store.url().to_owned();
                    return Err(ShelfError::Mark { lake, path, reason });
                }
            }
        }
    }

    /// The marks of an object, with their numbers, in their order.
    async fn marks(&self, object: &Path) -> Result<Vec<(u32, Mark)>, ShelfError> {
        let mut marks = Vec::new();
        for number in 0.. {
            let path = object_path::retried(object, number);
            let bytes = match async { self.store.objects().get(&path).await?.bytes().await }.await {
                Ok(bytes) => bytes,
                Err(Error::NotFound { .. }) => break,
                Err(reason) => return Err(self.failed(reason)),
            };
            let mark = serde_json::from_slice(&bytes).map_err(|error| self.corrupt(&path, error.to_string()))?;
            marks.push((number, mark));
        }
        Ok(marks)
    }

    async fn list(&self, folder: &Path) -> Result<Vec<Path>, ShelfError> {
        let listed = self.store.objects().list(Some(folder)).map_ok(|meta| meta.location);
        listed.try_collect().await.map_err(|reason| self.failed(reason))
    }

    async fn get(&self, path: &Path) -> Result<Bytes, ShelfError> {
        async { self.store.objects().get(path).await?.bytes().await }.await.map_err(|reason| self.failed(reason))
    }

    fn failed(&self, reason: Error) -> ShelfError {
        ShelfError::Store { lake: self.store.url().to_owned(), reason }
    }

    fn corrupt(&self, path: &Path, reason: String) -> ShelfError {
        ShelfError::Corrupt { lake: self.store.url().to_owned(), path: path.clone(), reason }
    }
}
