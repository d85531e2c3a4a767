//! brotli (RFC 7932). Its header announces a window of up to 16 MiB; the large windows of later drafts are refused.

use std::io::{self, Read};

use brotli_decompressor::{BrotliDecompressStream, BrotliResult, BrotliState, StandardAlloc};

use super::invalid;

/// Huffman tables at their largest: three kinds of trees, 256 of a kind (RFC 7932, section 9.2), and context maps.
const TABLES_BYTES: usize = 3 << 20;

/// Inflates one stream that has to end with the input.
pub(super) struct Decoder<'a> {
    raw: &'a [u8],
    read: usize,
    state: BrotliState<StandardAlloc, StandardAlloc, StandardAlloc>,
    ended: bool,
}

impl<'a> Decoder<'a> {
    pub(super) fn new(raw: &'a [u8]) -> Decoder<'a> {
        let alloc = StandardAlloc::default;
        Decoder { raw, read: 0, state: BrotliState::new(alloc(), alloc(), alloc()), ended: false }
    }
}

impl Read for Decoder<'_> {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        if self.ended || to.is_empty() {
            return Ok(0);
        }
        let mut unread = self.raw.len() - self.read;
        let (mut room, mut written, mut total) = (to.len(), 0, 0);
        let result = BrotliDecompressStream(
            &mut unread,
            &mut self.read,
            self.raw,
            &mut room,
            &mut written,
            to,
            &mut total,
            &mut self.state,
        );
        self.ended = matches!(result, BrotliResult::ResultSuccess);
        match result {
            BrotliResult::ResultSuccess if unread == 0 => Ok(written),
            BrotliResult::NeedsMoreOutput if written > 0 => Ok(written),
            _ => Err(invalid()),
        }
    }
}

/// What the decompressor may take for a body that begins like this: the window is in the first bits (RFC 7932,
/// section 9.1).
pub(super) fn state_bytes(raw: &[u8]) -> io::Result<usize> {
    let first = *raw.first().ok_or_else(invalid)?;
    let window_bits = match (first & 1, first >> 1 & 7, first >> 4 & 7) {
        (0, _, _) => 16,
        (_, 0, 0) => 17,
        (_, 0, 1) => return Err(invalid()),
        (_, 0, bits) => 8 + bits,
        (_, bits, _) => 17 + bits,
    };
    Ok((1 << window_bits) + TABLES_BYTES)
}
