//! Goal: a new configuration takes effect while requests are served, and none of them notices. Method: the real binary
//! over a mock cluster, a file that is rewritten, and SIGHUP.

use std::{
    path::Path,
    process::Command,
    sync::atomic::{AtomicBool, AtomicU32, Ordering},
};

use crate::{
    binary::Running,
    harness::{Client, event, mock, request, until},
};

/// As an editor or a deployment does it: never half written.
fn write(file: &Path, text: &str) {
    let new = file.with_extension("new");
    std::fs::write(&new, text).unwrap();
    std::fs::rename(new, file).unwrap();
}

fn keys(keys: &[(&str, &str)]) -> String {
    keys.iter().map(|(key, name)| format!("[[keys]]\nkey = \"{key}\"\nname = \"{name}\"\n")).collect()
}

fn reloads(running: &Running, outcome: &str) -> u32 {
    let line = format!("footfall_gateway_config_reloads_total{{outcome=\"{outcome}\"}} ");
    let metrics = running.get("/metrics").1;
    metrics.lines().find_map(|found| found.strip_prefix(&line)).expect("the metric").parse().unwrap()
}

fn hang_up(running: &Running) {
    let sent = Command::new("kill").args(["-HUP", &running.id().to_string()]).status().unwrap();
    assert!(sent.success());
}

fn status(running: &Running, key: &str) -> u16 {
    let mut client = Client::connect(running.gateway);
    client.send(&request(&format!("x-write-key: {key}\r\n"), event("u", 1).as_bytes()));
    client.reply().status
}

#[test]
fn no_request_fails_across_fifty_reloads() {
    let cluster = mock("events", 4);
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("gateway.toml");
    write(&file, &keys(&[("stays", "web")]));
    let mut running = Running::start(&cluster.bootstrap_servers(), &["--config", file.to_str().unwrap()]);
    until("it is ready", || running.get("/readyz").0 == 200);
    let (stop, sent) = (AtomicBool::new(false), AtomicU32::new(0));
    let (running_now, stop, sent) = (&running, &stop, &sent);
    std::thread::scope(|scope| {
        for user in 0..4 {
            scope.spawn(move || {
                let mut client = Client::connect(running_now.gateway);
                let bytes = request("x-write-key: stays\r\n", event(user, 1).as_bytes());
                while !stop.load(Ordering::Relaxed) {
                    client.send(&bytes);
                    let reply = client.reply();
                    assert_eq!(reply.status, 200, "{reply:?}");
                    sent.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        for n in 0..50 {
            let name = format!("other-{n}");
            write(&file, &keys(&[(&name, &name), ("stays", "web")]));
            let before = sent.load(Ordering::Relaxed);
            // The same change may be seen by the look at the file too; once is enough.
            until("the reload is applied", || {
                hang_up(running_now);
                std::thread::sleep(std::time::Duration::from_millis(20));
                status(running_now, &name) == 200
            });
            until("requests were served meanwhile", || sent.load(Ordering::Relaxed) > before);
        }
        stop.store(true, Ordering::Relaxed);
    });
    assert_eq!(status(&running, "other-48"), 401, "a key that was taken out");
    assert!(reloads(&running, "applied") >= 50);
    assert_eq!(reloads(&running, "refused"), 0);
    eprintln!("{} requests across 50 reloads, none failed", sent.load(Ordering::Relaxed));
    assert_eq!(running.terminate(), Some(0));
}

#[test]
fn a_changed_file_is_noticed_and_a_bad_one_changes_nothing() {
    let cluster = mock("events", 4);
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("gateway.toml");
    write(&file, &keys(&[("first", "web")]));
    let mut running = Running::start(&cluster.bootstrap_servers(), &["--config", file.to_str().unwrap()]);
    until("it is ready", || running.get("/readyz").0 == 200);
    assert_eq!((status(&running, "first"), status(&running, "second")), (200, 401));
    write(&file, &keys(&[("first", "web"), ("second", "web")]));
    until("the file is noticed", || status(&running, "second") == 200);
    for bad in ["[[keys]\n", "[[keys]]\nkey = \"third\"\n", "[gateway]\nlisen = \"x\"\n"] {
        let before = reloads(&running, "refused");
        write(&file, bad);
        until("the file is refused", || reloads(&running, "refused") > before);
        assert_eq!((status(&running, "first"), status(&running, "third")), (200, 401), "{bad}");
    }
    write(&file, &format!("[kafka]\nlinger = \"6ms\"\n{}", keys(&[("third", "web")])));
    until("the file is good again", || status(&running, "third") == 200);
    assert_eq!(status(&running, "first"), 401);
    assert_eq!(running.terminate(), Some(0));
}

#[test]
fn without_a_file_a_hangup_changes_nothing() {
    let cluster = mock("events", 4);
    let mut running = Running::start(&cluster.bootstrap_servers(), &[]);
    until("it is ready", || running.get("/readyz").0 == 200);
    hang_up(&running);
    until("the settings were read again", || reloads(&running, "applied") == 1);
    assert_eq!(status(&running, "any"), 200);
    assert_eq!(running.terminate(), Some(0));
}
