//! Flags.
//!
//! Responsible for the command line. Promises that what leaves this room has been checked, and a one-line answer to what
//! makes no sense. Leaves doing it to `command`.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};

use crate::exit::Failure;
use crate::report::Goals;
use crate::sender::{Settings, Target};
use crate::traffic::Batching;

/// Offers load to a Footfall gateway, measures the lag until rows are visible, and proves that none is lost.
#[derive(Debug, Parser)]
#[command(name = "footfall-loadgen", version, after_help = EXAMPLES)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

const EXAMPLES: &str = "\
Examples:
  footfall-loadgen run --rate 2000 --duration 60s --lake ./footfall-data/lake --report ./report
  footfall-loadgen run --rate 5000 --events 1000000 --batch 100 --lake s3://bucket/lake --slo-visible-p99 10.5s
  footfall-loadgen replay access.log.gz --lake ./footfall-data/lake
  footfall-loadgen verify --report ./report --lake ./footfall-data/lake

Exit codes: 0 pass, 1 goal missed, 2 verification failed, 3 the generator was too slow, 4 wrong flags, 5 something
needed is not there, 130 interrupted twice.";

/// The subcommands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Send page views and clicks at a constant rate, whatever the answers, and watch them become visible.
    Run(Run),
    /// Send the lines of an access log (Common or Combined Log Format, plain or gzip) as page views.
    Replay(Replay),
    /// Compare the lake again with what an earlier run or replay wrote into its report folder.
    Verify(Verify),
}

/// Where to, and how.
#[derive(Debug, Args)]
pub struct Sending {
    /// The gateway.
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:8080")]
    pub target: String,
    /// The lake (URL or folder) in which the rows must appear; without it nothing is verified.
    #[arg(long, value_name = "URL")]
    pub lake: Option<String>,
    /// A folder for report.json and the ledger that `verify` needs; made if it is not there.
    #[arg(long, value_name = "DIR")]
    pub report: Option<PathBuf>,
    /// The id of the run, part of every event id: letters and digits. Default: a new one.
    #[arg(long, value_name = "ID")]
    pub run_id: Option<String>,
    /// Connections, and so requests that are open at a time.
    #[arg(long, value_name = "N", default_value_t = 64)]
    pub connections: usize,
    /// How long one answer may take.
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = humantime::parse_duration)]
    pub request_timeout: Duration,
    /// How long to go on sending again, and then looking for rows, after everything was due.
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = humantime::parse_duration)]
    pub deadline: Duration,
    /// Goal: 99 % of events are acknowledged within this time of their due time.
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration)]
    pub slo_ack_p99: Option<Duration>,
    /// Goal: 99 % of acknowledged events are visible within this time of their due time.
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration)]
    pub slo_visible_p99: Option<Duration>,
    /// Above this 99th percentile from due to sent, the generator was too slow and the run says nothing.
    #[arg(long, value_name = "TIME", default_value = "100ms", value_parser = humantime::parse_duration)]
    pub send_delay_max: Duration,
}

/// Flags of `run`.
#[derive(Debug, Args)]
pub struct Run {
    /// Where to, and how.
    #[command(flatten)]
    pub sending: Sending,
    /// Events a second.
    #[arg(long, value_name = "N", default_value_t = 1_000.0)]
    pub rate: f64,
    /// How long to send.
    #[arg(long, value_name = "TIME", default_value = "60s", value_parser = humantime::parse_duration)]
    pub duration: Duration,
    /// How many events to send, instead of --duration.
    #[arg(long, value_name = "N", conflicts_with = "duration")]
    pub events: Option<u64>,
    /// The seed of users, sessions and sizes.
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seed: u64,
    /// Users.
    #[arg(long, value_name = "N", default_value_t = 10_000)]
    pub users: u32,
    /// How uneven they are: user k has weight 1/k^S; 0 is even.
    #[arg(long, value_name = "S", default_value_t = 0.9)]
    pub zipf: f64,
    /// Events per request: a number, or mix.
    #[arg(long, value_name = "N|mix", default_value = "mix")]
    pub batch: Batching,
}

/// Flags of `replay`.
#[derive(Debug, Args)]
pub struct Replay {
    /// The access log.
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// Where to, and how.
    #[command(flatten)]
    pub sending: Sending,
    /// So many times as fast as in the log. Default: as fast as answers come.
    #[arg(long, value_name = "N")]
    pub speed: Option<f64>,
    /// What the paths of the log are put behind.
    #[arg(long, value_name = "URL", default_value = "https://www.example.com")]
    pub site: url::Url,
    /// Events per request, at most.
    #[arg(long, value_name = "N", default_value_t = 100)]
    pub batch: usize,
}

/// Flags of `verify`.
#[derive(Debug, Args)]
pub struct Verify {
    /// The report folder of the run.
    #[arg(long, value_name = "DIR")]
    pub report: PathBuf,
    /// The lake (URL or folder).
    #[arg(long, value_name = "URL")]
    pub lake: String,
}

/// Events a run may have: their numbers have 32 bits.
const EVENTS_MAX: u64 = u32::MAX as u64;
/// How long a schedule may be: due times are kept for 119 hours.
const DURATION_MAX: Duration = Duration::from_secs(100 * 3_600);

impl Sending {
    /// The checked target.
    pub fn target(&self) -> Result<Target, Failure> {
        Target::parse(&self.target).map_err(|error| Failure::config(format!("--target: {error}")))
    }

    /// The checked settings of the sender.
    pub fn settings(&self, seed: u64, coalesced_max: usize, closed_loop: bool) -> Result<Settings, Failure> {
        if self.connections == 0 {
            return Err(Failure::config("--connections is 0: at least one is needed to send anything"));
        }
        if self.request_timeout.is_zero() {
            return Err(Failure::config("--request-timeout is 0: no answer could ever be in time"));
        }
        Ok(Settings {
            connections: self.connections,
            request_timeout: self.request_timeout,
            deadline: self.deadline,
            coalesced_max,
            closed_loop,
            seed,
        })
    }

    /// The goals; a closed loop has none for the send delay.
    pub fn goals(&self, closed_loop: bool) -> Result<Goals, Failure> {
        if self.slo_visible_p99.is_some() && self.lake.is_none() {
            return Err(Failure::config("--slo-visible-p99 needs --lake: without it nothing can be seen"));
        }
        let Sending { slo_ack_p99: ack_p99, slo_visible_p99: visible_p99, send_delay_max, .. } = *self;
        Ok(Goals { ack_p99, visible_p99, send_delay_p99: (!closed_loop).then_some(send_delay_max) })
    }

    /// The id of the run.
    pub fn run_id(&self) -> Result<String, Failure> {
        match &self.run_id {
            None => Ok(uuid::Uuid::new_v4().simple().to_string()[..12].to_owned()),
            Some(id) if (1..=32).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_alphanumeric()) => {
                Ok(id.clone())
            }
            Some(id) => Err(Failure::config(format!("--run-id {id:?}: give 1 to 32 letters and digits"))),
        }
    }
}

impl Run {
    /// How many events the schedule has.
    pub fn events(&self) -> Result<u64, Failure> {
        if !self.rate.is_finite() || self.rate <= 0.0 {
            return Err(Failure::config(format!("--rate {}: give events a second, above 0", self.rate)));
        }
        if !self.zipf.is_finite() || self.zipf < 0.0 {
            return Err(Failure::config(format!("--zipf {}: give 0 or more", self.zipf)));
        }
        if self.users == 0 {
            return Err(Failure::config("--users is 0: somebody has to do something"));
        }
        let events = self.events.unwrap_or((self.rate * self.duration.as_secs_f64()).round() as u64);
        if events == 0 || events > EVENTS_MAX {
            return Err(Failure::config(format!("{events} events: --rate and --duration must give 1 to {EVENTS_MAX}")));
        }
        if events as f64 / self.rate > DURATION_MAX.as_secs_f64() {
            return Err(Failure::config("the run would take longer than 100 hours: raise --rate or send less"));
        }
        Ok(events)
    }
}

impl Replay {
    /// The checked pace.
    pub fn pace(&self) -> Result<crate::replay::Pace, Failure> {
        if self.batch == 0 {
            return Err(Failure::config("--batch is 0: a request has at least one event"));
        }
        match self.speed {
            None => Ok(crate::replay::Pace::Answers),
            Some(speed) if speed.is_finite() && speed > 0.0 => Ok(crate::replay::Pace::Speed(speed)),
            Some(speed) => Err(Failure::config(format!("--speed {speed}: give a number above 0"))),
        }
    }
}
