//! The gateway's floor: the least a program can do that takes events by HTTP and answers when Kafka has them.
//!
//! Responsible for an honest measure: hyper 1, a body that came in one piece not copied, sonic-rs with borrowed strings,
//! one Avro encode into a kept buffer, one completion a request, acks=all and idempotent like the product. Leaves out
//! everything else a gateway owes its callers: validation, limits, dead letters, deadlines, drain, metrics.

use std::{
    cell::RefCell,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use benches::borrowed::Borrowed;
use http_body_util::{BodyExt, Full};
use hyper::{
    Method, Request, Response, StatusCode,
    body::{Body, Bytes, Incoming},
    header::{CONTENT_TYPE, HeaderValue},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use rdkafka::{
    ClientConfig, ClientContext,
    config::FromClientConfigAndContext,
    message::DeliveryResult,
    producer::{BaseProducer, BaseRecord, ProducerContext},
};
use tokio::{net::TcpListener, runtime, sync::oneshot};

/// Serves until it is killed.
pub(crate) fn serve(listen: &str, brokers: &str, topic: &str) {
    let producer = BaseProducer::from_config_and_context(&config(brokers), Reports).expect("the settings are right");
    let floor = Arc::new(Floor { producer, topic: topic.to_owned() });
    let polled = floor.clone();
    thread::spawn(move || {
        loop {
            polled.producer.poll(Duration::from_millis(500));
        }
    });
    let runtime = runtime::Builder::new_multi_thread().enable_all().build().expect("tokio starts");
    runtime.block_on(async move {
        let listener = TcpListener::bind(listen).await.expect("the bench chose a free port");
        loop {
            let (socket, _) = listener.accept().await.expect("the bench opens few connections");
            socket.set_nodelay(true).expect("a new socket takes options");
            let floor = floor.clone();
            tokio::spawn(async move {
                let service = service_fn(|request| floor.answer(request));
                // A connection that the client closed is no error here.
                drop(http1::Builder::new().serve_connection(TokioIo::new(socket), service).await);
            });
        }
    });
}

fn config(brokers: &str) -> ClientConfig {
    let mut config = ClientConfig::new();
    for (key, value) in [
        ("bootstrap.servers", brokers),
        ("acks", "all"),
        ("enable.idempotence", "true"),
        ("linger.ms", "5"),
        ("compression.type", "lz4"),
        ("partitioner", "murmur2_random"),
        ("queue.buffering.max.messages", "500000"),
    ] {
        config.set(key, value);
    }
    config
}

/// One request in flight, shared by its records: when the last delivery report lets go of it, the request is answered.
struct Ticket {
    failed: AtomicBool,
    reply: Option<oneshot::Sender<bool>>,
}

impl Drop for Ticket {
    fn drop(&mut self) {
        if let Some(reply) = self.reply.take() {
            // Nobody waits any more if the client hung up.
            let _ = reply.send(!*self.failed.get_mut());
        }
    }
}

struct Reports;

impl ClientContext for Reports {}

impl ProducerContext for Reports {
    type DeliveryOpaque = Arc<Ticket>;

    fn delivery(&self, result: &DeliveryResult<'_>, ticket: Arc<Ticket>) {
        if result.is_err() {
            ticket.failed.store(true, Ordering::Relaxed);
        }
    }
}

struct Floor {
    producer: BaseProducer<Reports>,
    topic: String,
}

thread_local!(static VALUE: RefCell<Vec<u8>> = RefCell::new(Vec::with_capacity(4096)));

impl Floor {
    async fn answer(&self, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, hyper::Error> {
        if request.method() != Method::POST || request.uri().path() != "/v1/events" {
            return Ok(response(StatusCode::NOT_FOUND, String::new()));
        }
        let body = read(request.into_body()).await?;
        let Some((events, reply)) = self.take(&body) else {
            return Ok(response(StatusCode::BAD_REQUEST, String::new()));
        };
        Ok(match reply.await {
            Ok(true) => response(StatusCode::OK, format!("{{\"accepted\":{events}}}")),
            _ => response(StatusCode::SERVICE_UNAVAILABLE, String::new()),
        })
    }

    fn take(&self, body: &[u8]) -> Option<(usize, oneshot::Receiver<bool>)> {
        if body.trim_ascii_start().first() == Some(&b'[') {
            let events: Vec<Borrowed<'_>> = sonic_rs::from_slice(body).ok()?;
            Some((events.len(), self.send(&events)?))
        } else {
            let event: Borrowed<'_> = sonic_rs::from_slice(body).ok()?;
            Some((1, self.send(std::slice::from_ref(&event))?))
        }
    }

    /// `None` if the request held a bad event; the events before it were sent.
    fn send(&self, events: &[Borrowed<'_>]) -> Option<oneshot::Receiver<bool>> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("the clock is past 1970");
        let received_at = i64::try_from(now.as_micros()).expect("the clock is before the year 292277");
        let (reply, done) = oneshot::channel();
        let ticket = Arc::new(Ticket { failed: AtomicBool::new(false), reply: Some(reply) });
        VALUE.with_borrow_mut(|value| {
            for event in events {
                let event = event.event(received_at)?;
                let key = event.user_key()?;
                value.clear();
                event::encode(&event, value);
                let record = BaseRecord::with_opaque_to(&self.topic, ticket.clone()).key(key).payload(value.as_slice());
                if self.producer.send(record).is_err() {
                    ticket.failed.store(true, Ordering::Relaxed);
                }
            }
            Some(())
        })?;
        Some(done)
    }
}

/// The whole body, without a copy if it came in one piece.
async fn read(mut body: Incoming) -> Result<Bytes, hyper::Error> {
    let size = usize::try_from(body.size_hint().exact().unwrap_or(0)).expect("the bench sends small bodies");
    let mut whole = Vec::new();
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame?.into_data() else { continue };
        if whole.is_empty() && data.len() == size {
            return Ok(data);
        }
        whole.reserve_exact(size.saturating_sub(whole.len()).max(data.len()));
        whole.extend_from_slice(&data);
    }
    Ok(whole.into())
}

fn response(status: StatusCode, body: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}
