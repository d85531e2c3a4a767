//! One step of the path alone, for the benches and the fuzz targets.
//!
//! Responsible for nothing at run time: it lets `benches` put a number beside parse, validate and encode, and lets
//! `fuzz` hold each parser against another one, without an HTTP connection and a log around them.

use std::{
    borrow::Cow,
    collections::VecDeque,
    convert::Infallible,
    net::IpAddr,
    ops::ControlFlow,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use hyper::{
    HeaderMap,
    body::{Body, Frame, SizeHint},
    header::{CONTENT_ENCODING, HeaderName, HeaderValue},
};
use prometheus_client::metrics::gauge::Gauge;
use tokio::time::Instant;

use crate::{
    arrival::TrustedProxies,
    auth::{self, Found},
    batch::{Batch, Bound, Origin},
    body::{self, BodyBound, Patience},
    config::IpPolicy,
    dialect::{Call, Dialect, told_events},
    load_shed::LoadShed,
    metrics::Shed,
    rejection::Code,
    routes::Routes,
};

/// A batch that is used for one body after the other, as a gateway's thread does.
#[derive(Debug, Default)]
pub struct Stage(Batch);

/// What a dialect made of a body.
#[derive(Debug)]
pub struct Taken {
    /// How many events the body held.
    pub events: u32,
    /// Position of each event that became a record, its key and its value, in the order in which they go to the log.
    pub records: Vec<(u32, Vec<u8>, Vec<u8>)>,
    /// Position of each other event, and why.
    pub rejected: Vec<(u32, Code)>,
}

/// How many events a request holds, found again for their dead letters.
#[must_use]
pub fn told(language: Language, told: &[u8]) -> usize {
    let mut events = 0;
    told_events(language.dialect(), told, |_| {
        events += 1;
        ControlFlow::Continue(())
    });
    events
}

/// The dialects by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Language {
    Native,
    SegmentBatch,
    SegmentTrack,
    Pixel,
}

impl Language {
    fn dialect(self) -> Dialect {
        match self {
            Language::Native => Dialect::Native,
            Language::SegmentBatch => Dialect::Segment(Call::Batch),
            Language::SegmentTrack => Dialect::Segment(Call::Track),
            Language::Pixel => Dialect::Pixel,
        }
    }
}

impl Stage {
    /// From a body of the native dialect to encoded records; says how many there are. `None` if the body is refused.
    pub fn take(&mut self, body: &[u8], received_at_us: i64) -> Option<usize> {
        let bound = Bound { events_max: u32::MAX, event_bytes_max: usize::MAX };
        Dialect::Native.parse(body, &mut self.0.open(origin(received_at_us), bound)).ok()?;
        Some(self.0.records().len())
    }

    /// The same of any dialect, in full, with room for `events_max` events.
    ///
    /// # Errors
    /// Why the request was refused whole.
    pub fn judge(
        &mut self,
        language: Language,
        told: &[u8],
        received_at_us: i64,
        events_max: u32,
    ) -> Result<Taken, Code> {
        let bound = Bound { events_max, event_bytes_max: usize::MAX };
        let mut intake = self.0.open(origin(received_at_us), bound);
        language.dialect().parse(told, &mut intake).map_err(|rejection| rejection.code)?;
        let events = intake.events();
        let records = self.0.records().map(|record| (record.index, record.key.to_vec(), record.value.to_vec()));
        Ok(Taken {
            events,
            records: records.collect(),
            rejected: self.0.take_rejected().into_iter().map(|it| (it.index, it.rejection.code)).collect(),
        })
    }
}

static ROUTES: Routes = Routes::NONE;

fn origin(received_at_us: i64) -> Origin<'static> {
    Origin {
        received_at_us,
        source: "default",
        user_agent: None,
        ip: Some("127.0.0.0"),
        ip_policy: IpPolicy::Truncated,
        routes: &ROUTES,
    }
}

/// A body on its way in.
#[derive(Clone, Copy, Debug)]
pub struct Arriving<'a> {
    /// The value of `Content-Encoding`, if the header is there.
    pub encoding: Option<&'a [u8]>,
    /// The body in the pieces in which it comes.
    pub pieces: &'a [&'a [u8]],
    /// Whether its length was announced.
    pub announced: bool,
    pub raw_bytes_max: usize,
    pub inflated_bytes_max: usize,
    /// Room on the scale of all requests.
    pub in_flight_bytes_max: usize,
}

impl Arriving<'_> {
    /// Reads and inflates it. Says, beside the body, how many bytes were weighed for it.
    ///
    /// # Errors
    /// Why it was refused.
    pub async fn read(self) -> Result<(Bytes, usize), Code> {
        const LONG: Duration = Duration::from_secs(60);
        let mut headers = HeaderMap::new();
        if let Some(encoding) = self.encoding {
            headers.insert(CONTENT_ENCODING, HeaderValue::from_bytes(encoding).map_err(|_| Code::UnsupportedEncoding)?);
        }
        let shed = Arc::new(LoadShed::new(Gauge::default(), self.in_flight_bytes_max, LONG, Shed::default()));
        let mut seat = shed.admit(0).map_err(|rejection| rejection.code)?;
        let bound = BodyBound { raw_bytes_max: self.raw_bytes_max, inflated_bytes_max: self.inflated_bytes_max };
        let patience = Patience { until: Instant::now() + LONG, silence: LONG };
        let pieces = self.pieces.iter().map(|piece| Bytes::copy_from_slice(piece)).collect();
        let mut body = Pieces { pieces, announced: self.announced };
        let read = body::read(&headers, &mut body, &mut seat, &bound, patience).await;
        read.map(|whole| (whole, seat.bytes())).map_err(|rejection| rejection.code)
    }
}

/// A body that comes in pieces.
struct Pieces {
    pieces: VecDeque<Bytes>,
    announced: bool,
}

impl Body for Pieces {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(self.pieces.pop_front().map(|piece| Ok(Frame::data(piece))))
    }

    fn size_hint(&self) -> SizeHint {
        let bytes = self.pieces.iter().map(|piece| piece.len() as u64).sum();
        if self.announced { SizeHint::with_exact(bytes) } else { SizeHint::default() }
    }
}

/// Looks for a write key in the head of a request, with the names and values of its headers. `None`: there is none;
/// `Some(None)`: there is one, but not one of `keys`.
#[must_use]
pub fn key_of_head<'k>(
    headers: &[(&'static str, &[u8])],
    query: Option<&str>,
    keys: &[&'k str],
) -> Option<Option<&'k str>> {
    match auth::of_head(&header_map(headers), query, |key| keys.iter().find(|known| **known == key).copied()) {
        Found::Known(key) => Some(Some(key)),
        Found::Unknown => Some(None),
        Found::Missing => None,
    }
}

/// Looks for a write key in a body.
#[must_use]
pub fn key_of_body(body: &[u8]) -> Option<String> {
    auth::of_body(body).map(Cow::into_owned)
}

/// The address of the client that a request came from, by the values of `X-Forwarded-For`. `None` if one of the networks
/// is none.
#[must_use]
pub fn client_address(trusted: &[String], peer: IpAddr, forwarded: &[&[u8]]) -> Option<IpAddr> {
    let headers: Vec<_> = forwarded.iter().map(|value| ("x-forwarded-for", *value)).collect();
    Some(TrustedProxies::parse(trusted).ok()?.client(peer, &header_map(&headers)))
}

/// Without what can be no header's value: HTTP would not have let it in.
fn header_map(headers: &[(&'static str, &[u8])]) -> HeaderMap {
    let valid = |(name, value): &(&'static str, &[u8])| {
        Some((HeaderName::from_static(name), HeaderValue::from_bytes(value).ok()?))
    };
    let mut map = HeaderMap::new();
    for (name, value) in headers.iter().filter_map(valid) {
        map.append(name, value);
    }
    map
}
