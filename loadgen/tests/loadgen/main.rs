//! The load generator against servers that fail in every way and lakes with planted faults.
//!
//! Goal: what the generator says of a system must be true when the system misbehaves. Method: a gateway and a lake of a
//! few lines each, whose every decision the test knows, stand in for the real ones.
#![expect(clippy::unwrap_used, reason = "a failed unwrap fails the test at its line, which is all that is wanted")]

mod binary;
mod gateway;
mod lake;
mod reader;
mod sender;
