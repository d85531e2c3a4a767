//! The load generator as a child process, and its verdict.
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::Value;

use crate::service::binary;

/// What is offered.
#[derive(Clone, Debug)]
pub(crate) struct Offer {
    pub(crate) events: u64,
    pub(crate) rate: u64,
}

impl Offer {
    /// The default of a test, unless the environment asks for more.
    pub(crate) fn or_from_environment(events: u64, rate: u64) -> Offer {
        let number = |name, default| {
            std::env::var(name).map_or(default, |text| text.parse().unwrap_or_else(|_| panic!("{name}: not a number")))
        };
        Offer { events: number("FOOTFALL_TEST_EVENTS", events), rate: number("FOOTFALL_TEST_RATE", rate) }
    }

    pub(crate) fn duration(&self) -> Duration {
        Duration::from_secs_f64(self.events as f64 / self.rate as f64)
    }
}

/// A run of the load generator.
#[derive(Debug)]
pub(crate) struct Load {
    child: Option<Child>,
    folder: PathBuf,
    lake: PathBuf,
}

impl Load {
    /// Starts `footfall-loadgen run`. It sends again what was not acknowledged until two minutes after the last due time.
    pub(crate) fn start(offer: &Offer, gateway_port: u16, lake: &Path, folder: &Path) -> Load {
        let folder = folder.join("report");
        std::fs::create_dir_all(&folder).expect("the test's folder is writable");
        let seed = 1 + u64::from(std::process::id());
        eprintln!("load: {offer:?}, seed {seed}");
        let mut command = Command::new(binary("footfall-loadgen"));
        command.args(["run", "--target", &format!("http://127.0.0.1:{gateway_port}")]);
        command.arg("--lake").arg(lake).arg("--report").arg(&folder);
        command.args(["--events", &offer.events.to_string(), "--rate", &offer.rate.to_string()]);
        // The machine is full of other tests: how late the generator itself was is not what is judged here.
        command.args(["--seed", &seed.to_string(), "--deadline", "120s", "--send-delay-max", "30s"]);
        let log = std::fs::File::create(folder.join("loadgen.log")).expect("the test's folder is writable");
        command.stdin(Stdio::null()).stdout(log.try_clone().expect("a file handle can be cloned")).stderr(log);
        let child = command.spawn().expect("the load generator starts");
        Load { child: Some(child), folder, lake: lake.to_owned() }
    }

    /// Waits for its verdict, which must be a pass.
    pub(crate) fn must_pass(&mut self) -> Report {
        let status = self.child.take().expect("it is waited for once").wait().expect("our own child can be waited for");
        let log = std::fs::read_to_string(self.folder.join("loadgen.log")).unwrap_or_default();
        assert!(status.success(), "the load generator ended with {status}:\n{log}");
        let report = std::fs::read(self.folder.join("report.json")).expect("a run writes its report");
        eprintln!("{log}");
        Report(serde_json::from_slice(&report).expect("the report is JSON"))
    }

    /// Judges once more, from the ledger file and the lake as it lies there.
    pub(crate) fn must_verify(&self) {
        let mut command = Command::new(binary("footfall-loadgen"));
        command.arg("verify").arg("--report").arg(&self.folder).arg("--lake").arg(&self.lake);
        let output = command.output().expect("the load generator starts");
        let said = [output.stdout, output.stderr].concat();
        assert!(output.status.success(), "verify ended with {}:\n{}", output.status, String::from_utf8_lossy(&said));
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// `report.json` of a run.
#[derive(Debug)]
pub(crate) struct Report(Value);

impl Report {
    /// Checks that the run was not empty: every event was acknowledged in the end and is a row.
    pub(crate) fn must_hold(&self, events: u64) {
        let Report(report) = self;
        assert_eq!(report["events"]["ok"], events, "all events are acknowledged in the end: {report:#}");
        let findings = &report["verification"];
        let resent = findings["duplicated_resent"]["count"].as_u64().expect("a count");
        assert_eq!(self.rows(), events + resent, "{findings:#}");
    }

    /// Rows in the lake.
    pub(crate) fn rows(&self) -> u64 {
        self.0["verification"]["rows"].as_u64().expect("a count")
    }
}
