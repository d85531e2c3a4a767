//! The native dialect's bodies, beside a slow reading of the same bytes by serde_json.

use gateway::{rejection::Code, stage::Language};
use serde_json::value::RawValue;

use crate::{
    reference::Expected,
    taken::{fates, is_json, is_too_deep, take, trim},
};

/// An input is a body.
pub(crate) fn run(body: &[u8]) {
    let taken = match take(Language::Native, body) {
        Ok(taken) => taken,
        Err(code) => return refused_rightly(body, code),
    };
    let text = std::str::from_utf8(body).expect("only UTF-8 is taken");
    let documents = documents(text).expect("only JSON is taken");
    assert_eq!(taken.events as usize, documents.len(), "events found");
    for (fate, document) in fates(&taken).into_iter().zip(documents) {
        let expected = document.map_or(Expected::Rejected("malformed_json"), Expected::of);
        expected.check(fate);
    }
}

fn refused_rightly(body: &[u8], code: Code) {
    let text = std::str::from_utf8(body);
    assert_eq!(text.is_err(), code == Code::InvalidUtf8, "{code:?}");
    let Ok(text) = text else { return };
    match (documents(text), code) {
        (found, Code::NestedTooDeep) => assert!(found.is_err() || is_too_deep(text)),
        (Ok(documents), code) => assert_eq!((documents.len(), code), (0, Code::EmptyBatch)),
        (Err(()), code) => assert_eq!(code, Code::MalformedJson),
    }
}

/// The events of a body, as texts; `None` for a line that is no JSON. `Err` if the whole is none.
fn documents(text: &str) -> Result<Vec<Option<&str>>, ()> {
    let text = trim(text.strip_prefix('\u{feff}').unwrap_or(text));
    if text.is_empty() {
        return Ok(Vec::new());
    }
    if text.starts_with('[') {
        let elements: Vec<&RawValue> = serde_json::from_str(text).map_err(drop)?;
        return Ok(elements.into_iter().map(|element| Some(element.get())).collect());
    }
    if is_json(text) {
        return Ok(vec![Some(text)]);
    }
    let lines = text.split('\n').map(trim).filter(|line| !line.is_empty());
    let documents: Vec<_> = lines.map(|line| is_json(line).then_some(line)).collect();
    if documents.iter().any(Option::is_some) { Ok(documents) } else { Err(()) }
}
