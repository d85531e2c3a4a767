//! `verify`: judge again.
//!
//! Responsible for comparing the lake with the ledger of an earlier run, as often as one likes. Leaves the judgement to
//! `crate::verify`.

use std::fs::File;

use operator::cli::CommonArgs;

use super::{lake_failure, print, unwritable};
use crate::config::Settings;
use crate::exit::{Failure, Verdict};
use crate::ledger::{self, LEDGER_FILE};
use crate::reader::Lake;
use crate::report::findings;
use crate::verify::verify;

/// The name of the file inside the report folder that holds what was found.
const FINDINGS_FILE: &str = "verification.json";

pub(super) async fn execute(settings: &Settings, common: &CommonArgs) -> Result<Option<Verdict>, Failure> {
    let missing = |flag| Failure::config(format!("{flag} is missing: verify compares a lake with the report of a run"));
    let report = settings.send.report.as_deref().ok_or_else(|| missing("--report"))?;
    let lake = settings.send.lake.as_deref().ok_or_else(|| missing("--lake"))?;
    if common.check_only() {
        return Ok(None);
    }
    let path = report.join(LEDGER_FILE);
    let ledger = ledger::read(&path).map_err(|error| {
        Failure::environment(format!("{error}: give the --report folder of an earlier run or replay"))
    })?;
    let lake = Lake::open(lake).map_err(lake_failure)?;
    let found = verify(&ledger, &lake).await.map_err(Failure::environment)?;
    let written = File::create(report.join(FINDINGS_FILE)).map_err(|error| unwritable(report, &error))?;
    serde_json::to_writer_pretty(written, &found).map_err(|error| unwritable(report, &error.into()))?;
    let tally = ledger.tally();
    print(&format!(
        "run {}: {} events, {} acknowledged, {} refused, {} unknown, {} unsent\n",
        ledger.run(),
        tally.offered,
        tally.ok,
        tally.fail,
        tally.unknown,
        tally.unsent
    ));
    print(&findings(&found));
    match found.passed() {
        true => {
            print("PASS\n");
            Ok(Some(Verdict::Pass))
        }
        false => {
            print("VERIFICATION FAILED\n");
            Ok(Some(Verdict::VerificationFailed))
        }
    }
}
