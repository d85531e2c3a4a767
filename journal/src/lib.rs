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
//!
//! The path:
mod append; // hand a request over and wait for its fsync
mod batch; // the records of one request
mod commit; // the committer thread: offsets, write, fsync, completion
mod create; // a new journal appears whole or not at all
mod entry; // the bytes of one request's records of one partition
mod metadata; // version, id, partition count, start offsets
mod open; // folder -> checked, locked, recovered journal
mod partition; // offsets of one partition and who waits for them
mod queue; // requests that wait for the committer, bounded in bytes
mod read; // from an offset to owned records
mod records; // iterate over what was read
mod recover; // start and end offsets from what is on disk
mod stats;
mod truncate; // drop records from the front, give the space back // counters for metrics

pub use append::{Append, AppendError};
pub use batch::Batch;
pub use open::{Journal, OpenError, Options};
pub use read::ReadError;
pub use records::{Record, Records};
pub use stats::Stats;
pub use truncate::TruncateError;
pub use uuid::Uuid;
