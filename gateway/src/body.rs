//! From a request to the whole body, under caps.
//!
//! Responsible for reading and inflating. Promises that no more than the caps is ever held, raw or inflated, that every
//! byte held is on the scale of `load_shed` before it is, and that a body which comes in one piece is not copied. What
//! the bytes mean is the dialect's business; `Content-Type` is not looked at, since real clients send any.

pub(crate) mod inflate;

use std::time::Duration;

use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::{
    HeaderMap,
    body::{Body, Incoming},
    header::{CONTENT_ENCODING, EXPECT},
};
use tokio::time::{Instant, timeout_at};

use crate::{
    load_shed::Seat,
    rejection::{Code, Rejection},
};

/// Caps on one body.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BodyBound {
    /// As it comes over the wire.
    pub(crate) raw_bytes_max: usize,
    pub(crate) inflated_bytes_max: usize,
}

/// What a client announces about a body before sending it.
pub(crate) fn announced_bytes(body: &Incoming) -> usize {
    usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX)
}

/// Reads the whole body and inflates it if it is compressed. The `seat` may already hold a part of it.
pub(crate) async fn read(
    headers: &HeaderMap,
    body: &mut Incoming,
    seat: &mut Seat,
    bound: &BodyBound,
    deadline: Instant,
) -> Result<Bytes, Rejection> {
    let gzip = is_gzip(headers)?;
    let raw = timeout_at(deadline, collect(body, seat, bound.raw_bytes_max))
        .await
        .map_err(|_| Rejection::new(Code::BodyTimeout, "the body took too long: send it faster or in parts"))??;
    if gzip || raw.starts_with(&inflate::MAGIC) {
        return inflate::inflate(&raw, seat, bound.inflated_bytes_max).map(Bytes::from);
    }
    Ok(raw)
}

/// Whether `Content-Encoding` says gzip. Without it, gzip is still recognised by its first bytes.
fn is_gzip(headers: &HeaderMap) -> Result<bool, Rejection> {
    let Some(encoding) = headers.get(CONTENT_ENCODING) else { return Ok(false) };
    match encoding.as_bytes().trim_ascii().to_ascii_lowercase().as_slice() {
        b"gzip" | b"x-gzip" => Ok(true),
        b"" | b"identity" => Ok(false),
        _ => Err(Rejection::new(
            Code::UnsupportedEncoding,
            "this Content-Encoding is not supported: send gzip or leave it uncompressed",
        )),
    }
}

async fn collect(body: &mut Incoming, seat: &mut Seat, bytes_max: usize) -> Result<Bytes, Rejection> {
    let announced = announced_bytes(body);
    if announced > bytes_max {
        return Err(too_large(bytes_max));
    }
    let mut whole = Vec::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| Rejection::new(Code::BodyIncomplete, "the body broke off: send it again"))?;
        let Ok(data) = frame.into_data() else { continue };
        let bytes = whole.len() + data.len();
        if bytes > bytes_max {
            return Err(too_large(bytes_max));
        }
        if bytes > seat.bytes() {
            seat.grow(bytes - seat.bytes())?;
        }
        if whole.is_empty() && bytes == announced {
            return Ok(data);
        }
        whole.reserve_exact(announced.saturating_sub(whole.len()));
        whole.extend_from_slice(&data);
    }
    Ok(whole.into())
}

fn too_large(bytes_max: usize) -> Rejection {
    Rejection::new(Code::BodyTooLarge, format!("the body has more than {bytes_max} bytes: send smaller batches"))
}

/// Reads what is left of a refused body and throws it away, within reason. Closing a socket with unread bytes resets
/// the connection, and the client would see that instead of the answer. A client that waits for `100 Continue` has sent
/// nothing yet and need not.
pub(crate) async fn discard(headers: &HeaderMap, body: &mut Incoming, bytes_max: usize) {
    const PATIENCE: Duration = Duration::from_secs(2);
    if body.is_end_stream() || headers.contains_key(EXPECT) {
        return;
    }
    let rest = async {
        let mut bytes = 0;
        while let Some(Ok(frame)) = body.frame().await {
            bytes += frame.data_ref().map_or(0, Bytes::len);
            if bytes > bytes_max {
                return;
            }
        }
    };
    let _ = tokio::time::timeout(PATIENCE, rest).await;
}
