//! The memory of a chain from its files.
//!
//! Responsible for reading the ids of the chain's files backwards, from where the chain ends to where the window begins or
//! to what is known already. Nothing but the chain says what was committed, so this is right after a kill and for a
//! partition that moved. Promises: the files follow on each other without a hole; bounded concurrency, also over all
//! partitions; not much more memory than allowed; a line every ten seconds while it lasts. There is no time after which
//! it gives up: the records wait in the log, and the lag says so.

use std::time::Duration;

use futures::{StreamExt, TryStreamExt, stream};
use object_store::path::Path;
use tokio::time::{Instant, sleep};

use super::{
    Bound, ChainIds, Duplicates, DuplicatesError,
    memory::{PACK_FILES, PACK_IDS, Recent, Span},
    sieve::id_hash,
};
use crate::{back_off::BackOff, cpu::on_blocking_thread, footer::FooterError, object_path, resume};

/// Files of one partition that are read at the same time.
const READS: usize = 16;
/// Between two lines about the progress.
const PROGRESS: Duration = Duration::from_secs(10);
/// So often a list is read that lacks a file, which with the usual waits is half a minute: it may lag behind.
const LISTS_MAX: u32 = 10;

/// One file's ids.
struct Loaded {
    span: Span,
    next: u64,
    hashes: Vec<u64>,
}

/// Adds what is not known of the files that end at or before `next` and are not before a bound.
pub(super) async fn load(ids: &mut ChainIds, next: u64, bound: Bound) -> Result<(), DuplicatesError> {
    let started = Instant::now();
    ids.known = ids.known.filter(|known| *known < next);
    let mut back_off = BackOff::new(ids.shared.back_off_min);
    let walk = loop {
        let has_asked_enough = back_off.attempts() == LISTS_MAX;
        match walked(ids, next, bound, has_asked_enough).await {
            Err(DuplicatesError::Hole { .. }) if !has_asked_enough => sleep(back_off.next()).await,
            walk => break walk?,
        }
    };
    if ids.known.is_none() {
        ids.recent = walk.packed;
    } else {
        for file in walk.gathered.into_iter().rev() {
            ids.recent.push(file.span, file.hashes);
        }
    }
    let (partition, files, rows, elapsed) = (ids.chain.partition, walk.files, walk.rows, started.elapsed());
    ids.shared.metrics.duplicates().loaded(elapsed);
    tracing::debug!(partition, files, rows, elapsed_ms = elapsed.as_millis(), "read which events the lake holds");
    Ok(())
}

/// From the newest file backwards.
#[derive(Default)]
struct Walk {
    files: usize,
    rows: usize,
    /// Newest first.
    gathered: Vec<Loaded>,
    packed: Recent,
}

async fn walked(ids: &ChainIds, next: u64, bound: Bound, may_be_empty: bool) -> Result<Walk, DuplicatesError> {
    let shared = &ids.shared;
    let paths = listed(ids, next, bound).await?;
    if paths.is_empty() && bound.start < next && !may_be_empty {
        // Either all were cleared away and a checkpoint stands for them, or the list lags behind.
        return Err(hole(ids, next));
    }
    let mut files = stream::iter(paths).map(|(start, path)| read(shared, start, path, bound)).buffered(READS);
    let (mut walk, mut end, mut said) = (Walk::default(), next, Instant::now());
    while let Some(Some(file)) = files.try_next().await? {
        if file.next != end {
            return Err(hole(ids, end));
        }
        end = file.span.start;
        walk.add(file);
        if ids.known.is_none() && walk.pack_if_full() && shared.is_full(walk.packed.bytes()) {
            shared.metrics.duplicates().forgotten(1);
            let (files, rows, partition) = (walk.files, walk.rows, ids.chain.partition);
            tracing::warn!(
                partition,
                files,
                rows,
                "did not look further back for what the lake holds: duplicates.memory_bytes_max is reached"
            );
            break;
        }
        if said.elapsed() >= PROGRESS {
            said = Instant::now();
            let (files, rows, partition) = (walk.files, walk.rows, ids.chain.partition);
            tracing::info!(partition, files, rows, "still reading which events the lake holds");
        }
    }
    match ids.known {
        // What lies before the walk's end is out of the window, was deleted, or is too much.
        None => walk.pack(),
        Some(known) if known != end => return Err(hole(ids, end)),
        Some(_) => {}
    }
    Ok(walk)
}

fn hole(ids: &ChainIds, next: u64) -> DuplicatesError {
    DuplicatesError::Hole { lake: ids.shared.store.url().to_owned(), partition: ids.chain.partition, next }
}

impl Walk {
    fn add(&mut self, file: Loaded) {
        self.files += 1;
        self.rows += file.hashes.len();
        self.gathered.push(file);
    }

    fn pack_if_full(&mut self) -> bool {
        let ids: usize = self.gathered.iter().map(|file| file.hashes.len()).sum();
        let is_full = self.gathered.len() == PACK_FILES || ids >= PACK_IDS;
        if is_full {
            self.pack();
        }
        is_full
    }

    fn pack(&mut self) {
        if !self.gathered.is_empty() {
            let oldest_first = self.gathered.drain(..).rev();
            self.packed.push_front(&oldest_first.map(|file| (file.span, file.hashes)).collect::<Vec<_>>());
        }
    }
}

/// Keys of the files that start before `next`, newest first, as far as they may matter.
async fn listed(ids: &ChainIds, next: u64, bound: Bound) -> Result<Vec<(u64, Path)>, DuplicatesError> {
    let (store, chain) = (&ids.shared.store, &ids.chain);
    let folder = chain.files(store.root());
    let list = || async {
        let before = match (ids.known, bound.start) {
            (Some(known), _) => known.checked_sub(1),
            (None, start @ 1..) => Some(start - 1),
            (None, 0) => resume::checkpointed_before(store, chain, bound.since_us).await?,
        };
        let listed = match before {
            Some(before) => store.objects().list_with_offset(Some(&folder), &chain.file(store.root(), before)),
            None => store.objects().list(Some(&folder)),
        };
        Ok::<Vec<Path>, FooterError>(listed.map_ok(|meta| meta.location).try_collect().await?)
    };
    let paths = ids.shared.until_answered(&folder, list).await?.into_iter();
    let with_start = |path: Path| Some((object_path::start_offset(&path, "parquet")?, path));
    let mut starts: Vec<_> = paths.filter_map(with_start).filter(|(start, _)| *start < next).collect();
    starts.sort_unstable_by(|left, right| right.cmp(left));
    Ok(starts)
}

/// A file's ids; `None` if it lies before the window.
async fn read(shared: &Duplicates, start: u64, path: Path, bound: Bound) -> Result<Option<Loaded>, DuplicatesError> {
    let _read = shared.reads.acquire().await.expect("the semaphore is never closed");
    let objects = shared.store.objects().as_ref();
    let file = shared.opened(&path).await?;
    if file.footer.start_offset != start {
        return Err(shared.corrupt(&path, "its footer does not match its name".to_owned()));
    }
    if file.footer.running_max_timestamp_us < bound.since_us {
        return Ok(None);
    }
    let columns = shared.until_answered(&path, || file.columns(objects, &path)).await?;
    let rows = usize::try_from(file.footer.rows).unwrap_or_default();
    let hashing = on_blocking_thread(move || {
        let mut hashes = Vec::with_capacity(rows);
        columns.for_each(|source, event_id| hashes.push(id_hash(source, event_id))).map(|()| hashes)
    });
    let hashes = hashing.await.map_err(|reason| shared.corrupt(&path, reason))?;
    Ok(Some(Loaded { span: Span::of(&file.footer), next: file.footer.next_offset, hashes }))
}
