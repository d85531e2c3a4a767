//! `replay`: a real access log.
//!
//! Responsible for putting the lines of a log in front of the sender. Leaves everything else to the rooms it names.

use super::{make_report_folder, open_lake, publish, save_ledger, unwritable};
use crate::cli::Replay;
use crate::exit::{Failure, Verdict};
use crate::ledger::Users;
use crate::measure::{Job, measure};
use crate::replay::{Input, Pace, Played};
use crate::report::{Asked, Replayed, Report};

pub(super) async fn execute(flags: &Replay) -> Result<Verdict, Failure> {
    let sending = &flags.sending;
    let pace = flags.pace()?;
    let closed_loop = pace == Pace::Answers;
    let (target, settings) = (sending.target()?, sending.settings(0, flags.batch, closed_loop)?);
    let (goals, run) = (sending.goals(closed_loop)?, sending.run_id()?);
    make_report_folder(sending)?;
    let input = Input::open(&flags.file).map_err(Failure::environment)?;
    let lake = open_lake(sending)?;
    let asked = Asked {
        command: std::env::args().collect(),
        run: run.clone(),
        seed: None,
        target: sending.target.clone(),
        lake: sending.lake.clone(),
        offered_per_s: None,
        goals,
    };
    let played = Played::new(input, &run, flags.site.clone(), pace, flags.batch);
    let reading = played.reading();
    let job = Job { target, lake, sending: settings, run, users: Users::Listed(Vec::new()), events: None };
    let measured = measure(job, |_| played).await?;
    save_ledger(sending, &measured.ledger)?;
    let reading = reading.lock();
    if let Some(folder) = &sending.report {
        Replayed::write_unparsed(&reading, folder).map_err(|error| unwritable(folder, &error))?;
    }
    let replayed = Replayed::new(&flags.file, &reading);
    publish(sending, &Report::new(asked, measured, Some(replayed)))
}
