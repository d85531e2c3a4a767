//! Record -> row, or dead letter.
//!
//! Responsible for judging every record of a buffer once, in log order: it is a row, or a dead letter with a reason.
//! Promises: one bad record costs one record, and what passed decodes again. Records of schemas that are not ours are
//! brought into our form first, in the room [`resolve`]; where there are none it costs nothing. Leaves duplicates to
//! others, with the hash of each row's id.

mod resolve;
#[cfg(test)]
mod tests;

use std::{collections::HashMap, sync::Arc};

use event::{DecodeError, Event, Version};

use crate::{
    buffer::{Buffer, Place},
    duplicates::id_hash,
    schema_ids::{Schema, SchemaIds},
    sort::Row,
};

/// What a buffer's records turned out to be.
#[derive(Debug, Default)]
pub struct Judged {
    /// Good records, in log order.
    pub rows: Vec<Row>,
    /// For each row, the hash of its (source, event id).
    pub(crate) id_hashes: Vec<u64>,
    /// Bad records, in log order.
    pub dead_letters: Vec<(Place, DeadReason)>,
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
    /// The value was written with a schema that ours cannot read.
    #[error("the value has the schema id {id}, whose schema cannot be read as an event: {reason}")]
    UnreadableSchema {
        /// The id in the frame.
        id: u32,
        /// What does not fit.
        reason: Arc<event::ResolveError>,
    },
    /// Nobody could say what the value was written with.
    #[error("the schema registry did not say in time what the value's schema id {id} stands for")]
    SchemaUnanswered {
        /// The id in the frame.
        id: u32,
    },
}

impl DeadReason {
    /// The labels that are not [`event::DecodeError::LABELS`].
    pub const LABELS: [&'static str; 5] =
        ["null_value", "null_key", "key_mismatch", "unreadable_schema", "schema_unanswered"];

    /// The word in dead letters and metrics.
    pub fn label(&self) -> &'static str {
        match self {
            DeadReason::NullValue => "null_value",
            DeadReason::NullKey => "null_key",
            DeadReason::KeyMismatch => "key_mismatch",
            DeadReason::Decode(error) => error.label(),
            DeadReason::UnreadableSchema { .. } => "unreadable_schema",
            DeadReason::SchemaUnanswered { .. } => "schema_unanswered",
        }
    }
}

/// Judges every record of a buffer. May block while an unknown schema id is asked for; the buffer then also holds the
/// records of other schemas in our form.
pub fn judge(buffer: &mut Buffer, schema_ids: &SchemaIds) -> Judged {
    let judged = judge_known(buffer, schema_ids, &mut HashMap::new());
    let of_others = resolve::of_others(&judged.dead_letters);
    if of_others.is_empty() || !schema_ids.can_ask() {
        return judged;
    }
    let mut refused = resolve::resolve(buffer, &of_others, schema_ids);
    judge_known(buffer, schema_ids, &mut refused)
}

/// Judges by what is known, and those with another schema by what was found out about each.
fn judge_known(buffer: &Buffer, schema_ids: &SchemaIds, refused: &mut HashMap<Place, DeadReason>) -> Judged {
    let mut versions = schema_ids.versions();
    let records = buffer.extent().records;
    let (rows, id_hashes) = (Vec::with_capacity(records), Vec::with_capacity(records));
    let mut judged = Judged { rows, id_hashes, dead_letters: Vec::new() };
    for (place, record) in buffer.iter() {
        match decode(record.key, record.value, &mut versions, schema_ids) {
            Err(reason) => judged.dead_letters.push((place, refused.remove(&place).unwrap_or(reason))),
            Ok((key, event)) => {
                judged.rows.push(Row::new(key, place));
                judged.id_hashes.push(id_hash(event.source, event.event_id));
            }
        }
    }
    judged
}

/// Why one record is no row, if it is none. May block while an unknown schema id is asked for.
pub(crate) fn why_dead(key: Option<&[u8]>, value: Option<&[u8]>, schema_ids: &SchemaIds) -> Option<DeadReason> {
    let judge = || decode(key, value, schema_ids.versions(), schema_ids).err();
    match judge() {
        Some(DeadReason::Decode(DecodeError::UnknownSchema { id })) => match schema_ids.ask(id) {
            Schema::Ours => judge(),
            Schema::Unreadable(reason) => Some(reason),
            Schema::Other(resolver) => {
                let event = resolver.decode(value?).map_err(DeadReason::Decode);
                event.and_then(|event| keyed(key, event)).err()
            }
        },
        reason => reason,
    }
}

/// The event of a record that was judged to be one.
pub(crate) fn decoded(value: &[u8]) -> Event<'_> {
    event::decode_again(value).expect("it has been decoded before").1
}

/// The user key and the event of a record, or why it is a dead letter.
fn decode<'a>(
    key: Option<&'a [u8]>,
    value: Option<&'a [u8]>,
    mut version: impl FnMut(u32) -> Option<Version>,
    schema_ids: &SchemaIds,
) -> Result<(&'a [u8], Event<'a>), DeadReason> {
    let value = value.ok_or(DeadReason::NullValue)?;
    let mut asked = 0;
    let event = event::decode_framed(value, |id| {
        asked = id;
        version(id)
    });
    let event = match event {
        Err(_) if schema_ids.is_ambiguous(asked) => event::decode_again(value).map(|(_, event)| event),
        event => event,
    };
    keyed(key, event.map_err(DeadReason::Decode)?)
}

/// An event with its record's key, which has to be its user key.
fn keyed<'a>(key: Option<&'a [u8]>, event: Event<'a>) -> Result<(&'a [u8], Event<'a>), DeadReason> {
    let key = key.ok_or(DeadReason::NullKey)?;
    match event.user_key() {
        Some(user_key) if user_key.as_bytes() == key => Ok((key, event)),
        _ => Err(DeadReason::KeyMismatch),
    }
}
