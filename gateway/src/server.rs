//! Connections: from the listener to the router, and the drain at the end.
//!
//! Responsible for accepting, for the caps on connections, and for the order of the end: not ready, no new connection,
//! requests in flight answered, the log's queue empty. Promises that the end comes within the drain timeout. What happens
//! on one connection is in `connection`.

/// What a connection is doing, and since when.
mod activity;
/// The cap on connections of one address.
mod addresses;
/// One connection, whatever it speaks.
mod connection;
/// The limit on open files.
mod descriptors;
/// Answers that hyper does not write.
mod farewell;
/// Where each request of HTTP/1 begins and ends.
mod framing;
/// What a connection speaks.
mod greeting;
/// HTTP/1.1.
mod http1;
/// HTTP/2.
mod http2;
/// Encryption, and certificates that change.
mod tls;
/// The bytes of HTTP/1 on their way to hyper and back.
mod watched;

use std::{net::SocketAddr, sync::Arc, time::Duration};

use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Instant, sleep, timeout_at},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

pub use self::tls::TlsError;
use self::{activity::Timeouts, addresses::Addresses};
pub(crate) use self::{connection::Client, tls::Tls};
use crate::{Gateway, config::GatewaySettings};

/// What every connection is served with.
#[derive(Debug)]
struct Door {
    gateway: Arc<Gateway>,
    tls: Option<Tls>,
    timeouts: Timeouts,
    tasks: TaskTracker,
}

/// A connection's share of the caps.
type Places = (OwnedSemaphorePermit, addresses::Place);

/// Accepts connections until `gateway.shutdown`.
pub(crate) async fn accept(
    gateway: &Arc<Gateway>,
    settings: &GatewaySettings,
    listener: TcpListener,
    tls: Option<Tls>,
    tasks: &TaskTracker,
) {
    descriptors::raise(settings.connections_max);
    if let Some(tls) = tls.clone() {
        tasks.spawn(tls.watch(gateway.metrics.certificate_reloads.clone(), gateway.shutdown.clone()));
    }
    let permits = Arc::new(Semaphore::new(settings.connections_max));
    let addresses = Arc::new(Addresses::new(settings.connections_per_address_max));
    let timeouts =
        Timeouts { header: settings.header_timeout, idle: settings.idle_timeout, age: settings.connection_age_max };
    let door = Arc::new(Door { gateway: gateway.clone(), tls, timeouts, tasks: tasks.clone() });
    while let Some((stream, peer)) = next(&listener, &gateway.shutdown).await {
        let places = permits.clone().try_acquire_owned().ok().zip(addresses.enter(peer.ip()));
        match places {
            Some(places) => tasks.spawn(connection(door.clone(), stream, peer, places)),
            None => {
                gateway.metrics.connections_refused.inc();
                tasks.spawn(refuse(door.clone(), stream))
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

async fn connection(door: Arc<Door>, stream: TcpStream, peer: SocketAddr, places: Places) {
    let connections = &door.gateway.metrics.connections;
    connections.inc();
    connection::serve(&door, stream, peer).await;
    connections.dec();
    drop(places);
}

async fn refuse(door: Arc<Door>, stream: TcpStream) {
    // A client that speaks TLS could not read an answer in the clear, and a handshake is what it must not cost.
    if door.tls.is_none() {
        farewell::too_many(stream, door.gateway.retry_after_seconds()).await;
    }
}
