//! One attempt over HTTP.
//!
//! Responsible for connections that are kept alive and for telling apart what was certainly not sent from what may have
//! arrived. Promises an end within the timeout, whatever the server does. Leaves the meaning of an answer to `reply`.

use std::borrow::Cow;
use std::io;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::header::{CONTENT_TYPE, HOST, HeaderValue, RETRY_AFTER};
use hyper::{Method, Request, Response, Uri};
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use tokio::net::TcpStream;
use url::Url;

/// The largest answer that is read, in bytes: a reply about ten thousand rejected events fits.
const ANSWER_BYTES_MAX: usize = 8 << 20;

/// Where events are sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    address: String,
    host: HeaderValue,
    path: Uri,
}

/// Why a text is no target.
#[derive(Debug, thiserror::Error)]
pub enum TargetError {
    /// No URL at all.
    #[error("target {text:?} is not a URL ({source}): give something like http://127.0.0.1:8080")]
    NotAUrl {
        /// What was given.
        text: String,
        /// What is wrong with it.
        source: url::ParseError,
    },
    /// A URL of another kind.
    #[error("target {text:?} is not an http:// URL with a host: give something like http://127.0.0.1:8080")]
    NotHttp {
        /// What was given.
        text: String,
    },
}

impl Target {
    /// Reads the URL of a gateway. Without a path of its own it means the native route, `/v1/events`.
    pub fn parse(text: &str) -> Result<Self, TargetError> {
        let url = Url::parse(text).map_err(|source| TargetError::NotAUrl { text: text.to_owned(), source })?;
        let not_http = || TargetError::NotHttp { text: text.to_owned() };
        let (Some(host), Some(port), "http") = (url.host_str(), url.port_or_known_default(), url.scheme()) else {
            return Err(not_http());
        };
        let address = format!("{host}:{port}");
        let path = match (url.path(), url.query()) {
            ("/", None) => "/v1/events".to_owned(),
            ("/", Some(query)) => format!("/v1/events?{query}"),
            (path, None) => path.to_owned(),
            (path, Some(query)) => format!("{path}?{query}"),
        };
        Ok(Target {
            host: HeaderValue::from_str(&address).map_err(|_| not_http())?,
            path: path.parse().map_err(|_| not_http())?,
            address,
        })
    }

    /// Whether somebody listens there.
    pub async fn probe(&self, timeout: Duration) -> Result<(), io::Error> {
        tokio::time::timeout(timeout, TcpStream::connect(&self.address)).await??;
        Ok(())
    }

    /// Host and port.
    pub fn address(&self) -> &str {
        &self.address
    }
}

/// How an attempt ended.
#[derive(Clone, Debug)]
pub enum Attempt {
    /// With an answer.
    Answered {
        /// The HTTP status.
        status: u16,
        /// The header of that name, in seconds.
        retry_after: Option<u64>,
        /// The whole body.
        body: Bytes,
    },
    /// Before a single byte was sent: it cannot have arrived.
    NotSent {
        /// Why, in a few words.
        why: Cow<'static, str>,
    },
    /// After something was sent: it may have arrived.
    Lost {
        /// Why, in a few words.
        why: Cow<'static, str>,
    },
}

type Connection = SendRequest<Full<Bytes>>;

/// Connections to one target that are not in use.
#[derive(Debug)]
pub(super) struct Pool {
    target: Target,
    idle: Mutex<Vec<Connection>>,
}

impl Pool {
    pub(super) fn new(target: Target) -> Self {
        Pool { target, idle: Mutex::new(Vec::new()) }
    }

    /// Sends `body` once and waits for the answer, `timeout` in all.
    pub(super) async fn attempt(&self, body: Bytes, timeout: Duration) -> Attempt {
        let ends = tokio::time::Instant::now() + timeout;
        loop {
            let (mut connection, fresh) = match tokio::time::timeout_at(ends, self.connection()).await {
                Ok(Ok(connection)) => connection,
                Ok(Err(why)) => return Attempt::NotSent { why },
                Err(_) => return Attempt::NotSent { why: "connecting took too long".into() },
            };
            let answer = tokio::time::timeout_at(ends, connection.try_send_request(self.request(body.clone()))).await;
            let response = match answer {
                Ok(Ok(response)) => response,
                // The server closed a connection that was kept alive and hyper gave the request back untouched: take
                // the next one. A fresh connection that does so is not tried again.
                Ok(Err(error)) if error.message().is_some() && !fresh => continue,
                Ok(Err(error)) if error.message().is_some() => return Attempt::NotSent { why: kind(error.error()) },
                Ok(Err(error)) => return Attempt::Lost { why: kind(error.error()) },
                Err(_) => return Attempt::Lost { why: "it took too long".into() },
            };
            return match tokio::time::timeout_at(ends, read(response)).await {
                Ok(Ok(answered)) => {
                    self.idle.lock().push(connection);
                    answered
                }
                Ok(Err(_)) => Attempt::Lost { why: "the answer broke off".into() },
                Err(_) => Attempt::Lost { why: "it took too long".into() },
            };
        }
    }

    /// An idle connection, or a fresh one (`true`).
    async fn connection(&self) -> Result<(Connection, bool), Cow<'static, str>> {
        while let Some(mut connection) = self.next_idle() {
            if connection.ready().await.is_ok() {
                return Ok((connection, false));
            }
        }
        let stream = TcpStream::connect(&self.target.address).await.map_err(|error| connect_error(&error))?;
        // Without it a small request waits for the acknowledgement of the one before.
        let _ = stream.set_nodelay(true);
        let (sender, connection) = handshake(TokioIo::new(stream)).await.map_err(|error| kind(&error))?;
        // Errors of the connection reach whoever has a request on it.
        tokio::spawn(connection);
        Ok((sender, true))
    }

    fn next_idle(&self) -> Option<Connection> {
        self.idle.lock().pop()
    }

    fn request(&self, body: Bytes) -> Request<Full<Bytes>> {
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self.target.path.clone();
        request.headers_mut().insert(HOST, self.target.host.clone());
        request.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        request
    }
}

async fn read(response: Response<Incoming>) -> Result<Attempt, Box<dyn std::error::Error + Send + Sync>> {
    let status = response.status().as_u16();
    let retry_after = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.trim().parse().ok());
    let body = Limited::new(response.into_body(), ANSWER_BYTES_MAX).collect().await?.to_bytes();
    Ok(Attempt::Answered { status, retry_after, body })
}

fn connect_error(error: &io::Error) -> Cow<'static, str> {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => "connection refused".into(),
        io::ErrorKind::ConnectionReset => "connection reset".into(),
        other => format!("cannot connect: {other}").into(),
    }
}

/// In a few words: the text of an error has addresses and numbers in it and would make a counter each.
fn kind(error: &hyper::Error) -> Cow<'static, str> {
    let source = std::error::Error::source(error).and_then(|source| source.downcast_ref::<io::Error>());
    match source.map(io::Error::kind) {
        Some(io::ErrorKind::ConnectionReset) => "connection reset".into(),
        Some(io::ErrorKind::BrokenPipe) => "connection closed by the server".into(),
        Some(other) => other.to_string().into(),
        None if error.is_incomplete_message() => "connection closed by the server".into(),
        None if error.is_parse() => "not HTTP".into(),
        None if error.is_canceled() => "connection closed before sending".into(),
        None => "connection error".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Option<(&str, &str)>) {
        let target = Target::parse(text).ok();
        let got = target.as_ref().map(|target| (target.address(), target.path.path_and_query().unwrap().as_str()));
        assert_eq!(got, expected, "{text}");
    }

    #[test]
    fn a_target_is_an_http_url_and_its_path_is_optional() {
        check("http://127.0.0.1:8080", Some(("127.0.0.1:8080", "/v1/events")));
        check("http://127.0.0.1:8080/", Some(("127.0.0.1:8080", "/v1/events")));
        check("http://gateway", Some(("gateway:80", "/v1/events")));
        check("http://[::1]:9/x?writeKey=k", Some(("[::1]:9", "/x?writeKey=k")));
        check("https://gateway", None);
        check("127.0.0.1:8080", None);
        check("gateway", None);
        check("", None);
    }
}
