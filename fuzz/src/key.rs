//! Write keys: a key is found wherever a client may put it, and as it was put there.
//!
//! An input is a byte that chooses a place, one for the details, then the key itself, or a place's whole content.

use gateway::stage::{key_of_body, key_of_head};

/// A key that is known beside the input's.
const OTHER: &str = "other-key";

pub(crate) fn run(input: &[u8]) {
    let Some(([place, how], rest)) = input.split_first_chunk().map(|(head, rest)| (*head, rest)) else { return };
    let text = String::from_utf8_lossy(rest);
    match place % 6 {
        0 => in_authorization(&text, how),
        1 => in_header(&text),
        2 => in_query(&text, how),
        3 => in_body(&text, how),
        4 => anywhere(rest, how),
        _ => drop(key_of_body(&rest.repeat(usize::from(how) * 256))),
    }
}

fn is_key(text: &str) -> bool {
    !text.is_empty() && !text.ends_with("***")
}

/// What should be found of a key that is known.
fn expected(key: &str) -> Option<Option<&str>> {
    is_key(key).then_some(Some(key))
}

fn in_authorization(key: &str, how: u8) {
    // Behind the last colon stands the password.
    let pair = if how & 1 == 0 { format!("{key}:") } else { format!("{key}:password") };
    let mut credentials = base64(pair.as_bytes());
    if how & 2 != 0 {
        credentials = credentials.trim_end_matches('=').to_owned();
    }
    let scheme = if how & 4 == 0 { "Basic" } else { "bAsIc" };
    let value = format!("{scheme} {credentials}");
    let others: &[(&'static str, &[u8])] = &[("authorization", value.as_bytes()), ("x-write-key", OTHER.as_bytes())];
    assert_eq!(key_of_head(&others[..1], None, &[key, OTHER]), expected(key), "{value:?}");
    // The first place that holds a key decides.
    let first = if is_key(key) { key } else { OTHER };
    assert_eq!(key_of_head(others, Some("writeKey=x"), &[key, OTHER]), Some(Some(first)), "{value:?}");
    assert_eq!(key_of_head(others, None, &[OTHER]).flatten(), (!is_key(key) || is_part(key)).then_some(OTHER));
}

/// Whether [`OTHER`] is among the readings of a user name with colons.
fn is_part(key: &str) -> bool {
    key == OTHER
        || key.split(':').next() == Some(OTHER)
        || [format!("{key}:"), format!("{key}:password")].contains(&OTHER.to_owned())
}

fn in_header(key: &str) {
    if !key.bytes().all(|byte| (0x20..0x7f).contains(&byte)) {
        return;
    }
    let key = key.trim();
    assert_eq!(key_of_head(&[("x-write-key", key.as_bytes())], None, &[key]), expected(key), "{key:?}");
}

fn in_query(key: &str, how: u8) {
    let escape = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' if how & 1 == 0 => char::from(byte).to_string(),
        b' ' if how & 2 == 0 => "+".to_owned(),
        byte => format!("%{byte:02X}"),
    };
    let value: String = key.bytes().map(escape).collect();
    for query in [format!("writeKey={value}"), format!("a=b&writeKey={value}&c")] {
        assert_eq!(key_of_head(&[], Some(&query), &[key]), expected(key), "{query:?}");
    }
}

fn in_body(key: &str, how: u8) {
    let member = format!("\"writeKey\":{}", serde_json::json!(key));
    let body = match how % 3 {
        0 => format!("{{{member}}}"),
        1 => format!("{{\"batch\":[{{\"writeKey\":\"no\"}}],\"x\":\"writeKey\", {member} }}"),
        _ => format!(" {{{member},\"batch\":[]}}"),
    };
    assert_eq!(key_of_body(body.as_bytes()).as_deref(), expected(key).flatten(), "{body}");
}

/// Whatever a head says, only a known key is known.
fn anywhere(head: &[u8], how: u8) {
    let mut lines = head.split(|byte| *byte == b'\n');
    let mut next = || lines.next().unwrap_or_default();
    let headers = [("authorization", next()), ("x-write-key", next())];
    let query = String::from_utf8_lossy(next());
    let found = key_of_head(&headers[usize::from(how) % 3..], Some(&query), &[OTHER]);
    if let Some(Some(key)) = found {
        assert_eq!(key, OTHER);
    }
    drop(key_of_body(head));
}

/// RFC 4648, in the plainest way.
fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let letter = |bits: u32| char::from(LETTERS[bits as usize & 63]);
    let mut text = String::new();
    for three in bytes.chunks(3) {
        let byte = |at: usize| u32::from(three.get(at).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        let letters = [18, 12, 6, 0].map(|shift| letter(bits >> shift));
        let used = three.len() + 1;
        text.extend(letters.iter().enumerate().map(|(at, letter)| if at < used { *letter } else { '=' }));
    }
    text
}
