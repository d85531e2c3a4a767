//! One request and where it can be.
//!
//! Responsible for the request as it moves between line, wire and rest, and for its body. Promises that the body of an
//! item is the same on every attempt. Leaves decisions to the sender.

use std::cmp::Ordering;

use bytes::Bytes;

use super::Attempt;
use crate::offer::{Item, Offer};

/// Events that travel together; all their users are occupied until it has ended.
#[derive(Debug)]
pub(super) struct Request<E> {
    pub(super) items: Vec<Item<E>>,
    /// How often it was sent.
    pub(super) attempts: u32,
    /// Whether only the generator itself can have made it late: it waited neither for a user nor for a connection.
    pub(super) on_schedule: bool,
}

/// A request that came back from the wire.
#[derive(Debug)]
pub(super) struct Answered<E> {
    pub(super) request: Request<E>,
    pub(super) attempt: Attempt,
    /// When the attempt began.
    pub(super) began_us: u64,
}

/// A request between two attempts, ordered so that the one which wakes first is the greatest.
#[derive(Debug)]
pub(super) struct Resting<E> {
    pub(super) until_us: u64,
    pub(super) request: Request<E>,
}

impl<E> Ord for Resting<E> {
    fn cmp(&self, other: &Self) -> Ordering {
        other.until_us.cmp(&self.until_us)
    }
}

impl<E> PartialOrd for Resting<E> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<E> PartialEq for Resting<E> {
    fn eq(&self, other: &Self) -> bool {
        self.until_us == other.until_us
    }
}

impl<E> Eq for Resting<E> {}

/// The body: one event as an object, several as an array.
pub(super) fn body<O: Offer>(offer: &O, items: &[Item<O::Event>]) -> Bytes {
    let mut out = Vec::with_capacity(items.len() * 512 + 2);
    if let [item] = items {
        offer.write(item, &mut out);
        return out.into();
    }
    for (index, item) in items.iter().enumerate() {
        out.push(if index == 0 { b'[' } else { b',' });
        offer.write(item, &mut out);
    }
    out.push(b']');
    out.into()
}
