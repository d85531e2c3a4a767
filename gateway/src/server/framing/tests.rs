use super::*;

/// The fault, and how many bytes are good, whichever way the bytes are cut into pieces.
#[track_caller]
fn check(bytes: &[u8], expected: Result<(), (usize, Fault)>) {
    assert_eq!(Framing::default().follow(bytes), expected, "{}", bytes.escape_ascii());
    for size in [1, 2, 3, 7] {
        let mut framing = Framing::default();
        let fault = bytes.chunks(size).find_map(|piece| framing.follow(piece).err()).map(|(_, fault)| fault);
        assert_eq!(fault, expected.err().map(|(_, fault)| fault), "in pieces of {size}: {}", bytes.escape_ascii());
    }
}

#[track_caller]
fn head(fields: &str, good: bool) {
    let first = b"POST / HTTP/1.1\r\ncontent-length: 3\r\n\r\nabc";
    let bytes = [&first[..], format!("POST / HTTP/1.1\r\nhost: x\r\n{fields}\r\n").as_bytes()].concat();
    let found = Framing::default().follow(&bytes);
    match found {
        Ok(()) => assert!(good, "{fields:?} passes"),
        Err((at, Fault::Head(_))) => assert!(!good && at == first.len(), "{fields:?} is refused at {at}"),
        Err(other) => panic!("{fields:?}: {other:?}"),
    }
}

#[test]
fn there_is_one_way_to_read_the_end_of_a_request() {
    for fields in ["", "content-length: 0\r\n", "Content-Length:7\r\n", "content-length: \t7 \r\n", "x:\r\n"] {
        head(fields, true);
    }
    head("content-length: 7\r\ncontent-length: 7\r\n", true);
    head("transfer-encoding: Chunked\r\n", true);
    head("te: trailers\r\ncontent-lengths: x\r\n", true);
    for length in ["", "+7", "-7", "7, 7", "7 7", "0x7", "7;", "1e3", "99999999999999999999", "\u{661}"] {
        head(&format!("content-length: {length}\r\n"), false);
    }
    head("content-length: 7\r\ncontent-length: 8\r\n", false);
    head("content-length: 7\r\ntransfer-encoding: chunked\r\n", false);
    head("transfer-encoding: chunked\r\ncontent-length: 7\r\n", false);
    for coding in ["chunked, identity", "identity", "xchunked", "chunked, chunked", "gzip, chunked", "", "\"chunked\""]
    {
        head(&format!("transfer-encoding: {coding}\r\n"), false);
    }
    head("transfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n", false);
    head("content-length : 7\r\n", false);
    head("transfer-encoding\t: chunked\r\n", false);
    head(": 7\r\n", false);
    head("no colon\r\n", false);
    head("x: a\r\n b\r\n", false);
    head("x: a\r\n\tb: c\r\n", false);
    head("x: a\n", false);
    head("host: y\r\n", false);
}

#[test]
fn requests_follow_each_other() {
    check(b"GET / HTTP/1.1\r\nhost: x\r\n\r\nGET / HTTP/1.1\r\n\r\n", Ok(()));
    check(b"\r\n\r\nGET / HTTP/1.0\r\n\r\n", Ok(()));
    let chunked =
        b"POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n5\r\nab\ncd\r\n0A;x=\"y\"\r\n0123456789\r\n0\r\n";
    check(&[&chunked[..], b"\r\nGET / HTTP/1.1\r\n\r\n"].concat(), Ok(()));
    check(&[&chunked[..], b"trailer: x\r\n\r\nGET / HTTP/1.1\r\n\r\n"].concat(), Ok(()));
    let bad_head = b"GET / HTTP/1.1\nhost: x\r\n\r\n";
    let good = [&chunked[..], b"\r\n"].concat();
    let fault = Fault::Head("a line of the head ends without CR");
    check(&[&good[..], bad_head].concat(), Err((good.len(), fault)));
    check(bad_head, Err((0, fault)));
}

#[test]
fn chunks_are_read_one_way_too() {
    let head = b"POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n";
    let with = |chunks: &[u8]| [&head[..], chunks].concat();
    for line in ["", "x", "-1", "+1", "0x1", " 1", "1 ", "1 ;x", "10000000000000000", "1\r", ";x"] {
        check(&with(format!("{line}\r\n").as_bytes()), Err((head.len(), Fault::Body)));
    }
    check(&with(b"1\n"), Err((head.len(), Fault::Body)));
    check(&with(format!("1;{}\r\n", "x".repeat(2000)).as_bytes()), Err((head.len(), Fault::Body)));
    check(&with(b"0\r\nx: y\n"), Err((head.len() + 3, Fault::Body)));
    check(
        b"POST / HTTP/1.0\r\ntransfer-encoding: chunked\r\n",
        Err((0, Fault::Head("Transfer-Encoding is something else than chunked, once, in HTTP/1.1"))),
    );
}

#[test]
fn a_head_ends_some_day() {
    let long = format!("GET / HTTP/1.1\r\nx: {}\r\n", "y".repeat(HEAD_BYTES_MAX));
    check(long.as_bytes(), Err((0, Fault::HeadTooLarge)));
    check(long.replace("\r\n", "  ").as_bytes(), Err((0, Fault::HeadTooLarge)));
    let many = format!("GET / HTTP/1.1\r\n{}", "x: y\r\n".repeat(HEAD_BYTES_MAX / 5));
    check(many.as_bytes(), Err((0, Fault::HeadTooLarge)));
    let empty = Framing::default().follow(&b"\r\n".repeat(HEAD_BYTES_MAX)).expect_err("they end");
    assert_eq!(empty.1, Fault::HeadTooLarge);
}
