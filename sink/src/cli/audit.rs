//! `footfall-sink audit`: is the lake what it promises to be?
//!
//! Responsible for its flags, for how lines are printed, and for the exit code.

use std::collections::HashMap;

use clap::ValueEnum;
use operator::{Failure, cli::CommonArgs, cli::announce};
use sink::{
    Store,
    audit::{self, Line, Options, Rederive},
};

use super::{Config, LogArgs, block_on};

pub(crate) const EXAMPLES: &str =
    "Exit codes: 0 clean, 1 something is wrong, 64 wrong flags, 69 lake or log cannot be read.

Examples:
  footfall-sink audit --lake file:///srv/lake
  footfall-sink audit --lake s3://bucket/lake --topic events --partition 3 --format json
  footfall-sink audit --lake file:///srv/lake --brokers 127.0.0.1:9092 --full";

/// Flags of `audit`.
#[derive(Debug, clap::Args)]
pub(crate) struct AuditArgs {
    /// Folder or URL of the lake: file:///..., s3://bucket/prefix, gs://, az://
    #[arg(long, value_name = "URL")]
    lake: Option<String>,
    /// Topic whose chains are audited [default: events]
    #[arg(long)]
    topic: Option<String>,
    #[command(flatten)]
    log: LogArgs,
    /// Audit one partition only
    #[arg(long, value_name = "N")]
    partition: Option<u32>,
    /// Look at footers and names, but do not read the rows
    #[arg(long)]
    footers_only: bool,
    /// Derive every file again from the log, not only the last one of each partition
    #[arg(long)]
    full: bool,
    /// Derive the file again that covers this offset (with --partition)
    #[arg(long, value_name = "OFFSET", requires = "partition", conflicts_with = "full")]
    offset: Option<u64>,
    /// Compare the rows with another lake's, such as a rebuilt one
    #[arg(long, value_name = "URL", conflicts_with = "footers_only")]
    against: Option<String>,
    /// Form of the lines on stdout
    #[arg(long, value_enum, value_name = "FORMAT", default_value = "text")]
    format: Format,
}

/// How lines are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people
    Text,
    /// An object a line
    Json,
}

impl AuditArgs {
    /// Audits and ends with code 1 if something is wrong.
    pub(crate) fn start(self, common: &CommonArgs) -> Result<(), Failure> {
        let config = Config::load(common, self.settings())?;
        if self.log.is_missing(&config) && (self.full || self.offset.is_some()) {
            return Err(Failure::config("--full and --offset need the log: add --brokers or --journal"));
        }
        if common.check_only() {
            return Ok(());
        }
        block_on(common, self.run(config))
    }

    fn settings(&self) -> serde_json::Value {
        serde_json::json!({
            "sink": { "topic": self.topic, "lake": self.lake },
            "kafka": { "brokers": self.log.brokers },
        })
    }

    async fn run(self, config: Config) -> Result<(), Failure> {
        let store = Store::open_existing(&config.sink.lake)?;
        let log = self.log.open(&config)?;
        let rederive = match (self.full, self.offset) {
            (true, _) => Rederive::All,
            (_, Some(offset)) => Rederive::Offset(offset),
            _ => Rederive::Last,
        };
        let options =
            Options { partition: self.partition, with_rows: !self.footers_only, rederive, until: HashMap::new() };
        let format = self.format;
        let mut report = |line| print(format, &line);
        let summary = match &self.against {
            None => audit::run(&config.sink, &store, log, &options, &mut report).await?,
            Some(other) => {
                let other = Store::open_existing(other)?;
                audit::compare(&config.sink, (&store, &other), log, &options, &mut report).await?
            }
        };
        match summary.errors {
            0 => Ok(()),
            errors => Err(Failure::new(1, format!("the audit of {} found {errors} errors", store.url()))),
        }
    }
}

fn print(format: Format, line: &Line) {
    match format {
        Format::Text => announce(line),
        Format::Json => announce(serde_json::to_string(line).expect("texts and numbers")),
    }
}
