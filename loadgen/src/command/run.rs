//! `run`: an open loop.
//!
//! Responsible for putting the seeded traffic in front of the sender. Leaves everything else to the rooms it names.

use operator::cli::CommonArgs;

use super::{make_report_folder, open_lake, publish};
use crate::arrival::Schedule;
use crate::config::Settings;
use crate::exit::{Failure, Verdict};
use crate::ledger::Users;
use crate::measure::{Job, measure};
use crate::report::{Asked, Report};
use crate::traffic::{Batching, Plan, Planned};

/// Events that go together at most when they had to wait for their user.
const COALESCED_MAX: usize = 100;

pub(super) async fn execute(settings: &Settings, common: &CommonArgs) -> Result<Option<Verdict>, Failure> {
    let Settings { send, run: flags, .. } = settings;
    let events = flags.events()?;
    let coalesced_max = match flags.batch {
        Batching::Fixed(events) => events.max(COALESCED_MAX),
        Batching::Mix => COALESCED_MAX,
    };
    let (target, sending) = (send.target()?, send.sending(flags.seed, coalesced_max, false)?);
    let (goals, run) = (settings.goals(false)?, send.run_id()?);
    if common.check_only() {
        return Ok(None);
    }
    let ledger_file = make_report_folder(send)?;
    let lake = open_lake(send)?;
    let plan = Plan {
        run: run.clone(),
        seed: flags.seed,
        users: flags.users,
        zipf: flags.zipf,
        batching: flags.batch,
        schedule: Schedule::new(flags.rate, events),
    };
    let asked = Asked {
        command: std::env::args().collect(),
        run: run.clone(),
        seed: Some(flags.seed),
        target: send.target.clone(),
        lake: send.lake.clone(),
        offered_per_s: Some(flags.rate),
        goals,
    };
    let users = Users::Numbered("u".to_owned());
    let job = Job { target, lake, sending, run, users, events: Some(events), ledger_file };
    let measured = measure(job, |clock| Planned::new(&plan, clock)).await?;
    publish(send, &Report::new(asked, measured, None)).map(Some)
}
