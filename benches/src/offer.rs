//! Requests at a rate of their own: an open loop, whose clients honour nothing that the answers say.
//!
//! Responsible for sending at intended times over kept connections, and for telling the answers apart. Promises to say
//! how late it sent: a late client offered less than it was asked to, and a run in which that happened proves nothing.
//! Latency counts from the intended time, so that a server which makes its clients wait cannot hide it.

use std::{
    collections::BTreeMap,
    io,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::{
    runtime::Builder,
    task::JoinSet,
    time::{Instant, sleep_until, timeout},
};

use crate::load::{Connection, find, number_after, requests};

/// No answer for so long is none at all.
const PATIENCE: Duration = Duration::from_secs(30);

/// What to offer.
#[derive(Clone, Copy, Debug)]
pub struct Offer<'a> {
    pub address: SocketAddr,
    pub path: &'a str,
    pub bodies: &'a [String],
    pub requests_per_second: f64,
    pub duration: Duration,
    /// Most requests in flight at a time.
    pub connections: usize,
}

/// What came of it.
#[derive(Debug, Default)]
pub struct Offered {
    pub requests: u64,
    /// Events that were accepted by an answer `200`, and those of them whose answer came before the end of the offer.
    pub accepted: u64,
    pub accepted_within: u64,
    /// Events that were accepted by another answer: a part of a request whose rest was not.
    pub accepted_in_part: u64,
    /// Requests by the answer's code; `ok` where it was `200`.
    pub answers: BTreeMap<String, u64>,
    /// Refusals without `Retry-After`.
    pub without_retry_after: u64,
    /// Requests whose connection broke before the whole answer.
    pub broken: u64,
    /// Of the answers `200`, sorted.
    pub latencies_us: Vec<u32>,
    /// From the intended time to the first byte sent, sorted.
    pub delays_us: Vec<u32>,
}

impl Offered {
    /// A percentile in milliseconds of sorted microseconds.
    #[must_use]
    pub fn percentile_ms(sorted_us: &[u32], share: f64) -> f64 {
        let index = (sorted_us.len() as f64 * share) as usize;
        sorted_us.get(index.min(sorted_us.len().saturating_sub(1))).map_or(f64::NAN, |us| f64::from(*us) / 1e3)
    }

    fn add(&mut self, other: Offered) {
        self.requests += other.requests;
        self.accepted += other.accepted;
        self.accepted_within += other.accepted_within;
        self.accepted_in_part += other.accepted_in_part;
        self.without_retry_after += other.without_retry_after;
        self.broken += other.broken;
        self.latencies_us.extend(other.latencies_us);
        self.delays_us.extend(other.delays_us);
        for (code, requests) in other.answers {
            *self.answers.entry(code).or_default() += requests;
        }
    }
}

impl Offer<'_> {
    /// Sends until the time is over and waits for every answer. `each_second` is called meanwhile.
    pub fn run(self, mut each_second: impl FnMut()) -> io::Result<Offered> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let shared = Arc::new(Schedule {
            address: self.address,
            requests: requests(self.address, self.path, self.bodies),
            start: Instant::now() + Duration::from_millis(100),
            interval: Duration::from_secs_f64(1.0 / self.requests_per_second),
            duration: self.duration,
            next: AtomicU64::new(0),
        });
        let mut whole = Offered::default();
        runtime.block_on(async {
            let mut tasks = JoinSet::new();
            for _ in 0..self.connections {
                tasks.spawn(shared.clone().work());
            }
            let mut tick = tokio::time::interval(Duration::from_secs(1));
            loop {
                tokio::select! {
                    done = tasks.join_next() => match done {
                        Some(part) => whole.add(part.expect("a connection's task does not panic")),
                        None => break,
                    },
                    _ = tick.tick() => each_second(),
                }
            }
        });
        whole.latencies_us.sort_unstable();
        whole.delays_us.sort_unstable();
        Ok(whole)
    }
}

struct Schedule {
    address: SocketAddr,
    requests: Vec<Vec<u8>>,
    start: Instant,
    interval: Duration,
    duration: Duration,
    /// The next request to be sent by whichever connection is free.
    next: AtomicU64,
}

impl Schedule {
    async fn work(self: Arc<Self>) -> Offered {
        let (mut connection, mut part) = (None, Offered::default());
        loop {
            let number = self.next.fetch_add(1, Ordering::Relaxed);
            let after = self.interval.mul_f64(number as f64);
            // One that could not be sent in time is not sent after the end either.
            if after >= self.duration || self.start.elapsed() >= self.duration {
                return part;
            }
            let intended = self.start + after;
            sleep_until(intended).await;
            part.requests += 1;
            part.delays_us.push(micros(intended.elapsed()));
            let request = &self.requests[usize::try_from(number).unwrap_or(0) % self.requests.len()];
            match timeout(PATIENCE, self.exchange(&mut connection, request)).await {
                Ok(Ok(body)) => self.judge(&mut connection, body, intended, &mut part),
                _ => {
                    connection = None;
                    part.broken += 1;
                }
            }
        }
    }

    async fn exchange(&self, connection: &mut Option<Connection>, request: &[u8]) -> io::Result<usize> {
        let open = match connection.take() {
            Some(open) => open,
            None => Connection::open(self.address).await?,
        };
        connection.insert(open).exchange(request).await
    }

    fn judge(&self, connection: &mut Option<Connection>, body: usize, intended: Instant, part: &mut Offered) {
        let answer = connection.as_ref().map_or(&[][..], |open| &open.answer);
        let head = answer[..body].to_ascii_lowercase();
        let accepted = number_after(&answer[body..], b"\"accepted\":").unwrap_or(0);
        let code = if head.starts_with(b"http/1.1 200") {
            part.accepted += accepted;
            part.accepted_within += if self.start.elapsed() <= self.duration { accepted } else { 0 };
            part.latencies_us.push(micros(intended.elapsed()));
            "ok"
        } else {
            part.accepted_in_part += accepted;
            let seconds = number_after(&head, b"\r\nretry-after:");
            part.without_retry_after += u64::from(seconds.is_none());
            code(&answer[body..])
        };
        match part.answers.get_mut(code) {
            Some(requests) => *requests += 1,
            None => drop(part.answers.insert(code.to_owned(), 1)),
        }
        if find(&head, b"connection: close").is_some() {
            *connection = None;
        }
    }
}

/// The answer's `code`.
fn code(body: &[u8]) -> &str {
    let code = find(body, b"\"code\":\"").map(|at| &body[at + b"\"code\":\"".len()..]);
    let code = code.and_then(|rest| rest.split(|byte| *byte == b'"').next());
    code.and_then(|code| str::from_utf8(code).ok()).unwrap_or("none")
}

fn micros(duration: Duration) -> u32 {
    u32::try_from(duration.as_micros()).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use std::{
        io::{Read, Write},
        net::TcpListener,
        thread,
    };

    use super::*;

    /// Answers every request on one connection after the other: two refusals with and without `Retry-After`, then 200.
    fn serve(listener: &TcpListener) {
        let refused = "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 21\r\n";
        let answers = [
            format!("{refused}Retry-After: 1\r\n\r\n{{\"code\":\"overloaded\"}}"),
            format!("{refused}\r\n{{\"code\":\"overloaded\"}}"),
            "HTTP/1.1 200 OK\r\nContent-Length: 14\r\nConnection: close\r\n\r\n{\"accepted\":7}".to_owned(),
        ];
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            for answer in &answers {
                if stream.read(&mut [0; 4096]).unwrap() == 0 {
                    break;
                }
                stream.write_all(answer.as_bytes()).unwrap();
            }
        }
    }

    #[test]
    fn answers_are_told_apart() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        thread::spawn(move || serve(&listener));
        let bodies = ["{}".to_owned()];
        let (requests_per_second, duration) = (100.0, Duration::from_millis(300));
        let offer = Offer { address, path: "/", bodies: &bodies, requests_per_second, duration, connections: 1 };
        let offered = offer.run(|| ()).unwrap();
        let (ok, refused) = (offered.answers["ok"], offered.answers["overloaded"]);
        assert_eq!((ok + refused, offered.broken), (offered.requests, 0));
        assert_eq!(offered.accepted, 7 * ok);
        assert_eq!(offered.latencies_us.len() as u64, ok);
        assert!(offered.without_retry_after <= refused && offered.without_retry_after + 1 >= ok);
        assert!(offered.requests > 2 && offered.requests <= 30);
    }
}
