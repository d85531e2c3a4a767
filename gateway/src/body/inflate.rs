//! gzip under a cap.
//!
//! Responsible for inflating a body whose size nobody can announce honestly. Promises that the output never passes the
//! cap or what the scale has room for: a bomb is refused after the cap's bytes, not after its own. One or more gzip
//! members (RFC 1952, section 2.2) make up a body.

use std::io::Read;

use flate2::read::MultiGzDecoder;

use crate::{
    load_shed::Seat,
    rejection::{Code, Rejection},
};

/// First bytes of a gzip member. No JSON text begins like this.
pub(super) const MAGIC: [u8; 2] = [0x1f, 0x8b];

const CHUNK_BYTES: usize = 64 << 10;

/// Inflates `raw`.
pub(crate) fn inflate(raw: &[u8], seat: &mut Seat, bytes_max: usize) -> Result<Vec<u8>, Rejection> {
    let mut from = MultiGzDecoder::new(raw);
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
        from.by_ref().take(room as u64).read_to_end(&mut whole).map_err(|_| malformed())?;
        if whole.len() > bytes_max {
            return Err(too_large(bytes_max));
        }
        if whole.len() - before < room {
            return Ok(whole);
        }
    }
}

fn malformed() -> Rejection {
    Rejection::new(Code::MalformedGzip, "the body is not valid gzip or was cut off: compress it again")
}

fn too_large(bytes_max: usize) -> Rejection {
    Rejection::new(
        Code::BodyTooLarge,
        format!("the body inflates to more than {bytes_max} bytes: send smaller batches"),
    )
}

#[cfg(test)]
mod tests {
    use std::{io::Write, sync::Arc};

    use flate2::{Compression, write::GzEncoder};
    use prometheus_client::metrics::gauge::Gauge;

    use super::*;
    use crate::load_shed::LoadShed;

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut to = GzEncoder::new(Vec::new(), Compression::fast());
        to.write_all(bytes).expect("memory takes it");
        to.finish().expect("memory takes it")
    }

    #[track_caller]
    fn check(raw: &[u8], bytes_max: usize, expected: Result<&[u8], Code>) {
        let shed = Arc::new(LoadShed::new(Gauge::default(), 1 << 20));
        let mut seat = shed.admit(0).expect("empty");
        let found = inflate(raw, &mut seat, bytes_max).map_err(|rejection| rejection.code);
        assert_eq!(found.as_deref(), expected.as_ref().copied());
    }

    #[test]
    fn a_body_inflates_up_to_the_cap() {
        let text = b"{}".repeat(100_000);
        check(&gzip(&text), text.len(), Ok(&text));
        check(&gzip(&text), text.len() - 1, Err(Code::BodyTooLarge));
        check(&gzip(b""), 10, Ok(b""));
        check(&[gzip(b"{}"), gzip(b"[]")].concat(), 10, Ok(b"{}[]"));
    }

    #[test]
    fn what_is_no_gzip_is_malformed() {
        let text = b"{}".repeat(1000);
        let whole = gzip(&text);
        check(&whole[..whole.len() - 1], 10_000, Err(Code::MalformedGzip));
        check(&whole[..20], 10_000, Err(Code::MalformedGzip));
        check(b"{}", 10_000, Err(Code::MalformedGzip));
        check(&[whole.as_slice(), b"xx"].concat(), 10_000, Err(Code::MalformedGzip));
    }

    #[test]
    fn a_bomb_is_refused_where_the_scale_is_full() {
        check(&gzip(&vec![b' '; 4 << 20]), 8 << 20, Err(Code::Overloaded));
    }
}
