//! A faulty way to an S3 server: an HTTP proxy that fails requests as networks and stores do.
//!
//! Responsible for the faults, in the order in which a test wants them. Promises that what is not to fail passes as it
//! is, `Host` included, because a signature covers that.

use std::{
    collections::{BTreeMap, VecDeque},
    convert::Infallible,
    net::SocketAddr,
    sync::Arc,
    time::Duration,
};

use http_body_util::{BodyExt, Full};
use hyper::{
    Method, Request, Response, StatusCode, Uri, body::Bytes, body::Incoming, server::conn::http1, service::service_fn,
};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::{TokioExecutor, TokioIo},
};
use parking_lot::Mutex;
use tokio::{net::TcpListener, runtime::Runtime, time::sleep};

/// What becomes of one PUT.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It arrives.
    None,
    /// This status and code; it does not arrive.
    Refused(u16, &'static str),
    /// It arrives, and this status and code come back.
    Belied(u16, &'static str),
    /// It does not arrive, and the connection breaks.
    CutBefore,
    /// It arrives, and the connection breaks.
    CutAfter,
    /// It does not arrive, and there is no answer.
    Hang,
    /// It arrives, and there is no answer.
    HangAfter,
    /// It arrives so much later, and there is no answer before.
    Late(Duration),
    /// It arrives, and its answer comes so much later.
    Slow(Duration),
}

/// A running proxy; dropping it ends it.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    shared: Arc<Shared>,
    runtime: Option<Runtime>,
}

#[derive(Debug)]
struct Shared {
    upstream: String,
    client: Client<HttpConnector, Full<Bytes>>,
    plan: Mutex<Plan>,
}

#[derive(Debug, Default)]
struct Plan {
    /// Only PUTs of keys with this in them meet faults.
    keys: &'static str,
    faults: VecDeque<Fault>,
    /// Lists of these keys answer what they answered first.
    stale_keys: Option<&'static str>,
    /// That answer, by the query.
    stale: BTreeMap<String, (StatusCode, Bytes)>,
    /// How long every GET of an object takes.
    get_delay: Duration,
    seen: BTreeMap<&'static str, u64>,
}

impl Proxy {
    /// Starts one in front of a server.
    ///
    /// # Panics
    /// Where there is no free port.
    pub fn start(upstream: &str) -> Proxy {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = runtime.expect("threads");
        let client = Client::builder(TokioExecutor::new()).build_http();
        let shared = Arc::new(Shared { upstream: upstream.to_owned(), client, plan: Mutex::default() });
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).expect("a free port");
        let address = listener.local_addr().expect("an address");
        runtime.spawn(accept(listener, Arc::clone(&shared)));
        Proxy { address, shared, runtime: Some(runtime) }
    }

    /// Its URL.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The next PUTs of keys that contain `keys` meet these faults, one each.
    pub fn fail_puts(&self, keys: &'static str, faults: impl IntoIterator<Item = Fault>) {
        let mut plan = self.shared.plan.lock();
        plan.keys = keys;
        plan.faults.extend(faults);
    }

    /// From now on every list of keys with `keys` in them answers what it answers the first time.
    pub fn stale_lists(&self, keys: &'static str) {
        self.shared.plan.lock().stale_keys = Some(keys);
    }

    /// How long every GET of an object takes from now on.
    pub fn slow_gets(&self, delay: Duration) {
        self.shared.plan.lock().get_delay = delay;
    }

    /// Faults that no PUT has met yet.
    pub fn faults_left(&self) -> usize {
        self.shared.plan.lock().faults.len()
    }

    /// How many requests of a method came.
    pub fn seen(&self, method: &str) -> u64 {
        self.shared.plan.lock().seen.get(method).copied().unwrap_or_default()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    while let Ok((stream, _)) = listener.accept().await {
        let shared = Arc::clone(&shared);
        tokio::spawn(async move {
            let service = service_fn(move |request| answer(Arc::clone(&shared), request));
            let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

/// The end of a connection instead of an answer.
#[derive(Debug)]
struct Cut;

impl std::fmt::Display for Cut {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("cut")
    }
}

impl std::error::Error for Cut {}

type Answer = Response<Full<Bytes>>;

async fn answer(shared: Arc<Shared>, request: Request<Incoming>) -> Result<Answer, Cut> {
    let (parts, body) = request.into_parts();
    let body = body.collect().await.map_err(|_| Cut)?.to_bytes();
    let request = Request::from_parts(parts, Full::new(body));
    match *request.method() {
        Method::PUT => put(shared, request).await,
        Method::GET if request.uri().query().is_some_and(|query| query.contains("list-type=2")) => {
            Ok(list(&shared, request).await)
        }
        Method::GET => {
            let delay = shared.note("GET").get_delay;
            sleep(delay).await;
            Ok(shared.forward(request).await)
        }
        _ => Ok(shared.forward(request).await),
    }
}

async fn put(shared: Arc<Shared>, request: Request<Full<Bytes>>) -> Result<Answer, Cut> {
    let fault = shared.note_put(request.uri().path());
    match fault {
        Fault::None => Ok(shared.forward(request).await),
        Fault::Refused(status, code) => Ok(refusal(status, code)),
        Fault::Belied(status, code) => {
            shared.forward(request).await;
            Ok(refusal(status, code))
        }
        Fault::CutBefore => Err(Cut),
        Fault::CutAfter => {
            shared.forward(request).await;
            Err(Cut)
        }
        Fault::Hang => std::future::pending().await,
        Fault::HangAfter => {
            shared.forward(request).await;
            std::future::pending().await
        }
        Fault::Late(delay) => {
            // Of its own, because this future ends with the client's patience.
            tokio::spawn(async move {
                sleep(delay).await;
                shared.forward(request).await;
            });
            std::future::pending().await
        }
        Fault::Slow(delay) => {
            let answer = shared.forward(request).await;
            sleep(delay).await;
            Ok(answer)
        }
    }
}

async fn list(shared: &Shared, request: Request<Full<Bytes>>) -> Answer {
    let query = request.uri().to_string();
    drop(shared.note("LIST"));
    let is_stale = {
        let plan = shared.plan.lock();
        if let Some((status, body)) = plan.stale.get(&query) {
            return plain(*status, body.clone());
        }
        plan.stale_keys.is_some_and(|keys| query.replace("%2F", "/").contains(keys))
    };
    let (parts, body) = shared.forward(request).await.into_parts();
    let body = body.collect().await.unwrap_or_else(|never: Infallible| match never {}).to_bytes();
    if is_stale {
        shared.plan.lock().stale.insert(query, (parts.status, body.clone()));
    }
    plain(parts.status, body)
}

impl Shared {
    fn note(&self, method: &'static str) -> parking_lot::MutexGuard<'_, Plan> {
        let mut plan = self.plan.lock();
        *plan.seen.entry(method).or_default() += 1;
        plan
    }

    fn note_put(&self, path: &str) -> Fault {
        let mut plan = self.note("PUT");
        if !path.contains(plan.keys) {
            return Fault::None;
        }
        plan.faults.pop_front().unwrap_or(Fault::None)
    }

    async fn forward(&self, mut request: Request<Full<Bytes>>) -> Answer {
        let path = request.uri().path_and_query().map_or("/", |path| path.as_str());
        *request.uri_mut() = format!("http://{}{path}", self.upstream).parse::<Uri>().expect("it was one");
        let unreachable = || refusal(502, "BadGateway");
        let Ok(response) = self.client.request(request).await else { return unreachable() };
        let (parts, body) = response.into_parts();
        let Ok(body) = body.collect().await else { return unreachable() };
        Response::from_parts(parts, Full::new(body.to_bytes()))
    }
}

fn refusal(status: u16, code: &str) -> Answer {
    let page =
        format!("<?xml version=\"1.0\"?>\n<Error><Code>{code}</Code><Message>A fault of the test.</Message></Error>");
    plain(StatusCode::from_u16(status).expect("a status"), page.into())
}

fn plain(status: StatusCode, body: Bytes) -> Answer {
    let mut answer = Response::new(Full::new(body));
    *answer.status_mut() = status;
    answer
}
