//! Refused events, kept with the reason.
//!
//! Responsible for one record in the dead-letter topic for each event that was refused by itself, and for each body that
//! was refused whole after it had been read. Promises that no request fails, waits or is answered otherwise because of
//! it: a record is handed over or counted as skipped, and only for refused events anything is done at all. What nobody
//! was entitled to send (an unknown write key, more than the quota) or will send again (overload, an outage) is not kept.

use std::{
    ops::ControlFlow,
    time::{Duration, UNIX_EPOCH},
};

use base64::{Engine, prelude::BASE64_STANDARD};
use serde::Serialize;

use crate::{
    dialect::{Dialect, told_events},
    log::DeadLetters,
    rejection::{EventRejection, Rejection},
};

/// What the dead letters of a request say of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Letters<'a> {
    /// Where they go; nowhere if the log has no dead-letter topic.
    pub(crate) to: Option<&'a DeadLetters>,
    pub(crate) received_at_us: i64,
    pub(crate) source: &'a str,
    pub(crate) dialect: Dialect,
    /// The body, or for the pixel the query.
    pub(crate) told: &'a [u8],
}

/// The value of a record.
#[derive(Debug, Serialize)]
struct Letter<'a> {
    received_at: String,
    source: &'a str,
    code: &'static str,
    message: &'a str,
    /// Position of the event in the request; null where the request was refused whole.
    index: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    raw: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    raw_base64: Option<String>,
    /// Length of what was sent, of which `raw` may be the beginning only.
    raw_bytes: usize,
    truncated: bool,
}

impl Letters<'_> {
    /// The request was refused whole.
    pub(crate) fn whole(&self, rejection: &Rejection) {
        if let Some(to) = self.to {
            to.send(&self.letter(rejection, None, self.told, to.raw_bytes_max()));
        }
    }

    /// Single events of the request were refused; `rejected` is in their order.
    pub(crate) fn events(&self, rejected: &[EventRejection]) {
        let Some(to) = self.to else { return };
        let mut rejected = rejected.iter().peekable();
        if rejected.peek().is_none() {
            return;
        }
        let mut index = 0;
        told_events(self.dialect, self.told, |told| {
            if let Some(event) = rejected.next_if(|event| event.index == index) {
                let letter = self.letter(&event.rejection, Some(index), told.as_bytes(), to.raw_bytes_max());
                to.send(&letter);
            }
            index += 1;
            if rejected.peek().is_none() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
    }

    fn letter(&self, rejection: &Rejection, index: Option<u32>, told: &[u8], raw_bytes_max: usize) -> Vec<u8> {
        let text = simdutf8::basic::from_utf8(told).ok().map(|text| &text[..text.floor_char_boundary(raw_bytes_max)]);
        let bytes = &told[..told.len().min(raw_bytes_max)];
        let letter = Letter {
            received_at: time(self.received_at_us),
            source: self.source,
            code: rejection.code.facts().name,
            message: &rejection.message,
            index,
            raw: text,
            raw_base64: text.is_none().then(|| BASE64_STANDARD.encode(bytes)),
            raw_bytes: told.len(),
            truncated: text.map_or(bytes.len(), str::len) < told.len(),
        };
        sonic_rs::to_vec(&letter).expect("texts and numbers are always JSON")
    }
}

fn time(us: i64) -> String {
    let since = Duration::from_micros(us.unsigned_abs());
    humantime::format_rfc3339_micros(UNIX_EPOCH + since).to_string()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::rejection::Code;

    #[track_caller]
    fn check(told: &[u8], raw_bytes_max: usize, expected: &Value) {
        let letters =
            Letters { to: None, received_at_us: 1_767_323_045_678_901, source: "web", dialect: Dialect::Native, told };
        let rejection = Rejection::new(Code::MalformedJson, "say \"why\"");
        let letter: Value = serde_json::from_slice(&letters.letter(&rejection, Some(3), told, raw_bytes_max)).unwrap();
        let mut whole = json!({
            "received_at": "2026-01-02T03:04:05.678901Z",
            "source": "web",
            "code": "malformed_json",
            "message": "say \"why\"",
            "index": 3,
        });
        whole.as_object_mut().unwrap().extend(expected.as_object().unwrap().clone());
        assert_eq!(letter, whole);
    }

    #[test]
    fn a_letter_says_when_whose_why_and_what() {
        check(b"{\"a\":\"\n", 99, &json!({"raw": "{\"a\":\"\n", "raw_bytes": 7, "truncated": false}));
        check("xéy".as_bytes(), 4, &json!({"raw": "xéy", "raw_bytes": 4, "truncated": false}));
        check("xéy".as_bytes(), 2, &json!({"raw": "x", "raw_bytes": 4, "truncated": true}));
        check(b"\xff\xfe\x00\x01", 9, &json!({"raw_base64": "//4AAQ==", "raw_bytes": 4, "truncated": false}));
        check(b"\xff\xfe\x00\x01", 3, &json!({"raw_base64": "//4A", "raw_bytes": 4, "truncated": true}));
        check(b"abc", 0, &json!({"raw": "", "raw_bytes": 3, "truncated": true}));
    }
}
