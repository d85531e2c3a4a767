//! A gateway of a few lines that fails on purpose.
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use rand::rngs::Xoshiro256PlusPlus;
use rand::{RngExt, SeedableRng};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// What may happen to a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mood {
    /// Takes everything and says so.
    Good,
    /// Takes nothing: certain 503 with Retry-After.
    Overloaded,
    /// Takes everything, then closes the connection without an answer.
    TakesAndCloses,
    /// Takes nothing and closes the connection.
    Closes,
    /// Takes everything and never answers.
    TakesAndHangs,
    /// Takes everything up to some event; that one and its user's later ones were not taken, for certain.
    FailsSuffix,
    /// As before, but says that it does not know, and some of the suffix were taken.
    UnclearSuffix,
    /// Takes everything, but answers 200 with nonsense.
    Garbles,
    /// Takes everything, but says 503 delivery_unknown.
    UnclearAll,
    /// Refuses single events for good.
    RefusesSome,
    /// Says 200 and takes nothing: a lie that verification must find.
    Lies,
}

/// What was taken, in order: event id and user key.
pub(crate) type Log = Arc<Mutex<Vec<(String, String)>>>;

/// A running gateway; it ends when dropped.
pub(crate) struct Gateway {
    pub(crate) address: SocketAddr,
    pub(crate) log: Log,
    accepting: JoinHandle<()>,
    connections: Arc<Mutex<Vec<JoinHandle<()>>>>,
}

impl Gateway {
    /// Starts one that is in one of these moods for each request, by chance.
    pub(crate) async fn start(seed: u64, moods: &[Mood]) -> Gateway {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        Gateway::serve(listener, Log::default(), seed, moods)
    }

    fn serve(listener: TcpListener, log: Log, seed: u64, moods: &[Mood]) -> Gateway {
        let address = listener.local_addr().unwrap();
        let connections: Arc<Mutex<Vec<JoinHandle<()>>>> = Arc::default();
        let rng = Arc::new(Mutex::new(Xoshiro256PlusPlus::seed_from_u64(seed)));
        let moods: Arc<[Mood]> = moods.into();
        let (taken, opened) = (Arc::clone(&log), Arc::clone(&connections));
        let accepting = tokio::spawn(async move {
            loop {
                let Ok((stream, _)) = listener.accept().await else { continue };
                let (taken, rng, moods) = (Arc::clone(&taken), Arc::clone(&rng), Arc::clone(&moods));
                let service = service_fn(move |request| {
                    let mood = moods[rng.lock().random_range(0..moods.len())];
                    answer(request, mood, Arc::clone(&taken), Arc::clone(&rng))
                });
                let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
                opened.lock().push(tokio::spawn(async move { drop(connection.await) }));
            }
        });
        Gateway { address, log, accepting, connections }
    }

    /// Ends as if killed: the port refuses and all connections close.
    pub(crate) async fn kill(self) -> (SocketAddr, Log) {
        let (address, log) = (self.address, Arc::clone(&self.log));
        self.accepting.abort();
        let connections = std::mem::take(&mut *self.connections.lock());
        connections.iter().for_each(JoinHandle::abort);
        drop(self);
        while tokio::net::TcpStream::connect(address).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        (address, log)
    }

    /// Starts again on the same port with the same log.
    pub(crate) async fn restart(address: SocketAddr, log: Log, seed: u64, moods: &[Mood]) -> Gateway {
        Gateway::serve(TcpListener::bind(address).await.unwrap(), log, seed, moods)
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        self.accepting.abort();
        self.connections.lock().iter().for_each(JoinHandle::abort);
    }
}

/// A connection that is closed instead of being answered.
#[derive(Debug, thiserror::Error)]
#[error("closed on purpose")]
struct Closed;

impl From<Infallible> for Closed {
    fn from(never: Infallible) -> Self {
        match never {}
    }
}

async fn answer(
    request: Request<Incoming>,
    mood: Mood,
    log: Log,
    rng: Arc<Mutex<Xoshiro256PlusPlus>>,
) -> Result<Response<Full<Bytes>>, Closed> {
    assert_eq!(request.uri().path(), "/v1/events");
    let Ok(body) = request.into_body().collect().await else { return Err(Closed) };
    let body: Value = serde_json::from_slice(&body.to_bytes()).unwrap();
    let events = body.as_array().cloned().unwrap_or_else(|| vec![body]);
    let at = rng.lock().random_range(0..events.len());
    let suffix = |index: usize| index >= at && user(&events[index]) == user(&events[at]);
    let take = |wanted: &dyn Fn(usize) -> bool| {
        let taken = (0..events.len()).filter(|index| wanted(*index));
        log.lock().extend(taken.map(|index| (text(&events[index], "event_id"), user(&events[index]))));
    };
    let rejected = |code: &str, which: &dyn Fn(usize) -> bool| {
        let rejected: Vec<Value> = (0..events.len())
            .filter(|index| which(*index))
            .map(|index| json!({"index": index, "code": code, "message": "on purpose"}))
            .collect();
        reply(200, &json!({"accepted": events.len() - rejected.len(), "rejected": rejected}))
    };
    let all = json!({"accepted": events.len()});
    match mood {
        Mood::Good => take(&|_| true),
        Mood::Overloaded => return reply(503, &json!({"code": "overloaded", "message": "on purpose"})),
        Mood::TakesAndCloses => {
            take(&|_| true);
            return Err(Closed);
        }
        Mood::Closes => return Err(Closed),
        Mood::TakesAndHangs => {
            take(&|_| true);
            std::future::pending::<()>().await;
        }
        Mood::FailsSuffix => {
            take(&|index| !suffix(index));
            return rejected("delivery_failed", &suffix);
        }
        Mood::UnclearSuffix => {
            take(&|index| !suffix(index) || index == at);
            return rejected("delivery_unknown", &suffix);
        }
        Mood::Garbles => {
            take(&|_| true);
            return Ok(Response::new(Full::from("fine!")));
        }
        Mood::UnclearAll => {
            take(&|_| true);
            return reply(503, &json!({"code": "delivery_unknown", "message": "on purpose"}));
        }
        Mood::RefusesSome => {
            take(&|index| index != at);
            return rejected("invalid_event", &|index| index == at);
        }
        Mood::Lies => {}
    }
    reply(200, &all)
}

fn reply(status: u16, body: &Value) -> Result<Response<Full<Bytes>>, Closed> {
    let mut response = Response::new(Full::from(body.to_string()));
    *response.status_mut() = status.try_into().unwrap();
    if status == 503 {
        // Zero is a number of seconds too; a test has no second to lose.
        response.headers_mut().insert("retry-after", "0".parse().unwrap());
    }
    Ok(response)
}

fn text(event: &Value, key: &str) -> String {
    event[key].as_str().unwrap_or_default().to_owned()
}

fn user(event: &Value) -> String {
    let user = text(event, "user_id");
    if user.is_empty() { text(event, "anonymous_id") } else { user }
}
