//! The bytes of an HTTP/1 connection on their way to hyper and back.
//!
//! Responsible for telling `activity` when a head begins, for letting `framing` look at every byte first, and for holding
//! back the bare answers that hyper gives by itself. Promises that requests before a bad one are served, and that what
//! the bad one gets is left to the connection, once hyper is done. Copies nothing.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use memchr::memmem;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::{
    activity::{Activity, Phase},
    framing::{Fault, Framing},
};
use crate::rejection::{Code, Rejection};

/// See the module.
#[derive(Debug)]
pub(super) struct Watched<I> {
    io: I,
    activity: Arc<Activity>,
    framing: Framing,
    fault: Option<Fault>,
    /// Whether all answers before the fault are on their way.
    is_flushed: bool,
    /// The status of an answer that hyper gave by itself.
    held_back: Option<u16>,
}

impl<I> Watched<I> {
    pub(super) fn new(io: I, activity: Arc<Activity>) -> Watched<I> {
        Watched { io, activity, framing: Framing::default(), fault: None, is_flushed: false, held_back: None }
    }

    /// The socket, and what its client has still to be told.
    pub(super) fn into_parts(self) -> (I, Option<Rejection>) {
        let malformed = |what: &str| {
            Rejection::new(
                Code::MalformedRequest,
                format!("this is not HTTP as it should be, {what}: correct the client"),
            )
        };
        let too_large = || Rejection::new(Code::HeadTooLarge, "the head is too large: send fewer or shorter headers");
        let rejection = match (self.fault, self.held_back) {
            (Some(Fault::Head(what)), _) => Some(malformed(what)),
            (Some(Fault::HeadTooLarge), _) | (None, Some(414 | 431)) => Some(too_large()),
            (_, Some(_)) => Some(malformed("its head cannot be read")),
            (Some(Fault::Body) | None, None) => None,
        };
        (self.io, rejection)
    }

    /// What hyper reads after a fault: the end of the connection, but not before the requests ahead of it are answered,
    /// or it would take their client for gone.
    fn after_fault(&mut self, fault: Fault) -> Poll<io::Result<()>> {
        if fault == Fault::Body {
            return Poll::Ready(Err(io::ErrorKind::InvalidData.into()));
        }
        self.is_flushed &= self.activity.phase() != Phase::Serving;
        if self.is_flushed { Poll::Ready(Ok(())) } else { Poll::Pending }
    }

    /// Whether hyper answers by itself, which it does to a head that it cannot read, with no body. Our own answers have
    /// one, or say that there is none to be had.
    fn is_hypers_own(&self, bytes: &[u8]) -> bool {
        self.activity.phase() != Phase::Serving
            && bytes.starts_with(b"HTTP/1.1 4")
            && memmem::find(bytes, b"content-length: 0\r\n").is_some()
            && memmem::find(bytes, b"content-type").is_none()
    }

    fn hold_back(&mut self, bytes: &[u8]) {
        self.held_back = str::from_utf8(&bytes[9..12]).ok().and_then(|status| status.parse().ok());
    }
}

impl<I: AsyncRead + Unpin> AsyncRead for Watched<I> {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, to: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if let Some(fault) = this.fault {
            return this.after_fault(fault);
        }
        let before = to.filled().len();
        ready!(Pin::new(&mut this.io).poll_read(context, to))?;
        let bytes = &to.filled()[before..];
        if bytes.is_empty() {
            return Poll::Ready(Ok(()));
        }
        this.activity.heard();
        if let Err((good, fault)) = this.framing.follow(bytes) {
            to.set_filled(before + good);
            this.fault = Some(fault);
            if good == 0 {
                return this.after_fault(fault);
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl<I: AsyncWrite + Unpin> AsyncWrite for Watched<I> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, from: &[u8]) -> Poll<io::Result<usize>> {
        if self.is_hypers_own(from) {
            self.hold_back(from);
            return Poll::Ready(Ok(from.len()));
        }
        Pin::new(&mut self.io).poll_write(context, from)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        from: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if let [only] = from
            && self.is_hypers_own(only)
        {
            self.hold_back(only);
            return Poll::Ready(Ok(only.len()));
        }
        Pin::new(&mut self.io).poll_write_vectored(context, from)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(Pin::new(&mut self.io).poll_flush(context))?;
        if self.fault.is_some() && !self.is_flushed && self.activity.phase() != Phase::Serving {
            self.is_flushed = true;
            context.waker().wake_by_ref();
        }
        Poll::Ready(Ok(()))
    }

    /// Not before the client has been told what is left to tell.
    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.held_back.is_some() || matches!(self.fault, Some(Fault::Head(_) | Fault::HeadTooLarge)) {
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut self.io).poll_shutdown(context)
    }
}
