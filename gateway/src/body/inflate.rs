//! Decompression under a cap.
//!
//! Responsible for inflating a body whose size nobody can announce honestly. Promises that neither the output nor what a
//! decompressor itself holds passes the caps or what the scale has room for: a bomb is refused after the cap's bytes, not
//! after its own, and a window that a header announces is weighed before it is taken.

mod brotli;
mod deflate;
mod zstd;

use std::io::{self, Read};

use flate2::bufread::MultiGzDecoder;

use super::encoding::Encoding;
use crate::{
    load_shed::Seat,
    rejection::{Code, Rejection},
};

const CHUNK_BYTES: usize = 64 << 10;

/// What inflate needs: its window (RFC 1951) and Huffman tables.
const DEFLATE_STATE_BYTES: usize = 64 << 10;

/// Undoes one `encoding` of `raw`.
pub(crate) fn inflate(encoding: Encoding, raw: &[u8], seat: &mut Seat, bytes_max: usize) -> Result<Vec<u8>, Rejection> {
    let malformed = |_| malformed(encoding);
    match encoding {
        Encoding::Gzip => {
            seat.holding(DEFLATE_STATE_BYTES, |seat| read(MultiGzDecoder::new(raw), seat, bytes_max, malformed))
        }
        Encoding::Deflate => {
            seat.holding(DEFLATE_STATE_BYTES, |seat| read(deflate::Decoder::new(raw), seat, bytes_max, malformed))
        }
        Encoding::Brotli => seat.holding(brotli::state_bytes(raw).map_err(malformed)?, |seat| {
            read(brotli::Decoder::new(raw), seat, bytes_max, malformed)
        }),
        Encoding::Zstd => seat.holding(zstd::state_bytes(raw).map_err(malformed)?, |seat| {
            read(zstd::Decoder::new(raw).map_err(malformed)?, seat, bytes_max, malformed)
        }),
    }
}

fn read(
    mut from: impl Read,
    seat: &mut Seat,
    bytes_max: usize,
    malformed: impl Fn(io::Error) -> Rejection,
) -> Result<Vec<u8>, Rejection> {
    let mut whole = Vec::new();
    loop {
        // One byte more than allowed tells too much from just enough.
        let room = (bytes_max + 1 - whole.len()).min(CHUNK_BYTES);
        if whole.capacity() < whole.len() + room {
            // Doubling keeps the copying linear; what it takes is weighed first.
            let more = room.max(whole.len().min(bytes_max + 1 - whole.len()));
            seat.grow(more)?;
            whole.reserve_exact(more);
        }
        let before = whole.len();
        from.by_ref().take(room as u64).read_to_end(&mut whole).map_err(&malformed)?;
        if whole.len() > bytes_max {
            return Err(too_large(bytes_max));
        }
        if whole.len() - before < room {
            return Ok(whole);
        }
    }
}

/// What a decompressor says to bytes that are none of its kind.
fn invalid() -> io::Error {
    io::ErrorKind::InvalidData.into()
}

fn malformed(encoding: Encoding) -> Rejection {
    let message = match encoding {
        Encoding::Zstd => "the body is not valid zstd, was cut off, or needs a window over 8 MiB: compress it again",
        other => {
            return Rejection::new(
                Code::MalformedCompression,
                format!("the body is not valid {} or was cut off: compress it again", other.name()),
            );
        }
    };
    Rejection::new(Code::MalformedCompression, message)
}

fn too_large(bytes_max: usize) -> Rejection {
    Rejection::new(
        Code::BodyTooLarge,
        format!("the body inflates to more than {bytes_max} bytes: send smaller batches"),
    )
}

#[cfg(test)]
mod tests;
