//! Event to log bytes and back.
//!
//! Responsible for the record's value: Confluent's framing (a zero byte and the schema id, four bytes big endian),
//! then the Avro binary form of `schema/event.v1.avsc` (Avro specification 1.12, "Binary encoding"). The bytes are
//! written and read by hand, field by field in wire order, because this is done once for every event on both sides.
//! Promises that generic Avro readers and writers agree with it, field by field.
//!
//! Compatibility: a published version's schema file and golden bytes are never changed. A new version only adds
//! optional fields, has a schema id of its own, and `decode` reads it and all versions before it.

mod decode;
mod encode;

pub use decode::{DecodeError, decode, decode_framed};
pub use encode::{encode, encode_framed, encoded_len};

/// Id in the frame that [`encode`] writes: the schema's where no registry gives it another one.
pub const SCHEMA_ID: u32 = 1;

/// The Avro schema of id 1.
pub const SCHEMA_V1: &str = include_str!("../schema/event.v1.avsc");

/// Bytes of the frame before the Avro body.
const FRAME_BYTES: usize = 5;
