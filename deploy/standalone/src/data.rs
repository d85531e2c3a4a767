//! Responsible for the data folder: making it, and opening journal and lake in it. Promises that a folder that cannot be
//! used is refused at boot in one line, and that two processes never share one (the journal's lock).

use std::path::Path;

use journal::{Journal, OpenError};
use operator::Failure;
use sink::Store;

use crate::config::Settings;

/// What lies in a data folder, opened.
#[derive(Debug)]
pub struct Data {
    pub journal: Journal,
    pub store: Store,
}

/// Opens the data folder of these settings. Blocking.
///
/// # Errors
/// Exit code 69 where the folder cannot be used, 64 where the settings do not fit what it holds.
pub fn open(settings: &Settings) -> Result<Data, Failure> {
    make(&settings.data)?;
    let journal = Journal::open(settings.data.join("journal"), settings.journal_options()).map_err(refused)?;
    let store = Store::open(&settings.sink().lake)?;
    Ok(Data { journal, store })
}

fn make(dir: &Path) -> Result<(), Failure> {
    std::fs::create_dir_all(dir).map_err(|error| {
        let dir = dir.display();
        Failure::environment(format!(
            "data folder {dir} cannot be made ({error}): choose another with --data, or make {dir} writable for this user"
        ))
    })
}

fn refused(error: OpenError) -> Failure {
    match error {
        OpenError::NoPartitions | OpenError::Partitions { .. } => Failure::config(error),
        error => Failure::environment(error),
    }
}
