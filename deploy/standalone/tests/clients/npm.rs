//! Node and the packages of `package.json`, installed once into a folder below the target directory.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// Where the files of this test binary lie.
pub(crate) fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients")
}

/// Node, ready to run a script that finds the pinned packages with `require`. A module (`.mjs`) does not look there:
/// let it use `createRequire`, or be a `.cjs`.
pub(crate) fn node(script: &str) -> Command {
    let mut command = Command::new("node");
    command.arg(folder().join(script)).env("NODE_PATH", modules());
    command
}

/// `node_modules`, exactly as the lock file says.
pub(crate) fn modules() -> &'static Path {
    static MODULES: OnceLock<PathBuf> = OnceLock::new();
    MODULES.get_or_init(install)
}

fn install() -> PathBuf {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("clients-npm");
    fs::create_dir_all(&target).expect("a folder below the target directory");
    // Test processes may run side by side.
    let lock = File::create(target.join("lock")).expect("a lock file");
    lock.lock().expect("locked");
    let files = ["package.json", "package-lock.json", ".npmrc"];
    let read = |folder: &Path| files.map(|file| fs::read_to_string(folder.join(file)).unwrap_or_default());
    let wanted = read(&folder());
    let complete = target.join("complete");
    if read(&target) != wanted || !complete.exists() {
        let _ = fs::remove_file(&complete);
        for (file, content) in files.iter().zip(&wanted) {
            fs::write(target.join(file), content).expect("written");
        }
        let arguments = ["ci", "--ignore-scripts", "--no-audit", "--no-fund"];
        let output = Command::new("npm").args(arguments).current_dir(&target).output();
        let output = output.expect("npm is missing: `deploy/setup --tests` says how to install it");
        let stderr = String::from_utf8_lossy(&output.stderr);
        let left_out = crate::WITHOUT_CLIENTS;
        assert!(output.status.success(), "npm ci: {stderr}\n(to leave out the tests that run clients: {left_out}=1)");
        File::create(&complete).expect("written");
    }
    target.join("node_modules")
}
