//! The gateway from outside: raw bytes over TCP against a gateway in this process, with the journal, librdkafka's mock
//! cluster (for errors and delays) or a real Kafka (for order and outages) behind it.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking, helpers included")]

/// Bad input: status, code, and what else of the request was stored.
mod bad_input;
/// The binary: flags, exit codes, flat memory, drain on SIGTERM.
mod binary;
/// Timeouts and caps of connections.
mod connections;
/// What browsers look at.
mod cors;
/// What is answered when: acknowledgement, deadline, failed suffix, full queue, shed.
mod delivery;
/// The end of a gateway.
mod drain;
/// Compressed bodies.
mod encodings;
/// A hot source beside a quiet one, a log that is late.
mod fairness;
/// A gateway to test, and a client that speaks raw bytes.
mod harness;
/// What attacks cost, with the memory of the real process.
mod hostile;
/// HTTP/2: many requests on a connection, its end, its abuse.
mod http2;
/// Write keys.
mod keys;
/// Limits that count events, and the address that they count for.
mod limits;
/// Each user's order and place, read back from Kafka.
mod order;
/// Kafka goes and comes back.
mod outage;
/// Exact books at several times of what may pass.
mod overload;
/// An image as an event.
mod pixel;
/// Schema ids from a registry.
mod registry;
/// A new configuration while requests are served.
mod reload;
/// Order where records are refused, delayed and sent again.
mod resend;
/// What Segment's SDKs and their kin send.
mod segment;
/// Requests of which the end can be read in two ways.
mod smuggling;
/// Kafka goes, and the spool takes its place.
mod spool;
/// Encryption, and certificates that change.
mod tls;
/// Topics beside the main one.
mod topics;
