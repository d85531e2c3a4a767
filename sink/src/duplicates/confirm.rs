//! Suspicion -> knowledge.
//!
//! Responsible for reading, of each file that is suspected to hold a record already, the columns that tell, and for
//! comparing source and event id as they are.

use std::collections::{BTreeSet, HashMap};

use super::{
    Duplicates, DuplicatesError,
    file::IdColumns,
    memory::Suspect,
    sieve::{Sieve, id_hash},
};
use crate::{buffer::Buffer, cpu::on_blocking_thread, object_path::Chain};

/// Source, event id and row, by hash.
type Wanted = HashMap<u64, Vec<(String, String, u32)>>;

/// Of the suspected records those that the chain's files hold, each once.
pub(super) async fn confirmed(
    shared: &Duplicates,
    chain: &Chain,
    suspects: Vec<Suspect>,
    sieve: &Sieve,
    buffer: &Buffer,
) -> Result<Vec<u32>, DuplicatesError> {
    let mut held = BTreeSet::new();
    for of_file in suspects.chunk_by(|left, right| left.file == right.file) {
        let open: Vec<u32> = of_file.iter().map(|suspect| suspect.row).filter(|row| !held.contains(row)).collect();
        if open.is_empty() {
            continue;
        }
        let columns = read(shared, chain, of_file[0].file).await?;
        let mut wanted = Wanted::new();
        for row in open {
            let (source, event_id) = sieve.event_id(row, buffer);
            let id = (source.to_owned(), event_id.to_owned(), row);
            wanted.entry(id_hash(source, event_id)).or_default().push(id);
        }
        let found = on_blocking_thread(move || compare(columns, &wanted)).await;
        held.extend(found.map_err(|reason| shared.corrupt(&path(shared, chain, of_file[0].file), reason))?);
    }
    Ok(held.into_iter().collect())
}

fn path(shared: &Duplicates, chain: &Chain, start: u64) -> object_store::path::Path {
    chain.file(shared.store.root(), start)
}

async fn read(shared: &Duplicates, chain: &Chain, start: u64) -> Result<IdColumns, DuplicatesError> {
    let path = path(shared, chain, start);
    let file = shared.opened(&path).await?;
    shared.until_answered(&path, || file.columns(shared.store.objects().as_ref(), &path)).await
}

fn compare(columns: IdColumns, wanted: &Wanted) -> Result<Vec<u32>, String> {
    let mut found = Vec::new();
    columns.for_each(|source, event_id| {
        let same_hash = wanted.get(&id_hash(source, event_id)).into_iter().flatten();
        let same = same_hash.filter(|id| (id.0.as_str(), id.1.as_str()) == (source, event_id));
        found.extend(same.map(|id| id.2));
    })?;
    Ok(found)
}
