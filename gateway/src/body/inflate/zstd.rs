//! zstd (RFC 8878), one or more frames. The window of a frame is at most 8 MiB, as RFC 9659 allows for a content coding.

use std::io::{self, Read};

use zstd::{
    stream::raw::{Decoder as Frames, InBuffer, Operation, OutBuffer},
    zstd_safe::{DParameter, find_frame_compressed_size},
};

use super::invalid;

/// RFC 9659, section 3.
const WINDOW_LOG_MAX: u32 = 23;

/// Tables, and a block beside the window.
const CONTEXT_BYTES: usize = 512 << 10;

/// Inflates frames; the last has to end with the input.
pub(super) struct Decoder<'a> {
    raw: InBuffer<'a>,
    frames: Frames<'static>,
    ended: bool,
}

impl<'a> Decoder<'a> {
    pub(super) fn new(raw: &'a [u8]) -> io::Result<Decoder<'a>> {
        let mut frames = Frames::new()?;
        frames.set_parameter(DParameter::WindowLogMax(WINDOW_LOG_MAX))?;
        Ok(Decoder { raw: InBuffer::around(raw), frames, ended: false })
    }
}

impl Read for Decoder<'_> {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        loop {
            let at_end = self.raw.pos == self.raw.src.len();
            if at_end && self.ended || to.is_empty() {
                return Ok(0);
            }
            let mut out = OutBuffer::around(&mut *to);
            let before = self.raw.pos;
            let expected = self.frames.run(&mut self.raw, &mut out)?;
            let bytes = out.pos();
            self.ended = expected == 0;
            if bytes > 0 {
                return Ok(bytes);
            }
            if !self.ended && self.raw.pos == before {
                return Err(invalid());
            }
        }
    }
}

/// What the decompressor may take for these frames: the largest window that one of them announces.
pub(super) fn state_bytes(raw: &[u8]) -> io::Result<usize> {
    let (mut rest, mut largest) = (raw, 0);
    while !rest.is_empty() {
        let bytes = find_frame_compressed_size(rest).map_err(|_| invalid())?;
        largest = largest.max(window_bytes(rest).ok_or_else(invalid)?);
        rest = rest.get(bytes..).ok_or_else(invalid)?;
    }
    if largest > 1 << WINDOW_LOG_MAX {
        return Err(invalid());
    }
    Ok(largest as usize + CONTEXT_BYTES)
}

/// The window in a frame's header (RFC 8878, section 3.1.1.1).
fn window_bytes(frame: &[u8]) -> Option<u64> {
    let (magic, header) = frame.split_first_chunk::<4>()?;
    if u32::from_le_bytes(*magic) & !0xf == 0x184d_2a50 {
        return Some(0);
    }
    let (descriptor, fields) = header.split_first()?;
    if descriptor & 1 << 5 == 0 {
        let window = fields.first()?;
        let base = 1_u64 << (10 + (window >> 3));
        return Some(base + base / 8 * u64::from(window & 7));
    }
    // A single segment: its window is its content.
    let id_bytes = [0, 1, 2, 4][usize::from(descriptor & 3)];
    let (size_bytes, offset) = [(1, 0), (2, 256), (4, 0), (8, 0)][usize::from(descriptor >> 6)];
    let size = fields.get(id_bytes..id_bytes + size_bytes)?;
    let size = size.iter().rev().fold(0, |size, byte| size << 8 | u64::from(*byte));
    Some(size.saturating_add(offset))
}
