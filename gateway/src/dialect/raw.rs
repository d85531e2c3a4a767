//! A JSON value that is kept as its text.
//!
//! Responsible for checking what will never be parsed here. Promises that the text is valid JSON (RFC 8259). sonic-rs
//! checks everything about a value that it skips except the four digits after `\u`, so that is done here; half of a
//! surrogate pair is valid JSON, and browsers send it.

use std::borrow::Cow;

use serde::{Deserialize, Deserializer, de};
use sonic_rs::{JsonType, JsonValueTrait, LazyValue};

use super::Text;

/// The raw text of a value.
#[derive(Clone, Debug)]
pub(crate) struct Raw<'a>(LazyValue<'a>);

impl<'a> Raw<'a> {
    pub(crate) fn text(&self) -> &str {
        self.0.as_raw_str().trim_ascii()
    }

    pub(super) fn kind(&self) -> JsonType {
        self.0.get_type()
    }

    /// What the JSON string says. `None`: it is none, or one that is no Unicode text.
    pub(super) fn string(&self) -> Option<Text<'a>> {
        if self.kind() != JsonType::String {
            return None;
        }
        match self.0.as_raw_cow() {
            Cow::Borrowed(raw) if memchr::memchr(b'\\', raw.as_bytes()).is_none() => {
                let raw = raw.trim_ascii();
                Some(Text::borrowed(&raw[1..raw.len() - 1]))
            }
            raw => sonic_rs::from_str::<String>(&raw).ok().map(Text::from),
        }
    }

    /// What the JSON string says, or the digits of the number as they came.
    pub(super) fn string_or_number(&self) -> Option<Text<'a>> {
        match (self.kind(), self.source()) {
            (JsonType::Number, Some(digits)) => Some(Text::borrowed(digits)),
            _ => self.string(),
        }
    }

    /// The text where it stands in the body; `None` if it has been copied, which is done to values with escapes.
    pub(super) fn source(&self) -> Option<&'a str> {
        match self.0.as_raw_cow() {
            Cow::Borrowed(raw) => Some(raw.trim_ascii()),
            Cow::Owned(_) => None,
        }
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Raw<'a> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let value = LazyValue::deserialize(from)?;
        if escapes_are_valid(value.as_raw_str().as_bytes()) {
            Ok(Raw(value))
        } else {
            Err(de::Error::custom("invalid escape"))
        }
    }
}

/// Whether every `\u` in otherwise valid JSON has its four digits.
fn escapes_are_valid(mut json: &[u8]) -> bool {
    while let Some(at) = memchr::memchr(b'\\', json) {
        let escape = &json[at + 1..];
        if escape.first() == Some(&b'u')
            && !escape.get(1..5).is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
        {
            return false;
        }
        json = escape.get(1..).unwrap_or_default();
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_valid_json_is_kept() {
        #[track_caller]
        fn check(json: &str, valid: bool) {
            assert_eq!(sonic_rs::from_str::<Raw<'_>>(json).is_ok(), valid, "{json}");
        }
        check(r#"{"a":"\u00e4\\u12g4","\u0061":[1.5e-7,true,null]}"#, true);
        check(r#""\ud800""#, true);
        check(r#""\u12g4""#, false);
        check(r#"{"\u12":1}"#, false);
        check(r#"["\\\u000G"]"#, false);
        check(r#""\x""#, false);
        check("\"\t\"", false);
        check("tru", false);
    }

    #[test]
    fn strings_and_numbers_have_a_text() {
        #[track_caller]
        fn check(json: &str, string: Option<&str>, text: Option<&str>) {
            let raw: Raw<'_> = sonic_rs::from_str(json).expect("JSON");
            assert_eq!(raw.string().as_deref(), string, "{json}");
            assert_eq!(raw.string_or_number().as_deref(), text, "{json}");
        }
        check(r#" "plain" "#, Some("plain"), Some("plain"));
        check(r#""""#, Some(""), Some(""));
        check(r#""a\/\u00e4""#, Some("a/ä"), Some("a/ä"));
        check(r#""\ud800""#, None, None);
        check("12345678901234567890123", None, Some("12345678901234567890123"));
        check(" -1.50e3 ", None, Some("-1.50e3"));
        for json in ["null", "true", "{}", "[\"a\"]"] {
            check(json, None, None);
        }
    }
}
