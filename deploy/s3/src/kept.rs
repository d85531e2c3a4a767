//! A server that does not outlive the test process.
//!
//! Responsible for its end: with SIGKILL, when the test says so or is gone itself, however that ended. Its folder goes
//! with it, unless it is to be started again.

use std::{
    fs,
    io::Write,
    path::Path,
    process::{Child, Command, Stdio},
};

/// A running server. Dropping it ends it and deletes its folder.
#[derive(Debug)]
pub struct Kept {
    keeper: Child,
}

/// When the test process is gone, the pipe on standard input closes.
const KEEPER: &str = r#"dir=$1; shift
"$@" >>"$dir/log" 2>&1 </dev/null &
read -r word
kill -9 $! && wait $! 2>/dev/null
[ "$word" = keep ] || rm -rf "$dir""#;

impl Kept {
    /// Starts a program; what it says goes to the file `log` of a folder that is its own.
    ///
    /// # Panics
    /// Where there is no `sh`.
    pub fn start(dir: &Path, program: &Path, arguments: &[String], environment: &[(&str, &str)]) -> Kept {
        let mut server = Command::new("sh");
        server.args(["-c", KEEPER, "keeper"]).arg(dir).arg(program).args(arguments);
        server.envs(environment.iter().copied()).stdin(Stdio::piped());
        Kept { keeper: server.spawn().expect("sh is there") }
    }

    /// Ends it; its folder stays.
    pub fn kill(mut self) {
        if let Some(mut stdin) = self.keeper.stdin.take() {
            let _ = stdin.write_all(b"keep\n");
        }
        let _ = self.keeper.wait();
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        drop(self.keeper.stdin.take());
        let _ = self.keeper.wait();
    }
}

/// The end of what a server said.
pub(crate) fn log(dir: &Path) -> String {
    let log = fs::read_to_string(dir.join("log")).unwrap_or_default();
    let lines: Vec<_> = log.lines().collect();
    lines[lines.len().saturating_sub(10)..].join("\n")
}
