//! What the stages and the two services cost, beside the least they could cost.
//!
//! The benches beside this folder measure; the programs in `floor` are the least; this crate holds what they share:
//!
//! ```text
//! clickstream -> load, offer -> a gateway (server, process) -> broker -> a sink (process) -> rounds
//! ```

/// JSON to a struct that borrows: the least a parse can cost.
pub mod borrowed;
/// The topic between the services.
pub mod broker;
/// A ceiling on a program's processor time.
pub mod ceiling;
/// Made events: seeded, as JSON and as [`event::Event`].
pub mod clickstream;
/// A log's values to a file: the least a sink can cost.
pub mod columns;
/// One file's records, as the sink holds them and as Arrow does.
pub mod file;
/// A closed loop of requests over kept connections.
pub mod load;
/// Requests at a rate of their own, whatever the answers are.
pub mod offer;
/// A program under measurement: its processor time and memory.
pub mod process;
/// Runs in alternation, their medians and ratios.
pub mod rounds;
/// The product's gateway on a topic of its own.
pub mod server;

/// The event as a record's value.
#[must_use]
pub fn value(event: &event::Event<'_>) -> Vec<u8> {
    let mut value = Vec::new();
    event::encode(event, &mut value);
    value
}
