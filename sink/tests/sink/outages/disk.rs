//! A disk that is full, and one that turns read-only.

use std::{fs, io::Write, path::Path, process::Command, time::Duration};

use kafka::Broker;
use tempfile::TempDir;

use crate::{
    kafka::{produce, stop},
    lake::{assert_exactly_once_in_order, rows},
    process::{Sink, wait_for},
};

/// A small file system of its own, gone when dropped.
struct Disk(TempDir);

impl Disk {
    /// Nothing where this process may not mount.
    fn mount() -> Option<Disk> {
        let folder = tempfile::tempdir().expect("a folder");
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", "size=2m", "footfall-test"]).arg(folder.path());
        mount.output().ok()?.status.success().then(|| Disk(folder))
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    /// `ro` is refused while a file is open for writing.
    fn remount(&self, how: &str) {
        wait_for("a remount", || {
            let mut mount = Command::new("mount");
            let mount = mount.args(["-o", &format!("remount,{how}")]).arg(self.path());
            mount.output().expect("mount").status.success()
        });
    }

    /// Takes all the room that is left; deleting the file gives it back.
    fn fill(&self) {
        let mut file = fs::File::create(self.path().join("filler")).expect("a file");
        while file.write(&[0; 4096]).is_ok() {}
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.path()).output();
    }
}

fn sink(brokers: &str, topic: &str, lake: &Path) -> Sink {
    let lake = lake.display().to_string();
    let flags = ["run", "--brokers", brokers, "--topic", topic, "--group", topic, "--lake", &lake];
    Sink::start(&[&flags[..], &["--roll-interval", "300ms", "--admin", "127.0.0.1:0"]].concat(), &[])
}

#[test]
fn a_full_or_read_only_disk_is_waited_for() {
    if kafka::left_out() {
        return;
    }
    let Some(disk) = Disk::mount() else {
        return super::left_out("needs to be root: it mounts small file systems");
    };
    let brokers = Broker::shared().brokers();
    let topic = Broker::shared().fresh_topic("sink-disk", 1);
    let lake = disk.path().join("lake");
    let running = sink(brokers, &topic, &lake);
    produce(brokers, &topic, 0..200);
    wait_for("the first rows", || rows(&lake).len() == 200);
    let check = |events: std::ops::Range<usize>, reason: &str, end: &dyn Fn()| {
        produce(brokers, &topic, events.clone());
        wait_for(reason, || running.store_errors(reason) >= 2.0 && !running.is_ready());
        assert!(running.value("footfall_sink_store_failing_seconds") > 0.0);
        assert_eq!(rows(&lake).len(), events.start, "nothing half written is to be seen");
        end();
        wait_for("the rest", || rows(&lake).len() == events.end && running.is_ready());
        assert!(running.value("footfall_sink_store_failing_seconds") == 0.0);
    };
    disk.fill();
    check(200..1_000, "full", &|| fs::remove_file(disk.path().join("filler")).expect("deleted"));
    disk.remount("ro");
    check(1_000..1_500, "read_only", &|| disk.remount("rw"));
    stop(running);
    assert_exactly_once_in_order(&rows(&lake), 1_500);

    let refused = |expected: &[&str]| {
        let (code, stderr) = sink(brokers, &topic, &lake).end();
        let line = stderr.lines().last().unwrap_or_default();
        assert!(code == Some(69) && expected.iter().all(|part| line.contains(part)), "{code:?} {stderr}");
    };
    disk.fill();
    refused(&["No space left on device", "make room"]);
    fs::remove_file(disk.path().join("filler")).expect("deleted");
    std::thread::sleep(Duration::from_millis(100));
    disk.remount("ro");
    refused(&["Read-only file system", "mount it for writing"]);
}
