//! One connection.
//!
//! Responsible for finding out what it speaks, and for its timeouts. Promises that a connection which is silent, or sends
//! a head byte by byte, is closed, that a request being served is not (it has a deadline of its own), and that at
//! shutdown requests in flight are answered before the connection closes.

use std::{
    borrow::Cow,
    net::{IpAddr, SocketAddr},
    pin::{Pin, pin},
    time::Duration,
};

use hyper_util::server::graceful::GracefulConnection;
use tokio::{
    net::TcpStream,
    time::{Instant, sleep, timeout},
};
use tokio_util::sync::CancellationToken;

use super::{
    Door,
    activity::{Activity, Phase, Timeouts},
    farewell,
    greeting::{self, Spoken},
    http1, http2,
    tls::Tls,
};
use crate::{
    Gateway,
    config::IpPolicy,
    rejection::{Code, Rejection},
};

/// For a client to agree to the end of its connection: HTTP/2 asks it to. Requests being served have their own time.
const GOODBYE: Duration = Duration::from_secs(1);

/// Who is at the other end.
#[derive(Debug)]
pub(crate) struct Client {
    pub(crate) peer: IpAddr,
    /// What a policy keeps of that address, so that it is written out once for a connection.
    kept: (IpPolicy, Option<String>),
}

impl Client {
    fn new(peer: IpAddr, policy: IpPolicy) -> Client {
        Client { peer, kept: (policy, policy.keep(peer)) }
    }

    /// What `policy` keeps of `address`, which is the peer's unless a proxy told another.
    pub(crate) fn keep(&self, address: IpAddr, policy: IpPolicy) -> Option<Cow<'_, str>> {
        if address == self.peer && policy == self.kept.0 {
            return self.kept.1.as_deref().map(Cow::Borrowed);
        }
        policy.keep(address).map(Cow::Owned)
    }
}

/// Serves requests until the client has enough, breaks the rules, takes too long, or the gateway shuts down.
pub(super) async fn serve(door: &Door, stream: TcpStream, peer: SocketAddr) {
    // Answers are small and complete: waiting for more to send would only delay them.
    let _ = stream.set_nodelay(true);
    // A token of its own keeps connections from queueing for one lock at every wake-up.
    let ending = door.gateway.shutdown.child_token();
    let life = Life { gateway: &door.gateway, timeouts: door.timeouts, salt: peer.port(), ending: &ending };
    let client = Client::new(peer.ip(), door.gateway.policy.load().ip);
    match &door.tls {
        None => clear(door, life, client, stream).await,
        Some(tls) => encrypted(door, life, client, stream, tls).await,
    }
}

async fn clear(door: &Door, life: Life<'_>, client: Client, stream: TcpStream) {
    let metrics = &life.gateway.metrics;
    if life.unless_ending(greeting::first_byte(&stream, life.timeouts.idle)).await.flatten().is_none() {
        if !life.ending.is_cancelled() {
            metrics.timeouts.idle.inc();
        }
        return;
    }
    match timeout(life.timeouts.header, greeting::listen(&stream)).await {
        Ok(Ok(Some(Spoken::Http1))) => Box::pin(http1::serve(life, &client, stream)).await,
        Ok(Ok(Some(Spoken::Http2))) => {
            Box::pin(http2::serve(life, door.gateway.clone(), door.tasks.clone(), client, stream)).await;
        }
        Ok(Ok(Some(Spoken::Tls))) => {
            metrics.connections_failed.tls.inc();
            let message = "this port does not speak TLS: use http, or set gateway.tls.cert and gateway.tls.key";
            farewell::refuse(life.gateway, stream, Rejection::new(Code::MalformedRequest, message)).await;
        }
        Ok(Ok(None) | Err(_)) => {}
        Err(_) => {
            metrics.timeouts.header.inc();
            farewell::refuse(life.gateway, stream, http1::too_slow()).await;
        }
    }
}

async fn encrypted(door: &Door, life: Life<'_>, client: Client, stream: TcpStream, tls: &Tls) {
    let metrics = &life.gateway.metrics;
    let handshake = async {
        if let Some(Spoken::Http1 | Spoken::Http2) = greeting::listen(&stream).await? {
            return Ok(Err(stream));
        }
        tls.accept(stream).await.map(Ok)
    };
    match life.unless_ending(timeout(tls.handshake_timeout(), Box::pin(handshake))).await {
        Some(Ok(Ok(Ok(stream)))) if stream.get_ref().1.alpn_protocol() == Some(b"h2") => {
            Box::pin(http2::serve(life, door.gateway.clone(), door.tasks.clone(), client, stream)).await;
        }
        Some(Ok(Ok(Ok(stream)))) => Box::pin(http1::serve(life, &client, stream)).await,
        Some(Ok(Ok(Err(stream)))) => {
            metrics.connections_failed.not_tls.inc();
            let rejection = Rejection::new(Code::MalformedRequest, "this port speaks TLS: use https");
            farewell::refuse(life.gateway, stream, rejection).await;
        }
        Some(Ok(Err(error))) => {
            tracing::debug!(%error, "a TLS handshake failed");
            metrics.connections_failed.handshake.inc();
        }
        Some(Err(_)) => {
            metrics.timeouts.handshake.inc();
        }
        None => {}
    }
}

/// What a connection lives by.
#[derive(Clone, Copy, Debug)]
pub(super) struct Life<'a> {
    pub(super) gateway: &'a Gateway,
    timeouts: Timeouts,
    salt: u16,
    ending: &'a CancellationToken,
}

/// What ended a connection.
#[derive(Debug)]
pub(super) enum End {
    Closed,
    Failed(hyper::Error),
    Overdue(Phase),
}

impl Life<'_> {
    /// `None` if the gateway ends first.
    async fn unless_ending<T>(self, work: impl Future<Output = T>) -> Option<T> {
        tokio::select! {
            biased;
            done = work => Some(done),
            () = self.ending.cancelled() => None,
        }
    }

    /// Lets `connection` serve requests to its end.
    pub(super) async fn live<C>(self, activity: &Activity, mut connection: Pin<&mut C>) -> End
    where
        C: GracefulConnection<Error = hyper::Error>,
    {
        let mut ending = pin!(self.ending.cancelled());
        let mut is_ending = false;
        let mut alarm = pin!(sleep(self.timeouts.header));
        loop {
            tokio::select! {
                biased;
                ended = connection.as_mut() => return ended.map_or_else(End::Failed, |()| End::Closed),
                () = &mut alarm => match activity.overdue(self.timeouts) {
                    _ if is_ending && activity.phase() != Phase::Serving => return End::Closed,
                    Ok(next) if is_ending => alarm.as_mut().reset(next.min(Instant::now() + GOODBYE)),
                    Ok(next) => {
                        alarm.as_mut().reset(next);
                        if activity.is_old(self.timeouts, self.salt) {
                            is_ending = true;
                            connection.as_mut().graceful_shutdown();
                            alarm.as_mut().reset(Instant::now() + GOODBYE);
                        }
                    }
                    Err(phase) => {
                        let timeouts = &self.gateway.metrics.timeouts;
                        if phase == Phase::Head { &timeouts.header } else { &timeouts.idle }.inc();
                        return End::Overdue(phase);
                    }
                },
                () = &mut ending, if !is_ending => {
                    is_ending = true;
                    connection.as_mut().graceful_shutdown();
                    alarm.as_mut().reset(Instant::now() + GOODBYE);
                }
            }
        }
    }
}
