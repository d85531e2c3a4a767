//! The contract between the gateway and the sink: what an event is and how it lies in the log.
//!
//! Responsible for the event's fields, its bytes, its limits, its user key and that key's partition. It does no I/O and
//! knows neither Kafka nor Arrow. Promises: what [`encode`] wrote, [`decode`] gives back, in this and in every later
//! version (the golden files under `tests/contract/fixtures` are never changed, only added to), and no text and
//! no bytes from outside make anything here panic.
//!
//! One event on its way: [`parse_time`] and [`new_event_id`] complete it, [`validate`] judges it, [`encode`] writes it,
//! [`partition`] of [`Event::user_key`] places it, [`decode`] reads it back, or [`Resolver`] where its schema is not
//! ours.
#![deny(missing_docs)]

/// The event and its fields, in wire order.
mod event;

/// Event ids for events that come without one.
mod id;

/// ISO 8601 text to microseconds.
mod time;

/// Every limit and rule.
mod validate;

/// Event to log bytes and back.
mod codec;

/// User key to partition.
mod partition_key;

pub use codec::{
    DecodeError, ResolveError, Resolver, Version, decode, decode_again, decode_framed, encode, encode_framed,
    encoded_len,
};
pub use event::Event;
pub use id::{EventId, new_event_id};
pub use partition_key::partition;
pub use time::parse_time;
pub use validate::{Rule, Violation, limits, nested_deeper, validate};
