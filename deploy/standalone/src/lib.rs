//! Footfall in one process: journal, gateway, sink and console.
//!
//! ```text
//! POST -> gateway -> journal (fsync) -> 200        sink <- journal;  sink -> DIR/lake;  journal truncated
//! ```
//!
//! Responsible for putting the parts together on one data folder: the order in which they start, are announced, and
//! drain. Promises that the printed lines are true when they appear. Leaves every step of an event to the parts.

/// The command line.
pub mod args;
/// Settings of all parts, and the defaults that differ here.
pub mod config;
/// The page at the admin port.
mod console;
/// The data folder and what is opened in it.
pub mod data;
/// The journal's counters as metrics.
mod metrics;
/// Start, announce, drain.
pub mod pipeline;
