//! `footfall-sink` as a child process.

use std::{
    io::Read,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

/// A running sink; dropping it kills it.
pub(crate) struct Sink(Child);

impl Sink {
    pub(crate) fn start(flags: &[&str], environment: &[(&str, &str)]) -> Sink {
        let mut command = Command::new(env!("CARGO_BIN_EXE_footfall-sink"));
        command.args(flags).envs(environment.iter().copied()).stdout(Stdio::null()).stderr(Stdio::piped());
        Sink(command.spawn().expect("the sink's binary"))
    }

    /// SIGKILL.
    pub(crate) fn kill(&mut self) {
        self.0.kill().expect("it runs");
        self.0.wait().expect("it has ended");
    }

    /// SIGTERM.
    pub(crate) fn terminate(&self) {
        let status = Command::new("kill").args(["-TERM", &self.0.id().to_string()]).status();
        assert!(status.expect("kill").success());
    }

    /// Exit code and stderr, once it ends by itself.
    pub(crate) fn end(mut self) -> (Option<i32>, String) {
        let mut stderr = self.0.stderr.take().expect("piped");
        let reading = std::thread::spawn(move || {
            let mut text = String::new();
            stderr.read_to_string(&mut text).expect("text");
            text
        });
        let deadline = Instant::now() + Duration::from_secs(60);
        let code = loop {
            if let Some(status) = self.0.try_wait().expect("a status") {
                break status.code();
            }
            assert!(Instant::now() < deadline, "the sink does not end");
            std::thread::sleep(Duration::from_millis(20));
        };
        (code, reading.join().expect("read"))
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Waits until something holds.
#[track_caller]
pub(crate) fn wait_for(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(90);
    while !holds() {
        assert!(Instant::now() < deadline, "{what} does not happen");
        std::thread::sleep(Duration::from_millis(50));
    }
}
