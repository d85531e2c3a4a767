//! The independent reader.
//!
//! Responsible for seeing the lake as any reader would: a plain listing of objects and a Parquet reader, by the names of
//! files and columns alone. Promises to share nothing with the programs that write the lake, and to read each file once.
//! Leaves judgement to `verify`.

mod file;
mod lake;
mod watch;

pub use file::{FileError, Footer, Row, read_rows};
pub use lake::{Found, Lake, LakeError, Listing};
pub use watch::{Watched, known, watch};
