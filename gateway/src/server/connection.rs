//! One connection.
//!
//! Responsible for HTTP/1.1 on it and for its timeouts. Promises that a connection which is silent, or sends a head byte
//! by byte, is closed, that a request being served is not (it has a deadline of its own), and that at shutdown the
//! request in flight is answered before the connection closes.

use std::{
    borrow::Cow,
    convert::Infallible,
    net::{IpAddr, SocketAddr},
    pin::{Pin, pin},
    sync::atomic::{AtomicU64, Ordering},
    task::{Context, Poll},
    time::Duration,
};

use hyper::{
    rt::{Read, ReadBufCursor, Write},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use tokio::{net::TcpStream, time::Instant};

use crate::{Gateway, config::IpPolicy, router};

/// What a connection may hold before a request is admitted: its head, and a first piece of its body.
const BUFFER_BYTES_MAX: usize = 128 << 10;

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

/// How long a connection may wait.
#[derive(Clone, Copy, Debug)]
pub(super) struct Timeouts {
    /// For a head, from its first byte.
    pub(super) header: Duration,
    /// For the next request.
    pub(super) idle: Duration,
}

/// Serves requests until the client has enough, breaks the rules, takes too long, or the gateway shuts down.
pub(super) async fn serve(gateway: &Gateway, timeouts: Timeouts, stream: TcpStream, peer: SocketAddr) {
    // Answers are small and complete: waiting for more to send would only delay them.
    let _ = stream.set_nodelay(true);
    let client = Client::new(peer.ip(), gateway.policy.load().ip);
    let activity = Activity::new();
    let service = service_fn(async |request| {
        activity.set(Phase::Serving);
        let reply = router::serve(gateway, &client, request).await;
        activity.set(Phase::Idle);
        Ok::<_, Infallible>(reply)
    });
    let io = Watched { io: TokioIo::new(stream), activity: &activity };
    let mut connection = pin!(http1::Builder::new().max_buf_size(BUFFER_BYTES_MAX).serve_connection(io, service));
    // A token of its own keeps connections from queueing for one lock at every wake-up.
    let shutdown = gateway.shutdown.child_token();
    let mut ending = pin!(shutdown.cancelled());
    let mut is_ending = false;
    let mut alarm = pin!(tokio::time::sleep(timeouts.header));
    loop {
        tokio::select! {
            biased;
            // What a client does wrong on its own connection is answered by hyper and concerns nobody else.
            _ = connection.as_mut() => return,
            () = &mut alarm => match activity.overdue(timeouts) {
                Ok(next) => alarm.as_mut().reset(next),
                Err(phase) => {
                    let timeouts = &gateway.metrics.timeouts;
                    if phase == Phase::Head { &timeouts.header } else { &timeouts.idle }.inc();
                    return;
                }
            },
            () = &mut ending, if !is_ending => {
                is_ending = true;
                connection.as_mut().graceful_shutdown();
            }
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Between requests.
    Idle,
    /// Bytes of a head have come.
    Head,
    /// A request is being served.
    Serving,
}

/// What a connection is doing, and since when. Kept aside instead of arming a timer for each phase of each request: one
/// alarm a connection looks at it now and then.
struct Activity {
    start: Instant,
    /// Milliseconds since `start`, shifted by two bits for the phase.
    state: AtomicU64,
}

impl Activity {
    fn new() -> Activity {
        Activity { start: Instant::now(), state: AtomicU64::new(0) }
    }

    fn set(&self, phase: Phase) {
        let since_ms = self.start.elapsed().as_millis() as u64;
        self.state.store(since_ms << 2 | phase as u64, Ordering::Relaxed);
    }

    fn get(&self) -> (Phase, Instant) {
        let state = self.state.load(Ordering::Relaxed);
        let phase = [Phase::Idle, Phase::Head, Phase::Serving][(state & 3) as usize];
        (phase, self.start + Duration::from_millis(state >> 2))
    }

    /// When to look again, or what has taken too long.
    fn overdue(&self, timeouts: Timeouts) -> Result<Instant, Phase> {
        let now = Instant::now();
        let (phase, since) = self.get();
        let until = match phase {
            Phase::Idle => since + timeouts.idle,
            Phase::Head => since + timeouts.header,
            Phase::Serving => return Ok(now + timeouts.header),
        };
        // Never later than a head that begins right now could be overdue.
        if until > now { Ok(until.min(now + timeouts.header)) } else { Err(phase) }
    }
}

/// The socket, with an eye on the first byte of each head.
struct Watched<'a> {
    io: TokioIo<TcpStream>,
    activity: &'a Activity,
}

impl Read for Watched<'_> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        to: ReadBufCursor<'_>,
    ) -> Poll<std::io::Result<()>> {
        let read = Pin::new(&mut self.io).poll_read(context, to);
        if read.is_ready() && self.activity.get().0 == Phase::Idle {
            self.activity.set(Phase::Head);
        }
        read
    }
}

impl Write for Watched<'_> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, from: &[u8]) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(context, from)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(context)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        from: &[std::io::IoSlice<'_>],
    ) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut self.io).poll_write_vectored(context, from)
    }
}
