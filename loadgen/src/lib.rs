//! Offered load, measured lag, proof of no loss.
//!
//! ```text
//! traffic | replay -> offer -> sender -> HTTP ... the system ... Parquet -> reader -> visible lag
//!                                 |                                            |
//!                                 +------------ ledger -> verify <-------------+
//! ```
//! Nothing here is shared with the system that is measured: what is known of it is its HTTP interface and the names of
//! files and columns.

/// When events are due; the one clock.
pub mod arrival;
/// Flags.
pub mod cli;
/// The subcommands.
pub mod command;
/// Settings, and checked values made of them.
pub mod config;
/// Exit codes and one-line failures.
pub mod exit;
/// JSON without a tree.
mod json;
/// HDR histograms.
pub mod latency;
/// The outcome of every event.
pub mod ledger;
/// One measured run: threads and deadlines.
pub mod measure;
/// The seam between those who know the events and the one who sends them.
pub mod offer;
/// What a person sees meanwhile.
pub mod progress;
/// The independent reader of the lake.
pub mod reader;
/// An access log as page views.
pub mod replay;
/// What a person and a script read at the end.
pub mod report;
/// Sends until acknowledged.
pub mod sender;
/// Counters while the run goes on.
pub mod tally;
/// Who does what: the seeded stream.
pub mod traffic;
/// Whether the lake is right.
pub mod verify;
