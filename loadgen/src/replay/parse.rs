//! One line of an access log.
//!
//! Responsible for the Common and the Combined Log Format as Apache and nginx write them. Promises a line or the reason
//! why it is none, and to undo the servers' escapes (`\"`, `\\`, `\xhh`). Leaves what a line means to `session` and
//! `payload`.
//!
//! Format: <https://httpd.apache.org/docs/2.4/logs.html#combined>.

use std::borrow::Cow;

use jiff::civil;

/// A line, taken apart. `-` is `None`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogLine<'a> {
    /// Who asked: an IPv4 or IPv6 address, or a host name.
    pub client: &'a str,
    /// When, in microseconds since 1970 UTC.
    pub time_us: i64,
    /// `GET` and so on.
    pub method: Cow<'a, str>,
    /// What was asked for: a path with its query, or a whole URL.
    pub target: Cow<'a, str>,
    /// The HTTP status.
    pub status: u16,
    /// Bytes sent, if any.
    pub bytes: Option<u64>,
    /// The page from which the user came.
    pub referrer: Option<Cow<'a, str>>,
    /// The browser.
    pub user_agent: Option<Cow<'a, str>>,
}

/// Why a line is none of an access log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
pub enum LineError {
    /// Not UTF-8.
    #[error("it is not UTF-8")]
    NotUtf8,
    /// Nothing in it.
    #[error("it is empty")]
    Empty,
    /// No client, identity, user.
    #[error("it does not begin with client, identity and user")]
    Client,
    /// No time in brackets.
    #[error("the time is not [dd/Mon/yyyy:hh:mm:ss +zzzz]")]
    Time,
    /// A quote is not closed, or missing.
    #[error("the request is not in closed quotes")]
    Quotes,
    /// Not METHOD TARGET PROTOCOL.
    #[error("the request is not METHOD TARGET PROTOCOL")]
    Request,
    /// No status.
    #[error("the status is not a number of three digits")]
    Status,
    /// No number of bytes.
    #[error("the size is neither a number nor -")]
    Bytes,
    /// Something after the status that is not referrer and agent.
    #[error("what follows the size is not a referrer and an agent in quotes")]
    Tail,
}

/// Takes a line apart.
pub fn parse(line: &[u8]) -> Result<LogLine<'_>, LineError> {
    let line = std::str::from_utf8(line).map_err(|_| LineError::NotUtf8)?.trim();
    if line.is_empty() {
        return Err(LineError::Empty);
    }
    let (head, rest) = line.split_once(" [").ok_or(LineError::Time)?;
    // The user may hold spaces, client and identity may not.
    let mut names = head.splitn(3, ' ');
    let client = names.next().filter(|client| !client.is_empty() && *client != "-").ok_or(LineError::Client)?;
    names.nth(1).ok_or(LineError::Client)?;
    let (time, rest) = rest.split_once("] ").ok_or(LineError::Time)?;
    let time_us = parse_time(time).ok_or(LineError::Time)?;
    let (request, rest) = quoted(rest).ok_or(LineError::Quotes)?;
    let (method, target) = parse_request(request).ok_or(LineError::Request)?;
    let mut numbers = rest.trim_start().splitn(3, ' ');
    let status = numbers.next().filter(|status| status.len() == 3).ok_or(LineError::Status)?;
    let status = status.parse().map_err(|_| LineError::Status)?;
    let bytes = match numbers.next().ok_or(LineError::Bytes)? {
        "-" => None,
        bytes => Some(bytes.parse().map_err(|_| LineError::Bytes)?),
    };
    let (referrer, user_agent) = parse_tail(numbers.next().unwrap_or("")).ok_or(LineError::Tail)?;
    Ok(LogLine { client, time_us, method, target, status, bytes, referrer, user_agent })
}

type Tail<'a> = (Option<Cow<'a, str>>, Option<Cow<'a, str>>);

/// Referrer and agent; the Common Log Format has neither.
fn parse_tail(tail: &str) -> Option<Tail<'_>> {
    if tail.trim().is_empty() {
        return Some((None, None));
    }
    let (referrer, rest) = quoted(tail.trim_start())?;
    let (user_agent, _) = quoted(rest.trim_start())?;
    let given = |text: &str| !text.is_empty() && text != "-";
    Some((given(referrer).then(|| unescape(referrer)), given(user_agent).then(|| unescape(user_agent))))
}

/// The escaped text between quotes, and what follows them.
fn quoted(text: &str) -> Option<(&str, &str)> {
    let inner = text.strip_prefix('"')?;
    let mut escaped = false;
    let end = inner.bytes().position(|byte| {
        let ends = byte == b'"' && !escaped;
        escaped = byte == b'\\' && !escaped;
        ends
    })?;
    Some((&inner[..end], &inner[end + 1..]))
}

fn parse_request(request: &str) -> Option<(Cow<'_, str>, Cow<'_, str>)> {
    let (method, rest) = request.split_once(' ')?;
    let (target, protocol) = rest.rsplit_once(' ')?;
    let is_method = !method.is_empty() && method.bytes().all(|byte| byte.is_ascii_uppercase());
    let is_target = target.starts_with('/') || target.contains("://") || target == "*";
    (is_method && is_target && protocol.starts_with("HTTP/")).then(|| (method.into(), unescape(target)))
}

/// Undoes what the server escaped.
fn unescape(text: &str) -> Cow<'_, str> {
    if !text.contains('\\') {
        return text.into();
    }
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.as_bytes().iter();
    while let Some(byte) = bytes.next() {
        if *byte != b'\\' {
            out.push(*byte);
            continue;
        }
        let (decoded, length) = escape(bytes.as_slice());
        out.push(decoded);
        bytes = bytes.as_slice()[length..].iter();
    }
    String::from_utf8_lossy(&out).into_owned().into()
}

/// What the bytes after a backslash stand for, and how many they are; a backslash that escapes nothing is itself.
fn escape(after: &[u8]) -> (u8, usize) {
    let digit = |byte: u8| char::from(byte).to_digit(16).map(|digit| digit as u8);
    match after {
        [b'x', high, low, ..] => match (digit(*high), digit(*low)) {
            (Some(high), Some(low)) => (high << 4 | low, 3),
            _ => (b'\\', 0),
        },
        [b't', ..] => (b'\t', 1),
        [b'n', ..] => (b'\n', 1),
        [escaped @ (b'"' | b'\\'), ..] => (*escaped, 1),
        _ => (b'\\', 0),
    }
}

const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// `10/Oct/2000:13:55:36 -0700`.
fn parse_time(text: &str) -> Option<i64> {
    let bytes = text.as_bytes();
    let separators = [(2, b'/'), (6, b'/'), (11, b':'), (14, b':'), (17, b':'), (20, b' ')];
    if bytes.len() != 26 || !text.is_ascii() || separators.iter().any(|(at, byte)| bytes[*at] != *byte) {
        return None;
    }
    let number = |range: std::ops::Range<usize>| {
        let digits = &text[range];
        digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse::<i16>().ok()).flatten()
    };
    let small = |range| number(range).and_then(|number| i8::try_from(number).ok());
    let month = MONTHS.iter().position(|month| *month == &text[3..6])? as i8 + 1;
    let date = civil::Date::new(number(7..11)?, month, small(0..2)?).ok()?;
    let time = civil::Time::new(small(12..14)?, small(15..17)?, small(18..20)?, 0).ok()?;
    let minutes = i64::from(number(22..24)?) * 60 + i64::from(number(24..26)?);
    let east = match bytes[21] {
        b'+' => minutes,
        b'-' => -minutes,
        _ => return None,
    };
    let utc = jiff::tz::TimeZone::UTC.to_timestamp(date.to_datetime(time)).ok()?;
    Some(utc.as_microsecond() - east * 60_000_000)
}

#[cfg(test)]
mod tests;
