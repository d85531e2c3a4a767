//! ISO 8601 text to microseconds.
//!
//! Responsible for reading the times that clients send. Promises that the fast path for the forms that browsers and
//! most clients send agrees to the microsecond with the full parser, which reads everything else. Whether a time is
//! plausible is validation's business.

use jiff::{civil::Time, fmt::temporal::Pieces, tz::Offset};

/// Microseconds since 1970-01-01 UTC of a time in one of the forms of ISO 8601: with `T` or a space between date and
/// time, with an offset (`Z`, `+01:00`, `+0100`, `+01`) or without one, which means UTC, and a date alone, which means
/// its first moment. Digits below the microsecond are dropped. `None` if the text is not such a time, or one beyond
/// the year 9999.
#[must_use]
pub fn parse_time(text: &str) -> Option<i64> {
    utc(text.as_bytes()).or_else(|| any(text))
}

fn any(text: &str) -> Option<i64> {
    let pieces = Pieces::parse(text).ok()?;
    let offset = match pieces.offset() {
        Some(offset) => offset.to_numeric_offset(),
        // A place without an offset is no moment for one who does not know the place's rules.
        None if pieces.time_zone_annotation().is_some() => return None,
        None => Offset::UTC,
    };
    let time = pieces.date().to_datetime(pieces.time().unwrap_or(Time::midnight()));
    Some(offset.to_timestamp(time).ok()?.as_microsecond())
}

/// `YYYY-MM-DDTHH:MM:SSZ` with no, three or six digits of fraction, or with `+00:00` in place of `Z`. `None` for any
/// other text, also for rare times of this form (a leap second, the year 9999): the full parser knows what to do with
/// them.
fn utc(text: &[u8]) -> Option<i64> {
    let (head, tail) = text.split_first_chunk::<19>()?;
    let fraction = tail.strip_suffix(b"Z").or_else(|| tail.strip_suffix(b"+00:00"))?;
    let fraction_us = match fraction {
        [] => 0,
        [b'.', digits @ ..] if digits.len() == 3 => number(digits)? * 1000,
        [b'.', digits @ ..] if digits.len() == 6 => number(digits)?,
        _ => return None,
    };
    if [head[4], head[7], head[10], head[13], head[16]] != *b"--T::" {
        return None;
    }
    let (year, month, day) = (number(&head[..4])?, number(&head[5..7])?, number(&head[8..10])?);
    let (hour, minute, second) = (number(&head[11..13])?, number(&head[14..16])?, number(&head[17..])?);
    if year > 9998 || day < 1 || day > days_of_month(year, month)? || hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let seconds = ((days_since_1970(year, month, day) * 24 + hour) * 60 + minute) * 60 + second;
    Some(seconds * 1_000_000 + fraction_us)
}

fn number(digits: &[u8]) -> Option<i64> {
    digits.iter().try_fold(0, |number, digit| digit.is_ascii_digit().then(|| number * 10 + i64::from(digit - b'0')))
}

fn days_of_month(year: i64, month: i64) -> Option<i64> {
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    match month {
        2 => Some(if leap { 29 } else { 28 }),
        4 | 6 | 9 | 11 => Some(30),
        1..=12 => Some(31),
        _ => None,
    }
}

/// Howard Hinnant's `days_from_civil` (<https://howardhinnant.github.io/date_algorithms.html>) for years from 0: the
/// year begins in March, so that the leap day is its last.
fn days_since_1970(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use proptest::prelude::*;

    use super::{parse_time, utc};

    #[test]
    fn times_are_read_to_the_microsecond() {
        #[track_caller]
        fn check(text: &str, expected: Option<i64>) {
            assert_eq!(parse_time(text), expected, "{text:?}");
        }
        check("1970-01-01T00:00:00Z", Some(0));
        check("2026-01-02T03:04:05Z", Some(1_767_323_045_000_000));
        check("2026-01-02T03:04:05.678Z", Some(1_767_323_045_678_000));
        check("2026-01-02T03:04:05.678901Z", Some(1_767_323_045_678_901));
        check("2026-01-02T03:04:05.678901999Z", Some(1_767_323_045_678_901));
        check("2026-01-02T03:04:05.6Z", Some(1_767_323_045_600_000));
        check("2026-01-02T04:04:05.678+01:00", Some(1_767_323_045_678_000));
        check("2026-01-02T03:04:05.678901+00:00", Some(1_767_323_045_678_901));
        check("2026-01-01T22:04:05-05:00", Some(1_767_323_045_000_000));
        check("2024-02-29T00:00:00Z", Some(1_709_164_800_000_000));
        check("2000-02-29T00:00:00Z", Some(951_782_400_000_000));
        check("2100-02-29T00:00:00Z", None);
        check("2016-12-31T23:59:60Z", Some(1_483_228_799_000_000));
        check("1969-12-31T23:59:59.999999Z", Some(-1));
        for text in ["", "Z", "1767323045", "1767323045678", "now", "03:04:05Z", "Fri, 02 Jan 2026 03:04:05 GMT"] {
            check(text, None);
        }
        for text in ["2026-02-29T00:00:00Z", "2026-13-01T00:00:00Z", "2026-00-01T00:00:00Z", "2026-01-00T00:00:00Z"] {
            check(text, None);
        }
        for text in ["2026-01-02T24:00:00Z", "2026-01-02T03:60:00Z", "2026-01-02T03:04:61Z", "2026-01-02T03:04:0٣Z"] {
            check(text, None);
        }
    }

    #[test]
    fn every_form_of_iso_8601_is_read() {
        const SECOND: i64 = 1_767_323_045_000_000;
        #[track_caller]
        fn check(text: &str, expected: Option<i64>) {
            assert_eq!(parse_time(text), expected, "{text:?}");
        }
        for text in [
            "2026-01-02 03:04:05Z",
            "2026-01-02t03:04:05z",
            "2026-01-02T03:04:05",
            "2026-01-02 03:04:05",
            "20260102T030405Z",
            "2026-01-02T03:04:05+00:00",
            "2026-01-02T03:04:05-00:00",
            "2026-01-02 03:04:05+0000",
            "2026-01-02T03:04:05+00",
            "2026-01-02T04:04:05+0100",
            "2026-01-02T08:34:05+05:30",
            "2026-01-01T22:04:05-05",
            "2026-01-02T04:04:05+01:00[Europe/Paris]",
        ] {
            check(text, Some(SECOND));
        }
        check("2026-01-02T03:04:05.678901+00:00", Some(SECOND + 678_901));
        check("2026-01-02T03:04:05.678+00:00", Some(SECOND + 678_000));
        check("2026-01-02 03:04:05.678901", Some(SECOND + 678_901));
        check("2026-01-02T03:04:05,678Z", Some(SECOND + 678_000));
        check("2026-01-02T03:04Z", Some(SECOND - 5_000_000));
        check("2026-01-02", Some(1_767_312_000_000_000));
        check("20260102", Some(1_767_312_000_000_000));
        check("2026-01-02T04:04:05[Europe/Paris]", None);
        check("9999-12-31T23:59:59-05:00", None);
        check("2026-01-02T03:04:05+99:00", None);
    }

    #[test]
    fn the_forms_of_browsers_and_servers_take_the_fast_path() {
        assert_eq!(utc(b"2026-01-02T03:04:05.678Z"), Some(1_767_323_045_678_000));
        assert_eq!(utc(b"2026-01-02T03:04:05.678901+00:00"), Some(1_767_323_045_678_901));
        assert_eq!(utc(b"2026-01-02T03:04:05.678+01:00"), None);
    }

    proptest! {
        #[test]
        fn both_paths_agree_on_every_text_of_the_form(
            date in (0..=10_000_u32, 0..=13_u32, 0..=32_u32), time in (0..=24_u32, 0..=60_u32, 0..=60_u32),
            fraction in prop_oneof![Just(String::new()), r"\.[0-9]{3}", r"\.[0-9]{6}", r"\.[0-9]{1,9}"],
            offset in prop_oneof![Just("Z"), Just("+00:00"), Just("+01:00"), Just("-00:30")],
        ) {
            let ((year, month, day), (hour, minute, second)) = (date, time);
            let text = format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}{fraction}{offset}");
            let slow = text.parse::<Timestamp>().ok().map(Timestamp::as_microsecond);
            prop_assert_eq!(parse_time(&text), slow, "{}", text);
        }

        #[test]
        fn any_text_is_answered(text in "[0-9TZ:.+ -]{0,32}|\\PC{0,32}") {
            let _ = parse_time(&text);
        }
    }
}
