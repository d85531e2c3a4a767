//! A gateway in this process, a client of bytes, and the logs behind it.

use std::{
    collections::BTreeMap,
    fmt::Display,
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    time::{Duration, Instant},
};

use gateway::{
    Log, Metrics, Reload,
    config::{GatewaySettings, KafkaSettings, Serving},
};
use journal::{Journal, Options};
use operator::{Failure, Health};
use prometheus_client::registry::Registry;
use rdkafka::{mocking::MockCluster, producer::DefaultProducerContext};
use serde_json::Value;
use tempfile::TempDir;
use tokio::{runtime::Runtime, task::JoinHandle};
use tokio_util::sync::CancellationToken;

/// Long enough for a busy machine; no test waits for it unless it fails.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// A gateway in this process, with a runtime of its own.
pub(crate) struct Gateway {
    pub(crate) address: SocketAddr,
    pub(crate) health: Health,
    shutdown: CancellationToken,
    registry: Registry,
    running: JoinHandle<Result<(), Failure>>,
    runtime: Runtime,
}

impl Gateway {
    pub(crate) fn start(log: Log, change: impl FnOnce(&mut GatewaySettings)) -> Gateway {
        Gateway::start_on(|_| log, change)
    }

    /// For a log that counts something itself.
    pub(crate) fn start_on(log: impl FnOnce(&Metrics) -> Log, change: impl FnOnce(&mut GatewaySettings)) -> Gateway {
        let mut settings = Serving::default();
        change(&mut settings.gateway);
        Gateway::serve(log, settings, None)
    }

    pub(crate) fn serve(log: impl FnOnce(&Metrics) -> Log, settings: Serving, reload: Option<Reload>) -> Gateway {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let mut registry = Registry::default();
        let metrics = Metrics::register(&mut registry);
        let log = log(&metrics);
        let (health, shutdown) = (Health::default(), CancellationToken::new());
        let listener = runtime.block_on(async { operator::bind("127.0.0.1:0") }).unwrap();
        let address = listener.local_addr().unwrap();
        let (its_health, its_shutdown) = (health.clone(), shutdown.clone());
        let running = runtime.spawn(async move {
            gateway::run(&settings, reload, log, listener, metrics, &its_health, its_shutdown).await
        });
        let gateway = Gateway { address, health, shutdown, registry, running, runtime };
        until("the gateway is ready", || gateway.health.ready().is_ok());
        gateway
    }

    pub(crate) fn connect(&self) -> Client {
        Client::connect(self.address)
    }

    /// One request on a connection of its own.
    pub(crate) fn post(&self, body: impl AsRef<[u8]>) -> Reply {
        self.connect().post(body)
    }

    /// The value of one line of the metrics.
    pub(crate) fn metric(&self, line: &str) -> u64 {
        let text = text(&self.registry);
        let value = text.lines().find_map(|found| found.strip_prefix(line)?.strip_prefix(' '));
        value.unwrap_or_else(|| panic!("no metric {line} in\n{text}")).parse().unwrap()
    }

    /// Sum over all labels.
    fn metrics(&self, name: &str) -> u64 {
        let text = text(&self.registry);
        let labelled = format!("{name}{{");
        text.lines()
            .filter(|line| line.starts_with(&labelled))
            .map(|line| line.rsplit(' ').next().unwrap())
            .map(|value| value.parse::<u64>().unwrap())
            .sum()
    }

    /// received = accepted + rejected + in flight, in requests and in events.
    #[track_caller]
    pub(crate) fn check_ledger(&self) {
        let requests = self.metric("gateway_requests_received_total");
        let ended = self.metrics("gateway_requests_answered_total") + self.metric("gateway_requests_in_flight");
        assert_eq!(requests, ended, "requests");
        let events = self.metric("gateway_events_received_total");
        let ended = self.metric("gateway_events_accepted_total")
            + self.metrics("gateway_events_rejected_total")
            + self.metric("gateway_events_in_flight");
        assert_eq!(events, ended, "events");
    }

    pub(crate) fn ask_to_stop(&self) {
        self.shutdown.cancel();
    }

    pub(crate) fn has_ended(&self) -> bool {
        self.running.is_finished()
    }

    /// Shuts down and checks that nothing is left in flight.
    pub(crate) fn stop(self) {
        self.ask_to_stop();
        let ended = self.runtime.block_on(async { tokio::time::timeout(PATIENCE, self.running).await });
        ended.expect("the gateway ends").expect("it does not panic").expect("it ends well");
        let text = text(&self.registry);
        for gauge in ["requests_in_flight", "events_in_flight", "body_bytes_in_flight", "connections"] {
            assert!(text.contains(&format!("\ngateway_{gauge} 0\n")), "{gauge} is not 0 in\n{text}");
        }
    }
}

fn text(registry: &Registry) -> String {
    let mut text = String::new();
    prometheus_client::encoding::text::encode(&mut text, registry).unwrap();
    text
}

/// An HTTP client of bytes.
pub(crate) struct Client {
    pub(crate) stream: TcpStream,
    read: Vec<u8>,
}

#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    head: String,
    pub(crate) body: String,
}

impl Client {
    pub(crate) fn connect(address: SocketAddr) -> Client {
        Client::try_connect(address).expect("a listener")
    }

    /// `None`: nobody listens.
    pub(crate) fn try_connect(address: SocketAddr) -> Option<Client> {
        let stream = TcpStream::connect(address).ok()?;
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_nodelay(true).unwrap();
        Some(Client { stream, read: Vec::new() })
    }

    pub(crate) fn post(&mut self, body: impl AsRef<[u8]>) -> Reply {
        self.send(&request("", body.as_ref()));
        self.reply()
    }

    /// `None`: the connection was closed before an answer.
    pub(crate) fn try_post(&mut self, body: impl AsRef<[u8]>) -> Option<Reply> {
        self.send(&request("", body.as_ref()));
        self.try_reply()
    }

    /// What the gateway does not want to read any more is not an error here: its answer counts.
    pub(crate) fn send(&mut self, bytes: &[u8]) {
        let _ = self.stream.write_all(bytes);
    }

    #[track_caller]
    pub(crate) fn reply(&mut self) -> Reply {
        self.try_reply().expect("an answer before the connection ends")
    }

    /// `None`: the connection was closed.
    pub(crate) fn try_reply(&mut self) -> Option<Reply> {
        loop {
            if let Some(reply) = self.parse() {
                return Some(reply);
            }
            let mut chunk = [0; 64 << 10];
            match self.stream.read(&mut chunk) {
                Ok(0) | Err(_) => return None,
                Ok(bytes) => self.read.extend_from_slice(&chunk[..bytes]),
            }
        }
    }

    /// Whether the gateway closes the connection without a word.
    #[track_caller]
    pub(crate) fn is_closed(&mut self) -> bool {
        let start = Instant::now();
        let is_silent = self.try_reply().is_none();
        assert!(start.elapsed() < PATIENCE, "neither an answer nor an end");
        is_silent
    }

    fn parse(&mut self) -> Option<Reply> {
        let end = self.read.windows(4).position(|window| window == b"\r\n\r\n")? + 4;
        let head = String::from_utf8(self.read[..end].to_vec()).unwrap();
        let status = head[9..12].parse().unwrap();
        let length = header(&head, "content-length").map_or(0, |length| length.parse().unwrap());
        if self.read.len() < end + length {
            return None;
        }
        let body = String::from_utf8(self.read[end..end + length].to_vec()).unwrap();
        self.read.drain(..end + length);
        Some(Reply { status, head, body })
    }
}

impl Reply {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        header(&self.head, name)
    }

    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        assert_eq!(self.header("content-type"), Some("application/json"), "{self:?}");
        serde_json::from_str(&self.body).expect("a JSON body")
    }

    /// The code on top, if there is one.
    #[track_caller]
    pub(crate) fn code(&self) -> Option<String> {
        Some(self.json().get("code")?.as_str()?.to_owned())
    }

    /// Codes of rejected events by index.
    #[track_caller]
    pub(crate) fn rejected(&self) -> BTreeMap<u64, String> {
        let json = self.json();
        let list = json.get("rejected").and_then(Value::as_array).cloned().unwrap_or_default();
        list.iter().map(|it| (it["index"].as_u64().unwrap(), it["code"].as_str().unwrap().to_owned())).collect()
    }
}

fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    let found =
        head.lines().filter_map(|line| line.split_once(": ")).find(|(found, _)| found.eq_ignore_ascii_case(name));
    found.map(|(_, value)| value)
}

/// A POST of events; `headers` are whole lines, each with its line end.
pub(crate) fn request(headers: &str, body: &[u8]) -> Vec<u8> {
    let head = format!("POST /v1/events HTTP/1.1\r\nhost: x\r\n{headers}content-length: {}\r\n\r\n", body.len());
    [head.as_bytes(), body].concat()
}

pub(crate) fn event(user: impl Display, sequence: impl Display) -> String {
    format!(r#"{{"event_id":"{user}-{sequence}","type":"click","user_id":"{user}","properties":{{"n":{sequence}}}}}"#)
}

/// An event whose properties hold `bytes` characters.
pub(crate) fn large_event(user: &str, bytes: usize) -> String {
    format!(r#"{{"event_id":"large","type":"click","user_id":"{user}","properties":{{"x":"{}"}}}}"#, "x".repeat(bytes))
}

pub(crate) fn array(events: &[String]) -> String {
    format!("[{}]", events.join(","))
}

/// Polls until `condition` holds.
#[track_caller]
pub(crate) fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < PATIENCE, "waited in vain until {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// A journal and the folder it lies in.
pub(crate) fn journal(partitions: u32) -> (TempDir, Journal) {
    let dir = tempfile::tempdir().unwrap();
    let journal = Journal::open(dir.path().join("journal"), Options::new(partitions)).unwrap();
    (dir, journal)
}

/// Event ids in the journal, each partition in its order.
pub(crate) fn stored(journal: &Journal) -> Vec<String> {
    let mut ids = Vec::new();
    events(journal, |event| ids.push(event.event_id.to_owned()));
    ids
}

/// Shows every event in the journal, each partition in its order, and counts them.
pub(crate) fn events(journal: &Journal, mut show: impl FnMut(&event::Event<'_>)) -> usize {
    let mut count = 0;
    for partition in 0..journal.partitions() {
        let mut from = 0;
        while from < journal.end_offset(partition) {
            let records = journal.read(partition, from, 1 << 20).unwrap();
            for record in records.iter() {
                let event = event::decode(record.value).expect("every record decodes");
                assert_eq!(event.user_key().map(str::as_bytes), Some(record.key));
                assert_eq!(event::partition(record.key, journal.partitions()), partition);
                show(&event);
                count += 1;
            }
            from = records.next_offset();
        }
    }
    count
}

/// One broker in this process, with errors and delays on demand.
pub(crate) fn mock(topic: &str, partitions: i32) -> MockCluster<'static, DefaultProducerContext> {
    let cluster = MockCluster::new(1).unwrap();
    cluster.create_topic(topic, partitions, 1).unwrap();
    cluster
}

pub(crate) fn kafka_settings(brokers: &str, topic: &str) -> KafkaSettings {
    KafkaSettings { brokers: brokers.to_owned(), topic: topic.to_owned(), ..KafkaSettings::default() }
}
