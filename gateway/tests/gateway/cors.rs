//! Goal: a page of an allowed origin may send events and see every answer, errors too. Method: raw requests as browsers
//! send them, and the headers that the Fetch standard looks at.

use gateway::{
    Log,
    config::{KeySettings, Serving},
};

use crate::{
    harness::{Gateway, Reply, event, journal},
    keys::key,
};

fn ask(gateway: &Gateway, head: &str, body: &str) -> Reply {
    let mut client = gateway.connect();
    client.send(format!("{head}host: x\r\ncontent-length: {}\r\n\r\n{body}", body.len()).as_bytes());
    client.reply()
}

#[track_caller]
fn check_echo(reply: &Reply, origin: Option<&str>) {
    assert_eq!(reply.header("access-control-allow-origin"), origin, "{reply:?}");
    assert_eq!(reply.header("access-control-allow-credentials"), origin.map(|_| "true"), "{reply:?}");
    assert!(reply.header("vary").is_some_and(|vary| vary.starts_with("Origin")), "{reply:?}");
    assert_eq!(reply.header("cross-origin-resource-policy"), Some("cross-origin"), "{reply:?}");
}

#[test]
fn every_answer_may_be_read_by_the_page_that_asked() {
    let (_dir, journal) = journal(1);
    let limited = KeySettings { events_per_second: Some(1), burst: Some(1), ..key("slow", "slow") };
    let settings = Serving { keys: vec![key("web", "web"), limited], ..Serving::default() };
    let log = Log::journal(journal);
    let gateway = Gateway::serve(|_| log, settings, None);
    let shop = "https://shop.example";
    let check = |line: &str, body: &str, status: u16| {
        let reply = ask(&gateway, &format!("{line}\r\norigin: {shop}\r\n"), body);
        assert_eq!(reply.status, status, "{line}: {reply:?}");
        check_echo(&reply, Some(shop));
        assert_eq!(reply.header("access-control-expose-headers"), Some("Retry-After"), "{line}");
        let without = ask(&gateway, &format!("{line}\r\n"), body);
        check_echo(&without, None);
        reply
    };
    let events = event("u", 1);
    check("POST /v1/events?writeKey=web HTTP/1.1", &events, 200);
    check("POST /v1/events?writeKey=web HTTP/1.1", "{", 400);
    check("POST /v1/events HTTP/1.1", &events, 401);
    check("POST /v1/events?writeKey=nobody HTTP/1.1", &events, 401);
    check("POST /v1/nowhere HTTP/1.1", &events, 404);
    check("GET /v1/events HTTP/1.1", "", 405);
    assert_eq!(ask(&gateway, "POST /v1/events?writeKey=slow HTTP/1.1\r\n", &events).status, 200);
    let limited = check("POST /v1/events?writeKey=slow HTTP/1.1", &events, 429);
    assert!(limited.header("retry-after").is_some());
    let mut client = gateway.connect();
    client.send(format!("HEAD /footfall.js HTTP/1.1\r\nhost: x\r\norigin: {shop}\r\n\r\n").as_bytes());
    let mut head = [0; 1024];
    let bytes = std::io::Read::read(&mut client.stream, &mut head).unwrap();
    let head = str::from_utf8(&head[..bytes]).unwrap().to_ascii_lowercase();
    assert!(head.contains("access-control-allow-origin: *\r\n") && !head.contains("vary: origin"), "{head}");
    gateway.stop();
}

#[test]
fn a_preflight_speaks_for_all_keys() {
    let (_dir, journal) = journal(1);
    let only = |name: &str, origin: &str| KeySettings { origins: vec![origin.to_owned()], ..key(name, name) };
    let keys = vec![only("web", "https://shop.example"), only("app", "https://*.app.example")];
    let log = Log::journal(journal);
    let gateway = Gateway::serve(|_| log, Serving { keys, ..Serving::default() }, None);
    let preflight = |path: &str, origin: &str| {
        let asked = "access-control-request-method: POST\r\naccess-control-request-headers: content-type,x-write-key\r\n\
                     access-control-request-private-network: true\r\n";
        ask(&gateway, &format!("OPTIONS {path} HTTP/1.1\r\norigin: {origin}\r\n{asked}"), "")
    };
    for path in ["/v1/events", "/v1/track/", "/v1/pixel.gif", "/v1/nowhere"] {
        for origin in ["https://shop.example", "https://a.app.example"] {
            let reply = preflight(path, origin);
            assert_eq!((reply.status, reply.body.as_str()), (200, ""), "{path} {origin}");
            assert_eq!(reply.header("access-control-allow-origin"), Some(origin));
            assert_eq!(reply.header("access-control-allow-credentials"), Some("true"));
            assert_eq!(reply.header("access-control-allow-methods"), Some("POST"));
            assert_eq!(reply.header("access-control-allow-headers"), Some("content-type,x-write-key"));
            assert_eq!(reply.header("access-control-allow-private-network"), Some("true"));
            assert_eq!(reply.header("access-control-max-age"), Some("86400"));
        }
        let reply = preflight(path, "https://evil.example");
        assert_eq!((reply.status, reply.header("access-control-allow-origin")), (200, None), "{path}");
        assert_eq!(reply.header("access-control-allow-methods"), None);
    }
    // The request is judged by its own key, and the page is told.
    let post = "POST /v1/events?writeKey=web HTTP/1.1\r\norigin: ";
    for origin in ["https://a.app.example", "https://evil.example"] {
        let reply = ask(&gateway, &format!("{post}{origin}\r\n"), &event("u", 1));
        assert_eq!((reply.status, reply.code().as_deref()), (403, Some("origin_not_allowed")));
        check_echo(&reply, Some(origin));
    }
    let reply = ask(&gateway, &format!("{post}https://shop.example\r\n"), &event("u", 1));
    assert_eq!(reply.status, 200);
    gateway.stop();
}
