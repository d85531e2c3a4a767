//! Which compressions a body has gone through.
//!
//! Responsible for reading `Content-Encoding` (RFC 9110, section 8.4) and the first bytes of a body. Promises that what
//! is not known is refused with the list of what is. Undoing them is `inflate`'s work.

use hyper::{HeaderMap, header::CONTENT_ENCODING};

use crate::rejection::{Code, Rejection};

/// What a client may use, as `Accept-Encoding` says it beside a refusal.
pub(crate) const ACCEPTED: &str = "gzip, deflate, br, zstd";

/// More than two only make a bomb cheaper to send.
const STACKED_MAX: usize = 2;

/// One compression.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Encoding {
    Gzip,
    Deflate,
    Brotli,
    Zstd,
}

/// The compressions of a body, in the order in which they were applied.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Encodings([Option<Encoding>; STACKED_MAX]);

impl Encoding {
    /// What the bytes give away themselves. No JSON text begins like gzip (RFC 1952) or zstd (RFC 8878).
    fn of_magic(bytes: &[u8]) -> Option<Encoding> {
        match bytes {
            [0x1f, 0x8b, ..] => Some(Encoding::Gzip),
            [0x28, 0xb5, 0x2f, 0xfd, ..] => Some(Encoding::Zstd),
            _ => None,
        }
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Encoding::Gzip => "gzip",
            Encoding::Deflate => "deflate",
            Encoding::Brotli => "br",
            Encoding::Zstd => "zstd",
        }
    }
}

impl Encodings {
    /// Reads `Content-Encoding`.
    pub(super) fn of_headers(headers: &HeaderMap) -> Result<Encodings, Rejection> {
        let mut found = Encodings::default();
        let mut stacked = 0;
        for value in headers.get_all(CONTENT_ENCODING) {
            for name in value.as_bytes().split(|byte| *byte == b',') {
                let Some(encoding) = known(name.trim_ascii())? else { continue };
                *found.0.get_mut(stacked).ok_or_else(unsupported)? = Some(encoding);
                stacked += 1;
            }
        }
        Ok(found)
    }

    /// In the order in which they have to be undone. Without a header the first bytes tell.
    pub(super) fn to_undo(self, raw: &[u8]) -> impl Iterator<Item = Encoding> + use<> {
        let encodings = if self == Encodings::default() { [Encoding::of_magic(raw), None] } else { self.0 };
        encodings.into_iter().rev().flatten()
    }
}

fn known(name: &[u8]) -> Result<Option<Encoding>, Rejection> {
    let is = |names: &[&str]| names.iter().any(|known| name.eq_ignore_ascii_case(known.as_bytes()));
    if is(&["gzip", "x-gzip"]) {
        Ok(Some(Encoding::Gzip))
    } else if is(&["", "identity"]) {
        Ok(None)
    } else if is(&["deflate"]) {
        Ok(Some(Encoding::Deflate))
    } else if is(&["br"]) {
        Ok(Some(Encoding::Brotli))
    } else if is(&["zstd"]) {
        Ok(Some(Encoding::Zstd))
    } else {
        Err(unsupported())
    }
}

fn unsupported() -> Rejection {
    Rejection::new(
        Code::UnsupportedEncoding,
        "this Content-Encoding is not supported: send gzip, deflate, br or zstd, at most two of them, or none",
    )
}

#[cfg(test)]
mod tests {
    use hyper::header::HeaderValue;

    use super::*;

    #[track_caller]
    fn check(values: &[&'static str], raw: &[u8], expected: Option<&[Encoding]>) {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(CONTENT_ENCODING, HeaderValue::from_static(value));
        }
        let found = Encodings::of_headers(&headers).map(|encodings| encodings.to_undo(raw).collect::<Vec<_>>());
        match expected {
            Some(expected) => assert_eq!(found.expect("it is supported"), expected),
            None => assert_eq!(found.expect_err("it is not supported").code, Code::UnsupportedEncoding),
        }
    }

    #[test]
    fn the_last_applied_is_undone_first() {
        use Encoding::{Brotli, Deflate, Gzip, Zstd};
        check(&[], b"{}", Some(&[]));
        check(&["identity"], b"{}", Some(&[]));
        check(&["GZIP"], b"", Some(&[Gzip]));
        check(&["x-gzip, "], b"", Some(&[Gzip]));
        check(&["deflate, br"], b"", Some(&[Brotli, Deflate]));
        check(&["gzip", "identity, zstd"], b"", Some(&[Zstd, Gzip]));
        check(&["gzip, gzip, gzip"], b"", None);
        check(&["compress"], b"", None);
        check(&["gzip br"], b"", None);
        check(&[], b"\x1f\x8b\x08", Some(&[Gzip]));
        check(&[], b"\x28\xb5\x2f\xfd", Some(&[Zstd]));
        check(&["br"], b"\x1f\x8b\x08", Some(&[Brotli]));
    }
}
