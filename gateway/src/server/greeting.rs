//! What a connection speaks, by its first bytes.
//!
//! Responsible for telling HTTP/1, HTTP/2 and TLS apart before anything is set up for them, so that a connection that
//! says nothing holds next to nothing. Promises that the bytes are still there for whoever reads them next.

use std::{io, time::Duration};

use tokio::{
    net::TcpStream,
    time::{sleep, timeout},
};

/// How HTTP/2 begins where both sides know about it beforehand (RFC 9113, section 3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// How a TLS handshake begins (RFC 8446, section 5.1).
const TLS_HANDSHAKE: u8 = 22;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Spoken {
    Http1,
    Http2,
    Tls,
}

/// Looks at the first bytes of `stream`. `None`: it was closed.
pub(super) async fn listen(stream: &TcpStream) -> io::Result<Option<Spoken>> {
    let mut first = [0; PREFACE.len()];
    let mut pause = Duration::from_millis(5);
    loop {
        let bytes = stream.peek(&mut first).await?;
        match &first[..bytes] {
            [] => return Ok(None),
            [TLS_HANDSHAKE, ..] => return Ok(Some(Spoken::Tls)),
            PREFACE => return Ok(Some(Spoken::Http2)),
            part if !PREFACE.starts_with(part) => return Ok(Some(Spoken::Http1)),
            // Bytes that were looked at do not wake anybody again, so the rest has to be looked for.
            _ => sleep(pause).await,
        }
        pause = (pause * 2).min(Duration::from_secs(1));
    }
}

/// Waits for the first byte. `None`: there was none in time.
pub(super) async fn first_byte(stream: &TcpStream, patience: Duration) -> Option<()> {
    timeout(patience, stream.peek(&mut [0])).await.ok().map(|_| ())
}
