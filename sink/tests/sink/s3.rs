//! A real S3 server as the lake.

mod bucket;
mod exactly_once;
mod faults;
mod refused;

pub(crate) use bucket::{Bucket, sink};
