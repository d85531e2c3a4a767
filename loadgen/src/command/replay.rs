//! `replay`: a real access log.
//!
//! Responsible for putting the lines of a log in front of the sender. Leaves everything else to the rooms it names.

use std::path::Path;

use operator::cli::CommonArgs;

use super::{make_report_folder, open_lake, publish, unwritable};
use crate::config::Settings;
use crate::exit::{Failure, Verdict};
use crate::ledger::Users;
use crate::measure::{Job, measure};
use crate::replay::{Input, Pace, Played};
use crate::report::{Asked, Replayed, Report};

pub(super) async fn execute(file: &Path, settings: &Settings, common: &CommonArgs) -> Result<Option<Verdict>, Failure> {
    let Settings { send, replay: flags, .. } = settings;
    let pace = flags.pace()?;
    let closed_loop = pace == Pace::Answers;
    let (target, sending) = (send.target()?, send.sending(0, flags.batch, true)?);
    let (goals, run, site) = (settings.goals(closed_loop)?, send.run_id()?, flags.site()?);
    if common.check_only() {
        return Ok(None);
    }
    let ledger_file = make_report_folder(send)?;
    let input = Input::open(file).map_err(Failure::environment)?;
    let lake = open_lake(send)?;
    let asked = Asked {
        command: std::env::args().collect(),
        run: run.clone(),
        seed: None,
        target: send.target.clone(),
        lake: send.lake.clone(),
        offered_per_s: None,
        goals,
    };
    let played = Played::new(input, &run, site, pace, flags.batch);
    let reading = played.reading();
    let job = Job { target, lake, sending, run, users: Users::Listed(Vec::new()), events: None, ledger_file };
    let measured = measure(job, |_| played).await?;
    let reading = reading.lock();
    if let Some(folder) = &send.report {
        Replayed::write_unparsed(&reading, folder).map_err(|error| unwritable(folder, &error))?;
    }
    let replayed = Replayed::new(file, &reading);
    publish(send, &Report::new(asked, measured, Some(replayed))).map(Some)
}
