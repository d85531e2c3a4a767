//! DuckDB and Polars for tests: what analysts read a lake with, from PyPI.
//!
//! Responsible for a virtual environment that holds them, made once for a target directory, under a lock.

use std::{
    fs::File,
    io::Write,
    path::{Path, PathBuf},
    process::Command,
};

const PACKAGES: [&str; 2] = ["duckdb==2.0.1", "polars==2.1.0"];
const WITHOUT_CLIENTS: &str = "FOOTFALL_TEST_WITHOUT_CLIENTS";

/// A Python with the readers below a folder that outlives tests; `None` if such tests are to be left out, which is
/// said.
///
/// # Panics
/// Where they cannot be installed.
pub fn python(folder: &Path) -> Option<PathBuf> {
    if std::env::var_os(WITHOUT_CLIENTS).is_some_and(|value| value == "1") {
        // Not `eprintln!`: the test harness hides that of a test that passes.
        let _ =
            writeln!(std::io::stderr(), "\nLEFT OUT: a test runs DuckDB and Polars, and {WITHOUT_CLIENTS}=1 is set");
        return None;
    }
    let venv = folder.join("readers");
    std::fs::create_dir_all(&venv).expect("a folder below the target directory");
    let lock = File::create(venv.join("lock")).expect("a lock file");
    lock.lock().expect("locked");
    let (python, complete) = (venv.join("bin/python"), venv.join("complete-1"));
    if !complete.exists() {
        run(Command::new("python3").args(["-m", "venv"]).arg(&venv));
        run(Command::new(&python).args(["-m", "pip", "install", "-q"]).args(PACKAGES));
        std::fs::write(&complete, "").expect("written");
    }
    Some(python)
}

/// What a script prints.
///
/// # Panics
/// Where it fails.
pub fn said(python: &Path, script: &str, arguments: &[&str]) -> String {
    run(Command::new(python).args(["-c", script]).args(arguments))
}

#[track_caller]
fn run(command: &mut Command) -> String {
    let output = command.output().expect("Python is there: deploy/setup --tests");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{stderr}\n(to leave out the tests that need it: {WITHOUT_CLIENTS}=1)");
    String::from_utf8(output.stdout).expect("UTF-8")
}
