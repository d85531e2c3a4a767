//! A line as native event JSON.
//!
//! Responsible for the bytes of one page view. Promises the same bytes on every attempt. Leaves sessions to `session`.

use url::Url;

use super::parse::LogLine;
use super::session::Visitor;
use crate::json::{push_field, push_number, push_string, push_time};

/// Everything of the event but its id, which it gets when it is offered.
pub(super) fn body(line: &LogLine<'_>, visitor: &Visitor, number: u64, site: &Url) -> Box<[u8]> {
    let mut out = Vec::with_capacity(640);
    out.extend_from_slice(b",\"type\":\"page_view\",\"anonymous_id\":\"");
    let name = super::session::name(visitor.hash);
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"\",\"session_id\":\"");
    out.extend_from_slice(name.as_bytes());
    out.push(b'-');
    push_number(u64::from(visitor.session), &mut out);
    out.extend_from_slice(b"\",\"event_time\":\"");
    push_time(line.time_us, &mut out);
    out.push(b'"');
    push_field("url", Some(&url(&line.target, site)), &mut out);
    push_field("referrer", line.referrer.as_deref(), &mut out);
    push_field("user_agent", line.user_agent.as_deref(), &mut out);
    push_field("ip", Some(line.client), &mut out);
    out.extend_from_slice(b",\"properties\":{\"line\":");
    push_number(number, &mut out);
    out.extend_from_slice(b",\"method\":");
    push_string(&line.method, &mut out);
    out.extend_from_slice(b",\"status\":");
    push_number(u64::from(line.status), &mut out);
    if let Some(bytes) = line.bytes {
        out.extend_from_slice(b",\"bytes\":");
        push_number(bytes, &mut out);
    }
    out.extend_from_slice(b"}}");
    out.into()
}

/// The target below the site; a target that is a whole URL stays.
fn url(target: &str, site: &Url) -> String {
    match target.starts_with('/') {
        true => format!("{}{target}", site.as_str().trim_end_matches('/')),
        false if target.contains("://") => target.to_owned(),
        false => site.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_becomes_a_page_view_with_all_that_it_says() {
        let line =
            br#"10.0.0.1 - - [10/Oct/2000:13:55:36 -0700] "GET /a?b=\"c\" HTTP/1.0" 200 2326 "http://r/" "A \"B\"""#;
        let line = crate::replay::parse(line).unwrap();
        let visitor = Visitor { number: 0, hash: 7, session: 2 };
        let body = body(&line, &visitor, 42, &"https://www.example.com".parse().unwrap());
        let text = format!("{{\"event_id\":\"e\"{}", String::from_utf8(body.into()).unwrap());
        let event: serde_json::Value = serde_json::from_str(&text).unwrap();
        let expected = serde_json::json!({
            "event_id": "e", "type": "page_view", "anonymous_id": "00000000000000000000000000000007",
            "session_id": "00000000000000000000000000000007-2", "event_time": "2000-10-10T20:55:36.000000Z",
            "url": "https://www.example.com/a?b=\"c\"", "referrer": "http://r/", "user_agent": "A \"B\"",
            "ip": "10.0.0.1", "properties": {"line": 42, "method": "GET", "status": 200, "bytes": 2326}
        });
        assert_eq!(event, expected);
    }

    #[test]
    fn urls_are_below_the_site_unless_they_are_whole() {
        let site = "https://s.example/".parse().unwrap();
        assert_eq!(url("/a", &site), "https://s.example/a");
        assert_eq!(url("http://other/a", &site), "http://other/a");
        assert_eq!(url("*", &site), "https://s.example/");
    }
}
