//! Bodies that are small on the wire and huge inflated, and the JSON that a parser may choke on.

use std::io::{Read as _, Write as _};

use flate2::{Compress, Compression, FlushCompress, write::GzEncoder};

const MIB: usize = 1 << 20;

fn spaces(bytes: usize) -> impl std::io::Read {
    std::io::repeat(b' ').take(bytes as u64)
}

fn gzip(mut from: impl std::io::Read) -> Vec<u8> {
    let mut to = GzEncoder::new(Vec::new(), Compression::best());
    std::io::copy(&mut from, &mut to).unwrap();
    to.finish().unwrap()
}

/// Members of 64 MiB, one behind the other, as often as they fit into a body.
pub(super) fn gzip_as_large_as_a_body() -> Vec<u8> {
    let member = gzip(spaces(64 * MIB));
    member.repeat(5 * MIB / member.len())
}

/// 10 GiB, compressed twice.
pub(super) fn gzip_of_gzip() -> Vec<u8> {
    gzip(&gzip(spaces(64 * MIB)).repeat(160)[..])
}

/// Blocks of 64 MiB that end at a byte, one behind the other, as often as they fit into a body.
pub(super) fn deflate_as_large_as_a_body() -> Vec<u8> {
    let mut compress = Compress::new(Compression::best(), false);
    let input = vec![b' '; 64 * MIB];
    let mut block = Vec::with_capacity(MIB);
    compress.compress_vec(&input, &mut block, FlushCompress::Full).unwrap();
    assert_eq!(compress.total_in() as usize, input.len());
    block.repeat(5 * MIB / block.len())
}

/// 256 MiB in one stream with the largest window.
pub(super) fn brotli() -> Vec<u8> {
    let mut to = brotli::CompressorWriter::new(Vec::new(), MIB, 2, 24);
    let chunk = vec![b' '; MIB];
    for _ in 0..256 {
        to.write_all(&chunk).unwrap();
    }
    to.into_inner()
}

/// 10 GiB in frames of 128 MiB.
pub(super) fn zstd() -> Vec<u8> {
    zstd::encode_all(spaces(128 * MIB), 3).unwrap().repeat(80)
}

/// A frame that announces a window of 2 GiB, and nothing behind it.
pub(super) fn zstd_with_a_huge_window() -> Vec<u8> {
    let mut to = zstd::Encoder::new(Vec::new(), 1).unwrap();
    to.window_log(31).unwrap();
    to.write_all(b"{}").unwrap();
    to.finish().unwrap()
}

/// What a body says, and what is to become of it.
pub(super) fn texts() -> Vec<(&'static str, Vec<u8>, &'static str)> {
    let event = |rest: &str| format!(r#"{{"type":"click","user_id":"u"{rest}}}"#).into_bytes();
    let digits = "9".repeat(MIB / 2);
    vec![
        ("5 million opening brackets", b"[".repeat(5_000_000), "400 `nested_too_deep`"),
        (
            "properties a million levels deep",
            event(&format!(r#","properties":{}"#, r#"{"a":"#.repeat(1_000_000))),
            "400 `nested_too_deep`",
        ),
        ("invalid UTF-8", b"{\"type\":\"click\",\"user_id\":\"\xff\xfe\"}".to_vec(), "400 `invalid_utf8`"),
        ("a lone surrogate", event(r#","title":"\ud800""#), "400 `invalid_type`"),
        ("the same key twice", event(r#","user_id":"v","user_id":"w""#), "200 `ok`"),
        (
            "200,000 different keys",
            event(&(0..200_000).map(|n| format!(r#","k{n}":1"#)).collect::<String>()),
            "400 `field_too_long`",
        ),
        ("a number of 500,000 digits", event(&format!(r#","properties":{{"n":{digits}}}"#)), "200 `ok`"),
        ("1e999999999", event(r#","properties":{"n":1e999999999}"#), "200 `ok`"),
        ("a NUL in a string", event(r#","title":"\u0000""#), "200 `ok`"),
        ("1.7 million empty objects", [b"[", &b"{},".repeat(1_700_000)[..], b"{}]"].concat(), "413 `too_many_events`"),
    ]
}
