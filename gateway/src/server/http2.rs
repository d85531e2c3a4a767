//! HTTP/2 on one connection (RFC 9113).
//!
//! Responsible for its limits. Promises that a connection holds a bounded number of bytes and streams whatever its client
//! does, that streams opened to be reset at once end the connection (CVE-2023-44487), and that the gateway's end waits
//! for the streams being served.

use std::{convert::Infallible, error::Error, pin::pin, sync::Arc, time::Duration};

use hyper::{rt::Executor, server::conn::http2, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::task::TaskTracker;

use super::{
    activity::Activity,
    connection::{Client, End, Life},
    framing::HEAD_BYTES_MAX,
};
use crate::{Gateway, router};

/// Requests at a time on one connection.
const STREAMS_MAX: u32 = 128;

/// What a client may send of one body, and of all bodies, before any of it is taken up.
const STREAM_WINDOW_BYTES: u32 = 256 << 10;
const CONNECTION_WINDOW_BYTES: u32 = 512 << 10;

/// Of answers, which are small.
const SEND_BUFFER_BYTES: usize = 64 << 10;

/// Streams that were reset before they were looked at, or by us for a fault of the client. More end the connection.
const RESETS_PENDING_MAX: usize = 20;
const RESETS_BY_US_MAX: usize = 128;

/// Finds out whether a client that waits for an answer is still there.
const PING_INTERVAL: Duration = Duration::from_secs(20);
const PING_TIMEOUT: Duration = Duration::from_secs(20);

/// Serves requests from `io` to the end of the connection.
pub(super) async fn serve<I>(life: Life<'_>, gateway: Arc<Gateway>, tasks: TaskTracker, client: Client, io: I)
where
    I: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let activity = Arc::new(Activity::new());
    let shared = (gateway, Arc::new(client), activity.clone());
    let service = service_fn(move |request| {
        let (gateway, client, activity) = shared.clone();
        async move {
            let _serving = activity.serve();
            Ok::<_, Infallible>(router::serve(&gateway, &client, request).await)
        }
    });
    let connection = http2::Builder::new(Tracked(tasks))
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS_MAX)
        .max_header_list_size(HEAD_BYTES_MAX as u32)
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .max_send_buf_size(SEND_BUFFER_BYTES)
        .max_pending_accept_reset_streams(RESETS_PENDING_MAX)
        .max_local_error_reset_streams(RESETS_BY_US_MAX)
        .keep_alive_interval(PING_INTERVAL)
        .keep_alive_timeout(PING_TIMEOUT)
        .serve_connection(TokioIo::new(io), service);
    let mut connection = pin!(connection);
    if let End::Failed(error) = life.live(&activity, connection.as_mut()).await
        && is_fault(&error)
    {
        life.gateway.metrics.connections_failed.http2.inc();
    }
}

/// Whether the client broke the rules, and did not just go away.
fn is_fault(error: &hyper::Error) -> bool {
    let cause = error.source().and_then(|cause| cause.downcast_ref::<h2::Error>());
    cause.is_some_and(|cause| cause.is_go_away() && cause.is_library())
}

/// Streams are tasks of the gateway, so that its drain waits for them.
#[derive(Clone, Debug)]
struct Tracked(TaskTracker);

impl<F> Executor<F> for Tracked
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    fn execute(&self, stream: F) {
        self.0.spawn(stream);
    }
}
