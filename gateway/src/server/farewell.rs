//! The last word on a connection, where no request could be read from it.
//!
//! Responsible for answers that hyper does not write: to what is no HTTP, to one connection too many, to a head that
//! never ends. Promises the JSON that every refusal has, and a connection that is closed soon after.

use std::time::Duration;

use futures::FutureExt;
use http_body_util::BodyExt;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    time::timeout,
};

use crate::{
    Gateway, cors,
    rejection::{Code, Rejection},
    reply::Answer,
};

/// For a client that does not read its answer, or goes on sending.
const PATIENCE: Duration = Duration::from_secs(1);

/// Read and thrown away after the answer: closing a socket with unread bytes resets it, and the answer would be lost.
const UNREAD_BYTES_MAX: u64 = 1 << 20;

/// Books a request that could not be read, answers it, and closes.
pub(super) async fn refuse(gateway: &Gateway, mut io: impl AsyncRead + AsyncWrite + Unpin, rejection: Rejection) {
    let answer = Answer::Refused(rejection);
    gateway.ledger.open().close(&answer);
    let answer = bytes(answer, gateway.retry_after_seconds());
    let said = async {
        io.write_all(&answer).await?;
        io.shutdown().await?;
        tokio::io::copy(&mut (&mut io).take(UNREAD_BYTES_MAX), &mut tokio::io::sink()).await
    };
    let _ = timeout(PATIENCE, said).await;
}

/// Tells a connection over a cap to come back. It has asked for nothing yet, so there is nothing to book.
pub(super) async fn too_many(mut io: impl AsyncWrite + Unpin, retry_after_seconds: u32) {
    let rejection =
        Rejection::new(Code::Overloaded, "too many connections are open: send again, after Retry-After seconds");
    let _ = timeout(PATIENCE, io.write_all(&bytes(Answer::Refused(rejection), retry_after_seconds))).await;
    let _ = io.shutdown().await;
}

/// A whole answer, as it goes over the wire.
fn bytes(answer: Answer, retry_after_seconds: u32) -> Vec<u8> {
    let mut reply = answer.into_reply(|| retry_after_seconds);
    // No head was read that could have told the origin.
    cors::complete_public(&mut reply);
    let (head, body) = reply.into_parts();
    let body = body.collect().now_or_never().expect("a body in memory is there at once");
    let body = body.expect("a body in memory does not fail").to_bytes();
    let line = format!("HTTP/1.1 {}\r\nconnection: close\r\ncontent-length: {}\r\n", head.status, body.len());
    let mut bytes = line.into_bytes();
    for (name, value) in &head.headers {
        bytes.extend([name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"].concat());
    }
    bytes.extend_from_slice(b"\r\n");
    bytes.extend_from_slice(&body);
    bytes
}
