//! RFC 3339 texts: the product's own fast path beside jiff, which reads every form.

use jiff::Timestamp;

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
    let expected = text.parse::<Timestamp>().ok().map(Timestamp::as_microsecond);
    assert_eq!(event::parse_time(text), expected, "{text:?} beside jiff");
}
