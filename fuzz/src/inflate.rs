//! Compressed bodies: nothing but what was compressed comes out, and never more than the caps.
//!
//! An input is four bytes that choose the cap, the room on the scale and how the rest is used, then the rest: as a
//! compressed body as it stands, or as a text that is compressed here, so that the fuzzer need not find checksums.

use std::io::Write;

use flate2::{Compression, write::GzEncoder};
use gateway::{rejection::Code, stage::inflate};

/// Room for what is on the way beside the body's own bytes, and for the decompressor.
const SLACK_BYTES: usize = 128 << 10;

pub(crate) fn run(input: &[u8]) {
    let Some(([how, repeat, cap_low, cap_high], rest)) = input.split_first_chunk().map(|(head, rest)| (*head, rest))
    else {
        return;
    };
    let cap = usize::from(u16::from_le_bytes([cap_low, cap_high]));
    match how % 4 {
        0 => raw(rest, cap),
        1 => compressed(&rest.repeat(usize::from(repeat)), cap),
        2 => in_two_members(rest, usize::from(repeat), cap),
        _ => cut_off(rest, usize::from(repeat), cap),
    }
}

/// Whatever the bytes are, no more than the cap is held for them.
fn raw(body: &[u8], cap: usize) {
    let Ok(text) = inflate(body, cap, usize::MAX) else { return };
    assert!(text.len() <= cap, "{} bytes under a cap of {cap}", text.len());
    assert!(text.capacity() <= cap + 1, "room for {} bytes under a cap of {cap}", text.capacity());
    assert_eq!(inflate(body, text.len(), usize::MAX).as_ref(), Ok(&text), "the cap is just enough");
    if let Some(less) = text.len().checked_sub(1) {
        assert_eq!(inflate(body, less, usize::MAX), Err(Code::BodyTooLarge), "the cap is one byte too low");
    }
}

fn compressed(text: &[u8], cap: usize) {
    let body = gzip(text);
    let expected = if text.len() <= cap { Ok(text) } else { Err(Code::BodyTooLarge) };
    assert_eq!(inflate(&body, cap, usize::MAX).as_deref(), expected.as_ref().copied());
    // A scale that is full refuses, whatever the cap is; one with room enough does not.
    let scale = inflate(&body, usize::MAX >> 1, cap);
    match scale {
        Ok(inflated) => assert!(inflated.len() <= cap && inflated == text),
        Err(code) => assert!(code == Code::Overloaded && 2 * text.len() + SLACK_BYTES > cap, "{code:?}"),
    }
}

fn in_two_members(text: &[u8], at: usize, cap: usize) {
    let (first, second) = text.split_at(at.min(text.len()));
    let body = [gzip(first), gzip(second)].concat();
    let expected = if text.len() <= cap { Ok(text) } else { Err(Code::BodyTooLarge) };
    assert_eq!(inflate(&body, cap, usize::MAX).as_deref(), expected.as_ref().copied());
}

/// A body that lost its end is not the same body.
fn cut_off(text: &[u8], by: usize, cap: usize) {
    let mut body = gzip(text);
    body.truncate(body.len().saturating_sub(by.max(1)));
    let code = inflate(&body, cap.max(text.len()), usize::MAX).expect_err("a part is not taken for the whole");
    assert_eq!(code, Code::MalformedCompression);
}

fn gzip(text: &[u8]) -> Vec<u8> {
    let mut to = GzEncoder::new(Vec::new(), Compression::fast());
    to.write_all(text).expect("memory takes it");
    to.finish().expect("memory takes it")
}
