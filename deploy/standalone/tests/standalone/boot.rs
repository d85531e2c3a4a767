//! Goal: what cannot work is said at boot, in one line, with the code that scripts look at. Method: start it into the wall.

use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Output};

use rustix::process::Signal;

use crate::footfall::{Footfall, run};

#[track_caller]
fn check(output: &Output, code: i32, parts: &[&str]) {
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!((output.status.code(), stderr.lines().count()), (Some(code), 1), "{stderr}");
    assert!(stderr.starts_with("footfall: "), "{stderr}");
    for part in parts {
        assert!(stderr.contains(part), "{part:?} is not in {stderr:?}");
    }
    assert!(output.stdout.is_empty(), "nothing is ready");
}

#[test]
fn a_bad_flag_key_or_value_is_a_configuration_error() {
    let data = tempfile::tempdir().expect("a temporary folder");
    let dir = data.path().join("data");
    check(&run(&dir, &["--listn", "x"]), 64, &["--listn", "--listen"]);
    check(&run(&dir, &["--roll-interval", "soon"]), 64, &["`--roll-interval` on the command line", "soon"]);
    check(&run(&dir, &["--roll-interval", "0s"]), 64, &["sink.roll_interval must be longer than 0"]);
    check(&run(&dir, &["--config", "/nonexistent.toml"]), 64, &["cannot read the settings file /nonexistent.toml"]);
    let file = data.path().join("footfall.toml");
    std::fs::write(&file, "[gateway]\nsorce = 'web'\n").expect("written");
    let path = file.to_str().expect("UTF-8");
    check(&run(&dir, &["--config", path]), 64, &["unknown key `gateway.sorce`", path, "source"]);
    check(&run(&dir, &["--config", path, "--check-config"]), 64, &["unknown key `gateway.sorce`"]);
    std::fs::write(&file, "[[columns]]\nname = 'url'\nfrom = 'properties.url'\ntype = 'string'\n").expect("written");
    check(&run(&dir, &["--config", path, "--check-config"]), 64, &["columns[0] has the name of a column", "url"]);
    std::fs::write(&file, "[[routes]]\ntype = 'click'\ntopic = 'clicks'\n").expect("written");
    check(&run(&dir, &["--config", path, "--check-config"]), 64, &["leave out [[routes]]", "footfall-gateway"]);
    assert!(!dir.exists(), "nothing was touched");
}

#[test]
fn check_config_opens_nothing() {
    let data = tempfile::tempdir().expect("a temporary folder");
    let output = run(&data.path().join("data"), &["--check-config"]);
    assert_eq!((output.status.code(), output.stdout.as_slice()), (Some(0), &b"configuration ok\n"[..]));
    assert!(!data.path().join("data").exists());
}

#[test]
fn help_and_version_succeed() {
    #[track_caller]
    fn check(flag: &str, part: &str) {
        let output = run(Path::new("unused"), &[flag]);
        let stdout = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success() && stdout.contains(part), "{stdout}");
    }
    check("--help", "Examples:");
    check("--version", concat!("footfall ", env!("CARGO_PKG_VERSION")));
}

#[test]
fn a_data_folder_that_cannot_be_used_is_named() {
    let data = tempfile::tempdir().expect("a temporary folder");
    let file = data.path().join("file");
    std::fs::write(&file, "").expect("written");
    check(&run(&file.join("data"), &[]), 69, &["data folder", "file/data cannot be made", "--data"]);
    check(&run(&file, &[]), 69, &["file cannot be made", "--data"]);
    check(&run(Path::new("/proc/footfall"), &[]), 69, &["data folder /proc/footfall cannot be made"]);
    // A lake that is no folder, in a data folder that is good.
    let dir = data.path().join("data");
    std::fs::create_dir(&dir).expect("made");
    std::fs::write(dir.join("lake"), "").expect("written");
    check(&run(&dir, &[]), 69, &["lake", "data/lake"]);
}

#[test]
fn a_data_folder_that_may_not_be_written_is_named() {
    let data = tempfile::tempdir().expect("a temporary folder");
    let locked = data.path().join("locked");
    std::fs::create_dir(&locked).expect("made");
    let chmod = |mode: &str| assert!(Command::new("chmod").arg(mode).arg(&locked).status().expect("it runs").success());
    chmod("555");
    let writable = std::fs::create_dir(locked.join("probe")).is_ok();
    if !writable {
        check(&run(&locked.join("data"), &[]), 69, &["data folder", "locked/data cannot be made", "Permission denied"]);
        check(&run(&locked, &[]), 69, &["locked"]);
    }
    // Root may write everywhere; the case above then says nothing, and the one without a folder has to do.
    chmod("755");
}

#[test]
fn a_port_in_use_is_named() {
    let data = tempfile::tempdir().expect("a temporary folder");
    let held = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let addr = held.local_addr().expect("bound").to_string();
    let line = format!("port {} is in use: ", held.local_addr().expect("bound").port());
    // The last of two equal flags would win; the settings file comes under the flags, so a flag it must be.
    for flag in ["--listen", "--admin"] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_footfall"));
        let other = if flag == "--listen" { "--admin" } else { "--listen" };
        command.args([flag, &addr, other, "127.0.0.1:0", "--data"]).arg(data.path());
        check(&command.output().expect("it runs"), 69, &[&line]);
        assert!(!data.path().join("journal").exists(), "nothing was touched");
    }
}

#[test]
fn a_second_process_on_the_same_data_folder_is_refused() {
    let data = tempfile::tempdir().expect("a temporary folder");
    let first = Footfall::start(data.path(), &[]);
    check(&run(data.path(), &[]), 69, &["journal", "in use by another process"]);
    assert_eq!(first.get("/readyz").status, 200, "the first is not disturbed");
}

#[test]
fn another_partition_count_is_refused_with_the_one_to_set() {
    let data = tempfile::tempdir().expect("a temporary folder");
    drop(Footfall::start(data.path(), &[]));
    let file = data.path().join("footfall.toml");
    std::fs::write(&file, "[journal]\npartitions = 7\n").expect("written");
    check(&run(data.path(), &["--config", file.to_str().expect("UTF-8")]), 64, &["set partitions to 4, not 7"]);
}

#[test]
fn a_damaged_last_file_is_named_and_nothing_is_written_over_it() {
    let data = tempfile::tempdir().expect("a temporary folder");
    let footfall = Footfall::start(data.path(), &["--roll-interval", "1h"]);
    assert_eq!(footfall.post(r#"{"event_id":"e1","type":"click","user_id":"u1"}"#).status, 200);
    let lake = footfall.lake.clone();
    footfall.signal(Signal::TERM);
    assert_eq!(footfall.ended().code(), Some(0));
    let folder = lake.join(format!("events/topic=events/partition={:05}", event::partition(b"u1", 4)));
    let file = folder.join("00000000000000000000.parquet");
    std::fs::write(&file, "not Parquet at all").expect("written");
    check(&run(data.path(), &[]), 69, &["00000000000000000000.parquet", "cannot be read"]);
    assert_eq!(std::fs::read(&file).expect("still there"), b"not Parquet at all");
}
