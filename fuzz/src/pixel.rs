//! The pixel's queries: what a query says is what the same event says as JSON.

use gateway::stage::Language;
use serde_json::Value;

use crate::taken::{assert_same, fates, is_json, is_too_deep, take, trim};

/// An input is a query; HTTP lets in only UTF-8.
pub(crate) fn run(query: &[u8]) {
    if str::from_utf8(query).is_err() {
        return;
    }
    let members: Vec<_> = parameters(query).into_iter().filter(|(key, _)| key != "writeKey").collect();
    let texts = members.iter().map(|(key, value)| {
        let document = trim(value.strip_prefix('\u{feff}').unwrap_or(value));
        let is_document = key == "properties" && is_json(document) && !is_too_deep(document);
        let text = if is_document { document.to_owned() } else { Value::from(&**value).to_string() };
        format!("{}:{text}", Value::from(&**key))
    });
    let json = format!("{{{}}}", texts.collect::<Vec<_>>().join(","));
    let taken = take(Language::Pixel, query);
    if members.is_empty() {
        assert_eq!(taken.map(|taken| taken.events).map_err(|code| code.facts().name), Err("empty_batch"));
        return;
    }
    match (taken, take(Language::Native, json.as_bytes())) {
        (Ok(one), Ok(other)) => {
            assert_eq!(fates(&one).len(), 1, "a query is one event");
            assert_same(&one, &other, &json);
        }
        (one, other) => assert_eq!(one.err(), other.err(), "{json}"),
    }
}

/// The URL standard's `application/x-www-form-urlencoded`, in the plainest way.
fn parameters(query: &[u8]) -> Vec<(String, String)> {
    let pairs = query.split(|byte| *byte == b'&').filter(|pair| !pair.is_empty());
    let pair = |pair: &[u8]| {
        let at = pair.iter().position(|byte| *byte == b'=').unwrap_or(pair.len());
        (decoded(&pair[..at]), decoded(pair.get(at + 1..).unwrap_or_default()))
    };
    pairs.map(pair).collect()
}

fn decoded(text: &[u8]) -> String {
    let (mut bytes, mut rest) = (Vec::new(), text);
    while let Some((first, after)) = rest.split_first() {
        let hex = after.get(..2).filter(|_| *first == b'%').and_then(|hex| str::from_utf8(hex).ok());
        let byte = hex.filter(|hex| hex.bytes().all(|digit| digit.is_ascii_hexdigit()));
        match byte.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = &after[2..];
            }
            None => {
                bytes.push(if *first == b'+' { b' ' } else { *first });
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
