//! `verify`: judge again.
//!
//! Responsible for comparing the lake with the ledger of an earlier run, as often as one likes. Leaves the judgement to
//! `crate::verify`.

use std::fs::File;

use super::{lake_failure, print, unwritable};
use crate::cli::Verify;
use crate::exit::{Failure, Verdict};
use crate::ledger::{self, LEDGER_FILE};
use crate::reader::Lake;
use crate::report::findings;
use crate::verify::verify;

/// The name of the file inside the report folder that holds what was found.
const FINDINGS_FILE: &str = "verification.json";

pub(super) async fn execute(flags: &Verify) -> Result<Verdict, Failure> {
    let path = flags.report.join(LEDGER_FILE);
    let ledger = ledger::read(&path).map_err(|error| {
        Failure::environment(format!("{error}: give the --report folder of an earlier run or replay"))
    })?;
    let lake = Lake::open(&flags.lake).map_err(lake_failure)?;
    let found = verify(&ledger, &lake).await.map_err(Failure::environment)?;
    let written = File::create(flags.report.join(FINDINGS_FILE)).map_err(|error| unwritable(&flags.report, &error))?;
    serde_json::to_writer_pretty(written, &found).map_err(|error| unwritable(&flags.report, &error.into()))?;
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
            Ok(Verdict::Pass)
        }
        false => {
            print("VERIFICATION FAILED\n");
            Ok(Verdict::VerificationFailed)
        }
    }
}
