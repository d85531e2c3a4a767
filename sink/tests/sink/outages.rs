//! Lakes that cannot be written for a while. Goal: the sink says so, waits, goes on by itself, and every event is there
//! once, in order. Method: real disks, a real S3 server, a clock that jumps.

mod clock;
mod disk;
mod store;

use std::io::Write;

/// Says that a test is left out, loudly: the test harness hides what a test that passes prints with `eprintln!`.
fn left_out(why: &str) {
    let test = std::thread::current().name().unwrap_or("a test").to_owned();
    let _ = writeln!(std::io::stderr(), "\nLEFT OUT: {test} {why}");
}
