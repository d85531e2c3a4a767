//! Where each request of an HTTP/1 connection begins and ends.
//!
//! Responsible for following the bytes before hyper sees them, as strictly as RFC 9112 allows: two parsers that disagree
//! about the end of a request let a client smuggle one past a proxy, and hyper reads more shapes than it should. Promises
//! that a request passes only if there is one way to read its end; everything else about a head is left to hyper.

use memchr::memchr;

/// Request line and headers of one request, and the trailers of a chunked body.
pub(super) const HEAD_BYTES_MAX: usize = 64 << 10;

/// One line with the size of a chunk. Nobody uses the extensions that may stand behind it.
const CHUNK_LINE_BYTES_MAX: usize = 1 << 10;

/// Why the bytes of a connection are not followed any further.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// In a head: nobody knows what is asked for.
    Head(&'static str),
    HeadTooLarge,
    /// In a body: the request itself is known.
    Body,
}

/// Follows the requests of one connection.
#[derive(Debug, Default)]
pub(super) struct Framing {
    place: Place,
    /// A line of which the end has not come.
    partial: Vec<u8>,
    /// Bytes of the head, or of the trailers, so far.
    head_bytes: usize,
    head: Head,
}

#[derive(Clone, Copy, Debug, Default)]
enum Place {
    /// Before or in a request line.
    #[default]
    Start,
    Fields,
    Body(u64),
    ChunkLine,
    /// A chunk and the line end behind it.
    Chunk(u64),
    Trailers,
}

/// What a head has said so far.
#[derive(Clone, Copy, Debug, Default)]
struct Head {
    is_http_10: bool,
    length: Option<u64>,
    is_chunked: bool,
    has_host: bool,
}

impl Framing {
    /// Follows `bytes`. On a fault also says how many of them belong to earlier requests, or to the body before it.
    pub(super) fn follow(&mut self, bytes: &[u8]) -> Result<(), (usize, Fault)> {
        let (mut at, mut request_at) = (0, 0);
        while at < bytes.len() {
            let rest = &bytes[at..];
            match &mut self.place {
                Place::Body(left) | Place::Chunk(left) => {
                    let taken = (*left).min(rest.len() as u64);
                    *left -= taken;
                    at += taken as usize;
                    if *left == 0 {
                        self.place = if matches!(self.place, Place::Body(_)) { Place::Start } else { Place::ChunkLine };
                    }
                }
                _ => {
                    if matches!(self.place, Place::Start) && self.partial.is_empty() {
                        request_at = at;
                    }
                    let (line_at, end) = (at, memchr(b'\n', rest));
                    at += end.map_or(rest.len(), |end| end + 1);
                    let followed = match end {
                        Some(end) if self.partial.is_empty() => self.line(&rest[..end]),
                        end => self.piece(&rest[..end.unwrap_or(rest.len())], end.is_some()),
                    };
                    followed.map_err(|fault| (if fault == Fault::Body { line_at } else { request_at }, fault))?;
                }
            }
        }
        Ok(())
    }

    /// A piece of a line that came in several.
    fn piece(&mut self, piece: &[u8], is_last: bool) -> Result<(), Fault> {
        if self.head_bytes + self.partial.len() + piece.len() > HEAD_BYTES_MAX {
            return Err(self.too_large());
        }
        self.partial.extend_from_slice(piece);
        if !is_last {
            return Ok(());
        }
        let line = std::mem::take(&mut self.partial);
        self.line(&line)
    }

    /// A line without its line feed.
    fn line(&mut self, line: &[u8]) -> Result<(), Fault> {
        self.head_bytes += line.len() + 1;
        if self.head_bytes > HEAD_BYTES_MAX {
            return Err(self.too_large());
        }
        let line = line.strip_suffix(b"\r").ok_or_else(|| self.fault("a line of the head ends without CR"))?;
        match self.place {
            // An empty line before a request (RFC 9112, section 2.2).
            Place::Start if line.is_empty() => Ok(()),
            Place::Start => {
                self.head = Head { is_http_10: line.ends_with(b" HTTP/1.0"), ..Head::default() };
                self.place = Place::Fields;
                Ok(())
            }
            Place::Fields if line.is_empty() => self.end_of_head(),
            Place::Fields => self.head.field(line).map_err(Fault::Head),
            Place::ChunkLine => self.chunk(line),
            Place::Trailers if line.is_empty() => {
                self.begin(Place::Start);
                Ok(())
            }
            Place::Trailers => Ok(()),
            Place::Body(_) | Place::Chunk(_) => unreachable!("these have no lines"),
        }
    }

    fn end_of_head(&mut self) -> Result<(), Fault> {
        let Head { length, is_chunked, .. } = self.head;
        self.begin(match (is_chunked, length) {
            (true, Some(_)) => return Err(Fault::Head("Content-Length and Transfer-Encoding contradict each other")),
            (true, None) => Place::ChunkLine,
            (false, None | Some(0)) => Place::Start,
            (false, Some(length)) => Place::Body(length),
        });
        Ok(())
    }

    /// The size of a chunk, in hexadecimal digits, and extensions (RFC 9112, section 7.1).
    fn chunk(&mut self, line: &[u8]) -> Result<(), Fault> {
        let digits = line.iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
        let extension = &line[digits..];
        let is_extension = extension.is_empty() || extension.starts_with(b";");
        if !(1..=15).contains(&digits) || !is_extension || line.len() > CHUNK_LINE_BYTES_MAX {
            return Err(Fault::Body);
        }
        let size = line[..digits].iter().fold(0_u64, |size, digit| size << 4 | u64::from(hex(*digit)));
        self.begin(if size == 0 { Place::Trailers } else { Place::Chunk(size + 2) });
        Ok(())
    }

    fn begin(&mut self, place: Place) {
        self.place = place;
        self.head_bytes = 0;
    }

    fn fault(&self, what: &'static str) -> Fault {
        if matches!(self.place, Place::Start | Place::Fields) { Fault::Head(what) } else { Fault::Body }
    }

    fn too_large(&self) -> Fault {
        if matches!(self.place, Place::Start | Place::Fields) { Fault::HeadTooLarge } else { Fault::Body }
    }
}

impl Head {
    fn field(&mut self, line: &[u8]) -> Result<(), &'static str> {
        let name_bytes = memchr(b':', line).ok_or("a header has no colon")?;
        let (name, value) = (&line[..name_bytes], line[name_bytes + 1..].trim_ascii());
        if line[0] == b' ' || line[0] == b'\t' {
            return Err("a header goes on in the next line");
        }
        if name.last().is_none_or(u8::is_ascii_whitespace) {
            return Err("there is a space before the colon of a header");
        }
        // Most headers are none of these, which their length tells at once.
        match name_bytes {
            14 if name.eq_ignore_ascii_case(b"content-length") => {
                let length = decimal(value).ok_or("Content-Length is no number")?;
                if self.length.replace(length).is_some_and(|other| other != length) {
                    return Err("there are two values of Content-Length");
                }
            }
            17 if name.eq_ignore_ascii_case(b"transfer-encoding") => {
                if self.is_chunked || self.is_http_10 || !value.eq_ignore_ascii_case(b"chunked") {
                    return Err("Transfer-Encoding is something else than chunked, once, in HTTP/1.1");
                }
                self.is_chunked = true;
            }
            4 if name.eq_ignore_ascii_case(b"host") && std::mem::replace(&mut self.has_host, true) => {
                return Err("there are two of Host");
            }
            _ => {}
        }
        Ok(())
    }
}

/// Digits and nothing else: no sign, no space, no list.
fn decimal(text: &[u8]) -> Option<u64> {
    let is_decimal = (1..=18).contains(&text.len()) && text.iter().all(u8::is_ascii_digit);
    is_decimal.then(|| text.iter().fold(0, |number, digit| number * 10 + u64::from(digit - b'0')))
}

fn hex(digit: u8) -> u8 {
    match digit {
        b'0'..=b'9' => digit - b'0',
        other => (other | 0x20) - b'a' + 10,
    }
}

#[cfg(test)]
mod tests;
