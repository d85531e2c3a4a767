//! The clients that people point at the gateway, run for real against a running `footfall`: browsers and SDKs.
//!
//! What they need (Node, npm, Chromium) is named by `deploy/setup --tests`; they are left out only where
//! `FOOTFALL_TEST_WITHOUT_CLIENTS=1` says so. Every test starts a `footfall` of its own, lets a client talk to it, most
//! of them through a proxy that answers badly on command, and reads the rows of the lake.

mod browser;
mod footfall;
mod lake;
mod npm;
mod proxy;
mod sdks;
mod tag;

use std::io::Write;
use std::time::{Duration, Instant};

/// For whatever has to happen at last; nothing waits so long unless something is broken.
const DEADLINE: Duration = Duration::from_secs(90);

/// Set to `1` to leave out the tests that run clients.
const WITHOUT_CLIENTS: &str = "FOOTFALL_TEST_WITHOUT_CLIENTS";

/// True where tests that run clients are to be left out, which is said on stderr. Begin such a test with
/// `if left_out() { return; }`.
fn left_out() -> bool {
    let left_out = std::env::var_os(WITHOUT_CLIENTS).is_some_and(|value| value == "1");
    if left_out {
        let test = std::thread::current().name().unwrap_or("a test").to_owned();
        // Not `eprintln!`: the test harness hides that of a test that passes.
        let _ = writeln!(std::io::stderr(), "\nLEFT OUT: {test} runs a client, and {WITHOUT_CLIENTS}=1 is set");
    }
    left_out
}

#[track_caller]
fn eventually<T>(what: &str, mut condition: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(value) = condition() {
            return value;
        }
        assert!(start.elapsed() < DEADLINE, "{what}: not within {DEADLINE:?}");
        std::thread::sleep(Duration::from_millis(20));
    }
}
