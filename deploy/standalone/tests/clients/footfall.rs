//! A running `footfall`, on free ports and a data folder of its own.

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::{
    eventually,
    lake::{self, Row},
};

/// Ends with SIGKILL when dropped.
pub(crate) struct Footfall {
    child: Child,
    /// `HOST:PORT` of the gateway.
    pub(crate) gateway: String,
    lake: PathBuf,
    _data: TempDir,
}

impl Footfall {
    /// Starts it and returns when it has printed that it is ready.
    pub(crate) fn start() -> Footfall {
        Footfall::start_with("")
    }

    /// Starts it with a configuration file of this content.
    pub(crate) fn start_with(config: &str) -> Footfall {
        let data = tempfile::tempdir().expect("a temporary folder");
        let file = data.path().join("footfall.toml");
        std::fs::write(&file, config).expect("written");
        let mut command = Command::new(env!("CARGO_BIN_EXE_footfall"));
        command.args(["--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--roll-interval", "1h", "--config"]);
        command.arg(file).arg("--data").arg(data.path().join("data"));
        for (key, _) in std::env::vars_os() {
            if key.to_string_lossy().starts_with("FOOTFALL__") {
                command.env_remove(key);
            }
        }
        let mut child = command.env("RUST_LOG", "error").stdout(Stdio::piped()).spawn().expect("it starts");
        let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
        let mut next = |name: &str| {
            let line = lines.next().expect("a line before it ends").expect("UTF-8");
            line.strip_prefix(name).unwrap_or_else(|| panic!("{line:?} is not {name}...")).to_owned()
        };
        let (gateway, _admin) = (next("gateway http://"), next("admin http://"));
        let lake = PathBuf::from(next("lake "));
        Footfall { child, gateway, lake, _data: data }
    }

    /// Ends it in an orderly way, which writes everything that was accepted, and reads the lake. One file for each
    /// partition: with a roll interval of an hour nothing was written before.
    pub(crate) fn rows(mut self) -> Vec<Row> {
        let pid = Pid::from_raw(self.child.id().try_into().expect("a pid")).expect("not 0");
        kill_process(pid, Signal::TERM).expect("it runs");
        let status = eventually("it ends", || self.child.try_wait().expect("asked"));
        assert_eq!(status.code(), Some(0), "drained");
        lake::rows(&self.lake)
    }
}

impl Drop for Footfall {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
