//! Open files, of which the largest is cut when memory is short.
//!
//! Responsible for knowing what each open file would free, and for asking the largest first. Promises: a file is asked
//! once until it is written, and only as long as those that are on their way out do not make room enough.

use std::{collections::BTreeMap, sync::Arc};

use tokio::sync::Notify;

use super::Budget;

/// The open files of all partitions.
#[derive(Debug, Default)]
pub(super) struct OpenFiles {
    files: BTreeMap<u64, Slot>,
    next_id: u64,
    /// Bytes of records in files that are asked to be cut or that are being written.
    leaving: usize,
}

#[derive(Debug, Default)]
struct Slot {
    /// What a cut would free now.
    bytes: usize,
    /// What it was asked to free; 0 if it was not.
    asked: usize,
    wake: Arc<Notify>,
}

impl OpenFiles {
    /// Bytes of records that go by themselves.
    pub(super) fn leaving(&self) -> usize {
        self.leaving
    }

    /// Asks the largest of the files that can be cut; false if there is none.
    pub(super) fn ask_largest(&mut self) -> bool {
        let free = self.files.values_mut().filter(|file| file.asked == 0 && file.bytes > 0);
        let Some(largest) = free.max_by_key(|file| file.bytes) else { return false };
        largest.asked = largest.bytes;
        self.leaving += largest.bytes;
        largest.wake.notify_one();
        true
    }

    fn answered(&mut self, id: u64) {
        if let Some(file) = self.files.get_mut(&id) {
            self.leaving -= std::mem::take(&mut file.asked);
        }
    }
}

/// A partition's open file.
#[derive(Debug)]
pub(crate) struct OpenFile {
    budget: Budget,
    id: u64,
    wake: Arc<Notify>,
}

impl OpenFile {
    pub(super) fn new(budget: Budget) -> OpenFile {
        let wake = Arc::new(Notify::new());
        let mut open = budget.shared.open.lock();
        let id = open.next_id;
        open.next_id += 1;
        open.files.insert(id, Slot { wake: Arc::clone(&wake), ..Slot::default() });
        drop(open);
        OpenFile { budget, id, wake }
    }

    /// A cut would now free so many bytes; 0 while the file cannot be cut.
    pub(crate) fn set(&self, bytes: usize) {
        let mut open = self.budget.shared.open.lock();
        if bytes == 0 {
            open.answered(self.id);
        }
        open.files.get_mut(&self.id).expect("it is there until it is dropped").bytes = bytes;
        self.budget.relieve(&mut open);
    }

    /// Ends when the file must be cut for the sake of memory.
    pub(crate) async fn asked(&self) {
        loop {
            self.wake.notified().await;
            if self.budget.shared.open.lock().files[&self.id].asked > 0 {
                return;
            }
        }
    }

    /// So many bytes of records are on their way out of memory until the answer is dropped.
    pub(crate) fn leave(&self, bytes: usize) -> Leaving {
        let mut open = self.budget.shared.open.lock();
        open.answered(self.id);
        open.leaving += bytes;
        Leaving { budget: self.budget.clone(), bytes }
    }
}

impl Drop for OpenFile {
    fn drop(&mut self) {
        let mut open = self.budget.shared.open.lock();
        open.answered(self.id);
        open.files.remove(&self.id);
    }
}

/// Records on their way out of memory.
#[derive(Debug)]
pub(crate) struct Leaving {
    budget: Budget,
    bytes: usize,
}

impl Drop for Leaving {
    fn drop(&mut self) {
        self.budget.shared.open.lock().leaving -= self.bytes;
    }
}
