//! Goal: an image in a mail is one event, shown again is another one, and looked at only is none. Method: raw requests as
//! readers of mail send them; each event is read back from the journal.

use std::io::Read;

use gateway::Log;

use crate::harness::{Gateway, events, journal};

fn get(gateway: &Gateway, method: &str, query: &str) -> Vec<u8> {
    let mut client = gateway.connect();
    client.send(format!("{method} /v1/pixel.gif?{query} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").as_bytes());
    let mut answer = Vec::new();
    client.stream.read_to_end(&mut answer).unwrap();
    answer
}

/// Splits head and body.
fn split(answer: &[u8]) -> (String, &[u8]) {
    let end = answer.windows(4).position(|window| window == b"\r\n\r\n").unwrap() + 4;
    (String::from_utf8(answer[..end].to_vec()).unwrap().to_lowercase(), &answer[end..])
}

#[test]
fn a_view_is_an_event_and_the_answer_an_image_that_nobody_keeps() {
    let (_dir, journal) = journal(1);
    let gateway = Gateway::start(Log::journal(journal.clone()), |_| {});
    let query = "type=mail_open&user_id=u%20%C3%A4&event_id=m-1&writeKey=k&title=a%22b+c&campaign_source=news&mail=7\
        &properties=%7B%22n%22%3A%5B1%5D%7D&url=https%3A%2F%2Fx.example%2Fa%3Futm_medium%3Dmail&title=last";
    let answer = get(&gateway, "GET", query);
    let (head, body) = split(&answer);
    assert!(head.starts_with("http/1.1 200 ok\r\n"), "{head}");
    assert!(
        head.contains("\r\ncontent-type: image/gif\r\n") && head.contains("\r\ncache-control: no-store\r\n"),
        "{head}"
    );
    assert_eq!(&body[..10], b"GIF89a\x01\0\x01\0", "one pixel wide, one high");
    assert_eq!(body.last(), Some(&b';'), "the image is whole");

    let answer = get(&gateway, "HEAD", query);
    let (head, body) = split(&answer);
    assert!(head.starts_with("http/1.1 200 ok\r\n") && body.is_empty(), "{head}");

    let count = events(&journal, |event| {
        assert_eq!((event.kind, event.event_id, event.user_id), ("mail_open", "m-1", Some("u ä")));
        assert_eq!((event.title, event.campaign_source), (Some("last"), Some("news")));
        assert_eq!((event.path, event.campaign_medium), (Some("/a"), Some("mail")));
        assert_eq!(event.properties, Some(r#"{"mail":"7","n":[1]}"#));
    });
    assert_eq!(count, 1, "a HEAD is no view");
    gateway.check_ledger();
    gateway.stop();
}

#[test]
fn a_query_that_is_no_event_is_refused_as_json_and_kept_by_nobody() {
    let (_dir, journal) = journal(1);
    let gateway = Gateway::start(Log::journal(journal.clone()), |_| {});
    let long = "x".repeat(9 << 10);
    let deep = "%5B".repeat(9 << 10);
    for (query, code) in [
        ("", "empty_batch"),
        ("writeKey=k", "empty_batch"),
        ("type=open", "no_user_key"),
        ("user_id=u", "field_missing"),
        ("type=open&user_id=u&event_time=noon", "invalid_time"),
        ("type=open&user_id=u&properties=7", "invalid_type"),
        ("type=open&user_id=u&properties=%7B", "invalid_type"),
        (&format!("type=open&user_id=u&properties={deep}"), "invalid_type"),
        (&format!("type=open&user_id=u&url={long}"), "field_too_long"),
    ] {
        let mut client = gateway.connect();
        client.send(format!("GET /v1/pixel.gif?{query} HTTP/1.1\r\nhost: x\r\n\r\n").as_bytes());
        let reply = client.reply();
        assert_eq!((reply.status, reply.code().as_deref()), (400, Some(code)), "{query}");
        assert_eq!(reply.header("cache-control"), Some("no-store"), "{query}");
    }
    let mut client = gateway.connect();
    client.send(b"POST /v1/pixel.gif?type=open&user_id=u HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n");
    let reply = client.reply();
    assert_eq!((reply.status, reply.header("allow")), (405, Some("GET, HEAD, OPTIONS")));
    assert_eq!(events(&journal, |_| {}), 0);
    gateway.check_ledger();
    gateway.stop();
}
