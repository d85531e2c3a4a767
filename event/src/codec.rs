//! Event to log bytes and back.
//!
//! Responsible for the record's value: Confluent's framing (a zero byte and the schema id, four bytes big endian),
//! then the Avro binary form of `schema/event.v*.avsc` (Avro specification 1.12, "Binary encoding"). The bytes are
//! written and read by hand, field by field in wire order, because this is done once for every event on both sides.
//! Promises that generic Avro readers and writers agree with it, field by field.
//!
//! Compatibility: a published version's schema file and golden bytes are never changed. A new version only adds
//! optional fields at the end, has a schema id of its own, and `decode` reads it and all versions before it. What was
//! written with any other schema is read by Avro's rules of resolution, see [`Resolver`].

mod decode;
mod encode;
mod resolve;
mod rest;
mod version;

pub use decode::{DecodeError, decode, decode_again, decode_framed};
pub use encode::{encode, encode_framed, encoded_len};
pub use resolve::{ResolveError, Resolver};
pub use version::Version;

/// Bytes of the frame before the Avro body.
const FRAME_BYTES: usize = 5;
