//! A body as JSON text.
//!
//! Responsible for what every dialect asks of a body before it looks for events. Promises text in UTF-8 without a byte
//! order mark and without space around it, nested so flat that every parser can take it.

use super::{Raw, nesting};
use crate::rejection::{Code, Rejection};

/// The body's text.
pub(super) fn text(body: &[u8]) -> Result<&str, Rejection> {
    let text = simdutf8::basic::from_utf8(body)
        .map_err(|_| Rejection::new(Code::InvalidUtf8, "the body is not UTF-8: send JSON text in UTF-8"))?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text).trim_ascii();
    if nesting::too_deep(text.as_bytes()) {
        return Err(Rejection::new(Code::NestedTooDeep, "the body is nested too deep: send flatter events"));
    }
    Ok(text)
}

pub(super) fn is_json(text: &str) -> bool {
    sonic_rs::from_str::<Raw<'_>>(text).is_ok()
}

/// Why `text` is refused whole.
pub(super) fn malformed(error: &sonic_rs::Error) -> Rejection {
    let (line, column) = (error.line(), error.column());
    Rejection::new(Code::MalformedJson, format!("the body is not JSON at line {line}, column {column}: correct it"))
}
