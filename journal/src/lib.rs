//! A durable, partitioned, append-only log on local disk.
//!
//! ```text
//! Batch -> append -> queue -> commit (one write batch, one fsync for everyone waiting) -> end offset moves -> read
//!                                                                     truncate drops what nobody needs any more
//! ```
//!
//! Promises: an append that returned `Ok` is on disk (`fdatasync`) and is read back by every later open; a request is
//! stored whole or not at all; offsets of a partition are contiguous and never used twice; a record is visible only
//! once it is durable. After a failed write or fsync nothing more is accepted.
//!
//! Leaves to others: what a record means, which partition a key belongs to, when records may be dropped.

/// Folder to checked, locked and recovered journal.
mod open;

/// A new journal appears whole or not at all.
mod create;

/// Start and end offsets from what is on disk.
mod recover;

/// Version, id, partition count, start offsets.
mod metadata;

/// The records of one request.
mod batch;

/// The bytes of one request's records of one partition.
mod entry;

/// Hand a request over and wait for its fsync.
mod append;

/// Requests that wait for the committer, bounded in bytes.
mod queue;

/// The committer thread: offsets, write, fsync, completion.
mod commit;

/// Offsets of one partition and who waits for them.
mod partition;

/// An offset to owned records.
mod read;

/// Iterate over what was read.
mod records;

/// Drop records from the front, give the space back.
mod truncate;

/// Counters for metrics.
mod stats;

pub use append::{Append, AppendError};
pub use batch::Batch;
pub use open::{Journal, OpenError, Options};
pub use read::ReadError;
pub use records::{Record, Records};
pub use stats::Stats;
pub use truncate::TruncateError;
pub use uuid::Uuid;
