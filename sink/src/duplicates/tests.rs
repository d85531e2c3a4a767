//! Each event once across the files of a chain, whoever writes it and whatever fails.

mod again;
mod memory;
mod random;
mod window;

use std::{sync::Arc, time::Duration};

use object_store::{ObjectStore, memory::InMemory};

use crate::{
    config::DuplicatesSettings,
    footer::Footer,
    testing::{Logged, chunk, conduct_with, policy, read_chain, resume_point},
};

fn lake() -> Arc<dyn ObjectStore> {
    Arc::new(InMemory::new())
}

fn window(seconds: u64) -> DuplicatesSettings {
    DuplicatesSettings { window: Duration::from_secs(seconds), memory_bytes_max: usize::MAX }
}

/// A new process writes the log's records up to `next`, from where the chain ends, in files of `rows`.
async fn write(lake: &Arc<dyn ObjectStore>, log: &[Logged], next: usize, rows: usize, settings: &DuplicatesSettings) {
    let resume = resume_point(lake).await;
    let start = usize::try_from(resume.next).expect("a short log");
    let partition = conduct_with(Arc::clone(lake), resume, policy(rows), settings.clone());
    partition.chunks.as_ref().expect("open").send(chunk(log, start..next, 0)).await.expect("room");
    partition.finish().await.expect("written");
}

/// Offsets of all rows, and the newest footer.
async fn rows(lake: &Arc<dyn ObjectStore>) -> (Vec<u64>, Footer) {
    let mut files = read_chain(lake.as_ref()).await;
    let mut offsets: Vec<u64> = files.iter().flat_map(|(_, rows)| rows.iter().map(|(offset, _, _)| *offset)).collect();
    offsets.sort_unstable();
    (offsets, files.pop().expect("a file").0)
}
