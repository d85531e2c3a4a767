//! The load on a gateway: prepared requests over kept connections, one in flight on each.
//!
//! Responsible for sending a given number of requests as fast as the answers come, and for saying what was accepted.
//! Promises that nothing is in flight when [`Load::send`] returns, so that the broker's count can be held against it.
//! It knows of HTTP only what a gateway's answer needs, to leave the processor to the server. This is a closed loop,
//! which measures cost and capacity; at a rate of its own sends [`offer`](crate::offer).

use std::{
    io,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Instant,
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    runtime::{Builder, Runtime},
    task::JoinSet,
};

/// Connections to one gateway and what to send over them.
#[derive(Debug)]
pub struct Load {
    runtime: Runtime,
    idle: Vec<Connection>,
    requests: Arc<Vec<Vec<u8>>>,
    /// Requests sent so far: the next one is this, modulo the number of prepared requests.
    sent: usize,
}

/// What came of one [`Load::send`].
#[derive(Debug, Default)]
pub struct Outcome {
    /// Events that the gateway says it accepted.
    pub accepted: u64,
    /// First line and body of the first answer that was not `200`.
    pub refusal: Option<String>,
    /// From the first byte written to the whole answer read.
    pub latencies_us: Vec<u32>,
}

impl Outcome {
    fn add(&mut self, part: Outcome) {
        self.accepted += part.accepted;
        self.refusal = self.refusal.take().or(part.refusal);
        self.latencies_us.extend(part.latencies_us);
    }
}

impl Load {
    /// Opens the connections. `bodies` are sent in turn to `POST path`.
    pub fn open(address: SocketAddr, connections: usize, path: &str, bodies: &[String]) -> io::Result<Load> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let mut idle = Vec::with_capacity(connections);
        for _ in 0..connections {
            idle.push(runtime.block_on(Connection::open(address))?);
        }
        Ok(Load { runtime, idle, requests: Arc::new(requests(address, path, bodies)), sent: 0 })
    }

    /// Sends this many requests and waits for all answers. Fails if a connection does.
    pub fn send(&mut self, requests: usize) -> io::Result<Outcome> {
        let turn = Arc::new(AtomicUsize::new(self.sent));
        let end = self.sent + requests;
        self.sent = end;
        let mut tasks = JoinSet::new();
        for connection in self.idle.drain(..) {
            tasks.spawn_on(connection.work(turn.clone(), end, self.requests.clone()), self.runtime.handle());
        }
        self.finish(tasks)
    }

    /// Sends one request on every connection, fifty at a time.
    pub fn send_on_each(&mut self) -> io::Result<Outcome> {
        let mut whole = Outcome::default();
        let mut idle = std::mem::take(&mut self.idle).into_iter().peekable();
        while idle.peek().is_some() {
            let mut tasks = JoinSet::new();
            for connection in idle.by_ref().take(50) {
                let turn = Arc::new(AtomicUsize::new(self.sent));
                self.sent += 1;
                tasks.spawn_on(connection.work(turn, self.sent, self.requests.clone()), self.runtime.handle());
            }
            whole.add(self.finish(tasks)?);
        }
        Ok(whole)
    }

    fn finish(&mut self, mut tasks: JoinSet<io::Result<(Connection, Outcome)>>) -> io::Result<Outcome> {
        let mut whole = Outcome::default();
        while let Some(done) = self.runtime.block_on(tasks.join_next()) {
            let (connection, part) = done.expect("a connection's task does not panic")?;
            self.idle.push(connection);
            whole.add(part);
        }
        Ok(whole)
    }
}

/// The bodies as whole requests to `POST path`.
pub(crate) fn requests(address: SocketAddr, path: &str, bodies: &[String]) -> Vec<Vec<u8>> {
    let head = format!("POST {path} HTTP/1.1\r\nHost: {address}\r\nContent-Type: application/json\r\n");
    let request = |body: &String| format!("{head}Content-Length: {}\r\n\r\n{body}", body.len()).into_bytes();
    bodies.iter().map(request).collect()
}

#[derive(Debug)]
pub(crate) struct Connection {
    stream: TcpStream,
    /// The last answer, whole.
    pub(crate) answer: Vec<u8>,
}

impl Connection {
    pub(crate) async fn open(address: SocketAddr) -> io::Result<Connection> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Connection { stream, answer: Vec::with_capacity(1024) })
    }

    /// Sends one request and reads its answer; says where the answer's body begins.
    pub(crate) async fn exchange(&mut self, request: &[u8]) -> io::Result<usize> {
        self.stream.write_all(request).await?;
        self.read_answer().await
    }

    /// Takes turns with the other connections until `end`.
    async fn work(
        mut self,
        turn: Arc<AtomicUsize>,
        end: usize,
        requests: Arc<Vec<Vec<u8>>>,
    ) -> io::Result<(Self, Outcome)> {
        let mut outcome = Outcome::default();
        loop {
            let index = turn.fetch_add(1, Ordering::Relaxed);
            if index >= end {
                return Ok((self, outcome));
            }
            let from = Instant::now();
            let body = self.exchange(&requests[index % requests.len()]).await?;
            outcome.latencies_us.push(u32::try_from(from.elapsed().as_micros()).unwrap_or(u32::MAX));
            if self.answer.starts_with(b"HTTP/1.1 200") {
                outcome.accepted += number_after(&self.answer[body..], b"\"accepted\":").unwrap_or(0);
            } else {
                outcome.refusal.get_or_insert_with(|| String::from_utf8_lossy(&self.answer).into_owned());
            }
        }
    }

    /// Reads one whole answer; says where its body begins.
    async fn read_answer(&mut self) -> io::Result<usize> {
        self.answer.clear();
        loop {
            if self.stream.read_buf(&mut self.answer).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            let Some(head) = find(&self.answer, b"\r\n\r\n") else { continue };
            let length = number_after(&self.answer[..head].to_ascii_lowercase(), b"\r\ncontent-length:").unwrap_or(0);
            if self.answer.len() as u64 >= head as u64 + 4 + length {
                return Ok(head + 4);
            }
        }
    }
}

pub(crate) fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|window| window == what)
}

pub(crate) fn number_after(bytes: &[u8], name: &[u8]) -> Option<u64> {
    let rest = bytes[find(bytes, name)? + name.len()..].trim_ascii_start();
    let digits = rest.iter().take_while(|byte| byte.is_ascii_digit());
    digits.map(|byte| u64::from(byte - b'0')).reduce(|value, digit| value * 10 + digit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_found() {
        assert_eq!(number_after(b"{\"accepted\":100}", b"\"accepted\":"), Some(100));
        assert_eq!(number_after(b"\r\ncontent-length: 16\r\n", b"\r\ncontent-length:"), Some(16));
        assert_eq!(number_after(b"{}", b"\"accepted\":"), None);
        assert_eq!(number_after(b"{\"accepted\":}", b"\"accepted\":"), None);
    }
}
