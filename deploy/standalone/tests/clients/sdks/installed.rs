//! SDKs, fetched once into folders below the target directory.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::npm;

/// The folder `name`, which `fill` fills anew when one of the files `sources` has changed.
pub(super) fn folder(name: &str, sources: &[&str], fill: impl FnOnce(&Path)) -> PathBuf {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    fs::create_dir_all(&target).expect("a folder below the target directory");
    // Test processes may run side by side.
    let lock = File::create(target.join("lock")).expect("a lock file");
    lock.lock().expect("locked");
    let wanted: String = sources.iter().map(|source| read(source)).collect();
    let complete = target.join("complete");
    if fs::read_to_string(&complete).ok().as_ref() != Some(&wanted) {
        fill(&target);
        fs::write(&complete, wanted).expect("written");
    }
    target
}

/// A file of this test binary.
pub(super) fn read(source: &str) -> String {
    fs::read_to_string(npm::folder().join(source)).unwrap_or_else(|error| panic!("{source}: {error}"))
}

/// Runs a command of an installation.
#[track_caller]
pub(super) fn run(command: &mut Command) {
    let output = command.output();
    let output =
        output.unwrap_or_else(|error| panic!("{command:?}: {error}: `deploy/setup --tests` says what is missing"));
    let stderr = String::from_utf8_lossy(&output.stderr);
    let left_out = crate::WITHOUT_CLIENTS;
    assert!(output.status.success(), "{stderr}\n(to leave out the tests that run clients: {left_out}=1)");
}

/// What follows `before` in a file, up to the first character that is in no version.
#[track_caller]
pub(super) fn version(source: &str, before: &str) -> String {
    let text = read(source);
    let (_, rest) = text.split_once(before).unwrap_or_else(|| panic!("{before:?} is not in {source}"));
    rest.chars().take_while(|character| character.is_ascii_digit() || *character == '.').collect()
}
