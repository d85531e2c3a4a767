//! A string that borrows from the body wherever it can.
//!
//! Responsible for one trap: serde borrows into a `Cow<str>` only where a field's type is a bare `Cow<str>`, so behind
//! an `Option` every string would be copied to the heap. Only strings with escapes are copied here.

use std::{borrow::Cow, fmt, ops::Deref};

use serde::{Deserialize, Deserializer, de};

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Text<'a>(Cow<'a, str>);

impl<'a> Text<'a> {
    pub(crate) fn borrowed(text: &'a str) -> Text<'a> {
        Text(Cow::Borrowed(text))
    }

    pub(crate) fn owned(text: &str) -> Text<'a> {
        Text(Cow::Owned(text.to_owned()))
    }

    pub(super) fn into_owned<'b>(self) -> Text<'b> {
        Text(Cow::Owned(self.0.into_owned()))
    }

    /// Whether the JSON string had no escapes, so that the text between two quotes is the same JSON string.
    pub(crate) fn is_verbatim(&self) -> bool {
        matches!(self.0, Cow::Borrowed(_))
    }
}

impl From<String> for Text<'_> {
    fn from(text: String) -> Self {
        Text(Cow::Owned(text))
    }
}

impl Deref for Text<'_> {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_str(Visitor)
    }
}

struct Visitor;

impl<'de> de::Visitor<'de> for Visitor {
    type Value = Text<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Text<'de>, E> {
        Ok(Text::borrowed(text))
    }

    fn visit_str<E>(self, text: &str) -> Result<Text<'de>, E> {
        Ok(Text::owned(text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_strings_with_escapes_are_copied() {
        #[track_caller]
        fn check(json: &str, expected: &str, verbatim: bool) {
            let text: Option<Text<'_>> = sonic_rs::from_str(json).expect("a JSON string");
            let text = text.expect("not null");
            assert_eq!((&*text, text.is_verbatim()), (expected, verbatim));
        }
        check(r#""plain""#, "plain", true);
        check(r#""käse""#, "käse", true);
        check(r#""""#, "", true);
        check(r#""a\"b""#, "a\"b", false);
        check(r#""\u00e4""#, "ä", false);
    }
}
