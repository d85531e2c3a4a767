//! The binary: exit codes, one-line errors, report files.
use std::path::Path;
use std::process::{Command, Output};

use loadgen::ledger::{LEDGER_FILE, Ledger, Outcome, Users, write};
use serde_json::Value;

use crate::gateway::{Gateway, Mood};
use crate::lake::put;

async fn run(arguments: &[&str]) -> Output {
    let arguments: Vec<String> = arguments.iter().map(|argument| (*argument).to_owned()).collect();
    let command = move || Command::new(env!("CARGO_BIN_EXE_footfall-loadgen")).args(arguments).output().unwrap();
    tokio::task::spawn_blocking(command).await.unwrap()
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// Expects an exit code and one line on stderr that holds this text.
async fn check_failure(arguments: &[&str], code: i32, text: &str) {
    let output = run(arguments).await;
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(code), "{arguments:?}: {stderr}");
    let lines: Vec<_> = stderr.lines().filter(|line| !line.starts_with("NO --lake")).collect();
    assert_eq!(lines.len(), 1, "{arguments:?}: {stderr}");
    assert!(lines[0].starts_with("footfall-loadgen: ") && lines[0].contains(text), "{arguments:?}: {stderr}");
}

#[tokio::test]
async fn wrong_flags_are_one_line_and_code_4() {
    check_failure(&[], 4, "--help").await;
    check_failure(&["dance"], 4, "dance").await;
    check_failure(&["run", "--rate", "0"], 4, "--rate").await;
    check_failure(&["run", "--rate", "many"], 4, "--rate").await;
    check_failure(&["run", "--duration", "0s"], 4, "0 events").await;
    check_failure(&["run", "--batch", "0"], 4, "--batch").await;
    check_failure(&["run", "--users", "0"], 4, "--users").await;
    check_failure(&["run", "--zipf=-1"], 4, "--zipf").await;
    check_failure(&["run", "--target", "https://x"], 4, "http://").await;
    check_failure(&["run", "--run-id", "a-b"], 4, "--run-id").await;
    check_failure(&["run", "--connections", "0"], 4, "--connections").await;
    check_failure(&["run", "--slo-visible-p99", "2s"], 4, "--lake").await;
    check_failure(&["run", "--deadline", "soon"], 4, "--deadline").await;
    check_failure(&["replay", "x", "--speed", "0"], 4, "--speed").await;
    check_failure(&["replay", "x", "--site", "shop"], 4, "--site").await;
    check_failure(&["verify", "--lake", "x"], 4, "--report").await;
}

#[tokio::test]
async fn settings_come_from_a_file_too_and_unknown_keys_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("loadgen.toml");
    let config = file.to_str().unwrap();
    let check_only = ["run", "--config", config, "--check-config"];
    std::fs::write(&file, "[run]\nbatch = 100\nduration = \"5s\"\n[goals]\nslo_ack_p99 = \"50ms\"\n").unwrap();
    let output = run(&check_only).await;
    assert!(output.status.success() && stdout(&output) == "configuration ok\n", "{output:?}");
    check_failure(&[&check_only[..], &["--rate", "0"]].concat(), 4, "--rate").await;
    std::fs::write(&file, "[run]\nbatch = \"many\"\n").unwrap();
    check_failure(&check_only, 4, "run.batch").await;
    std::fs::write(&file, "[run]\nspeed = 3\n").unwrap();
    check_failure(&check_only, 4, "run.speed").await;
}

#[tokio::test]
async fn what_is_not_there_is_one_line_and_code_5() {
    let folder = tempfile::tempdir().unwrap();
    let lake = folder.path().to_str().unwrap();
    // Bound and dropped at once: nobody listens there.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let target = format!("http://127.0.0.1:{port}");
    check_failure(&["run", "--target", &target, "--lake", lake], 5, "start the gateway").await;
    check_failure(&["run", "--target", &target, "--lake", "/no/such/lake"], 5, "--lake").await;
    check_failure(&["run", "--target", &target, "--report", "/proc/no"], 5, "--report").await;
    check_failure(&["replay", "/no/such/log", "--target", &target], 5, "/no/such/log").await;
    check_failure(&["verify", "--report", lake, "--lake", lake], 5, "ledger").await;
}

#[tokio::test]
async fn verify_passes_or_fails_by_what_is_in_the_lake() {
    let folder = tempfile::tempdir().unwrap();
    let (lake, report) = (folder.path().join("lake"), folder.path().join("report"));
    std::fs::create_dir_all(&lake).unwrap();
    std::fs::create_dir_all(&report).unwrap();
    let mut ledger = Ledger::new("run", Users::Numbered("u".to_owned()));
    let id = ledger.add(5, 0);
    ledger.record(id.number, Outcome::Ok);
    write(&ledger, &report.join(LEDGER_FILE)).unwrap();
    let arguments = ["verify", "--report", report.to_str().unwrap(), "--lake", lake.to_str().unwrap()];
    let output = run(&arguments).await;
    assert_eq!(output.status.code(), Some(2));
    assert!(stdout(&output).contains("missing") && stdout(&output).contains("run-5-0-0"), "{}", stdout(&output));
    put(&lake, 3, 0, 1, &[(id.text("run"), "u5".to_owned(), 0)]);
    let output = run(&arguments).await;
    assert_eq!(output.status.code(), Some(0), "{}", stdout(&output));
    assert!(report.join("verification.json").is_file());
}

fn report(folder: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(folder.join("report.json")).unwrap()).unwrap()
}

#[tokio::test]
async fn a_run_ends_with_the_code_of_its_verdict() {
    let gateway = Gateway::start(1, &[Mood::Good]).await;
    let target = format!("http://{}", gateway.address);
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().to_str().unwrap();
    let check = async |flags: &[&str], code: i32, last: &str| {
        let basic = ["run", "--target", &target, "--rate", "1000", "--events", "200", "--report", dir];
        let output = run(&[&basic, flags].concat()).await;
        let stdout = stdout(&output);
        assert_eq!(output.status.code(), Some(code), "{flags:?}: {stdout}");
        assert!(stdout.lines().last().unwrap().starts_with(last), "{flags:?}: {stdout}");
        assert_eq!(report(folder.path())["exit_code"], code);
    };
    // How fast this machine is does not matter here: the limits are so far apart that no machine is between them.
    let (never, always) = ("1h", "0s");
    check(&["--send-delay-max", never], 0, "PASS").await;
    check(&["--send-delay-max", never, "--slo-ack-p99", always], 1, "SLO MISSED: ack p99").await;
    check(&["--send-delay-max", always, "--slo-ack-p99", always], 3, "GENERATOR-BOUND").await;
    // The gateway took them, but this lake has none of them.
    check(&["--send-delay-max", never, "--lake", dir, "--deadline", "300ms"], 2, "VERIFICATION FAILED: 200 missing")
        .await;
    let report = report(folder.path());
    assert_eq!((&report["unseen_at_deadline"], &report["visible_lag_ms"]["count"]), (&200.into(), &200.into()));
    assert!(report["visible_lag_ms"]["p50_ms"].as_f64().unwrap() >= 300.0, "unseen events are not fast ones");
}

#[tokio::test]
async fn a_replay_names_what_does_not_parse_and_keeps_the_order_of_each_user() {
    let gateway = Gateway::start(1, &[Mood::Good, Mood::RefusesSome]).await;
    let folder = tempfile::tempdir().unwrap();
    let (log, dir) = (folder.path().join("access.log"), folder.path().to_str().unwrap());
    let mut text = String::from("junk\n");
    for n in 0..500 {
        let (client, minute) = (n % 7, n % 60);
        text.push_str(&format!(
            "10.0.0.{client} - - [10/Oct/2000:13:{minute:02}:36 +0000] \"GET /{n} HTTP/1.1\" 200 1\n"
        ));
    }
    std::fs::write(&log, text).unwrap();
    let target = format!("http://{}", gateway.address);
    let output = run(&["replay", log.to_str().unwrap(), "--target", &target, "--report", dir, "--batch", "20"]).await;
    let said = stdout(&output);
    assert_eq!(output.status.code(), Some(0), "{said}");
    for part in ["501 lines", "line 1: the time is not", "invalid_event", "on purpose"] {
        assert!(said.contains(part), "{part} is not in: {said}");
    }
    assert!(std::fs::read_to_string(folder.path().join("unparsed.txt")).unwrap().starts_with("line 1: "));
    let report = report(folder.path());
    let (ok, fail) = (report["events"]["ok"].as_u64().unwrap(), report["events"]["fail"].as_u64().unwrap());
    assert!(ok + fail == 500 && fail > 0, "{report:#}");
    let mut last = std::collections::HashMap::new();
    for (event_id, user) in gateway.log.lock().iter() {
        let sequence: u32 = event_id.split('-').nth(2).unwrap().parse().unwrap();
        assert!(last.insert(user.clone(), sequence).is_none_or(|before| before < sequence), "{event_id}");
    }
    assert_eq!(last.len(), 7);
}

#[tokio::test]
async fn a_replay_into_a_gateway_that_takes_nothing_gives_up() {
    let gateway = Gateway::start(1, &[Mood::Overloaded]).await;
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("access.log");
    // More lines than are kept waiting, so that reading has to stop.
    let line = "10.0.0.1 - - [10/Oct/2000:13:00:36 +0000] \"GET / HTTP/1.1\" 200 1\n";
    std::fs::write(&log, line.repeat(15_000)).unwrap();
    let target = format!("http://{}", gateway.address);
    for pace in [&[][..], &["--speed", "10"]] {
        let basic = ["replay", log.to_str().unwrap(), "--target", &target, "--deadline", "300ms"];
        let output = run(&[&basic, pace].concat()).await;
        assert_eq!(output.status.code(), Some(1), "{}", stdout(&output));
        assert!(stdout(&output).contains("no acknowledgement within the deadline"), "{}", stdout(&output));
    }
}
