//! The subcommands.
//!
//! Responsible for going from flags to a verdict. Promises that everything that can be wrong with the flags, the report
//! folder, the lake and the target is said before the first event is sent. Leaves measuring to `measure`.

mod replay;
mod run;
mod verify;

use std::io::Write;
use std::path::{Path, PathBuf};

use crate::cli::{Cli, Command};
use crate::config::{Send, Settings};
use crate::exit::{Failure, Verdict};
use crate::ledger::LEDGER_FILE;
use crate::reader::Lake;
use crate::report::{Report, summary};

/// Does what was asked for; no verdict if only the settings were to be checked.
pub async fn execute(cli: &Cli) -> Result<Option<Verdict>, Failure> {
    let settings: Settings =
        operator::settings::load(cli.common.config.as_deref(), cli.command.settings()).map_err(Failure::config)?;
    match &cli.command {
        Command::Run(_) => run::execute(&settings, &cli.common).await,
        Command::Replay(flags) => replay::execute(&flags.file, &settings, &cli.common).await,
        Command::Verify(_) => verify::execute(&settings, &cli.common).await,
    }
}

/// Opens the lake, if there is one, and says loudly what is lost if there is none.
fn open_lake(send: &Send) -> Result<Option<Lake>, Failure> {
    match &send.lake {
        Some(url) => Lake::open(url).map(Some).map_err(lake_failure),
        None => {
            let _ = writeln!(
                std::io::stderr(),
                "NO --lake: nothing is read back, so there is no visible lag and loss, duplicates and order are NOT checked"
            );
            Ok(None)
        }
    }
}

fn lake_failure(error: crate::reader::LakeError) -> Failure {
    match error {
        crate::reader::LakeError::NotAUrl { .. } => Failure::config(error),
        _ => Failure::environment(error),
    }
}

/// Makes the report folder now: a run of an hour must not end with "permission denied". Returns where the ledger goes.
fn make_report_folder(send: &Send) -> Result<Option<PathBuf>, Failure> {
    let Some(folder) = &send.report else { return Ok(None) };
    let probe = folder.join(".writable");
    std::fs::create_dir_all(folder)
        .and_then(|()| std::fs::write(&probe, b""))
        .and_then(|()| std::fs::remove_file(&probe))
        .map_err(|error| unwritable(folder, &error))?;
    Ok(Some(folder.join(LEDGER_FILE)))
}

fn unwritable(folder: &Path, error: &std::io::Error) -> Failure {
    Failure::environment(format!("report folder {} cannot be written ({error}): correct --report", folder.display()))
}

/// Writes and prints the report.
fn publish(send: &Send, report: &Report) -> Result<Verdict, Failure> {
    if let Some(folder) = &send.report {
        report.write(folder).map_err(|error| unwritable(folder, &error))?;
    }
    print(&summary(report));
    Ok(report.verdict)
}

fn print(text: &str) {
    // Whoever closed stdout does not want to read it.
    let _ = std::io::stdout().write_all(text.as_bytes());
}
