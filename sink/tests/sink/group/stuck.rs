//! A member whose store takes nothing, while the others' do.

use std::{io::Write, path::Path, process::Command};

use tempfile::TempDir;

use super::{Setup, share};
use crate::{kafka::stop, process::wait_for};

/// A folder at another path, where it can turn read-only by itself.
struct View(TempDir);

impl View {
    /// Nothing where this process may not mount.
    fn of(folder: &Path) -> Option<View> {
        let view = tempfile::tempdir().expect("a folder");
        mount(&["--bind".as_ref(), folder, view.path()]).then_some(View(view))
    }

    /// Refused while a file is open for writing.
    fn turn_read_only(&self) {
        wait_for("a remount", || mount(&["-o".as_ref(), "remount,bind,ro".as_ref(), self.0.path()]));
    }
}

impl Drop for View {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.0.path()).output();
    }
}

fn mount(arguments: &[&Path]) -> bool {
    Command::new("mount").args(arguments).output().is_ok_and(|output| output.status.success())
}

/// A member that cannot write holds up its group for the time that it is given, and no longer. What it has read is read
/// again by the next owner.
#[test]
fn a_member_that_cannot_write_gives_its_partitions_up_in_time() {
    if kafka::left_out() {
        return;
    }
    let mut setup = Setup::new("stuck", "300ms");
    let Some(view) = View::of(&setup.lake()) else {
        let _ = writeln!(std::io::stderr(), "\nLEFT OUT: a store of one member that turns read-only needs `mount`");
        return;
    };
    let settings = [("FOOTFALL__KAFKA__REVOKE_TIMEOUT", "2s"), ("FOOTFALL__KAFKA__SESSION_TIMEOUT", "6s")];
    let mut stuck = setup.sink_of(view.0.path(), &settings);
    setup.produce(200);
    setup.wait("the first rows");
    view.turn_read_only();
    setup.produce(200);
    wait_for("a refusal", || stuck.store_errors("read_only") > 0.0);
    // It closes no file by itself, so that the lake does not tell the first that it comes too late.
    let other = setup.sink(&[&settings[..], &[("FOOTFALL__SINK__ROLL_INTERVAL", "10m")]].concat());
    wait_for("the share of the other", || share(&other) == 2);
    assert_eq!(share(&stuck), 2, "nothing is held by two");
    // It is away for longer than its session, and what it holds has another owner when it comes back: no time for that.
    stuck.signal("STOP");
    wait_for("all partitions", || share(&other) == 4);
    stuck.signal("CONT");
    wait_for("what it has lost", || stuck.value("footfall_sink_rebalances_total{reason=\"lost\"}") >= 2.0);
    let seconds = stuck.value("footfall_sink_rebalance_seconds_sum{reason=\"lost\"}");
    assert!(seconds < 1.0, "what is lost is dropped at once: {seconds} s");
    stuck.kill();
    wait_for("what it could not write", || other.value("footfall_sink_records_total") >= 200.0);
    stop(other);
    setup.must_hold();
}
