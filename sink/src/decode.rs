//! Record -> row, or dead letter.
//!
//! Responsible for judging every record of a buffer once, in log order: it is a row, or a dead letter with a reason, or
//! a duplicate of a row before it in the same file (the first in log order wins). Promises: one bad record costs one
//! record, and what passed decodes again. Duplicates across files are left to others.

use std::collections::HashMap;

use event::Event;

use crate::{
    buffer::{Buffer, Place},
    schema_ids::SchemaIds,
    sort::Row,
};

/// What a buffer's records turned out to be.
#[derive(Debug, Default)]
pub struct Judged {
    /// Good records, in log order.
    pub rows: Vec<Row>,
    /// Bad records, in log order.
    pub dead_letters: Vec<(Place, DeadReason)>,
    /// Records that repeat the event id of a row in this file.
    pub duplicates: u64,
}

/// Why a record is not a row.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DeadReason {
    /// The record has no value.
    #[error("the record has no value")]
    NullValue,
    /// The record has no key, so that its user's order is not known.
    #[error("the record has no key")]
    NullKey,
    /// The record's key is not the event's user key.
    #[error("the record's key is not the event's user key")]
    KeyMismatch,
    /// The value is not an event.
    #[error("{0}")]
    Decode(event::DecodeError),
}

impl DeadReason {
    /// The labels that are not [`event::DecodeError::LABELS`].
    pub const LABELS: [&'static str; 3] = ["null_value", "null_key", "key_mismatch"];

    /// The word in dead letters and metrics.
    pub fn label(&self) -> &'static str {
        match self {
            DeadReason::NullValue => "null_value",
            DeadReason::NullKey => "null_key",
            DeadReason::KeyMismatch => "key_mismatch",
            DeadReason::Decode(error) => error.label(),
        }
    }
}

/// Judges every record of a buffer. May block while an unknown schema id is asked for.
pub fn judge(buffer: &Buffer, schema_ids: &SchemaIds) -> Judged {
    let mut is_ours = schema_ids.judge();
    let mut judged = Judged { rows: Vec::with_capacity(buffer.extent().records), ..Judged::default() };
    let mut seen = Seen::with_capacity(buffer.extent().records);
    for (place, record) in buffer.iter() {
        match decode(record.key, record.value, &mut is_ours) {
            Err(reason) => judged.dead_letters.push((place, reason)),
            Ok((key, event)) if seen.insert(&event, place, buffer) => judged.rows.push(Row::new(key, place)),
            Ok(_) => judged.duplicates += 1,
        }
    }
    judged
}

/// The event of a record that was judged to be one.
pub(crate) fn decoded(value: &[u8]) -> Event<'_> {
    event::decode_framed(value, |_| true).expect("it has been decoded before")
}

fn decode<'a>(
    key: Option<&'a [u8]>,
    value: Option<&'a [u8]>,
    is_ours: impl FnOnce(u32) -> bool,
) -> Result<(&'a [u8], Event<'a>), DeadReason> {
    let value = value.ok_or(DeadReason::NullValue)?;
    let event = event::decode_framed(value, is_ours).map_err(DeadReason::Decode)?;
    let key = key.ok_or(DeadReason::NullKey)?;
    match event.user_key() {
        Some(user_key) if user_key.as_bytes() == key => Ok((key, event)),
        _ => Err(DeadReason::KeyMismatch),
    }
}

/// The events of this file by (source, event id). The map is keyed by a hash that has already been computed; equal hashes
/// are confirmed on the records themselves, so that nobody can make two events look like one.
struct Seen {
    first: HashMap<u64, Place, std::hash::BuildHasherDefault<Hashed>>,
    /// Further events whose hash was taken by another event.
    collided: HashMap<u64, Vec<Place>>,
}

impl Seen {
    fn with_capacity(records: usize) -> Seen {
        Seen { first: HashMap::with_capacity_and_hasher(records, Default::default()), collided: HashMap::new() }
    }

    /// Is the event the first of its id?
    fn insert(&mut self, event: &Event<'_>, place: Place, buffer: &Buffer) -> bool {
        let hash = xxhash_rust::xxh3::xxh3_64_with_seed(
            event.event_id.as_bytes(),
            xxhash_rust::xxh3::xxh3_64(event.source.as_bytes()),
        );
        match self.first.entry(hash) {
            std::collections::hash_map::Entry::Vacant(vacant) => {
                vacant.insert(place);
                true
            }
            std::collections::hash_map::Entry::Occupied(first) => {
                let others = self.collided.entry(hash).or_default();
                let known =
                    std::iter::once(first.get()).chain(others.iter()).any(|other| same_id(event, *other, buffer));
                if !known {
                    others.push(place);
                }
                !known
            }
        }
    }
}

fn same_id(event: &Event<'_>, other: Place, buffer: &Buffer) -> bool {
    let value = buffer.record(other).value.expect("only decoded records are remembered");
    let other = decoded(value);
    (event.source, event.event_id) == (other.source, other.event_id)
}

/// Passes a hash through.
#[derive(Default)]
struct Hashed(u64);

impl std::hash::Hasher for Hashed {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, _: &[u8]) {
        unreachable!("only u64 keys are hashed");
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }
}
