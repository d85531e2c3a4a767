//! Goal: exit codes, their line, and signals behave as scripts rely on. Method: this test binary starts itself again, with
//! one test that plays a service.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use operator::{Failure, exit};
use rustix::process::{Pid, Signal, kill_process};

const ROLE: &str = "OPERATOR_TEST_ROLE";

/// Not a test of its own: what the started process does.
#[test]
fn service() {
    let Ok(role) = std::env::var(ROLE) else { return };
    let result = match role.as_str() {
        "config" => Err(Failure::config("unknown key `x`")),
        "environment" => Err(Failure::environment("port 1 is in use:\nchoose another")),
        "internal" => Err(Failure::internal("the log is gone")),
        _ => {
            drain(role == "stuck");
            Ok(())
        }
    };
    // As main would return it; the harness of this process must not add its own.
    let code = exit::finish("footfall-test", result);
    let of = |code: u8| ExitCode::from(code);
    let known = [0, 64, 69, 70].into_iter().find(|known| format!("{code:?}") == format!("{:?}", of(*known)));
    std::process::exit(known.expect("a documented exit code").into());
}

fn drain(stuck: bool) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
    runtime.expect("a runtime").block_on(async {
        let shutdown = operator::shutdown::on_signal();
        operator::cli::announce("\nready");
        shutdown.cancelled().await;
        operator::cli::announce("draining");
        if stuck {
            std::future::pending::<()>().await;
        }
    });
}

fn start(role: &str) -> Child {
    let mut command = Command::new(std::env::current_exe().expect("this binary"));
    command.args(["--exact", "process::service", "--nocapture", "--test-threads=1"]).env(ROLE, role);
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts")
}

fn signal(child: &Child, signal: Signal) {
    let pid = Pid::from_raw(child.id().try_into().expect("a pid")).expect("not 0");
    kill_process(pid, signal).expect("it runs");
}

/// Its exit code; `None` where it did not end in time and had to be killed.
fn ended(child: &mut Child) -> Option<i32> {
    let deadline = Instant::now() + Duration::from_secs(30);
    while Instant::now() < deadline {
        if let Some(status) = child.try_wait().expect("asked") {
            return status.code();
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    child.kill().and_then(|()| child.wait()).expect("killed");
    None
}

#[track_caller]
fn wait_for(lines: &mut impl Iterator<Item = std::io::Result<String>>, wanted: &str) {
    assert!(lines.any(|line| line.is_ok_and(|line| line == wanted)), "it never printed {wanted:?}");
}

#[test]
fn a_failure_is_one_line_and_its_code() {
    #[track_caller]
    fn check(role: &str, code: i32, line: &str) {
        let output = start(role).wait_with_output().expect("it ends");
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!((output.status.code(), stderr.as_str()), (Some(code), line));
    }
    check("config", 64, "footfall-test: unknown key `x`\n");
    check("environment", 69, "footfall-test: port 1 is in use: choose another\n");
    check("internal", 70, "footfall-test: the log is gone\n");
}

#[test]
fn the_first_signal_drains_and_the_second_ends_at_once() {
    #[track_caller]
    fn check(role: &str, signals: &[Signal], code: i32) {
        let mut child = start(role);
        let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
        wait_for(&mut lines, "ready");
        for (count, sent) in signals.iter().enumerate() {
            signal(&child, *sent);
            if count == 0 {
                wait_for(&mut lines, "draining");
            }
        }
        assert_eq!(ended(&mut child), Some(code));
    }
    check("serve", &[Signal::TERM], 0);
    check("serve", &[Signal::INT], 0);
    check("stuck", &[Signal::TERM, Signal::TERM], 130);
    check("stuck", &[Signal::INT, Signal::TERM], 130);
}
