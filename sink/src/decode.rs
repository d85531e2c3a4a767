//! Record -> row, or dead letter.
//!
//! Responsible for judging every record of a buffer once, in log order: it is a row, or a dead letter with a reason.
//! Promises: one bad record costs one record, and what passed decodes again. Leaves duplicates to others, with the hash of
//! each row's id.

use event::Event;

use crate::{
    buffer::{Buffer, Place},
    duplicates::id_hash,
    schema_ids::SchemaIds,
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
    let records = buffer.extent().records;
    let (rows, id_hashes) = (Vec::with_capacity(records), Vec::with_capacity(records));
    let mut judged = Judged { rows, id_hashes, dead_letters: Vec::new() };
    for (place, record) in buffer.iter() {
        match decode(record.key, record.value, &mut is_ours) {
            Err(reason) => judged.dead_letters.push((place, reason)),
            Ok((key, event)) => {
                judged.rows.push(Row::new(key, place));
                judged.id_hashes.push(id_hash(event.source, event.event_id));
            }
        }
    }
    judged
}

/// The event of a record that was judged to be one.
pub(crate) fn decoded(value: &[u8]) -> Event<'_> {
    event::decode_framed(value, |_| true).expect("it has been decoded before")
}

/// The user key and the event of a record, or why it is a dead letter.
pub(crate) fn decode<'a>(
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
