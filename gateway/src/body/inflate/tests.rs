use std::{io::Write, sync::Arc, time::Duration};

use flate2::{
    Compression,
    write::{DeflateEncoder, GzEncoder, ZlibEncoder},
};
use prometheus_client::metrics::gauge::Gauge;

use super::*;
use crate::{load_shed::LoadShed, metrics::Shed};

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut to = GzEncoder::new(Vec::new(), Compression::fast());
    to.write_all(bytes).expect("memory takes it");
    to.finish().expect("memory takes it")
}

fn zlib(bytes: &[u8]) -> Vec<u8> {
    let mut to = ZlibEncoder::new(Vec::new(), Compression::fast());
    to.write_all(bytes).expect("memory takes it");
    to.finish().expect("memory takes it")
}

fn deflate(bytes: &[u8]) -> Vec<u8> {
    let mut to = DeflateEncoder::new(Vec::new(), Compression::fast());
    to.write_all(bytes).expect("memory takes it");
    to.finish().expect("memory takes it")
}

fn brotli(bytes: &[u8]) -> Vec<u8> {
    let mut to = ::brotli::CompressorWriter::new(Vec::new(), 4096, 5, 16);
    to.write_all(bytes).expect("memory takes it");
    to.into_inner()
}

/// With a window of 2^`window_log` bytes.
fn zstd_with_window(bytes: &[u8], window_log: u32) -> Vec<u8> {
    let mut to = ::zstd::Encoder::new(Vec::new(), 1).expect("memory takes it");
    to.window_log(window_log).expect("a window that zstd knows");
    to.write_all(bytes).expect("memory takes it");
    to.finish().expect("memory takes it")
}

fn zstd(bytes: &[u8]) -> Vec<u8> {
    zstd_with_window(bytes, 17)
}

type Compress = fn(&[u8]) -> Vec<u8>;

const ALL: [(Encoding, Compress); 5] = [
    (Encoding::Gzip, gzip),
    (Encoding::Deflate, zlib),
    (Encoding::Deflate, deflate),
    (Encoding::Brotli, brotli),
    (Encoding::Zstd, zstd),
];

#[track_caller]
fn check_with_room(encoding: Encoding, room: usize, raw: &[u8], bytes_max: usize, expected: Result<&[u8], Code>) {
    let gauge = Gauge::default();
    let shed = Arc::new(LoadShed::new(gauge.clone(), room, Duration::ZERO, Shed::default()));
    let mut seat = shed.admit(0).expect("empty");
    let found = inflate(encoding, raw, &mut seat, bytes_max).map_err(|rejection| rejection.code);
    let found = found.as_deref();
    assert!(found == expected.as_ref().copied(), "{encoding:?}: {:?}", found.map(|bytes| bytes.len()));
    drop(seat);
    assert_eq!(gauge.get(), 0);
}

#[track_caller]
fn check(encoding: Encoding, raw: &[u8], bytes_max: usize, expected: Result<&[u8], Code>) {
    check_with_room(encoding, 5 << 20, raw, bytes_max, expected);
}

#[test]
fn a_body_inflates_up_to_the_cap() {
    let text = b"{}".repeat(100_000);
    for (encoding, compress) in ALL {
        check(encoding, &compress(&text), text.len(), Ok(&text));
        check(encoding, &compress(&text), text.len() - 1, Err(Code::BodyTooLarge));
        check(encoding, &compress(b""), 10, Ok(b""));
        check(encoding, &compress(b"{}"), 2, Ok(b"{}"));
    }
    check(Encoding::Gzip, &[gzip(b"{}"), gzip(b"[]")].concat(), 10, Ok(b"{}[]"));
    check(Encoding::Zstd, &[zstd(b"{}"), zstd(b"[]")].concat(), 10, Ok(b"{}[]"));
    check(Encoding::Zstd, &[b"\x50\x2a\x4d\x18\x03\0\0\0xxx", &zstd(b"[]")[..]].concat(), 10, Ok(b"[]"));
}

#[test]
fn what_is_damaged_or_cut_off_is_malformed() {
    let text: Vec<u8> = (0..20_000_u32).flat_map(|n| n.wrapping_mul(2_654_435_761).to_string().into_bytes()).collect();
    for (encoding, compress) in ALL {
        let whole = compress(&text);
        let malformed = |raw: &[u8]| {
            check_with_room(encoding, 1 << 30, raw, text.len(), Err(Code::MalformedCompression));
        };
        for length in [1, 2, 5, 20, whole.len() / 2, whole.len() - 1] {
            malformed(&whole[..length]);
        }
        malformed(b"");
        malformed(br#"{"type":"click"}"#);
        malformed(&[&whole[..], b"xx"].concat());
        malformed(&b"\xff".repeat(100));
    }
}

#[test]
fn a_bomb_is_refused_where_the_scale_is_full() {
    let bomb = vec![b' '; 8 << 20];
    for (encoding, compress) in ALL {
        check(encoding, &compress(&bomb), 16 << 20, Err(Code::Overloaded));
    }
}

#[test]
fn a_window_is_weighed_before_it_is_taken() {
    let wide = zstd_with_window(b"{}", 23);
    check_with_room(Encoding::Zstd, 7 << 20, &wide, 10, Err(Code::Overloaded));
    check_with_room(Encoding::Zstd, 10 << 20, &wide, 10, Ok(b"{}"));
    let wider = zstd_with_window(b"{}", 24);
    check_with_room(Encoding::Zstd, 1 << 30, &wider, 10, Err(Code::MalformedCompression));
    let behind = [zstd(b"{}"), wide].concat();
    check_with_room(Encoding::Zstd, 7 << 20, &behind, 10, Err(Code::Overloaded));
    // Window bits 24, then an empty last meta-block; and the large window of later drafts.
    check_with_room(Encoding::Brotli, 16 << 20, &[0x3f], 10, Err(Code::Overloaded));
    check_with_room(Encoding::Brotli, 20 << 20, &[0x3f], 10, Ok(b""));
    check_with_room(Encoding::Brotli, 1 << 40, &[0x11, 0x1e, 0x03], 10, Err(Code::MalformedCompression));
}
