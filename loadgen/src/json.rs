//! JSON without a tree.
//!
//! Responsible for writing strings, numbers and times into a buffer that is used again and again. Promises valid JSON
//! for any UTF-8 input. Leaves structure (braces, commas) to the caller.

use jiff::Timestamp;
use jiff::fmt::StdIoWrite;
use jiff::fmt::temporal::DateTimePrinter;

/// Appends `text` as a JSON string, quotes included.
pub(crate) fn push_string(text: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    for byte in text.bytes() {
        match byte {
            b'"' => out.extend_from_slice(b"\\\""),
            b'\\' => out.extend_from_slice(b"\\\\"),
            b'\n' => out.extend_from_slice(b"\\n"),
            0..=0x1f => {
                out.extend_from_slice(b"\\u00");
                out.push(b'0' + (byte >> 4));
                out.push(b"0123456789abcdef"[usize::from(byte & 15)]);
            }
            _ => out.push(byte),
        }
    }
    out.push(b'"');
}

/// Appends `,"name":"text"` if there is a text.
pub(crate) fn push_field(name: &str, text: Option<&str>, out: &mut Vec<u8>) {
    if let Some(text) = text {
        out.extend_from_slice(b",\"");
        out.extend_from_slice(name.as_bytes());
        out.extend_from_slice(b"\":");
        push_string(text, out);
    }
}

/// Appends a number in decimal.
pub(crate) fn push_number(mut number: u64, out: &mut Vec<u8>) {
    let mut digits = [0; 20];
    let mut at = digits.len();
    loop {
        at -= 1;
        digits[at] = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[at..]);
}

/// Appends a time (microseconds since 1970 UTC) as RFC 3339 with six decimals, without quotes.
pub(crate) fn push_time(unix_us: i64, out: &mut Vec<u8>) {
    static PRINTER: DateTimePrinter = DateTimePrinter::new().precision(Some(6));
    let time = Timestamp::from_microsecond(unix_us).unwrap_or(Timestamp::UNIX_EPOCH);
    PRINTER.print_timestamp(&time, StdIoWrite(out)).expect("a Vec takes everything");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_text_comes_back_as_it_was() {
        for text in ["", "plain", "a\"b\\c", "\u{0}\u{1f}\n\r\t\u{7f}", "žluťoučký 🐎"] {
            let mut out = Vec::new();
            push_string(text, &mut out);
            assert_eq!(serde_json::from_slice::<String>(&out).unwrap(), text);
        }
    }

    #[test]
    fn numbers_and_times_are_written_out() {
        let mut out = Vec::new();
        for number in [0, 7, 10, 1234567890, u64::MAX] {
            push_number(number, &mut out);
            out.push(b' ');
        }
        push_time(1_767_323_045_678_900, &mut out);
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "0 7 10 1234567890 18446744073709551615 2026-01-02T03:04:05.678900Z"
        );
    }
}
