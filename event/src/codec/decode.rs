//! Bytes to event.
//!
//! Responsible for telling a good record from a bad one. Promises to read any bytes without panicking, to check every
//! length before it is used and every text as UTF-8, and to accept only a value that is used up to its last byte: a
//! record is either an event or a [`DecodeError`] to be shown, never half of both. Limits are validation's business and
//! were applied when the event was taken; they may have been other ones then.

use thiserror::Error;

use super::{FRAME_BYTES, Version, rest::Rest};
use crate::Event;

/// Why a record's value is not an event.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum DecodeError {
    /// The value does not begin with a zero byte and a schema id.
    #[error("the value has no schema frame: it was not written by a footfall gateway")]
    NotFramed,
    /// The frame names a schema that this version does not know.
    #[error("the value has the unknown schema id {id}: was it written by a newer version?")]
    UnknownSchema {
        /// The id in the frame.
        id: u32,
    },
    /// The value ends inside a field.
    #[error("the value ends inside a field")]
    Truncated,
    /// A text is not UTF-8.
    #[error("a text of the value is not UTF-8")]
    InvalidUtf8,
    /// A number does not fit, a length is negative, or a union's branch does not exist.
    #[error("the value is not Avro of its schema")]
    InvalidAvro,
    /// Bytes are left after the last field.
    #[error("{bytes} bytes are left after the value's last field")]
    TrailingBytes {
        /// How many are left.
        bytes: usize,
    },
    /// Neither `user_id` nor `anonymous_id` is there: the event has no place in any user's order.
    #[error("the event has neither user_id nor anonymous_id")]
    NoUserKey,
}

impl DecodeError {
    /// Every label that [`DecodeError::label`] can give, for metrics.
    pub const LABELS: [&'static str; 7] =
        ["not_framed", "unknown_schema", "truncated", "invalid_utf8", "invalid_avro", "trailing_bytes", "no_user_key"];

    /// The reason in one word that stays: for metrics and dead letters.
    #[must_use]
    pub fn label(&self) -> &'static str {
        match self {
            Self::NotFramed => "not_framed",
            Self::UnknownSchema { .. } => "unknown_schema",
            Self::Truncated => "truncated",
            Self::InvalidUtf8 => "invalid_utf8",
            Self::InvalidAvro => "invalid_avro",
            Self::TrailingBytes { .. } => "trailing_bytes",
            Self::NoUserKey => "no_user_key",
        }
    }
}

/// Reads a record's value that is framed with the built-in id of a version. The event borrows its texts from it.
pub fn decode(value: &[u8]) -> Result<Event<'_>, DecodeError> {
    decode_framed(value, Version::of_schema_id)
}

/// Reads a record's value whose frame has an id that stands for a version of our schema, as `version` knows.
pub fn decode_framed(value: &[u8], version: impl FnOnce(u32) -> Option<Version>) -> Result<Event<'_>, DecodeError> {
    let (id, avro) = frame(value)?;
    let version = version(id).ok_or(DecodeError::UnknownSchema { id })?;
    let mut rest = Rest(avro);
    let event = body(&mut rest, |_| version)?;
    whole(event, &rest)
}

/// Reads a record's value of any version, whatever its id: the form tells which one it is. So it may take what was cut
/// off right before the last version's fields for an older one, and is for values that are known to be whole.
pub fn decode_again(value: &[u8]) -> Result<(Version, Event<'_>), DecodeError> {
    let mut rest = Rest(frame(value)?.1);
    let mut version = Version::V1;
    let event = body(&mut rest, |rest| {
        // Whoever writes version 2 writes at least the branch of its field.
        version = if rest.0.is_empty() { Version::V1 } else { Version::V2 };
        version
    })?;
    whole(event, &rest).map(|event| (version, event))
}

/// An event that uses the value up to its last byte and has a user.
pub(super) fn whole<'a>(event: Event<'a>, rest: &Rest<'a>) -> Result<Event<'a>, DecodeError> {
    match rest.0.len() {
        0 if event.user_key().is_none() => Err(DecodeError::NoUserKey),
        0 => Ok(event),
        bytes => Err(DecodeError::TrailingBytes { bytes }),
    }
}

/// The schema id, and the Avro body behind it.
fn frame(value: &[u8]) -> Result<(u32, &[u8]), DecodeError> {
    let (frame, body) = value.split_first_chunk::<FRAME_BYTES>().ok_or(DecodeError::NotFramed)?;
    let [0, id @ ..] = *frame else { return Err(DecodeError::NotFramed) };
    Ok((u32::from_be_bytes(id), body))
}

/// The fields: a struct's fields are evaluated as they are written, so the order here is the order on the wire.
fn body<'a>(rest: &mut Rest<'a>, version: impl FnOnce(&Rest<'a>) -> Version) -> Result<Event<'a>, DecodeError> {
    Ok(Event {
        event_id: rest.text()?,
        kind: rest.text()?,
        source: rest.text()?,
        user_id: rest.optional()?,
        anonymous_id: rest.optional()?,
        name: rest.optional()?,
        session_id: rest.optional()?,
        event_time: rest.long()?,
        received_at: rest.long()?,
        url: rest.optional()?,
        path: rest.optional()?,
        title: rest.optional()?,
        referrer: rest.optional()?,
        element: rest.optional()?,
        element_text: rest.optional()?,
        element_href: rest.optional()?,
        user_agent: rest.optional()?,
        ip: rest.optional()?,
        locale: rest.optional()?,
        screen: rest.optional()?,
        campaign_source: rest.optional()?,
        campaign_medium: rest.optional()?,
        campaign_name: rest.optional()?,
        campaign_term: rest.optional()?,
        campaign_content: rest.optional()?,
        library: rest.optional()?,
        properties: rest.optional()?,
        timezone: if version(rest) >= Version::V2 { rest.optional()? } else { None },
    })
}
