//! A record's headers as text.
//!
//! Responsible for a form that people and programs read: JSON, an array in the record's order because a name may come
//! twice, of objects like `{"name":"traceparent","value":"00-4bf9"}`, with `value_base64` where a value is no UTF-8, and
//! neither where there is none.

use base64::{Engine, engine::general_purpose::STANDARD};
use serde::{Deserialize, Serialize};

/// Name and value.
pub type Header = (String, Option<Vec<u8>>);

#[derive(Debug, Default, Serialize, Deserialize)]
struct Written {
    name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    value: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    value_base64: Option<String>,
}

/// Nothing where there are none.
pub(super) fn to_text<'h>(headers: impl Iterator<Item = (&'h str, Option<&'h [u8]>)>) -> Option<String> {
    let written = |(name, value): (&str, Option<&[u8]>)| {
        let text = value.map(str::from_utf8);
        Written {
            name: name.to_owned(),
            value: text.and_then(Result::ok).map(str::to_owned),
            value_base64: value.filter(|_| text.is_some_and(|text| text.is_err())).map(|bytes| STANDARD.encode(bytes)),
        }
    };
    let written: Vec<Written> = headers.map(written).collect();
    (!written.is_empty()).then(|| serde_json::to_string(&written).expect("texts"))
}

/// The headers that a text stands for.
///
/// # Errors
/// The reason, when it is no such text.
pub(super) fn from_text(text: &str) -> Result<Vec<Header>, String> {
    let written: Vec<Written> = serde_json::from_str(text).map_err(|error| format!("its headers: {error}"))?;
    let header = |Written { name, value, value_base64 }| match (value, value_base64) {
        (_, Some(value)) => {
            let value = STANDARD.decode(value).map_err(|error| format!("its header {name}: {error}"))?;
            Ok((name, Some(value)))
        }
        (value, None) => Ok((name, value.map(String::into_bytes))),
    };
    written.into_iter().map(header).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_come_back_as_they_were() {
        #[track_caller]
        fn check(headers: &[(&str, Option<&[u8]>)], expected: Option<&str>) {
            let text = to_text(headers.iter().copied());
            assert_eq!(text.as_deref(), expected);
            let owned = |(name, value): &(&str, Option<&[u8]>)| ((*name).to_owned(), value.map(<[u8]>::to_vec));
            let back = text.map_or(Ok(Vec::new()), |text| from_text(&text));
            assert_eq!(back, Ok(headers.iter().map(owned).collect()));
        }
        check(&[], None);
        check(
            &[("a", Some(b"1")), ("a", Some(b"")), ("\"é", None), ("b", Some(b"\xff\x00"))],
            Some(
                r#"[{"name":"a","value":"1"},{"name":"a","value":""},{"name":"\"é"},{"name":"b","value_base64":"/wA="}]"#,
            ),
        );
        assert!(from_text("{}").is_err() && from_text(r#"[{"name":"a","value_base64":"?"}]"#).is_err());
    }
}
