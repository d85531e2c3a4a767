//! deflate, as it is sent: with the zlib wrapper (RFC 1950), as RFC 9110 wants it, or raw (RFC 1951), as many clients
//! have it.

use std::io::{self, Read};

use flate2::{Decompress, FlushDecompress, Status};

use super::invalid;

/// Inflates one stream that has to end with the input.
pub(super) struct Decoder<'a> {
    raw: &'a [u8],
    state: Decompress,
    ended: bool,
}

impl<'a> Decoder<'a> {
    pub(super) fn new(raw: &'a [u8]) -> Decoder<'a> {
        Decoder { raw, state: Decompress::new(has_zlib_header(raw)), ended: false }
    }
}

/// Method 8 and a check that makes both bytes a multiple of 31 (RFC 1950, section 2.2). A raw stream that looks like
/// this would begin with a stored block of a strange length.
fn has_zlib_header(raw: &[u8]) -> bool {
    matches!(raw, [method, flags, ..] if method & 0x0f == 8 && u16::from_be_bytes([*method, *flags]).is_multiple_of(31))
}

impl Read for Decoder<'_> {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        if self.ended || to.is_empty() {
            return Ok(0);
        }
        let (before_in, before_out) = (self.state.total_in(), self.state.total_out());
        let status = self.state.decompress(self.raw, to, FlushDecompress::None).map_err(|_| invalid())?;
        self.raw = &self.raw[(self.state.total_in() - before_in) as usize..];
        let bytes = (self.state.total_out() - before_out) as usize;
        self.ended = status == Status::StreamEnd;
        match (self.ended, self.raw.is_empty()) {
            (true, false) => Err(invalid()),
            (false, _) if bytes == 0 => Err(invalid()),
            _ => Ok(bytes),
        }
    }
}
