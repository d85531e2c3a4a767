//! `footfall-sink rebuild`: a lake from the log, once more.
//!
//! Responsible for its flags and for what is printed.

use operator::{
    Failure,
    cli::{CommonArgs, announce},
};
use sink::{
    Store,
    rebuild::{self, Rebuilt},
};

use super::{Config, LogArgs, block_on};

pub(crate) const EXAMPLES: &str =
    "The new lake is empty, or one whose rebuild was stopped. Show afterwards that both hold the same rows:
  footfall-sink audit --lake file:///srv/new --against file:///srv/lake

Examples:
  footfall-sink rebuild --brokers 127.0.0.1:9092 --lake file:///srv/new
  footfall-sink rebuild --brokers 127.0.0.1:9092 --lake s3://bucket/new --like s3://bucket/lake";

/// Flags of `rebuild`.
#[derive(Debug, clap::Args)]
pub(crate) struct RebuildArgs {
    /// Folder or URL of the new lake: file:///..., s3://bucket/prefix, gs://, az://
    #[arg(long, value_name = "URL")]
    lake: Option<String>,
    /// Topic to read [default: events]
    #[arg(long)]
    topic: Option<String>,
    #[command(flatten)]
    log: LogArgs,
    /// Cut files where this lake's are cut, and end where it ends
    #[arg(long, value_name = "URL")]
    like: Option<String>,
    /// Where the log has lost records, mark the gap in the new lake and go on
    #[arg(long)]
    accept_gap: bool,
}

impl RebuildArgs {
    /// Rebuilds and ends with code 1 if a file is not what the lake to go by has.
    pub(crate) fn start(self, common: &CommonArgs) -> Result<(), Failure> {
        let config = Config::load(
            common,
            serde_json::json!({
                "sink": { "topic": self.topic, "lake": self.lake, "accept_gap": self.accept_gap.then_some(true) },
                "kafka": { "brokers": self.log.brokers },
            }),
        )?;
        if self.log.is_missing(&config) {
            return Err(Failure::config("rebuild needs the log: add --brokers or --journal"));
        }
        if common.check_only() {
            return Ok(());
        }
        block_on(common, self.run(config))
    }

    async fn run(self, config: Config) -> Result<(), Failure> {
        let like = self.like.as_deref().map(Store::open_existing).transpose()?;
        let log = self.log.open(&config)?.expect("checked above");
        let store = Store::open(&config.sink.lake)?;
        let (mut files, mut differing) = (0, 0);
        let mut report = |done: Rebuilt| {
            files += done.files;
            differing += done.differing;
            announce(format!(
                "partition {}: {} files, {} rows, up to offset {}",
                done.partition, done.files, done.rows, done.next_offset
            ));
        };
        rebuild::run(&config.sink, &store, log, like.as_ref(), &mut report).await?;
        if differing > 0 {
            return Err(Failure::new(
                1,
                format!("{differing} of {files} files do not hold what they hold in the lake to go by"),
            ));
        }
        announce(format!("rebuilt {files} files in {}", store.url()));
        Ok(())
    }
}
