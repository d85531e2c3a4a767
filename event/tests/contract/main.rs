//! The contract as others see it: golden bytes, generic Avro readers and writers, hostile bytes.

/// Our bytes against `apache-avro`, both ways.
mod apache;
/// Our bytes through `arrow-avro`.
mod arrow;
/// The fields of an event by name, and random events.
mod fields;
/// Bytes that were published and must be readable for ever.
mod golden;
/// Bytes that nobody should have written.
mod hostile;
/// Records of other schemas.
mod resolve;
/// The schema files against the struct.
mod schema;
