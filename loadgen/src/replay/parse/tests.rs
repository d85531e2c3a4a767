use super::*;

const OCTOBER: i64 = 971_211_336_000_000;

#[track_caller]
fn check(line: &str, expected: Result<(&str, &str, &str), LineError>) {
    let parsed = parse(line.as_bytes());
    let got = parsed.as_ref().map(|line| (line.client, line.method.as_ref(), line.target.as_ref())).map_err(|e| *e);
    assert_eq!(got, expected, "{line}");
}

#[test]
fn a_combined_line_is_taken_apart() {
    // The example of Apache's own documentation.
    let line = br#"127.0.0.1 - frank [10/Oct/2000:13:55:36 -0700] "GET /apache_pb.gif HTTP/1.0" 200 2326 "http://www.example.com/start.html" "Mozilla/4.08 [en] (Win98; I ;Nav)""#;
    let expected = LogLine {
        client: "127.0.0.1",
        time_us: OCTOBER,
        method: "GET".into(),
        target: "/apache_pb.gif".into(),
        status: 200,
        bytes: Some(2326),
        referrer: Some("http://www.example.com/start.html".into()),
        user_agent: Some("Mozilla/4.08 [en] (Win98; I ;Nav)".into()),
    };
    assert_eq!(parse(line), Ok(expected));
}

#[test]
fn lines_of_all_kinds() {
    let good = Ok(("c", "GET", "/"));
    check(r#"c - - [10/Oct/2000:13:55:36 -0700] "GET / HTTP/1.1" 200 1 "-" "-""#, good);
    check(r#"c - - [10/Oct/2000:13:55:36 -0700] "GET / HTTP/1.1" 304 -"#, good);
    check("c - - [10/Oct/2000:13:55:36 -0700] \"GET / HTTP/1.1\" 304 - \"-\" \"a\"\r\n", good);
    check(r#"c - a user [10/Oct/2000:13:55:36 -0700] "GET / HTTP/1.1" 200 1 "" "" extra"#, good);
    check(
        r#"2001:db8::1 - - [10/Oct/2000:13:55:36 +0000] "POST /a?b=c HTTP/2.0" 200 1 "-" "-""#,
        Ok(("2001:db8::1", "POST", "/a?b=c")),
    );
    check(
        r#"c - - [10/Oct/2000:13:55:36 +0000] "GET http://x/y HTTP/1.1" 200 1 "-" "-""#,
        Ok(("c", "GET", "http://x/y")),
    );
    check(r#"c - - [10/Oct/2000:13:55:36 +0000] "OPTIONS * HTTP/1.0" 200 - "-" "-""#, Ok(("c", "OPTIONS", "*")));
    check(r#"c - - [10/Oct/2000:13:55:36 +0000] "GET /a b HTTP/1.1" 200 1 "-" "-""#, Ok(("c", "GET", "/a b")));
    check(
        r#"c - - [10/Oct/2000:13:55:36 +0000] "GET /\"q\"\\\x41\xc3\xa9\xzz HTTP/1.1" 200 1 "-" "-""#,
        Ok(("c", "GET", "/\"q\"\\Aé\\xzz")),
    );
}

#[test]
fn junk_has_a_reason() {
    check("", Err(LineError::Empty));
    check("   ", Err(LineError::Empty));
    check("hello", Err(LineError::Time));
    check(r#"- - - [10/Oct/2000:13:55:36 -0700] "GET / HTTP/1.1" 200 1"#, Err(LineError::Client));
    check(r#"c [10/Oct/2000:13:55:36 -0700] "GET / HTTP/1.1" 200 1"#, Err(LineError::Client));
    for time in
        ["10/Oct/2000", "10/Okt/2000:13:55:36 -0700", "31/Feb/2000:13:55:36 -0700", "10/Oct/2000:25:55:36 -0700"]
    {
        check(&format!(r#"c - - [{time}] "GET / HTTP/1.1" 200 1"#), Err(LineError::Time));
    }
    let with = |request: &str| format!(r#"c - - [10/Oct/2000:13:55:36 -0700] {request} 400 1 "-" "-""#);
    check(&with("GET / HTTP/1.1"), Err(LineError::Quotes));
    check(r#"c - - [10/Oct/2000:13:55:36 -0700] "GET / HTTP/1.1 200 1"#, Err(LineError::Quotes));
    for request in [r#""-""#, r#""""#, r#""GET /""#, r#""\x16\x03\x01""#, r#""get / HTTP/1.1""#, r#""GET x HTTP/1.1""#]
    {
        check(&with(request), Err(LineError::Request));
    }
    check(r#"c - - [10/Oct/2000:13:55:36 -0700] "GET / HTTP/1.1" - 1"#, Err(LineError::Status));
    check(r#"c - - [10/Oct/2000:13:55:36 -0700] "GET / HTTP/1.1" 200"#, Err(LineError::Bytes));
    check(r#"c - - [10/Oct/2000:13:55:36 -0700] "GET / HTTP/1.1" 200 x"#, Err(LineError::Bytes));
    check(r#"c - - [10/Oct/2000:13:55:36 -0700] "GET / HTTP/1.1" 200 1 "-"#, Err(LineError::Tail));
    check(r#"c - - [10/Oct/2000:13:55:36 -0700] "GET / HTTP/1.1" 200 1 "-" a"#, Err(LineError::Tail));
    assert_eq!(parse(b"\xff\xfe"), Err(LineError::NotUtf8));
}

#[test]
fn times_are_utc() {
    assert_eq!(parse_time("10/Oct/2000:13:55:36 -0700"), Some(OCTOBER));
    assert_eq!(parse_time("10/Oct/2000:22:55:36 +0200"), Some(OCTOBER));
    assert_eq!(parse_time("01/Jan/1970:00:00:00 +0000"), Some(0));
    assert_eq!(parse_time("01/Jan/1970:00:00:00 *0000"), None);
    assert_eq!(parse_time("0é/Jan/1970:00:00:00 +000"), None);
}
