//! What lies under a lake's root.
//!
//! Responsible for listing it and for telling what is ours from what is not. Promises: one partition at a time, so that
//! memory is a few numbers for each of its files; data files are listed before dead letters, which are written first, so
//! that an audit beside a running sink misses none.

use futures::TryStreamExt;
use object_store::{Error, path::Path};

use super::finding::{Finding, Kind};
use crate::{
    object_path::{self, Chain},
    store::Store,
};

/// The objects of one partition.
#[derive(Debug, Default)]
pub(super) struct Objects {
    /// Start offsets of its data files, ascending.
    pub(super) files: Vec<u64>,
    /// Ranges of its dead-letter objects.
    pub(super) dead_letters: Vec<(u64, u64)>,
    /// Start offsets of its checkpoints.
    pub(super) checkpoints: Vec<u64>,
    /// What is neither.
    pub(super) strays: Vec<Finding>,
}

/// The partitions that have objects, ascending, and the objects that belong to none.
pub(super) async fn partitions(store: &Store, topic: &str) -> Result<(Vec<u32>, Vec<Finding>), Error> {
    let (mut partitions, mut strays) = (Vec::new(), Vec::new());
    for folder in object_path::topic_folders(store.root(), topic) {
        let listed = store.objects().list_with_delimiter(Some(&folder)).await?;
        strays.extend(listed.objects.iter().map(|meta| stray(None, &meta.location)));
        for folder in listed.common_prefixes {
            match object_path::partition(&folder) {
                Some(partition) => partitions.push(partition),
                None => strays.extend(list(store, &folder).await?.iter().map(|path| stray(None, path))),
            }
        }
    }
    let probes = list(store, &object_path::probes(store.root())).await?;
    strays.extend(probes.iter().map(|path| {
        Finding::new(Kind::Leftover, None, path, "a boot probe left it, or is running: delete it if no sink starts now")
    }));
    partitions.sort_unstable();
    partitions.dedup();
    Ok((partitions, strays))
}

/// The objects of a partition.
pub(super) async fn objects(store: &Store, chain: &Chain) -> Result<Objects, Error> {
    let mut found = Objects::default();
    let folder = chain.files(store.root());
    for path in list(store, &folder).await? {
        match object_path::start_offset(&path, "parquet").filter(|start| chain.file(store.root(), *start) == path) {
            Some(start) => found.files.push(start),
            None => found.strays.push(stray(Some(chain.partition), &path)),
        }
    }
    for path in list(store, &chain.dead_letters_folder(store.root())).await? {
        match object_path::dead_letters_range(&path) {
            Some((start, next)) if chain.dead_letters(store.root(), start, next) == path => {
                found.dead_letters.push((start, next));
            }
            None if object_path::is_retried(&path) => {}
            _ => found.strays.push(stray(Some(chain.partition), &path)),
        }
    }
    for path in list(store, &chain.checkpoints(store.root())).await? {
        match object_path::start_offset(&path, "json") {
            Some(start) => found.checkpoints.push(start),
            None => found.strays.push(stray(Some(chain.partition), &path)),
        }
    }
    found.files.sort_unstable();
    found.dead_letters.sort_unstable();
    Ok(found)
}

async fn list(store: &Store, folder: &Path) -> Result<Vec<Path>, Error> {
    store.objects().list(Some(folder)).map_ok(|meta| meta.location).try_collect().await
}

/// A Parquet file below `events` is read by everybody's glob, whatever its name is.
fn stray(partition: Option<u32>, path: &Path) -> Finding {
    if object_path::is_in_glob(path) {
        let message = "readers take it for a data file, and it belongs to no chain: move it out of the lake";
        return Finding::new(Kind::Orphan, partition, path, message);
    }
    Finding::new(Kind::Leftover, partition, path, "it is no object of the sink, and no reader looks at it")
}
