//! Bytes to event.
//!
//! Responsible for telling a good record from a bad one. Promises to read any bytes without panicking, to check every
//! length before it is used and every text as UTF-8, and to accept only a value that is used up to its last byte: a
//! record is either an event or a [`DecodeError`] to be shown, never half of both. Limits are validation's business and
//! were applied when the event was taken; they may have been other ones then.

use thiserror::Error;

use super::{FRAME_BYTES, SCHEMA_ID};
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

/// Reads a record's value that is framed with the built-in id. The event borrows its texts from it.
pub fn decode(value: &[u8]) -> Result<Event<'_>, DecodeError> {
    decode_framed(value, |id| id == SCHEMA_ID)
}

/// Reads a record's value whose frame has an id that stands for our schema, as `is_ours` knows.
pub fn decode_framed(value: &[u8], is_ours: impl FnOnce(u32) -> bool) -> Result<Event<'_>, DecodeError> {
    let mut rest = Rest(frame(value, is_ours)?);
    let event = body(&mut rest)?;
    match rest.0.len() {
        0 if event.user_key().is_none() => Err(DecodeError::NoUserKey),
        0 => Ok(event),
        bytes => Err(DecodeError::TrailingBytes { bytes }),
    }
}

/// The Avro body behind a frame whose schema is known.
fn frame(value: &[u8], is_ours: impl FnOnce(u32) -> bool) -> Result<&[u8], DecodeError> {
    let (frame, body) = value.split_first_chunk::<FRAME_BYTES>().ok_or(DecodeError::NotFramed)?;
    let [0, id @ ..] = *frame else { return Err(DecodeError::NotFramed) };
    match u32::from_be_bytes(id) {
        id if is_ours(id) => Ok(body),
        id => Err(DecodeError::UnknownSchema { id }),
    }
}

/// The fields: a struct's fields are evaluated as they are written, so the order here is the order on the wire.
fn body<'a>(rest: &mut Rest<'a>) -> Result<Event<'a>, DecodeError> {
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
    })
}

/// What is still to be read.
struct Rest<'a>(&'a [u8]);

impl<'a> Rest<'a> {
    fn optional(&mut self) -> Result<Option<&'a str>, DecodeError> {
        match self.long()? {
            0 => Ok(None),
            1 => self.text().map(Some),
            _ => Err(DecodeError::InvalidAvro),
        }
    }

    fn text(&mut self) -> Result<&'a str, DecodeError> {
        let length = usize::try_from(self.long()?).map_err(|_| DecodeError::InvalidAvro)?;
        let (text, rest) = self.0.split_at_checked(length).ok_or(DecodeError::Truncated)?;
        self.0 = rest;
        simdutf8::basic::from_utf8(text).map_err(|_| DecodeError::InvalidUtf8)
    }

    fn long(&mut self) -> Result<i64, DecodeError> {
        let mut zigzag = 0_u64;
        for shift in (0..64).step_by(7) {
            let (byte, rest) = self.0.split_first().ok_or(DecodeError::Truncated)?;
            self.0 = rest;
            // The tenth byte has room for one bit only.
            if shift == 63 && *byte > 1 {
                return Err(DecodeError::InvalidAvro);
            }
            zigzag |= u64::from(byte & 0x7f) << shift;
            if *byte < 0x80 {
                return Ok((zigzag >> 1).cast_signed() ^ -(zigzag & 1).cast_signed());
            }
        }
        Err(DecodeError::InvalidAvro)
    }
}
