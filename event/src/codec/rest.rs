//! Avro's binary form, piece by piece.
//!
//! Responsible for the pieces that events are made of. Promises to check every length before it is used, and to read
//! any bytes without panicking.

use super::DecodeError;

/// What is still to be read.
pub(super) struct Rest<'a>(pub(super) &'a [u8]);

impl<'a> Rest<'a> {
    pub(super) fn optional(&mut self) -> Result<Option<&'a str>, DecodeError> {
        match self.long()? {
            0 => Ok(None),
            1 => self.text().map(Some),
            _ => Err(DecodeError::InvalidAvro),
        }
    }

    pub(super) fn text(&mut self) -> Result<&'a str, DecodeError> {
        simdutf8::basic::from_utf8(self.bytes()?).map_err(|_| DecodeError::InvalidUtf8)
    }

    /// A length and so many bytes.
    pub(super) fn bytes(&mut self) -> Result<&'a [u8], DecodeError> {
        let length = usize::try_from(self.long()?).map_err(|_| DecodeError::InvalidAvro)?;
        self.take(length)
    }

    pub(super) fn take(&mut self, bytes: usize) -> Result<&'a [u8], DecodeError> {
        let (taken, rest) = self.0.split_at_checked(bytes).ok_or(DecodeError::Truncated)?;
        self.0 = rest;
        Ok(taken)
    }

    pub(super) fn long(&mut self) -> Result<i64, DecodeError> {
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
