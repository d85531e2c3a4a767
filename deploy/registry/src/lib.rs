//! Apicurio Registry for tests: a real schema registry on loopback through the script `registry` beside this crate.
//!
//! Responsible for starting, killing and restarting it. Promises that it does not outlive the test process. It is 142 MB to
//! fetch, so its tests are `#[ignore]`d: `cargo test --workspace -- --ignored registry` runs them.

use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

/// A running registry. Dropping it ends it.
#[derive(Debug)]
pub struct Apicurio {
    dir: TempDir,
    url: String,
}

impl Apicurio {
    /// Starts one on a free port; fetches it first if need be.
    ///
    /// # Panics
    /// Where it cannot start; the message says why.
    pub fn start() -> Apicurio {
        let dir = tempfile::Builder::new().prefix("footfall-registry-").tempdir().expect("a temporary folder");
        let mut registry = Apicurio { dir, url: String::new() };
        registry.restart();
        registry
    }

    /// The root of Confluent's API; the same after a restart.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Ends it with SIGKILL. Its schemas are gone.
    ///
    /// # Panics
    /// The script fails.
    pub fn kill(&self) {
        self.run(&["down", "--kill"]);
    }

    /// Starts it again.
    ///
    /// # Panics
    /// As [`Apicurio::start`].
    pub fn restart(&mut self) {
        let printed = self.run(&["up", "--owner", &std::process::id().to_string()]);
        let url = printed.lines().find_map(|line| line.strip_prefix("registry "));
        self.url = url.expect("`registry up` prints its address").to_owned();
    }

    fn run(&self, arguments: &[&str]) -> String {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("registry");
        let output = Command::new(script).args(arguments).arg("--dir").arg(self.dir.path()).output();
        let output = output.expect("bash is there");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr).trim_end());
        String::from_utf8_lossy(&output.stdout).into_owned()
    }
}

impl Drop for Apicurio {
    fn drop(&mut self) {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("registry");
        let _ = Command::new(script).args(["down", "--kill", "--dir"]).arg(self.dir.path()).output();
    }
}
