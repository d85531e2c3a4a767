//! ISO 8601 texts: the product's own fast path beside jiff, which reads every form.

use jiff::{Timestamp, civil::DateTime, tz::Offset};

/// More than any offset.
const DAY_US: u64 = 26 * 60 * 60 * 1_000_000;

/// The first byte tells how the rest is taken: as a text, or as a number whose text must be read back.
pub(crate) fn run(input: &[u8]) {
    let Some((b'#', number)) = input.split_first() else {
        return text(&String::from_utf8_lossy(input));
    };
    let Some(number) = number.first_chunk().map(|bytes| i64::from_le_bytes(*bytes)) else { return };
    let Ok(time) = Timestamp::from_microsecond(number) else { return };
    for text in [format!("{time:.6}"), format!("{time:.3}"), format!("{time:.0}"), format!("{time}")] {
        self::text(&text);
    }
    assert_eq!(event::parse_time(&format!("{time:.6}")), Some(number), "{time} was not read back");
}

fn text(text: &str) {
    let found = event::parse_time(text);
    match (text.parse::<Timestamp>(), found) {
        (Ok(expected), _) => assert_eq!(found, Some(expected.as_microsecond()), "{text:?} beside jiff"),
        // Without an offset it is UTC. With one, jiff may have wanted a time or a moment within its own range.
        (Err(_), Some(found)) => {
            let time = text.parse::<DateTime>().unwrap_or_else(|error| panic!("{text:?} was read: {error}"));
            let utc = Offset::UTC.to_timestamp(time).map(Timestamp::as_microsecond);
            assert!(utc.is_ok_and(|utc| utc.abs_diff(found) <= DAY_US), "{text:?} is {time}, not {found}");
        }
        (Err(_), None) => {}
    }
}
