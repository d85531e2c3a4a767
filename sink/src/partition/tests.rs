//! The promises of one chain, with tests as its sources and stores that fail.

mod races;
mod records;
mod release;
mod stores;

use std::sync::Arc;

use object_store::{ObjectStore, memory::InMemory};

fn memory() -> Arc<dyn ObjectStore> {
    Arc::new(InMemory::new())
}
