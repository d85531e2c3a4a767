//! The memory of the sink: one budget for everything that holds bytes of records or of files.
//!
//! Responsible for counting these bytes by what holds them, for cutting the largest open file when too many records wait,
//! and for telling sources to stop reading when there is no room. Promises: what is counted is given back when its holder
//! is dropped; a file is cut only if that makes room; while reading is stopped something is on its way into the lake, so
//! that room comes back and nobody waits for ever. Leaves to the holders what they do when they are told.
//!
//! Shares of the budget: 1/8 belongs to the Kafka client's queue and 1/4 to files being encoded. The rest is for records
//! and for encoded files on their way. At 3/8 of waiting records the largest open file is cut; when the rest is used
//! up, reading stops until 1/8 of the budget is free again. The ids of earlier files are counted here, and have a limit of their own.

mod open_files;
#[cfg(test)]
mod tests;

use std::sync::{
    Arc,
    atomic::{
        AtomicBool, AtomicUsize,
        Ordering::{Relaxed, SeqCst},
    },
};

use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use self::open_files::OpenFiles;
pub(crate) use self::open_files::{Leaving, OpenFile};
use crate::metrics::Metrics;

/// What holds memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Holder {
    /// Records between the log and the encoder.
    Records,
    /// Work on a file that is being encoded.
    Encoding,
    /// Encoded files and dead letters until they are in the lake.
    Upload,
    /// The ids of earlier files.
    Ids,
    /// The Kafka client's queue.
    Client,
}

impl Holder {
    /// All holders and the words for them.
    pub(crate) const ALL: [(Holder, &str); 5] = [
        (Holder::Records, "records"),
        (Holder::Encoding, "encoding"),
        (Holder::Upload, "upload"),
        (Holder::Ids, "ids"),
        (Holder::Client, "client"),
    ];

    /// Does it use a share that is set aside for it?
    fn has_share(self) -> bool {
        matches!(self, Holder::Encoding | Holder::Client | Holder::Ids)
    }
}

/// The budget. Clones share it.
#[derive(Clone, Debug)]
pub(crate) struct Budget {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    bytes_max: usize,
    records: AtomicUsize,
    /// Everything that has no share of its own.
    common: AtomicUsize,
    is_full: AtomicBool,
    open: Mutex<OpenFiles>,
    /// KiB that files being encoded may still take.
    encoding_kib: Arc<Semaphore>,
    encoding_kib_max: u32,
    metrics: Arc<Metrics>,
}

/// Work on a file takes so much beside its records, whatever its size.
const ENCODING_BYTES_MIN: usize = 4 << 20;
/// What is remembered of a record while its file is encoded: its place, its sort key, its id's hash.
const ENCODING_RECORD_BYTES: usize = 128;

impl Budget {
    pub(crate) fn new(bytes_max: usize, metrics: Arc<Metrics>) -> Budget {
        let encoding_kib_max = u32::try_from(bytes_max / 4 / 1024).unwrap_or(u32::MAX / 2).max(1);
        metrics.memory_max(bytes_max);
        let shared = Shared {
            bytes_max,
            records: AtomicUsize::new(0),
            common: AtomicUsize::new(0),
            is_full: AtomicBool::new(false),
            open: Mutex::default(),
            encoding_kib: Arc::new(Semaphore::new(encoding_kib_max as usize)),
            encoding_kib_max,
            metrics,
        };
        Budget { shared: Arc::new(shared) }
    }

    /// Begins to count what one holder has; nothing yet.
    pub(crate) fn hold(&self, holder: Holder) -> Held {
        Held { budget: self.clone(), holder, bytes: 0 }
    }

    /// Begins to count an open file, which may be asked to be cut.
    pub(crate) fn open_file(&self) -> OpenFile {
        OpenFile::new(self.clone())
    }

    /// Must sources stop reading?
    pub(crate) fn is_full(&self) -> bool {
        self.shared.is_full.load(Relaxed)
    }

    /// What the Kafka client's queue may hold.
    pub(crate) fn client_bytes(&self) -> usize {
        self.shared.bytes_max / 8
    }

    /// Waits until a file of so many records and log bytes may be encoded. Those that are encoded end by themselves, so
    /// that the wait does; one that is larger than the whole share goes alone.
    pub(crate) async fn encoding(&self, records: usize, log_bytes: usize) -> Encoding {
        let bytes = ENCODING_BYTES_MIN + records * ENCODING_RECORD_BYTES + log_bytes / 2;
        let kib = u32::try_from(bytes / 1024).unwrap_or(u32::MAX).clamp(1, self.shared.encoding_kib_max);
        let permit = Arc::clone(&self.shared.encoding_kib).acquire_many_owned(kib).await;
        let mut held = self.hold(Holder::Encoding);
        held.set(bytes);
        Encoding { _permit: permit.expect("the semaphore is never closed"), _held: held }
    }

    /// Cuts the largest open files until enough of the records that wait are on their way out.
    fn relieve(&self, open: &mut OpenFiles) {
        let flush_at = self.shared.bytes_max / 8 * 3;
        while self.shared.records.load(Relaxed).saturating_sub(open.leaving()) > flush_at {
            if !open.ask_largest() {
                return;
            }
        }
    }

    fn change(&self, holder: Holder, from: usize, to: usize) {
        let Shared { metrics, common, is_full, bytes_max, .. } = &*self.shared;
        metrics.memory(holder, from, to);
        if holder == Holder::Records {
            moved(&self.shared.records, from, to);
        }
        if holder.has_share() {
            return;
        }
        let eighth = bytes_max / 8;
        let now = moved(common, from, to);
        if now >= 5 * eighth {
            if !is_full.swap(true, SeqCst) {
                metrics.memory_full(true);
            }
            // Somebody else may have made room between the two steps above, and then has not seen the mark.
            if common.load(SeqCst) < 4 * eighth && is_full.swap(false, SeqCst) {
                metrics.memory_full(false);
            }
        } else if now < 4 * eighth && is_full.swap(false, SeqCst) {
            metrics.memory_full(false);
        }
    }
}

/// Growing and shrinking are the same step, because sums wrap.
fn moved(sum: &AtomicUsize, from: usize, to: usize) -> usize {
    let change = to.wrapping_sub(from);
    sum.fetch_add(change, SeqCst).wrapping_add(change)
}

/// What one holder has; given back when dropped.
#[derive(Debug)]
pub(crate) struct Held {
    budget: Budget,
    holder: Holder,
    bytes: usize,
}

impl Held {
    /// The holder now has so many bytes.
    pub(crate) fn set(&mut self, bytes: usize) {
        if bytes != self.bytes {
            self.budget.change(self.holder, self.bytes, bytes);
            self.bytes = bytes;
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.set(0);
    }
}

/// A file may be encoded while this lives.
#[derive(Debug)]
pub(crate) struct Encoding {
    _permit: OwnedSemaphorePermit,
    _held: Held,
}
