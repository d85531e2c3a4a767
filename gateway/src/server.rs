//! Connections: from the listener to the router, and the drain at the end.
//!
//! Responsible for accepting, for the cap on connections, and for the order of the end: not ready, no new connection,
//! requests in flight answered, the log's queue empty. Promises that the end comes within the drain timeout. What happens
//! on one connection is in `connection`.

mod connection;

use std::{net::SocketAddr, sync::Arc, time::Duration};

use tokio::{
    io::AsyncWriteExt,
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Instant, sleep, timeout, timeout_at},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

pub(crate) use self::connection::Client;
use crate::{Gateway, config::GatewaySettings};

/// Said to a connection over the cap, which is then closed.
const TOO_MANY: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\ncontent-type: application/json\r\nretry-after: 2\r\n\
    connection: close\r\ncontent-length: 93\r\n\r\n\
    {\"code\":\"overloaded\",\"message\":\"too many connections are open: send again after Retry-After\"}";

/// Accepts connections until `gateway.shutdown`.
pub(crate) async fn accept(
    gateway: &Arc<Gateway>,
    settings: &GatewaySettings,
    listener: TcpListener,
    tasks: &TaskTracker,
) {
    let permits = Arc::new(Semaphore::new(settings.connections_max));
    let timeouts = connection::Timeouts { header: settings.header_timeout, idle: settings.idle_timeout };
    while let Some((stream, peer)) = next(&listener, &gateway.shutdown).await {
        match permits.clone().try_acquire_owned() {
            Ok(permit) => tasks.spawn(connection(gateway.clone(), timeouts, stream, peer, permit)),
            Err(_) => {
                gateway.metrics.connections_refused.inc();
                tasks.spawn(refuse(stream))
            }
        };
    }
}

/// Waits for requests in flight, then for the log. Whatever is left at the deadline is given up.
pub(crate) async fn drain(gateway: &Gateway, tasks: &TaskTracker, drain_timeout: Duration) {
    let deadline = Instant::now() + drain_timeout;
    tasks.close();
    if timeout_at(deadline, tasks.wait()).await.is_err() {
        tracing::warn!(connections = tasks.len(), "the drain timeout passed before all requests were answered");
    }
    // Records of requests that were answered at their deadline, or whose client went away, may still be on their way.
    while gateway.log.queue_records() > 0 {
        if Instant::now() >= deadline {
            tracing::warn!(
                records = gateway.log.queue_records(),
                "the drain timeout passed before the log was flushed"
            );
            return;
        }
        sleep(Duration::from_millis(10)).await;
    }
}

async fn next(listener: &TcpListener, shutdown: &CancellationToken) -> Option<(TcpStream, SocketAddr)> {
    loop {
        let accepted = tokio::select! {
            () = shutdown.cancelled() => return None,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok(connection) => return Some(connection),
            // Out of file descriptors, mostly: trying again at once would burn a core.
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection");
                sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

async fn connection(
    gateway: Arc<Gateway>,
    timeouts: connection::Timeouts,
    stream: TcpStream,
    peer: SocketAddr,
    permit: OwnedSemaphorePermit,
) {
    gateway.metrics.connections.inc();
    connection::serve(&gateway, timeouts, stream, peer).await;
    gateway.metrics.connections.dec();
    drop(permit);
}

async fn refuse(mut stream: TcpStream) {
    let _ = timeout(Duration::from_secs(1), stream.write_all(TOO_MANY)).await;
    let _ = stream.shutdown().await;
}

#[cfg(test)]
mod tests {
    use super::TOO_MANY;

    #[test]
    fn the_refusal_announces_its_length() {
        let text = str::from_utf8(TOO_MANY).expect("ASCII");
        let (head, body) = text.split_once("\r\n\r\n").expect("a head and a body");
        assert!(head.ends_with(&format!("content-length: {}", body.len())), "{} bytes", body.len());
        serde_json::from_str::<serde_json::Value>(body).expect("valid JSON");
    }
}
