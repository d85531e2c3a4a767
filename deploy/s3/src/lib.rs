//! SeaweedFS for tests: a real S3 server on loopback that checks signatures and honours create-if-absent.
//!
//! Responsible for starting, killing and restarting it, on free ports, with a data folder of its own. Promises that
//! neither server nor data outlive the test process, even when that is killed. [`proxy`] is a faulty way to it. Leaves
//! requests to the tests.

mod installed;
mod kept;
pub mod proxy;

use std::{
    fmt::Write as _,
    fs,
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    path::PathBuf,
    sync::{
        OnceLock,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

pub use kept::Kept;
use rand::RngExt;

/// May do everything; what it writes to a bucket that is not there makes the bucket.
pub const ADMIN: Identity = Identity { access_key: "footfall", actions: r#""Admin", "Read", "Write", "List""# };
/// May only read.
pub const READER: Identity = Identity { access_key: "reader", actions: r#""Read", "List""# };

/// Who asks.
#[derive(Clone, Copy, Debug)]
pub struct Identity {
    /// Its access key.
    pub access_key: &'static str,
    actions: &'static str,
}

/// The secret of all identities, unless the server was started with another.
pub const SECRET: &str = "a-secret-of-tests";

/// A running server. Dropping it ends it and deletes its data.
#[derive(Debug)]
pub struct SeaweedFs {
    dir: PathBuf,
    ports: Vec<u16>,
    running: Option<Kept>,
}

/// Ports of the master, the volume server, the filer and S3, each for HTTP and gRPC.
const PORTS: [&str; 8] = [
    "master.port",
    "master.port.grpc",
    "volume.port",
    "volume.port.grpc",
    "filer.port",
    "filer.port.grpc",
    "s3.port",
    "s3.port.grpc",
];
const S3_PORT: usize = 6;
const READY_TIMEOUT: Duration = Duration::from_secs(60);

impl SeaweedFs {
    /// Starts one; installs it first if need be.
    ///
    /// # Panics
    /// Where it cannot start; the message says what is missing.
    pub fn start() -> SeaweedFs {
        let dir = tempfile::Builder::new().prefix("footfall-s3-").tempdir().expect("a temporary folder").keep();
        let mut server = SeaweedFs { dir, ports: free_ports(), running: None };
        server.restart(SECRET);
        server
    }

    /// One shared by all tests of this process; it ends with the process. Use buckets of your own.
    ///
    /// # Panics
    /// As [`SeaweedFs::start`].
    pub fn shared() -> &'static SeaweedFs {
        static SHARED: OnceLock<SeaweedFs> = OnceLock::new();
        SHARED.get_or_init(SeaweedFs::start)
    }

    /// `127.0.0.1:PORT`; the same after a restart.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.ports[S3_PORT])
    }

    /// The variables that tell an S3 client where it is and who asks.
    pub fn environment(&self, who: Identity) -> Vec<(&'static str, String)> {
        environment(&format!("http://{}", self.address()), who)
    }

    /// The name of a bucket that no other test of this process uses. It is made by [`ADMIN`]'s first write.
    pub fn fresh_bucket(&self, prefix: &str) -> String {
        static NEXT: AtomicU32 = AtomicU32::new(1);
        format!("{prefix}-{}", NEXT.fetch_add(1, Ordering::Relaxed))
    }

    /// Ends it with SIGKILL; data and ports stay.
    pub fn kill(&mut self) {
        if let Some(running) = self.running.take() {
            running.kill();
        }
    }

    /// Starts it again if it does not run; from now on this is the secret of all identities.
    ///
    /// # Panics
    /// As [`SeaweedFs::start`].
    pub fn restart(&mut self, secret: &str) {
        self.kill();
        fs::write(self.dir.join("identities.json"), identities(secret)).expect("a file");
        self.running = Some(Kept::start(&self.dir, installed::weed(), &self.arguments(), &[]));
        let deadline = Instant::now() + READY_TIMEOUT;
        while !self.answers() {
            assert!(Instant::now() < deadline, "SeaweedFS does not answer: {}", kept::log(&self.dir));
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn arguments(&self) -> Vec<String> {
        let path = |name: &str| self.dir.join(name).display().to_string();
        let mut arguments: Vec<String> = [
            "server -s3 -filer -ip=127.0.0.1 -ip.bind=127.0.0.1 -master.telemetry=false -s3.port.iceberg=0 -s3.port.lance=0",
            "-s3.iam=false -volume.max=100 -master.volumeSizeLimitMB=64 -volume.preStopSeconds=0",
        ]
        .iter()
        .flat_map(|line| line.split(' '))
        .map(str::to_owned)
        .collect();
        arguments.push(format!("-dir={}", self.dir.display()));
        arguments.push(format!("-s3.config={}", path("identities.json")));
        arguments.push(format!("-filer.localSocket={}", path("filer.sock")));
        arguments.push(format!("-s3.localSocket={}", path("s3.sock")));
        arguments.extend(PORTS.iter().zip(&self.ports).map(|(flag, port)| format!("-{flag}={port}")));
        arguments
    }

    /// Does it answer S3 requests? Without a signature it has to refuse them.
    fn answers(&self) -> bool {
        let Ok(mut stream) = TcpStream::connect(self.address()) else { return false };
        let _ = stream.set_read_timeout(Some(Duration::from_secs(5)));
        let mut answer = String::new();
        let asked = stream.write_all(b"GET / HTTP/1.0\r\n\r\n").and_then(|()| stream.read_to_string(&mut answer));
        asked.is_ok() && answer.contains(" 403 ")
    }
}

/// The variables that tell an S3 client where its server is and who asks.
pub fn environment(endpoint: &str, who: Identity) -> Vec<(&'static str, String)> {
    vec![
        ("AWS_ENDPOINT_URL", endpoint.to_owned()),
        ("AWS_REGION", "us-east-1".to_owned()),
        ("AWS_ACCESS_KEY_ID", who.access_key.to_owned()),
        ("AWS_SECRET_ACCESS_KEY", SECRET.to_owned()),
    ]
}

fn identities(secret: &str) -> String {
    let mut list = String::new();
    for Identity { access_key, actions } in [ADMIN, READER] {
        let separator = if list.is_empty() { "" } else { ", " };
        write!(
            list,
            r#"{separator}{{"name": "{access_key}", "actions": [{actions}],
                "credentials": [{{"accessKey": "{access_key}", "secretKey": "{secret}"}}]}}"#
        )
        .expect("memory");
    }
    format!(r#"{{"identities": [{list}]}}"#)
}

/// Below the range from which the system takes the ports of connections, so that none of these is taken meanwhile.
fn free_ports() -> Vec<u16> {
    let mut ports = Vec::new();
    while ports.len() < PORTS.len() {
        let port = rand::rng().random_range(20_000..32_000);
        if !ports.contains(&port) && TcpListener::bind(("127.0.0.1", port)).is_ok() {
            ports.push(port);
        }
    }
    ports
}
