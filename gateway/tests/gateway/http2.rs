//! Goal: HTTP/2 serves what HTTP/1 serves, and ends as well. Method: the client side of the `h2` crate, in the clear with
//! prior knowledge; raw frames where a client has to misbehave.

use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpStream},
};

use bytes::Bytes;
use gateway::Log;
use h2::client::SendRequest;
use hyper::{Request, Response};
use tokio::io::{AsyncRead, AsyncWrite};

use crate::harness::{Gateway, PATIENCE, event, journal, stored, until};

/// A client on one connection.
pub(crate) struct Client {
    pub(crate) send: SendRequest<Bytes>,
}

impl Client {
    pub(crate) async fn over(io: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) -> Client {
        let (send, connection) = h2::client::handshake(io).await.unwrap();
        tokio::spawn(connection);
        Client { send }
    }

    async fn connect(address: SocketAddr) -> Client {
        Client::over(tokio::net::TcpStream::connect(address).await.unwrap()).await
    }

    pub(crate) async fn post(&self, body: String) -> Response<String> {
        let (answer, mut sending) =
            self.send.clone().ready().await.unwrap().send_request(request("/v1/events"), false).unwrap();
        sending.send_data(body.into(), true).unwrap();
        whole(answer.await.unwrap()).await
    }
}

fn request(path: &str) -> Request<()> {
    Request::post(format!("http://x{path}")).body(()).unwrap()
}

async fn whole(answer: Response<h2::RecvStream>) -> Response<String> {
    let (head, mut body) = answer.into_parts();
    let mut text = String::new();
    while let Some(data) = body.data().await {
        text.push_str(str::from_utf8(&data.unwrap()).unwrap());
    }
    Response::from_parts(head, text)
}

fn on_runtime<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async { tokio::time::timeout(PATIENCE, work).await }).expect("it ends")
}

#[test]
fn many_requests_share_a_connection() {
    let (_dir, journal) = journal(1);
    let gateway = Gateway::start(Log::journal(journal.clone()), |_| {});
    on_runtime(async {
        let client = Client::connect(gateway.address).await;
        // Its answer comes after the settings, which say how many streams there may be.
        assert_eq!(client.post(event("u", 0)).await.status().as_u16(), 200);
        let answers = (1..300).map(|n| client.post(event("u", n)));
        for answer in futures::future::join_all(answers).await {
            assert_eq!((answer.status().as_u16(), answer.body().contains("\"accepted\":1")), (200, true));
            assert_eq!(answer.headers()["content-type"], "application/json");
        }
        assert_eq!(gateway.metric("gateway_connections"), 1);
        let answer = client.post("[]".to_owned()).await;
        assert_eq!((answer.status().as_u16(), answer.body().contains("empty_batch")), (400, true));
        let large = client.post(" ".repeat(6 << 20)).await;
        assert_eq!(large.status().as_u16(), 413);
        assert_eq!(client.post(event("u", 300)).await.status().as_u16(), 200);
    });
    assert_eq!(stored(&journal).len(), 301);
    gateway.check_ledger();
    gateway.stop();
}

#[test]
fn requests_in_flight_are_answered_when_the_gateway_ends() {
    let (_dir, journal) = journal(1);
    let gateway = Gateway::start(Log::journal(journal.clone()), |_| {});
    on_runtime(async {
        let mut client = Client::connect(gateway.address).await;
        let (answer, mut sending) = client.send.send_request(request("/v1/events"), false).unwrap();
        let body = event("u", 1);
        let (first, second) = body.split_at(10);
        sending.send_data(Bytes::copy_from_slice(first.as_bytes()), false).unwrap();
        while gateway.metric("gateway_body_bytes_in_flight") == 0 {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
        gateway.ask_to_stop();
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        assert!(!gateway.has_ended());
        sending.send_data(Bytes::copy_from_slice(second.as_bytes()), true).unwrap();
        assert_eq!(whole(answer.await.unwrap()).await.status().as_u16(), 200);
    });
    assert_eq!(stored(&journal), ["u-1"]);
    gateway.stop();
}

#[test]
fn an_idle_connection_ends_whatever_it_pings() {
    let (_dir, journal) = journal(1);
    let gateway = Gateway::start(Log::journal(journal), |settings| {
        settings.header_timeout = std::time::Duration::from_millis(100);
        settings.idle_timeout = std::time::Duration::from_millis(400);
    });
    let mut raw = Raw::connect(gateway.address);
    until("it is connected", || gateway.metric("gateway_connections") == 1);
    until("the connection ends", || {
        raw.frame(6, 0, 0, &[0; 8]);
        gateway.metric("gateway_connections") == 0
    });
    assert_eq!(gateway.metric(r#"gateway_timeouts_total{phase="idle"}"#), 1);
    gateway.stop();
}

#[test]
fn streams_that_are_reset_at_once_end_the_connection() {
    let (_dir, journal) = journal(1);
    let gateway = Gateway::start(Log::journal(journal.clone()), |_| {});
    let mut raw = Raw::connect(gateway.address);
    raw.rapid_reset(20_000);
    // GOAWAY with ENHANCE_YOUR_CALM.
    assert_eq!(raw.goes_away(), Some(11));
    until("the connection ends", || gateway.metric("gateway_connections") == 0);
    assert_eq!(gateway.metric(r#"gateway_connections_failed_total{reason="http2"}"#), 1);
    assert_eq!(gateway.post(event("u", 1)).status, 200);
    until("no request is left", || gateway.metric("gateway_requests_in_flight") == 0);
    gateway.check_ledger();
    gateway.stop();
}

/// A client that writes frames as it likes.
pub(crate) struct Raw {
    stream: TcpStream,
    pub(crate) is_cut_off: bool,
}

impl Raw {
    /// Says the preface and empty settings.
    pub(crate) fn connect(address: SocketAddr) -> Raw {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(std::time::Duration::from_secs(2))).unwrap();
        let mut raw = Raw { stream, is_cut_off: false };
        raw.send(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
        raw.frame(4, 0, 0, &[]);
        raw
    }

    fn send(&mut self, bytes: &[u8]) {
        self.is_cut_off |= self.stream.write_all(bytes).is_err();
    }

    pub(crate) fn frame(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
        self.send(&frame(kind, flags, stream, payload));
    }

    /// Opens `count` streams and resets each at once.
    pub(crate) fn rapid_reset(&mut self, count: u32) {
        // POST http://x/ in the static table of RFC 7541.
        let headers = [0x83, 0x86, 0x84, 0x41, 1, b'x'];
        for first in (0..count).step_by(100) {
            let batch: Vec<u8> = (first..count.min(first + 100))
                .flat_map(|n| [frame(1, 4, 2 * n + 1, &headers), frame(3, 0, 2 * n + 1, &8_u32.to_be_bytes())].concat())
                .collect();
            self.send(&batch);
        }
    }

    /// The same frame many times.
    pub(crate) fn repeat(&mut self, times: usize, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
        let batch = frame(kind, flags, stream, payload).repeat(100);
        for _ in 0..times.div_ceil(100) {
            if !self.is_cut_off {
                self.send(&batch);
            }
        }
    }

    /// How the connection ended, or that the gateway stopped reading.
    pub(crate) fn end(mut self) -> String {
        self.stream.set_read_timeout(Some(std::time::Duration::from_secs(2))).unwrap();
        let cut_off = if self.is_cut_off { "not read to the end, " } else { "" };
        match self.goes_away() {
            Some(code) => format!("{cut_off}GOAWAY {code}"),
            None => format!("{cut_off}no GOAWAY"),
        }
    }

    /// Reads to the end; the error code of GOAWAY, if there was one.
    pub(crate) fn goes_away(&mut self) -> Option<u32> {
        let mut bytes = Vec::new();
        let _ = self.stream.read_to_end(&mut bytes);
        let mut rest = &bytes[..];
        let mut code = None;
        while let Some((head, tail)) = rest.split_at_checked(9) {
            let length = usize::from(head[0]) << 16 | usize::from(head[1]) << 8 | usize::from(head[2]);
            let Some((payload, tail)) = tail.split_at_checked(length) else { break };
            if head[3] == 7 {
                code = payload.get(4..8).map(|code| u32::from_be_bytes(code.try_into().unwrap()));
            }
            rest = tail;
        }
        code
    }
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = (payload.len() as u32).to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}
