//! What was measured, for people and for scripts.
//!
//! Responsible for the report of a run: figures, goals and the verdict. Promises a versioned schema, that what was not
//! measured is absent and not zero, and that the verdict names its reasons. Leaves measuring to `measure`.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::time::Duration;

use serde::Serialize;

use crate::exit::Verdict;
use crate::latency::Percentiles;
use crate::ledger::Tally;
use crate::measure::Measured;
use crate::sender::Refusals;
use crate::verify::Findings;

mod console;
mod host;
mod replayed;

pub use console::{findings, summary};
pub use host::Host;
pub use replayed::Replayed;

/// The version of `report.json`: a field may be added, but none removed or changed without a new number.
pub const SCHEMA: &str = "footfall-loadgen-report/1";
/// The name of the file inside a report folder.
pub const REPORT_FILE: &str = "report.json";

/// What a run must reach.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Goals {
    /// 99 % of events are acknowledged within this time.
    pub ack_p99: Option<Duration>,
    /// 99 % of acknowledged events are visible within this time.
    pub visible_p99: Option<Duration>,
    /// Above this 99th percentile of the send delay, the generator itself was too slow. None where events are due when
    /// there is room for them: such a generator cannot be late.
    pub send_delay_p99: Option<Duration>,
}

/// Events a second that were wanted; nothing in a replay as fast as it goes.
pub type OfferedRate = Option<f64>;

/// What was asked for.
#[derive(Clone, Debug, Serialize)]
pub struct Asked {
    /// The command line.
    pub command: Vec<String>,
    /// The id of the run.
    pub run: String,
    /// The seed, where there is one.
    pub seed: Option<u64>,
    /// Where events went.
    pub target: String,
    /// Where they had to appear.
    pub lake: Option<String>,
    /// Events a second.
    pub offered_per_s: OfferedRate,
    /// What had to be reached.
    pub goals: Goals,
}

/// Everything that is known of a run.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// See [`SCHEMA`].
    pub schema: &'static str,
    /// What it came to.
    pub verdict: Verdict,
    /// The exit code of the program.
    pub exit_code: u8,
    /// Why it is not a pass.
    pub reasons: Vec<String>,
    /// What was asked for.
    pub asked: Asked,
    /// When it began, RFC 3339.
    pub started_at: String,
    /// From the start until the last row was seen or waited for.
    pub lasted_s: f64,
    /// Events by outcome.
    pub events: Tally,
    /// Users that had events.
    pub users: u64,
    /// Events a second.
    pub rates: Rates,
    /// From due to acknowledged.
    pub ack_ms: Percentiles,
    /// From due to sent, where only the generator can have been late.
    pub send_delay_ms: Percentiles,
    /// From due to visible, with unseen events at the time when the reader gave up.
    pub visible_lag_ms: Option<Percentiles>,
    /// Acknowledged events that were not seen before the deadline.
    pub unseen_at_deadline: Option<u64>,
    /// Events that waited for the answer to an earlier request of their user.
    pub held_by_order: u64,
    /// Events that waited for a connection.
    pub held_by_connections: u64,
    /// Requests, by how they ended.
    pub attempts: BTreeMap<Cow<'static, str>, u64>,
    /// Events that were refused for good.
    pub refused: Refusals,
    /// What the reader saw beside rows.
    pub reader: Option<ReaderFacts>,
    /// What verification found.
    pub verification: Option<Findings>,
    /// The log that was replayed.
    pub replayed: Option<Replayed>,
    /// The machine and what the generator used of it.
    pub host: Host,
}

/// Events a second, over the time in which they were sent.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Rates {
    /// Sent.
    pub achieved_per_s: f64,
    /// Acknowledged.
    pub acked_per_s: f64,
}

/// What the reader saw beside rows.
#[derive(Clone, Debug, Serialize)]
pub struct ReaderFacts {
    /// Files that were read.
    pub files: u64,
    /// Files that could be listed but not read, and why: half-written files that a reader could see.
    pub torn: BTreeMap<String, String>,
    /// Listings that failed.
    pub listing_errors: u64,
    /// What the last of them said.
    pub last_listing_error: Option<String>,
}

impl Report {
    /// Draws up the report.
    pub fn new(asked: Asked, measured: Measured, replayed: Option<Replayed>) -> Self {
        let Measured { ledger, sent, watched, unseen, findings, clock, ended_us } = measured;
        let events = ledger.tally();
        let rate = |count: u64, until_us: u64| match (asked.offered_per_s, until_us) {
            (_, 0) => 0.0,
            // The last event of a schedule has an interval of its own.
            (Some(rate), _) => count as f64 / (until_us as f64 / 1e6 + 1.0 / rate),
            (None, _) => count as f64 / (until_us as f64 / 1e6),
        };
        let mut report = Report {
            schema: SCHEMA,
            verdict: Verdict::Pass,
            exit_code: 0,
            reasons: Vec::new(),
            started_at: jiff::Timestamp::from_microsecond(clock.start_unix_us()).unwrap_or_default().to_string(),
            lasted_s: ended_us as f64 / 1e6,
            users: ledger.users() as u64,
            rates: Rates {
                achieved_per_s: rate(events.offered - events.unsent, sent.last_sent_us),
                acked_per_s: rate(events.ok, sent.last_ack_us),
            },
            ack_ms: sent.ack.percentiles(),
            send_delay_ms: sent.send_delay.percentiles(),
            visible_lag_ms: watched.as_ref().map(|watched| watched.visible.percentiles()),
            unseen_at_deadline: watched.as_ref().map(|_| unseen),
            held_by_order: sent.held_by_order,
            held_by_connections: sent.held_by_connections,
            attempts: sent.attempts,
            refused: sent.refused,
            reader: watched.map(|watched| ReaderFacts {
                files: watched.files,
                torn: watched.torn.into_iter().collect(),
                listing_errors: watched.listing_errors,
                last_listing_error: watched.last_listing_error,
            }),
            verification: findings,
            replayed,
            host: Host::read(ended_us),
            events,
            asked,
        };
        report.judge(sent.gave_up);
        report
    }

    /// Loss weighs more than a generator that was too slow, and that more than a goal that was missed.
    fn judge(&mut self, gave_up: Option<String>) {
        let mut failed = Vec::new();
        if let Some(findings) = &self.verification {
            let found = findings.failures().into_iter().filter(|(_, finding)| finding.count > 0);
            failed.extend(found.map(|(name, finding)| format!("{} {name}", finding.count)));
        }
        if let Some(reader) = self.reader.as_ref().filter(|reader| !reader.torn.is_empty()) {
            failed.push(format!("{} files could be seen before they were whole", reader.torn.len()));
        }
        let mut bound = Vec::new();
        over(&mut bound, "send delay p99", self.send_delay_ms.p99_ms, self.asked.goals.send_delay_p99);
        let mut missed = Vec::from_iter(gave_up);
        let unacknowledged = self.events.offered - self.events.ok;
        let is_replay = self.replayed.is_some();
        // What a replay holds is not ours: events that a gateway refuses for good are an answer, not a failure.
        let refused = if is_replay { self.refused.events() } else { 0 };
        if unacknowledged > refused {
            missed.push(format!("{} events were not acknowledged", unacknowledged - refused));
        }
        over(&mut missed, "ack p99", self.ack_ms.p99_ms, self.asked.goals.ack_p99);
        if let Some(lag) = &self.visible_lag_ms {
            over(&mut missed, "visible p99", lag.p99_ms, self.asked.goals.visible_p99);
        }
        if let Some(broken) = self.replayed.as_ref().and_then(|replayed| replayed.broken.clone()) {
            missed.push(broken);
        }
        self.verdict = match (failed.is_empty(), bound.is_empty(), missed.is_empty()) {
            (false, ..) => Verdict::VerificationFailed,
            (_, false, _) => Verdict::GeneratorBound,
            (_, _, false) => Verdict::SloMissed,
            _ => Verdict::Pass,
        };
        self.exit_code = self.verdict.code();
        self.reasons = [failed, bound, missed].concat();
    }

    /// Writes `report.json` into the folder.
    pub fn write(&self, folder: &Path) -> io::Result<()> {
        let mut out = BufWriter::new(File::create(folder.join(REPORT_FILE))?);
        serde_json::to_writer_pretty(&mut out, self)?;
        out.write_all(b"\n")?;
        out.flush()
    }
}

fn over(reasons: &mut Vec<String>, what: &str, ms: f64, limit: Option<Duration>) {
    if let Some(limit_ms) = limit.map(|limit| limit.as_secs_f64() * 1e3).filter(|limit_ms| ms > *limit_ms) {
        reasons.push(format!("{what} is {ms:.1} ms, over {limit_ms:.0} ms"));
    }
}

#[cfg(test)]
mod tests;
