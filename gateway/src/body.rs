//! From a request to the whole body, under caps.
//!
//! Responsible for reading and inflating. Promises that no more than the caps is ever held, raw or inflated, that every
//! byte held is on the scale of `load_shed` before it is, and that a body which comes in one piece is not copied. What
//! the bytes mean is the dialect's business; `Content-Type` is not looked at, since real clients send any.

pub(crate) mod encoding;
pub(crate) mod inflate;

use std::{error::Error, io, pin::pin, time::Duration};

use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::{
    HeaderMap,
    body::{Body, Incoming},
    header::EXPECT,
};
use tokio::time::{Instant, sleep_until, timeout};

pub(crate) use self::encoding::ACCEPTED;
use self::{encoding::Encodings, inflate::inflate};

use crate::{
    load_shed::Seat,
    rejection::{Code, Rejection},
};

/// Room made for a body at first, if it is not announced to be smaller.
const ROOM_BYTES: usize = 64 << 10;

/// Caps on one body.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BodyBound {
    /// As it comes over the wire.
    pub(crate) raw_bytes_max: usize,
    pub(crate) inflated_bytes_max: usize,
}

/// What a client announces about a body before sending it.
pub(crate) fn announced_bytes(body: &impl Body) -> usize {
    usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX)
}

/// How long a body may take.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Patience {
    /// For all of it.
    pub(crate) until: Instant,
    /// Without a byte.
    pub(crate) silence: Duration,
}

/// Reads the whole body and inflates it if it is compressed. The `seat` may already hold a part of it.
pub(crate) async fn read<B: Body<Data = Bytes, Error: Error> + Unpin>(
    headers: &HeaderMap,
    body: &mut B,
    seat: &mut Seat,
    bound: &BodyBound,
    patience: Patience,
) -> Result<Bytes, Rejection> {
    check_expectation(headers)?;
    let encodings = Encodings::of_headers(headers)?;
    let mut whole = collect(body, seat, bound.raw_bytes_max, patience).await?;
    for encoding in encodings.to_undo(&whole) {
        whole = inflate(encoding, &whole, seat, bound.inflated_bytes_max)?.into();
    }
    Ok(whole)
}

/// A client that waits for `100 Continue` gets it when the body is first asked for, so after everything that can refuse
/// it by its head. It is the only expectation there is (RFC 9110, section 10.1.1).
fn check_expectation(headers: &HeaderMap) -> Result<(), Rejection> {
    if headers.get_all(EXPECT).iter().all(|value| value.as_bytes().eq_ignore_ascii_case(b"100-continue")) {
        return Ok(());
    }
    Err(Rejection::new(Code::ExpectationFailed, "this Expect cannot be met: send 100-continue or leave it out"))
}

async fn collect<B: Body<Data = Bytes, Error: Error> + Unpin>(
    body: &mut B,
    seat: &mut Seat,
    bytes_max: usize,
    patience: Patience,
) -> Result<Bytes, Rejection> {
    let announced = announced_bytes(body);
    if announced > bytes_max {
        return Err(too_large(bytes_max));
    }
    let mut whole = Vec::new();
    // One timer for the whole body: it looks whether anything came since it was set.
    let mut alarm = pin!(sleep_until(patience.next()));
    let mut seen_bytes = 0;
    loop {
        let frame = tokio::select! {
            biased;
            frame = body.frame() => frame,
            () = &mut alarm => {
                if whole.len() == seen_bytes || Instant::now() >= patience.until {
                    return Err(too_slow());
                }
                seen_bytes = whole.len();
                alarm.as_mut().reset(patience.next());
                continue;
            }
        };
        let Some(frame) = frame else { return Ok(whole.into()) };
        let Ok(data) = frame.map_err(|error| broken(&error))?.into_data() else { continue };
        let bytes = whole.len() + data.len();
        if bytes > bytes_max {
            return Err(too_large(bytes_max));
        }
        if bytes > seat.bytes() {
            seat.grow(bytes - seat.bytes())?;
        }
        // Where nothing was announced, an empty frame at the start is not the whole.
        if whole.is_empty() && bytes == announced && bytes > 0 {
            return Ok(data);
        }
        if whole.capacity() < bytes {
            // Room for what has come, and for as much again at most: what is announced may never come.
            let rest = announced.saturating_sub(whole.len());
            whole.reserve_exact(rest.min(bytes.max(ROOM_BYTES)));
        }
        whole.extend_from_slice(&data);
    }
}

impl Patience {
    fn next(self) -> Instant {
        self.until.min(Instant::now() + self.silence)
    }
}

fn too_slow() -> Rejection {
    Rejection::new(Code::BodyTimeout, "the body took too long: send it faster or in parts")
}

/// Why no more of a body can be had: its chunks make no sense, or it ended early.
fn broken(error: &impl Error) -> Rejection {
    let cause = error.source().and_then(|cause| cause.downcast_ref::<io::Error>()).map(io::Error::kind);
    match cause {
        Some(io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData) => {
            Rejection::new(Code::MalformedRequest, "the chunks of the body break HTTP's rules: correct the client")
        }
        _ => Rejection::new(Code::BodyIncomplete, "the body broke off: send it again"),
    }
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
    let _ = timeout(PATIENCE, rest).await;
}
