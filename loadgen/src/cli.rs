//! Flags.
//!
//! Responsible for the command line. Promises that every flag is a key of the settings, named after it. Leaves defaults,
//! other sources and checks to `config`.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use serde::Serialize;
use serde_json::json;

/// Offers load to a Footfall gateway, measures the lag until rows are visible, and proves that none is lost
#[derive(Debug, Parser)]
#[command(name = "footfall-loadgen", version, after_help = EXAMPLES)]
pub struct Cli {
    /// What every binary has.
    #[command(flatten)]
    pub common: operator::cli::CommonArgs,
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

Every flag is also a key of --config FILE and a variable: FOOTFALL__SEND__TARGET, FOOTFALL__RUN__RATE,
FOOTFALL__GOALS__SLO_ACK_P99.

Exit codes: 0 pass, 1 goal missed, 2 verification failed, 3 the generator was too slow, 4 wrong flags or settings,
5 something needed is not there, 130 interrupted twice.";

/// The subcommands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Send page views and clicks at a constant rate, whatever the answers, and watch them become visible
    #[command(after_help = EXAMPLES)]
    Run(Run),
    /// Send the lines of an access log (Common or Combined Log Format, plain or gzip) as page views
    #[command(after_help = EXAMPLES)]
    Replay(Replay),
    /// Compare the lake again with what an earlier run or replay wrote into its report folder
    #[command(after_help = EXAMPLES)]
    Verify(Verify),
}

impl Command {
    /// The flags in the shape of the settings.
    pub fn settings(&self) -> serde_json::Value {
        match self {
            Command::Run(Run { send, goals, run }) => json!({"send": send, "goals": goals, "run": run}),
            Command::Replay(Replay { send, goals, replay, .. }) => {
                json!({"send": send, "goals": goals, "replay": replay})
            }
            Command::Verify(verify) => json!({"send": verify}),
        }
    }
}

/// Where to, and how: section `send`.
#[derive(Debug, Args, Serialize)]
pub struct SendFlags {
    /// The gateway [default: http://127.0.0.1:8080]
    #[arg(long, value_name = "URL")]
    target: Option<String>,
    /// The lake (URL or folder) in which the rows must appear; without it nothing is verified
    #[arg(long, value_name = "URL")]
    lake: Option<String>,
    /// A folder for report.json and the ledger that `verify` needs; made if it is not there
    #[arg(long, value_name = "DIR")]
    report: Option<PathBuf>,
    /// The id of the run, part of every event id: letters and digits [default: a new one]
    #[arg(long, value_name = "ID")]
    run_id: Option<String>,
    /// Connections, and so requests that are open at a time [default: 64]
    #[arg(long, value_name = "N")]
    connections: Option<usize>,
    /// How long one answer may take [default: 10s]
    #[arg(long, value_name = "TIME")]
    request_timeout: Option<String>,
    /// How long to go on sending again, and then looking for rows, after everything was due [default: 30s]
    #[arg(long, value_name = "TIME")]
    deadline: Option<String>,
}

/// What must be reached: section `goals`.
#[derive(Debug, Args, Serialize)]
pub struct GoalFlags {
    /// 99 % of events must be acknowledged within this time of their due time
    #[arg(long, value_name = "TIME")]
    slo_ack_p99: Option<String>,
    /// 99 % of acknowledged events must be visible within this time of their due time
    #[arg(long, value_name = "TIME")]
    slo_visible_p99: Option<String>,
    /// Above this 99th percentile from due to sent, the generator was too slow and says nothing [default: 100ms]
    #[arg(long, value_name = "TIME")]
    send_delay_max: Option<String>,
}

/// The open loop: section `run`.
#[derive(Debug, Args, Serialize)]
pub struct RunFlags {
    /// Events a second [default: 1000]
    #[arg(long, value_name = "N")]
    rate: Option<f64>,
    /// How long to send [default: 60s]
    #[arg(long, value_name = "TIME")]
    duration: Option<String>,
    /// How many events to send, instead of --duration
    #[arg(long, value_name = "N", conflicts_with = "duration")]
    events: Option<u64>,
    /// The seed of users, sessions and sizes [default: 1]
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Users [default: 10000]
    #[arg(long, value_name = "N")]
    users: Option<u32>,
    /// How uneven they are: user k has weight 1/k^S, 0 is even [default: 0.9]
    #[arg(long, value_name = "S", allow_negative_numbers = true)]
    zipf: Option<f64>,
    /// Events per request: a number, or mix [default: mix]
    #[arg(long, value_name = "N|mix")]
    batch: Option<String>,
}

/// The access log: section `replay`.
#[derive(Debug, Args, Serialize)]
pub struct ReplayFlags {
    /// So many times as fast as in the log [default: as fast as answers come]
    #[arg(long, value_name = "N")]
    speed: Option<f64>,
    /// What the paths of the log are put behind [default: https://www.example.com]
    #[arg(long, value_name = "URL")]
    site: Option<String>,
    /// Events per request, at most [default: 100]
    #[arg(long, value_name = "N")]
    batch: Option<usize>,
}

/// Flags of `run`.
#[derive(Debug, Args)]
pub struct Run {
    #[command(flatten)]
    send: SendFlags,
    #[command(flatten)]
    goals: GoalFlags,
    #[command(flatten)]
    run: RunFlags,
}

/// Flags of `replay`.
#[derive(Debug, Args)]
pub struct Replay {
    /// The access log
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    #[command(flatten)]
    send: SendFlags,
    #[command(flatten)]
    goals: GoalFlags,
    #[command(flatten)]
    replay: ReplayFlags,
}

/// Flags of `verify`.
#[derive(Debug, Args, Serialize)]
pub struct Verify {
    /// The report folder of the run
    #[arg(long, value_name = "DIR")]
    report: Option<PathBuf>,
    /// The lake (URL or folder)
    #[arg(long, value_name = "URL")]
    lake: Option<String>,
}
