//! The least that reading an event's JSON can cost: sonic-rs into one struct that borrows every string.
//!
//! Responsible for the parse of the gateway's floor and for the baseline of the bench `parse`. Takes the fields of
//! [`clickstream`](crate::clickstream), times in the one form that it writes, and drops what it does not know: it
//! promises speed, not a gateway.

use std::{borrow::Cow, fmt, ops::Deref};

use event::Event;
use serde::{Deserialize, Deserializer, de};
use sonic_rs::LazyValue;

/// A string that borrows inside an `Option` as well. With `#[serde(borrow)]` an `Option<Cow<str>>` compiles too, but
/// serde borrows only where the field's own type is `Cow<str>`: behind the `Option` each string would be copied.
#[derive(Debug)]
pub struct Text<'a>(Cow<'a, str>);

impl Deref for Text<'_> {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> de::Visitor<'de> for Visitor {
            type Value = Text<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }

            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Borrowed(text)))
            }

            /// Only a string with escapes comes here: it lies nowhere in the body as it is.
            fn visit_str<E>(self, text: &str) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Owned(text.to_owned())))
            }
        }
        deserializer.deserialize_str(Visitor)
    }
}

/// An event as it lies in a request body.
#[derive(Debug, Deserialize)]
pub struct Borrowed<'a> {
    #[serde(borrow)]
    event_id: Text<'a>,
    #[serde(borrow, rename = "type")]
    kind: Text<'a>,
    #[serde(borrow)]
    user_id: Option<Text<'a>>,
    #[serde(borrow)]
    anonymous_id: Option<Text<'a>>,
    #[serde(borrow)]
    session_id: Option<Text<'a>>,
    #[serde(borrow)]
    event_time: Text<'a>,
    #[serde(borrow)]
    url: Option<Text<'a>>,
    #[serde(borrow)]
    title: Option<Text<'a>>,
    #[serde(borrow)]
    referrer: Option<Text<'a>>,
    #[serde(borrow)]
    element: Option<Text<'a>>,
    #[serde(borrow)]
    properties: Option<LazyValue<'a>>,
}

impl Borrowed<'_> {
    /// The event to encode; `None` if its time has another form than `2026-01-02T03:04:05.678Z`.
    #[must_use]
    pub fn event(&self, received_at: i64) -> Option<Event<'_>> {
        Some(Event {
            event_id: &self.event_id,
            kind: &self.kind,
            source: "default",
            user_id: self.user_id.as_deref(),
            anonymous_id: self.anonymous_id.as_deref(),
            session_id: self.session_id.as_deref(),
            event_time: micros(self.event_time.as_bytes())?,
            received_at,
            url: self.url.as_deref(),
            title: self.title.as_deref(),
            referrer: self.referrer.as_deref(),
            element: self.element.as_deref(),
            properties: self.properties.as_ref().map(LazyValue::as_raw_str),
            ..Event::default()
        })
    }
}

/// `2026-01-02T03:04:05.678Z` in microseconds since 1970, by Howard Hinnant's `days_from_civil`
/// (<https://howardhinnant.github.io/date_algorithms.html>).
fn micros(text: &[u8]) -> Option<i64> {
    let text: &[u8; 24] = text.try_into().ok()?;
    if [text[4], text[7], text[10], text[13], text[16], text[19], text[23]] != *b"--T::.Z" {
        return None;
    }
    let number = |from: usize, to: usize| {
        let digit = |value: i64, byte: &u8| byte.is_ascii_digit().then(|| value * 10 + i64::from(byte - b'0'));
        text[from..to].iter().try_fold(0, digit)
    };
    let (year, month, day) = (number(0, 4)?, number(5, 7)?, number(8, 10)?);
    let (year, month_from_march) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let (era, year_of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let day_of_year = (153 * month_from_march + 2) / 5 + day - 1;
    let days = era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468;
    let seconds = days * 86_400 + number(11, 13)? * 3_600 + number(14, 16)? * 60 + number(17, 19)?;
    Some((seconds * 1_000 + number(20, 23)?) * 1_000)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clickstream::{Clickstream, RECEIVED_AT};

    #[test]
    fn the_json_of_an_act_is_its_event_and_borrows_every_string() {
        let (mut body, mut bytes) = (String::new(), 0);
        for act in Clickstream::new(1).take(10_000) {
            body.clear();
            act.write_json(&mut body);
            bytes += body.len();
            let parsed: Borrowed<'_> = sonic_rs::from_str(&body).unwrap();
            assert_eq!(parsed.event(RECEIVED_AT), Some(act.event()));
            for text in [Some(&parsed.event_id), parsed.user_id.as_ref(), parsed.element.as_ref()].into_iter().flatten()
            {
                assert!(matches!(text.0, Cow::Borrowed(_)), "{} was copied", &text.0);
            }
        }
        assert_eq!(bytes / 10_000, 316, "bytes an event");
    }

    #[test]
    fn micros_agrees_with_the_product() {
        for text in ["1970-01-01T00:00:00.001Z", "2024-02-29T23:59:59.999Z", "2026-01-02T03:04:05.678Z"] {
            assert_eq!(micros(text.as_bytes()), event::parse_time(text), "{text}");
        }
        assert_eq!(micros(b"2026-01-02T03:04:05Z"), None);
    }
}
