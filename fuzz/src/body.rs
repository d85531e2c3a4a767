//! Bodies on their way in: nothing but what was sent comes out, in whatever pieces it comes, and never more than the
//! caps.
//!
//! An input is eight bytes that choose caps, encoding, pieces and how the rest is used, then the rest: a compressed body
//! as it stands, or a text that is compressed here, so that the fuzzer need not find checksums.

use std::{cell::RefCell, io::Write};

use flate2::{
    Compression,
    write::{DeflateEncoder, GzEncoder, ZlibEncoder},
};
use gateway::{rejection::Code, stage::Arriving};
use tokio::runtime::{Builder, Runtime};

/// Most that a decompressor itself may take for the encodings here, beside what it gives.
const STATE_BYTES_MAX: usize = 24 << 20;
/// An inflated body grows by doubling.
const GROWTH: usize = 2;

thread_local! {
    // Reading a body has timers.
    static RUNTIME: RefCell<Runtime> =
        RefCell::new(Builder::new_current_thread().enable_time().build().expect("tokio starts"));
}

/// The choices of an input.
#[derive(Clone, Copy)]
struct Choice {
    how: u8,
    encoding: u8,
    repeat: u8,
    /// Seed of the pieces.
    pieces: u8,
    inflated_bytes_max: usize,
    in_flight_bytes_max: usize,
}

pub(crate) fn run(input: &[u8]) {
    let Some((head, rest)) = input.split_first_chunk::<8>() else { return };
    let [how, encoding, repeat, pieces, cap_low, cap_high, room_low, room_high] = *head;
    let choice = Choice {
        how: how % 4,
        encoding,
        repeat,
        pieces,
        inflated_bytes_max: usize::from(u16::from_le_bytes([cap_low, cap_high])),
        in_flight_bytes_max: usize::from(u16::from_le_bytes([room_low, room_high])) << 10,
    };
    match choice.how {
        0 => as_it_stands(rest, choice),
        1 => compressed(&rest.repeat(usize::from(repeat)), choice),
        2 => stacked(rest, choice),
        _ => cut_off(rest, choice),
    }
}

/// The names a client may use, and some it may not.
const NAMES: [Option<&str>; 10] = [
    Some("gzip"),
    Some("deflate"),
    Some("br"),
    Some("zstd"),
    None,
    Some("identity"),
    Some(" X-GZIP ,"),
    Some("gzip, br"),
    Some("compress"),
    Some("gzip,deflate,br"),
];

/// Whatever the bytes are, no more than the caps is held for them, and the pieces do not matter.
fn as_it_stands(body: &[u8], choice: Choice) {
    let name = NAMES[usize::from(choice.encoding) % NAMES.len()].map(str::as_bytes);
    let cap = choice.inflated_bytes_max;
    let whole = read(name, &[body], true, usize::MAX >> 1, cap, usize::MAX >> 1);
    let pieces =
        read(name, &split(body, choice.pieces), choice.pieces.is_multiple_of(2), body.len(), cap, usize::MAX >> 1);
    assert_eq!(whole.as_ref().map(|(text, _)| text), pieces.as_ref().map(|(text, _)| text), "in pieces");
    if let Some(less) = body.len().checked_sub(1) {
        let refused =
            read(name, &split(body, choice.pieces), choice.pieces.is_multiple_of(2), less, cap, usize::MAX >> 1);
        let code = refused.expect_err("the raw cap is one byte too low");
        assert!(code == Code::BodyTooLarge || code == Code::UnsupportedEncoding, "{code:?}");
    }
    let Ok((text, weighed)) = whole else { return };
    let is_raw = matches!(name, None | Some(b"identity")) && text == body;
    assert!(is_raw || text.len() <= cap, "{} bytes under a cap of {cap}", text.len());
    assert!(weighed >= text.len().min(body.len()), "{weighed} bytes weighed for {}", text.len());
    assert!(weighed <= body.len() + 2 * GROWTH * (cap + 1), "{weighed} bytes weighed under a cap of {cap}");
}

fn compressed(text: &[u8], choice: Choice) {
    let (name, body) = compress(choice.encoding, text);
    let cap = choice.inflated_bytes_max;
    let found = read(Some(name), &split(&body, choice.pieces), true, usize::MAX >> 1, cap, usize::MAX >> 1);
    match found {
        Ok((found, _)) => assert!(text.len() <= cap && found == text, "another text comes out"),
        Err(code) => assert!(text.len() > cap && code == Code::BodyTooLarge, "{code:?} for {} bytes", text.len()),
    }
    // A scale that is full refuses, whatever the cap is; one with room enough does not.
    let room = choice.in_flight_bytes_max;
    match read(Some(name), &[&body], true, usize::MAX >> 1, usize::MAX >> 2, room) {
        Ok((found, weighed)) => {
            assert!(weighed <= room && found == text, "{weighed} bytes weighed with room for {room}")
        }
        Err(code) => {
            let needed = body.len() + GROWTH * text.len() + STATE_BYTES_MAX;
            assert!(code == Code::Overloaded && needed > room, "{code:?} with room for {room}");
        }
    }
}

fn stacked(text: &[u8], choice: Choice) {
    let (first, body) = compress(choice.encoding, text);
    let (second, body) = compress(choice.repeat, &body);
    let name = [first, second].join(&b", "[..]);
    let found = read(Some(&name), &split(&body, choice.pieces), false, usize::MAX >> 1, 1 << 20, usize::MAX >> 1);
    assert_eq!(found.map(|(found, _)| found).as_deref(), Ok(text));
}

/// A body that lost its end is not the same body; nor is one that has something behind it.
fn cut_off(text: &[u8], choice: Choice) {
    let (name, body) = compress(choice.encoding, text);
    let less = &body[..body.len().saturating_sub(usize::from(choice.repeat).max(1))];
    let more = [&body, &b"{"[..]].concat();
    for broken in [less, &more] {
        if !broken.is_empty() {
            let found = read(Some(name), &[broken], true, usize::MAX >> 1, 1 << 20, usize::MAX >> 1);
            assert_eq!(found.map(|(found, _)| found.len()), Err(Code::MalformedCompression));
        }
    }
}

fn read(
    encoding: Option<&[u8]>,
    pieces: &[&[u8]],
    announced: bool,
    raw_bytes_max: usize,
    inflated_bytes_max: usize,
    in_flight_bytes_max: usize,
) -> Result<(Vec<u8>, usize), Code> {
    let body = Arriving { encoding, pieces, announced, raw_bytes_max, inflated_bytes_max, in_flight_bytes_max };
    RUNTIME.with_borrow(|runtime| runtime.block_on(body.read())).map(|(text, weighed)| (text.to_vec(), weighed))
}

/// Pieces of lengths that follow from the seed; empty ones too.
fn split(mut body: &[u8], seed: u8) -> Vec<&[u8]> {
    let (mut pieces, mut state) = (Vec::new(), u32::from(seed) + 1);
    while !body.is_empty() && pieces.len() < 16 {
        state = state.wrapping_mul(747_796_405).wrapping_add(2_891_336_453);
        let (piece, rest) = body.split_at((state >> 16) as usize % (body.len() + 1));
        pieces.push(piece);
        body = rest;
    }
    pieces.push(body);
    pieces
}

/// The name of one of the encodings and the text in it.
fn compress(which: u8, text: &[u8]) -> (&'static [u8], Vec<u8>) {
    const WHY: &str = "memory takes it";
    match which % 5 {
        0 => {
            let mut to = GzEncoder::new(Vec::new(), Compression::fast());
            to.write_all(text).expect(WHY);
            (b"gzip", to.finish().expect(WHY))
        }
        1 => {
            let mut to = ZlibEncoder::new(Vec::new(), Compression::fast());
            to.write_all(text).expect(WHY);
            (b"deflate", to.finish().expect(WHY))
        }
        2 => {
            let mut to = DeflateEncoder::new(Vec::new(), Compression::fast());
            to.write_all(text).expect(WHY);
            (b"deflate", to.finish().expect(WHY))
        }
        3 => {
            let mut to = brotli::CompressorWriter::new(Vec::new(), 4096, 1, 16);
            to.write_all(text).expect(WHY);
            (b"br", to.into_inner())
        }
        _ => (b"zstd", zstd::encode_all(text, 1).expect(WHY)),
    }
}
