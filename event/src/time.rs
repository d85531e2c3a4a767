//! RFC 3339 text to microseconds.
//!
//! Responsible for reading the times that clients send. Promises that the fast path for the form nearly all of them
//! use agrees with the full parser to the microsecond. Whether a time is plausible is validation's business.

use jiff::Timestamp;

/// Microseconds since 1970-01-01 UTC of an RFC 3339 time with an offset; digits below the microsecond are dropped.
/// `None` if the text is not such a time.
#[must_use]
pub fn parse_time(text: &str) -> Option<i64> {
    text.parse::<Timestamp>().ok().map(Timestamp::as_microsecond)
}
