//! The product's gateway on a topic of its own.
//!
//! Responsible for starting the release binary with free ports, for its metrics and for the topic's count. Promises that
//! the gateway serves when [`Server::start`] returns.

use std::{
    collections::BTreeMap,
    error::Error,
    io::{Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    process::Command,
    thread,
    time::{Duration, Instant},
};

use crate::{
    broker::{Broker, PARTITIONS},
    process::{Process, binary},
};

/// A running gateway.
#[derive(Debug)]
pub struct Server {
    pub process: Process,
    pub listen: SocketAddr,
    pub topic: String,
    admin: SocketAddr,
}

impl Server {
    /// Starts it on a new topic, with further settings by environment: `FOOTFALL__GATEWAY__...`.
    ///
    /// # Errors
    /// The binary is missing or old, or does not serve.
    pub fn start(broker: &Broker, settings: &[(&str, String)]) -> Result<Server, Box<dyn Error>> {
        let path = binary("footfall-gateway", &["event", "journal", "operator", "gateway"])?;
        let topic = broker.topic()?;
        let (listen, admin) = (free_address()?, free_address()?);
        let mut command = Command::new(path);
        command.args(["--brokers", broker.addresses(), "--topic", &topic]);
        command.args(["--listen", &listen.to_string(), "--admin", &admin.to_string()]);
        command.args(["--create-topics", "--partitions", &PARTITIONS.to_string()]).env("RUST_LOG", "error");
        command.envs(settings.iter().map(|(name, value)| (name, value)));
        let mut process = Process::start(&mut command)?;
        wait_until_accepting(listen, &mut process)?;
        Ok(Server { process, listen, topic, admin })
    }

    /// Every line of `/metrics`, by name with labels.
    ///
    /// # Errors
    /// The admin port does not answer.
    pub fn metrics(&self) -> Result<BTreeMap<String, f64>, Box<dyn Error>> {
        let mut stream = TcpStream::connect(self.admin)?;
        write!(stream, "GET /metrics HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", self.admin)?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        let lines = answer.lines().filter(|line| line.starts_with("footfall_"));
        let parsed = lines.filter_map(|line| line.rsplit_once(' '));
        Ok(parsed.filter_map(|(name, value)| Some((name.to_owned(), value.parse().ok()?))).collect())
    }
}

fn free_address() -> Result<SocketAddr, Box<dyn Error>> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?)
}

/// Waits until the program takes connections.
///
/// # Errors
/// It ended, or does not within 30 s.
pub fn wait_until_accepting(address: SocketAddr, server: &mut Process) -> Result<(), Box<dyn Error>> {
    let from = Instant::now();
    while TcpStream::connect(address).is_err() {
        if !server.is_running() || from.elapsed() > Duration::from_secs(30) {
            return Err(format!("the server does not listen on {address}").into());
        }
        thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}
