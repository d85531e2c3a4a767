//! One event as query parameters, for an image in a mail or in a page without scripts.
//!
//! Responsible for turning the query into the text of a native event: a parameter is a key, its value a string, or for
//! `properties` the text of an object. Promises the rules of the native dialect, whose parser reads that text, and that
//! a parameter it does not know is kept. Where one stands twice, the last one counts.

use super::{document, native};
use crate::{
    batch::Intake,
    rejection::{Code, Rejection},
};

/// Takes the event of `query` into `intake`.
pub(super) fn parse(query: &[u8], intake: &mut Intake<'_>) -> Result<(), Rejection> {
    let mut json = String::with_capacity(2 * query.len() + 2);
    for (key, value) in form_urlencoded::parse(query).filter(|(key, _)| key != "writeKey") {
        json.push(if json.is_empty() { '{' } else { ',' });
        json.push_str(&quoted(&key));
        json.push(':');
        match document::text(value.as_bytes()) {
            Ok(object) if key == "properties" && document::is_json(object) => json.push_str(object),
            _ => json.push_str(&quoted(&value)),
        }
    }
    if json.is_empty() {
        let message = "the query holds no event: send type and user_id or anonymous_id as parameters";
        return Err(Rejection::new(Code::EmptyBatch, message));
    }
    json.push('}');
    native::parse(json.as_bytes(), intake)
}

fn quoted(text: &str) -> String {
    sonic_rs::to_string(text).expect("a string is always JSON")
}
