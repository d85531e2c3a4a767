//! A new journal appears whole or not at all.
//!
//! It is built in a neighbour folder and gets its name by a rename, so that a crash while it is being created leaves
//! nothing that a later open would stumble over.

use crate::metadata::{Identity, Metadata, VERSION};
use crate::open::{OpenError, Options, database};
use crate::recover;
use fjall::PersistMode;
use std::fs::{self, File};
use std::io;
use std::path::Path;
use uuid::Uuid;

/// Creates the journal in `log` under `dir`, unless it is there.
pub(crate) fn create_if_absent(dir: &Path, log: &Path, options: &Options) -> Result<(), OpenError> {
    let io = |source| OpenError::folder(dir, source);
    fs::create_dir_all(dir).map_err(io)?;
    if log.try_exists().map_err(io)? {
        return Ok(());
    }
    let unfinished = dir.join(format!("unfinished-{}", Uuid::new_v4()));
    let result = build(&unfinished, options).map_err(|source| OpenError::store(dir, source));
    let result = result.and_then(|()| publish(dir, &unfinished, log).map_err(io));
    if result.is_err() {
        let _ = fs::remove_dir_all(&unfinished);
    }
    result
}

fn build(unfinished: &Path, options: &Options) -> fjall::Result<()> {
    let database = database(unfinished, options)?;
    let metadata = Metadata::open(&database)?;
    for partition in 0..options.partitions {
        recover::keyspace(&database, options, partition)?;
    }
    metadata.write_identity(Identity { version: VERSION, id: Uuid::new_v4(), partitions: options.partitions })?;
    database.persist(PersistMode::SyncAll)
}

fn publish(dir: &Path, unfinished: &Path, log: &Path) -> io::Result<()> {
    match fs::rename(unfinished, log) {
        Ok(()) => File::open(dir)?.sync_all(),
        // Another process was faster: its journal is the one.
        Err(_) if log.try_exists()? => fs::remove_dir_all(unfinished),
        Err(error) => Err(error),
    }
}
