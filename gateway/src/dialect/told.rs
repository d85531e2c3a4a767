//! Each event of a request as its sender told it.
//!
//! Responsible for finding single events again in a request that was judged before, for those that nobody was willing to
//! take. Promises the order and the numbers that the dialect gave them. Good requests never come here, so it is a pass of
//! its own instead of something that every parser carries along.

use std::{borrow::Cow, ops::ControlFlow};

use sonic_rs::LazyValue;

use super::{Call, Dialect, document};

/// Shows each event's text, as long as `show` wants to see more.
pub(crate) fn events(dialect: Dialect, told: &[u8], mut show: impl FnMut(&str) -> ControlFlow<()>) {
    let Ok(text) = str::from_utf8(told) else { return };
    let text = text.strip_prefix('\u{feff}').unwrap_or(text).trim_ascii();
    let _ = match dialect {
        Dialect::Native if text.starts_with('[') => elements(text, show),
        Dialect::Native if !document::is_json(text) => {
            text.lines().map(str::trim_ascii).filter(|line| !line.is_empty()).try_for_each(show)
        }
        Dialect::Segment(Call::Batch) => batch(text).map_or(ControlFlow::Continue(()), |batch| elements(&batch, show)),
        Dialect::Native | Dialect::Segment(_) | Dialect::Pixel => show(text),
    };
}

fn elements(array: &str, mut show: impl FnMut(&str) -> ControlFlow<()>) -> ControlFlow<()> {
    sonic_rs::to_array_iter(array).map_while(Result::ok).try_for_each(|event| show(event.as_raw_str()))
}

/// The array of a Segment batch. Where the key stands twice, the last one counts.
fn batch(body: &str) -> Option<Cow<'_, str>> {
    let values = sonic_rs::to_object_iter(body).map_while(Result::ok);
    values.filter(|(key, _)| *key == "batch").last().map(|(_, batch): (_, LazyValue<'_>)| batch.as_raw_cow())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_shown_in_their_order_as_they_came() {
        #[track_caller]
        fn check(dialect: Dialect, told: &str, expected: &[&str]) {
            for wanted in 1..=expected.len() {
                let mut found = Vec::new();
                events(dialect, told.as_bytes(), |event| {
                    found.push(event.to_owned());
                    if found.len() == wanted { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
                });
                assert_eq!(found, expected[..wanted], "{told}");
            }
        }
        let batch = Dialect::Segment(Call::Batch);
        check(Dialect::Native, r#" [{"a": 1},5 , "x"] "#, &[r#"{"a": 1}"#, "5", r#""x""#]);
        check(Dialect::Native, " {\"a\":\n1} ", &["{\"a\":\n1}"]);
        check(Dialect::Native, "\u{feff}{\"a\":1}\n\n nonsense \r\n[2]", &["{\"a\":1}", "nonsense", "[2]"]);
        check(batch, r#"{"batch":[1],"sentAt":"x","batch":[{"a":1}, 2]}"#, &[r#"{"a":1}"#, "2"]);
        check(Dialect::Segment(Call::Page), r#"{"batch":[1]}"#, &[r#"{"batch":[1]}"#]);
        check(Dialect::Pixel, "type=click&writeKey=k", &["type=click&writeKey=k"]);
    }
}
