//! Goal: a body arrives whole however it was compressed, and a client learns what it may use. Method: real compressors
//! against a gateway over a journal; what inflating costs is shown in `hostile`.

use std::io::Write as _;

use flate2::{
    Compression,
    write::{DeflateEncoder, GzEncoder, ZlibEncoder},
};
use gateway::Log;

use crate::harness::{Gateway, event, journal, request, stored};

pub(crate) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut to = GzEncoder::new(Vec::new(), Compression::fast());
    to.write_all(bytes).unwrap();
    to.finish().unwrap()
}

pub(crate) fn zlib(bytes: &[u8]) -> Vec<u8> {
    let mut to = ZlibEncoder::new(Vec::new(), Compression::fast());
    to.write_all(bytes).unwrap();
    to.finish().unwrap()
}

fn deflate(bytes: &[u8]) -> Vec<u8> {
    let mut to = DeflateEncoder::new(Vec::new(), Compression::fast());
    to.write_all(bytes).unwrap();
    to.finish().unwrap()
}

pub(crate) fn brotli(bytes: &[u8]) -> Vec<u8> {
    let mut to = brotli::CompressorWriter::new(Vec::new(), 4096, 5, 22);
    to.write_all(bytes).unwrap();
    to.into_inner()
}

pub(crate) fn zstd(bytes: &[u8]) -> Vec<u8> {
    zstd::encode_all(bytes, 3).unwrap()
}

#[test]
fn every_encoding_is_undone_and_the_last_first() {
    let (_dir, journal) = journal(1);
    let gateway = Gateway::start(Log::journal(journal.clone()), |_| {});
    let mut client = gateway.connect();
    let table: [(&str, Vec<u8>); 11] = [
        ("gzip", gzip(event("u", 0).as_bytes())),
        ("x-gzip", gzip(event("u", 1).as_bytes())),
        ("deflate", zlib(event("u", 2).as_bytes())),
        ("deflate", deflate(event("u", 3).as_bytes())),
        ("br", brotli(event("u", 4).as_bytes())),
        ("zstd", zstd(event("u", 5).as_bytes())),
        ("gzip, br", brotli(&gzip(event("u", 6).as_bytes()))),
        ("Deflate,ZSTD", zstd(&zlib(event("u", 7).as_bytes()))),
        ("identity", event("u", 8).into_bytes()),
        ("gzip\r\ncontent-encoding: gzip", gzip(&gzip(event("u", 9).as_bytes()))),
        ("identity", zstd(event("u", 10).as_bytes())),
    ];
    for (name, body) in &table {
        client.send(&request(&format!("content-encoding: {name}\r\n"), body));
        let reply = client.reply();
        assert_eq!(reply.status, 200, "{name}: {}", reply.body);
    }
    let expected: Vec<String> = (0..table.len()).map(|n| format!("u-{n}")).collect();
    assert_eq!(stored(&journal), expected);
    gateway.stop();
}

#[test]
fn what_cannot_be_undone_is_refused_with_what_can() {
    let (_dir, journal) = journal(1);
    let gateway = Gateway::start(Log::journal(journal.clone()), |_| {});
    let mut client = gateway.connect();
    for name in ["compress", "gzip, gzip, gzip", "gzip;q=1"] {
        client.send(&request(&format!("content-encoding: {name}\r\n"), event("u", 1).as_bytes()));
        let reply = client.reply();
        assert_eq!((reply.status, reply.code().as_deref()), (415, Some("unsupported_encoding")), "{name}");
        assert_eq!(reply.header("accept-encoding"), Some("gzip, deflate, br, zstd"));
    }
    for name in ["gzip", "deflate", "br", "zstd", "br, gzip"] {
        client.send(&request(&format!("content-encoding: {name}\r\n"), event("u", 1).as_bytes()));
        let reply = client.reply();
        assert_eq!((reply.status, reply.code().as_deref()), (400, Some("malformed_compression")), "{name}");
        assert_eq!(reply.header("accept-encoding"), None);
    }
    assert!(stored(&journal).is_empty());
    assert_eq!(gateway.metric("gateway_body_bytes_in_flight"), 0);
    gateway.check_ledger();
    gateway.stop();
}

#[test]
fn an_expectation_that_nobody_knows_is_refused() {
    let (_dir, journal) = journal(1);
    let gateway = Gateway::start(Log::journal(journal), |_| {});
    let mut client = gateway.connect();
    client.send(&request("expect: a-pony\r\n", event("u", 1).as_bytes()));
    let reply = client.reply();
    assert_eq!((reply.status, reply.code().as_deref()), (417, Some("expectation_failed")));
    gateway.stop();
}
