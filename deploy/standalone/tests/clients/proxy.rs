//! A proxy between a client and the gateway, which also serves pages.
//!
//! It keeps what passes through, and answers badly on command: 503, 429, silence, or an answer that gets lost. Page and
//! gateway have one origin here; a second proxy gives them two.

use std::collections::{HashMap, VecDeque};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::Instant;

use serde_json::Value;

use crate::eventually;

/// What happens to a POST instead of passing it on.
#[derive(Debug, Clone)]
pub(crate) enum Fault {
    /// An answer that the gateway knows nothing of. `Retry-After` in seconds.
    Answer { status: u16, retry_after: Option<u32>, body: &'static str },
    /// The connection breaks before the gateway has the request.
    Cut,
    /// The gateway takes the request, and its answer is lost.
    AnswerLost,
    /// The request waits for [`Proxy::release`], then passes.
    Hold,
}

/// One POST that came by.
#[derive(Debug, Clone)]
pub(crate) struct Exchange {
    /// With the query.
    pub(crate) target: String,
    pub(crate) head: String,
    /// As it came, perhaps compressed.
    pub(crate) body: Vec<u8>,
    pub(crate) at: Instant,
    /// `None` as long as there is no answer, or where it was lost.
    pub(crate) status: Option<u16>,
}

impl Exchange {
    /// The events of an array.
    pub(crate) fn events(&self) -> Vec<Value> {
        serde_json::from_slice(&self.body).expect("an array of events")
    }

    /// Their ids.
    pub(crate) fn ids(&self) -> Vec<String> {
        self.events().iter().map(|event| event["event_id"].as_str().expect("an id").to_owned()).collect()
    }
}

#[derive(Debug)]
pub(crate) struct Proxy {
    /// `HOST:PORT`.
    pub(crate) address: String,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    gateway: String,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    pages: HashMap<String, (String, String)>,
    next: VecDeque<Fault>,
    always: Option<Fault>,
    exchanges: Vec<Exchange>,
    in_flight: usize,
    in_flight_max: usize,
    held: bool,
}

impl Proxy {
    /// In front of `gateway`, `HOST:PORT`.
    pub(crate) fn start(gateway: &str) -> Proxy {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("bound").to_string();
        let state = Mutex::new(State::default());
        let shared = Arc::new(Shared { gateway: gateway.to_owned(), state, changed: Condvar::new() });
        let serving = Arc::clone(&shared);
        // Ends with the process: a test has no use for it after its end, and it costs nothing.
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let shared = Arc::clone(&serving);
                // A client that goes away is not this proxy's problem.
                std::thread::spawn(move || shared.serve(stream).unwrap_or_default());
            }
        });
        Proxy { address, shared }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Serves a page at `path`. `headers` are whole lines, each with its `\r\n`.
    pub(crate) fn page(&self, path: &str, headers: &str, html: &str) {
        self.state().pages.insert(path.to_owned(), (headers.to_owned(), html.to_owned()));
    }

    /// What happens to the next POST that has no fault yet.
    pub(crate) fn next(&self, fault: Fault) {
        self.state().next.push_back(fault);
    }

    /// What happens to every POST after those of [`Proxy::next`].
    pub(crate) fn always(&self, fault: Option<Fault>) {
        self.state().always = fault;
    }

    /// Lets every held POST pass.
    pub(crate) fn release(&self) {
        self.state().held = false;
        self.shared.changed.notify_all();
    }

    pub(crate) fn exchanges(&self) -> Vec<Exchange> {
        self.state().exchanges.clone()
    }

    /// Most POSTs at a time so far.
    pub(crate) fn in_flight_max(&self) -> usize {
        self.state().in_flight_max
    }

    /// Waits until so many POSTs came by and have an end.
    #[track_caller]
    pub(crate) fn wait_for_exchanges(&self, count: usize) -> Vec<Exchange> {
        eventually(&format!("{count} requests"), || {
            let state = self.state();
            (state.exchanges.len() >= count && state.in_flight == 0).then(|| state.exchanges.clone())
        })
    }

    /// Waits until so many different events were answered with 200; their ids in the order of their first time.
    #[track_caller]
    pub(crate) fn wait_for_acknowledged(&self, count: usize) -> Vec<String> {
        eventually(&format!("{count} events acknowledged"), || {
            Some(self.acknowledged()).filter(|ids| ids.len() >= count)
        })
    }

    pub(crate) fn acknowledged(&self) -> Vec<String> {
        let mut ids = Vec::new();
        for exchange in self.exchanges().iter().filter(|exchange| exchange.status == Some(200)) {
            for id in exchange.ids() {
                if !ids.contains(&id) {
                    ids.push(id);
                }
            }
        }
        ids
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.shared.state.lock().expect("no panic while it is held")
    }
}

struct Request {
    method: String,
    target: String,
    /// Request line and headers, without those that concern one connection only.
    head: String,
    body: Vec<u8>,
}

impl Shared {
    /// One request on one connection.
    fn serve(&self, mut client: TcpStream) -> io::Result<()> {
        let request = read(&client)?;
        let path = request.target.split('?').next().unwrap_or_default();
        let page = self.lock().pages.get(path).cloned();
        if let Some((headers, html)) = page {
            let headers = format!("Content-Type: text/html; charset=utf-8\r\n{headers}");
            return client.write_all(&answer(200, &headers, &html));
        }
        if request.method != "POST" {
            return client.write_all(&self.forward(&request)?);
        }
        let (index, fault) = self.begin(&request);
        let end = self.post(&request, fault);
        // Before the client has the answer: what it sends then is another request.
        let mut state = self.lock();
        state.in_flight -= 1;
        let (status, bytes) = end?;
        state.exchanges[index].status = status;
        drop(state);
        client.write_all(&bytes)
    }

    fn begin(&self, request: &Request) -> (usize, Option<Fault>) {
        let mut state = self.lock();
        state.in_flight += 1;
        state.in_flight_max = state.in_flight_max.max(state.in_flight);
        let Request { target, head, body, .. } = request;
        let (target, head, body) = (target.clone(), head.clone(), body.clone());
        state.exchanges.push(Exchange { target, head, body, at: Instant::now(), status: None });
        let fault = state.next.pop_front().or_else(|| state.always.clone());
        state.held |= matches!(fault, Some(Fault::Hold));
        (state.exchanges.len() - 1, fault)
    }

    /// The status and the answer; without either, the client hears nothing.
    fn post(&self, request: &Request, fault: Option<Fault>) -> io::Result<(Option<u16>, Vec<u8>)> {
        match fault {
            Some(Fault::Cut) => return Ok((None, Vec::new())),
            Some(Fault::AnswerLost) => return self.forward(request).map(|_| (None, Vec::new())),
            Some(Fault::Answer { status, retry_after, body }) => {
                let retry_after = retry_after.map(|seconds| format!("Retry-After: {seconds}\r\n")).unwrap_or_default();
                let headers = format!("{retry_after}{}", cors(&request.head));
                return Ok((Some(status), answer(status, &headers, body)));
            }
            Some(Fault::Hold) => {
                let state = self.lock();
                drop(self.changed.wait_while(state, |state| state.held).expect("no panic while it is held"));
            }
            None => {}
        }
        let bytes = self.forward(request)?;
        let status = String::from_utf8_lossy(&bytes).split(' ').nth(1).and_then(|status| status.parse().ok());
        Ok((status, bytes))
    }

    fn forward(&self, request: &Request) -> io::Result<Vec<u8>> {
        let mut gateway = TcpStream::connect(&self.gateway)?;
        let length = request.body.len();
        gateway
            .write_all(format!("{}Connection: close\r\nContent-Length: {length}\r\n\r\n", request.head).as_bytes())?;
        gateway.write_all(&request.body)?;
        let mut bytes = Vec::new();
        gateway.read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no panic while it is held")
    }
}

/// What lets a page of another origin read an answer, as the gateway would say it.
fn cors(head: &str) -> String {
    let origin = head.lines().find_map(|line| line.to_ascii_lowercase().starts_with("origin: ").then(|| &line[8..]));
    let allow = |origin| {
        format!(
            "Access-Control-Allow-Origin: {origin}\r\nAccess-Control-Allow-Credentials: true\r\n\
             Access-Control-Expose-Headers: Retry-After\r\n"
        )
    };
    origin.map(allow).unwrap_or_default()
}

fn answer(status: u16, headers: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    let head = format!("HTTP/1.1 {status} X\r\nConnection: close\r\n{headers}Content-Length: {length}\r\n\r\n");
    format!("{head}{body}").into_bytes()
}

fn read(client: &TcpStream) -> io::Result<Request> {
    let mut from = BufReader::new(client);
    let mut line = String::new();
    from.read_line(&mut line)?;
    let mut words = line.split(' ').map(str::to_owned);
    let (method, target) = (words.next().unwrap_or_default(), words.next().ok_or(io::ErrorKind::UnexpectedEof)?);
    let (mut head, mut length, mut chunked) = (line.clone(), 0, false);
    loop {
        line.clear();
        from.read_line(&mut line)?;
        let (name, value) = line.trim_end().split_once(':').unwrap_or_default();
        match (name.to_ascii_lowercase().as_str(), value.trim()) {
            ("", _) => break,
            ("content-length", value) => length = value.parse().map_err(io::Error::other)?,
            ("transfer-encoding", value) => chunked = value.eq_ignore_ascii_case("chunked"),
            ("expect", _) => (&*client).write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?,
            ("connection", _) => {}
            _ => head.push_str(&line),
        }
    }
    let mut body = vec![0; length];
    from.read_exact(&mut body)?;
    while chunked {
        line.clear();
        from.read_line(&mut line)?;
        let size = usize::from_str_radix(line.trim_end(), 16).map_err(io::Error::other)?;
        let start = body.len();
        body.resize(start + size + "\r\n".len(), 0);
        from.read_exact(&mut body[start..])?;
        body.truncate(start + size);
        chunked = size > 0;
    }
    Ok(Request { method, target, head, body })
}
