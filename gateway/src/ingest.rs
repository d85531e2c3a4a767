//! The path of a request, from its first byte to its answer.
//!
//! Responsible for the order of the steps, and for nothing else: each step is a room of its own. Promises that an event
//! is answered as accepted only after the log's durable acknowledgement, that requests enter the log in the order in
//! which their bodies were complete, and that every request is answered before its deadline.

use std::{cell::RefCell, time::Instant};

use hyper::{HeaderMap, Request, body::Incoming, header::USER_AGENT, http::request::Parts};

use crate::{
    Gateway,
    auth::WriteKey,
    batch::{Batch, Origin},
    body::{self, Patience},
    dead_letter::Letters,
    dialect::Dialect,
    ledger::Entry,
    load_shed::Seat,
    log::{Failure, Sent},
    policy::{Policy, Source},
    rate_limit::{self, Wanted},
    rejection::{Code, EventRejection, Rejection},
    reply::{Answer, Judgement},
    server::Client,
};

thread_local!(static BATCH: RefCell<Batch> = RefCell::default());

/// Takes the events of a request and answers what became of them.
pub(crate) async fn ingest(
    gateway: &Gateway,
    policy: &Policy,
    client: &Client,
    dialect: Dialect,
    request: Request<Incoming>,
    entry: &mut Entry<'_>,
) -> Answer {
    let (head, mut body) = request.into_parts();
    let arrival = Arrival { policy, client, dialect, head: &head, announced_bytes: body::announced_bytes(&body) };
    match take(gateway, &arrival, &mut body, entry).await {
        Ok(judgement) => Answer::Judged(judgement),
        Err(rejection) => {
            body::discard(&head.headers, &mut body, 2 * gateway.body_bound.raw_bytes_max).await;
            Answer::Refused(rejection)
        }
    }
}

/// What is known of a request before its body.
struct Arrival<'a> {
    policy: &'a Policy,
    client: &'a Client,
    dialect: Dialect,
    head: &'a Parts,
    /// Of the body; 0 where the head does not tell.
    announced_bytes: usize,
}

async fn take(
    gateway: &Gateway,
    arrival: &Arrival<'_>,
    body: &mut Incoming,
    entry: &mut Entry<'_>,
) -> Result<Judgement, Rejection> {
    let mut seat = admit(gateway, arrival.announced_bytes)?;
    let known = arrival.by_head()?.map(|key| arrival.enter(key, &mut seat, entry)).transpose()?;
    let body = read(gateway, &arrival.head.headers, body, &mut seat, entry).await?;
    let source = match known {
        Some(source) => source,
        None => arrival.enter(arrival.policy.keys.by_body(&body)?, &mut seat, entry)?,
    };
    let taken = append(gateway, arrival, source, &body, entry)?;
    drop(body);
    Ok(taken.judged(gateway, entry).await)
}

impl<'a> Arrival<'a> {
    fn query(&self) -> Option<&str> {
        self.head.uri.query()
    }

    /// The write key, unless only the body can tell it.
    fn by_head(&self) -> Result<Option<&'a WriteKey>, Rejection> {
        self.policy.keys.by_head(&self.head.headers, self.query(), self.dialect.may_tell_a_key())
    }

    /// Whether the key may be used here, and whether its source has room: before the body is read, if the head told it.
    fn enter(&self, key: &'a WriteKey, seat: &mut Seat, entry: &Entry<'_>) -> Result<&'a Source, Rejection> {
        key.allows(self.dialect, &self.head.headers)?;
        let source = &*key.source;
        seat.belong(&source.share, self.policy.division, entry.since())?;
        source.quota.as_ref().map_or(Ok(()), |quota| quota.look(self.announced_bytes, entry.since()))?;
        Ok(source)
    }
}

/// Refuses at once what cannot be served.
fn admit(gateway: &Gateway, announced_bytes: usize) -> Result<Seat, Rejection> {
    if gateway.shutdown.is_cancelled() {
        return Err(Rejection::new(Code::Draining, "the gateway is about to stop: send again, to another one"));
    }
    if !gateway.log.is_up() {
        return Err(why(Code::LogUnavailable));
    }
    gateway.load_shed.admit(announced_bytes.min(gateway.body_bound.raw_bytes_max))
}

async fn read(
    gateway: &Gateway,
    headers: &HeaderMap,
    body: &mut Incoming,
    seat: &mut Seat,
    entry: &Entry<'_>,
) -> Result<bytes::Bytes, Rejection> {
    let until = (entry.since() + gateway.body_timeout).into();
    let patience = Patience { until, silence: gateway.body_silence };
    let read = body::read(headers, body, seat, &gateway.body_bound, patience).await;
    if read.as_ref().is_err_and(|rejection| rejection.code == Code::BodyTimeout) {
        gateway.metrics.timeouts.body.inc();
    }
    read
}

/// Parse, validate, encode, append: in one go, so that nothing borrowed from the body outlives it and nothing comes
/// between the records of a request.
fn append(
    gateway: &Gateway,
    arrival: &Arrival<'_>,
    source: &Source,
    body: &[u8],
    entry: &mut Entry<'_>,
) -> Result<Taken, Rejection> {
    BATCH.with_borrow_mut(|batch| {
        let received_at_us = gateway.clock.now_us();
        let (policy, headers) = (arrival.policy, &arrival.head.headers);
        let address = policy.proxies.client(arrival.client.peer, headers);
        let ip = arrival.client.keep(address, policy.ip);
        let origin = Origin {
            received_at_us,
            source: &source.name,
            user_agent: headers.get(USER_AGENT).and_then(|agent| str::from_utf8(agent.as_bytes()).ok()),
            ip: ip.as_deref(),
            ip_policy: policy.ip,
            routes: gateway.log.routes(),
        };
        let told =
            if arrival.dialect.is_told_in_query() { arrival.query().unwrap_or_default().as_bytes() } else { body };
        let to = gateway.log.dead_letters();
        let letters = Letters { to, received_at_us, source: origin.source, dialect: arrival.dialect, told };
        let mut intake = batch.open(origin, gateway.batch_bound.at_most(policy.events_max(source)));
        arrival.dialect.parse(told, &mut intake).inspect_err(|rejection| letters.whole(rejection))?;
        let events = intake.events();
        entry.received(events);
        let wanted = Wanted { events, announced_bytes: arrival.announced_bytes };
        rate_limit::take(source.quota.as_deref(), policy.addresses.as_deref(), address, wanted)?;
        let sent = (batch.records().len() > 0).then(|| gateway.log.append(batch, received_at_us));
        let rejected = batch.take_rejected();
        letters.events(&rejected);
        Ok(Taken { events, rejected, sent, since: Instant::now() })
    })
}

/// A request whose records are with the log.
struct Taken {
    events: u32,
    rejected: Vec<EventRejection>,
    sent: Option<Sent>,
    since: Instant,
}

impl Taken {
    /// Waits for the log's word on every record.
    async fn judged(self, gateway: &Gateway, entry: &Entry<'_>) -> Judgement {
        let (mut rejected, mut durability) = (self.rejected, None);
        if let Some(sent) = self.sent {
            let deadline = entry.since() + gateway.request_timeout;
            let waiting = gateway.load_shed.await_acknowledgement(self.since);
            let delivery = sent.delivered(deadline.into()).await;
            drop(waiting);
            durability = delivery.durability;
            if delivery.timed_out {
                gateway.metrics.timeouts.delivery.inc();
            }
            gateway.metrics.delivery.observe(self.since.elapsed().as_secs_f64());
            if !delivery.failures.is_empty() {
                let failed = |failure: Failure| EventRejection { index: failure.index, rejection: why(failure.code) };
                rejected.extend(delivery.failures.into_iter().map(failed));
                rejected.sort_by_key(|event| event.index);
            }
        }
        let accepted = self.events - u32::try_from(rejected.len()).expect("at most one rejection for each event");
        Judgement { accepted, rejected, durability }
    }
}

fn why(code: Code) -> Rejection {
    let message = match code {
        Code::Overloaded => "the log's queue is full: send again after Retry-After",
        Code::LogUnavailable => "the log is not available: send again after Retry-After",
        Code::EventTooLarge => "the log does not take an event of this size: send less",
        Code::BodyTooLarge => "the log does not take a request of this size: send smaller batches",
        _ => "the log did not confirm the event in time: send it again with the same event_id",
    };
    Rejection::new(code, message)
}
