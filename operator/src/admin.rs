//! Responsible for the admin port: `/healthz` (200 as long as the process runs), `/readyz` (200, or 503 with reasons),
//! `/metrics` (OpenMetrics text), and the routes of a console where the binary has one. Promises that slow, idle or many
//! clients cannot take it away: header timeout, connection lifetime and connection cap. Only GET and HEAD are answered.

use std::convert::Infallible;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderValue, X_CONTENT_TYPE_OPTIONS};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use prometheus_client::registry::Registry;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;

use crate::health::Health;

const CONNECTIONS_MAX: usize = 64;
const HEADER_TIMEOUT: Duration = Duration::from_secs(10);
/// A client that never reads its answer is let go after this; scrapers simply connect again.
const CONNECTION_LIFETIME_MAX: Duration = Duration::from_secs(120);
/// For answers under way when the process ends.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(2);

/// An answer of the admin port.
pub type Reply = Response<Full<Bytes>>;

/// What the admin port shows.
#[derive(Debug, Clone)]
pub struct Admin {
    pub health: Health,
    pub registry: Arc<Registry>,
    /// Further routes, asked for paths that are not the admin port's own.
    pub routes: Option<Routes>,
}

/// Further GET routes: an async function from path to reply, `None` for a path that it does not know.
#[derive(Clone)]
pub struct Routes(Arc<dyn Fn(String) -> RouteFuture + Send + Sync>);

type RouteFuture = Pin<Box<dyn Future<Output = Option<Reply>> + Send>>;

impl Routes {
    pub fn new<F, R>(handler: F) -> Routes
    where
        F: Fn(String) -> R + Send + Sync + 'static,
        R: Future<Output = Option<Reply>> + Send + 'static,
    {
        Routes(Arc::new(move |path| Box::pin(handler(path))))
    }
}

impl fmt::Debug for Routes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Routes")
    }
}

/// Serves until `shutdown`. Give it a token of its own that is cancelled after everything else has drained, so that
/// readiness and metrics can be seen during the drain.
pub async fn serve(listener: TcpListener, admin: Admin, shutdown: CancellationToken) {
    let permits = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let graceful = GracefulShutdown::new();
    while let Some((stream, permit)) = accept(&listener, &permits, &shutdown).await {
        tokio::spawn(connection(stream, permit, admin.clone(), &graceful));
    }
    drop(listener);
    let _ = tokio::time::timeout(DRAIN_TIMEOUT, graceful.shutdown()).await;
}

/// The next connection, once there is room for it; `None` at shutdown.
async fn accept(
    listener: &TcpListener,
    permits: &Arc<Semaphore>,
    shutdown: &CancellationToken,
) -> Option<(TcpStream, OwnedSemaphorePermit)> {
    let next = async {
        let permit = permits.clone().acquire_owned().await.expect("the semaphore is never closed");
        loop {
            match listener.accept().await {
                Ok((stream, _)) => return (stream, permit),
                // Out of file descriptors, mostly: retrying at once would burn a core.
                Err(error) => {
                    tracing::warn!(%error, "admin port cannot accept a connection");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            }
        }
    };
    tokio::select! {
        () = shutdown.cancelled() => None,
        accepted = next => Some(accepted),
    }
}

fn connection(
    stream: TcpStream,
    permit: OwnedSemaphorePermit,
    admin: Admin,
    graceful: &GracefulShutdown,
) -> impl Future<Output = ()> + use<> {
    let service = service_fn(move |request: Request<Incoming>| {
        let admin = admin.clone();
        async move { Ok::<_, Infallible>(answer(&admin, request.method(), request.uri().path()).await) }
    });
    let served = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT)
        .serve_connection(TokioIo::new(stream), service);
    let served = graceful.watch(served);
    async move {
        // What a client does wrong on its own connection concerns nobody else.
        let _ = tokio::time::timeout(CONNECTION_LIFETIME_MAX, served).await;
        drop(permit);
    }
}

async fn answer(admin: &Admin, method: &Method, path: &str) -> Reply {
    let mut reply = if method == Method::GET || method == Method::HEAD {
        route(admin, path).await
    } else {
        let mut reply = text(StatusCode::METHOD_NOT_ALLOWED, "only GET and HEAD\n");
        reply.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
        reply
    };
    let headers = reply.headers_mut();
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    reply
}

async fn route(admin: &Admin, path: &str) -> Reply {
    match path {
        "/healthz" => text(StatusCode::OK, "ok\n"),
        "/readyz" => readiness(&admin.health),
        "/metrics" => metrics(&admin.registry),
        other => {
            let found = match &admin.routes {
                Some(routes) => (routes.0)(other.to_owned()).await,
                None => None,
            };
            found.unwrap_or_else(|| text(StatusCode::NOT_FOUND, "not found: try /healthz, /readyz or /metrics\n"))
        }
    }
}

fn readiness(health: &Health) -> Reply {
    let reasons = health.ready().err().unwrap_or_default();
    let status = if reasons.is_empty() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let mut body = serde_json::json!({ "ready": reasons.is_empty(), "reasons": reasons });
    let notes = health.notes();
    if !notes.is_empty() {
        body["notes"] = notes.into();
    }
    reply(status, "application/json", body.to_string())
}

fn metrics(registry: &Registry) -> Reply {
    let mut body = String::new();
    prometheus_client::encoding::text::encode(&mut body, registry).expect("writing to a string does not fail");
    reply(StatusCode::OK, "application/openmetrics-text; version=1.0.0; charset=utf-8", body)
}

fn text(status: StatusCode, body: &'static str) -> Reply {
    reply(status, "text/plain; charset=utf-8", body)
}

/// A reply with a body, for routes of the binary too.
pub fn reply(status: StatusCode, content_type: &'static str, body: impl Into<Bytes>) -> Reply {
    let mut reply = Response::new(Full::new(body.into()));
    *reply.status_mut() = status;
    reply.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    reply
}
