//! A running `footfall`: started on free ports, asked over raw HTTP, read through plain Parquet files.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::{Duration, Instant};

use arrow::array::{Array, AsArray};
use arrow::datatypes::Int64Type;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use rustix::process::{Pid, Signal, kill_process};

pub(crate) const DEADLINE: Duration = Duration::from_secs(60);

/// Ends with SIGKILL when dropped.
pub(crate) struct Footfall {
    child: Child,
    pub(crate) gateway: String,
    pub(crate) admin: String,
    pub(crate) lake: PathBuf,
}

/// The columns that tests look at; `None` is a null.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Row {
    pub(crate) event_id: String,
    pub(crate) kind: String,
    pub(crate) user_key: String,
    pub(crate) url: Option<String>,
    pub(crate) partition_folder: String,
    pub(crate) offset: i64,
}

/// An HTTP answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

fn command(data: &Path, more: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_footfall"));
    command.args(["--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--data"]).arg(data).args(more);
    for (key, _) in std::env::vars_os() {
        if key.to_string_lossy().starts_with("FOOTFALL__") {
            command.env_remove(key);
        }
    }
    command
}

/// Runs to its end, for processes that refuse to start.
pub(crate) fn run(data: &Path, more: &[&str]) -> Output {
    command(data, more).output().expect("it runs")
}

#[track_caller]
pub(crate) fn eventually<T>(what: &str, mut condition: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(value) = condition() {
            return value;
        }
        assert!(start.elapsed() < DEADLINE, "{what}: not within {DEADLINE:?}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

impl Footfall {
    /// Starts it and returns when it has printed that it is ready.
    pub(crate) fn start(data: &Path, more: &[&str]) -> Footfall {
        let mut child = command(data, more).env("RUST_LOG", "error").stdout(Stdio::piped()).spawn().expect("it starts");
        let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
        let mut next = |name: &str| {
            let line = lines.next().expect("a line before it ends").expect("UTF-8");
            line.strip_prefix(name).unwrap_or_else(|| panic!("{line:?} is not {name}...")).to_owned()
        };
        let (gateway, admin) = (next("gateway http://"), next("admin http://"));
        let lake = PathBuf::from(next("lake "));
        Footfall { child, gateway, admin, lake }
    }

    pub(crate) fn post(&self, body: &str) -> Answer {
        ask(&self.gateway, "POST", "/v1/events", body)
    }

    pub(crate) fn get(&self, path: &str) -> Answer {
        ask(&self.admin, "GET", path, "")
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(self.child.id().try_into().expect("a pid")).expect("not 0");
        kill_process(pid, signal).expect("it runs");
    }

    /// Waits for its end.
    pub(crate) fn ended(mut self) -> ExitStatus {
        eventually("it ends", || self.child.try_wait().expect("asked"))
    }

    pub(crate) fn rows(&self) -> Vec<Row> {
        rows(&self.lake)
    }
}

impl Drop for Footfall {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// One request on a connection of its own.
pub(crate) fn ask(addr: &str, method: &str, path: &str, body: &str) -> Answer {
    try_ask(addr, method, path, body).expect("an answer")
}

/// Like [`ask`], of a process that may be gone.
pub(crate) fn try_ask(addr: &str, method: &str, path: &str, body: &str) -> io::Result<Answer> {
    let mut stream = TcpStream::connect(addr)?;
    stream.set_read_timeout(Some(DEADLINE))?;
    let length = body.len();
    let head = format!("{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n");
    stream.write_all(format!("{head}{body}").as_bytes())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let (head, body) = answer.split_once("\r\n\r\n").ok_or(io::ErrorKind::UnexpectedEof)?;
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
    Ok(Answer { status, head: head.to_owned(), body: body.to_owned() })
}

/// All rows of a lake: each partition's in the order of its files and of the rows in them.
pub(crate) fn rows(lake: &Path) -> Vec<Row> {
    let mut rows = Vec::new();
    for partition in sorted(&lake.join("events/topic=events")) {
        for file in sorted(&partition) {
            rows.extend(read(&file));
        }
    }
    rows
}

fn sorted(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry").path()).collect();
    // The store's own name for a file that is not complete; readers look for *.parquet.
    paths.retain(|path| path.is_dir() || path.extension().is_some_and(|extension| extension == "parquet"));
    paths.sort();
    paths
}

fn read(file: &Path) -> Vec<Row> {
    let folder = file.parent().and_then(Path::file_name).expect("a partition").to_string_lossy().into_owned();
    let open = std::fs::File::open(file).expect("it is listed");
    let reader = ParquetRecordBatchReaderBuilder::try_new(open).expect("a complete Parquet file").build();
    let mut rows = Vec::new();
    for batch in reader.expect("readable") {
        let batch = batch.expect("readable");
        let text = |name: &str, row: usize| {
            let column = batch.column_by_name(name).expect("a column").as_string::<i32>();
            column.is_valid(row).then(|| column.value(row).to_owned())
        };
        let offsets = batch.column_by_name("_offset").expect("a column").as_primitive::<Int64Type>();
        for row in 0..batch.num_rows() {
            let required = |name| text(name, row).expect("not null");
            rows.push(Row {
                event_id: required("event_id"),
                kind: required("type"),
                user_key: required("user_key"),
                url: text("url", row),
                partition_folder: folder.clone(),
                offset: offsets.value(row),
            });
        }
    }
    rows
}
