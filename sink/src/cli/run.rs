//! `footfall-sink run`: the sink as a process of its own, reading Kafka.
//!
//! Responsible for its flags and for the admin port beside the sink.

use std::sync::Arc;

use operator::{Failure, Health, admin, cli, process, shutdown};
use sink::{Metrics, Source, Store};
use tokio_util::sync::CancellationToken;

use super::{Config, block_on};

pub(crate) const EXAMPLES: &str = "Examples:
  footfall-sink run --brokers 127.0.0.1:9092 --topic events --group lake --lake file:///srv/lake
  footfall-sink run --config sink.toml --lake s3://bucket/lake --roll-interval 30s
  FOOTFALL__KAFKA__BROKERS=broker:9092 footfall-sink run --lake gs://bucket/lake --check-config";

/// Flags of `run`; each is a key of the settings file.
#[derive(Debug, clap::Args)]
pub(crate) struct RunArgs {
    /// Kafka brokers, separated by commas
    #[arg(long, value_name = "HOST:PORT")]
    brokers: Option<String>,
    /// Topic to read [default: events]
    #[arg(long)]
    topic: Option<String>,
    /// Consumer group [default: footfall-sink]
    #[arg(long)]
    group: Option<String>,
    /// Folder or URL of the lake: file:///..., s3://bucket/prefix, gs://, az://
    #[arg(long, value_name = "URL")]
    lake: Option<String>,
    /// Longest time between a record and its file [default: 10s]
    #[arg(long, value_name = "TIME")]
    roll_interval: Option<String>,
    /// Where the log has lost records before they were read, mark the gap in the lake and go on
    #[arg(long)]
    accept_gap: bool,
    /// Address of the admin port [default: 127.0.0.1:8082]
    #[arg(long, value_name = "ADDR")]
    admin: Option<String>,
}

impl RunArgs {
    fn into_settings(self) -> serde_json::Value {
        serde_json::json!({
            "sink": {
                "topic": self.topic,
                "lake": self.lake,
                "roll_interval": self.roll_interval,
                "accept_gap": self.accept_gap.then_some(true),
            },
            "kafka": { "brokers": self.brokers, "group": self.group },
            "admin": { "listen": self.admin },
        })
    }

    /// Runs the sink until a signal.
    pub(crate) fn start(self, common: &cli::CommonArgs) -> Result<(), Failure> {
        let config = Config::load(common, self.into_settings())?;
        config.kafka.check().map_err(Failure::config)?;
        if common.check_only() {
            return Ok(());
        }
        block_on(common, run(config))
    }
}

async fn run(config: Config) -> Result<(), Failure> {
    let shutdown = shutdown::on_signal();
    let health = Health::default();
    let mut registry = process::registry("footfall-sink");
    let metrics = Arc::new(Metrics::register(&mut registry));
    let listener = operator::bind(&config.admin.listen)?;
    let address = listener.local_addr().map_err(Failure::environment)?;
    let admin = admin::Admin { health: health.clone(), registry: Arc::new(registry), routes: None };
    let ended = CancellationToken::new();
    let serving = tokio::spawn(admin::serve(listener, admin, ended.clone()));
    cli::announce(format!("admin http://{address}"));
    let store = Store::open(&config.sink.lake)?;
    let source = Source::kafka(&config.kafka, &config.sink.topic);
    let result = sink::run(config.sink, source, store, metrics, &health, shutdown).await;
    ended.cancel();
    let _ = serving.await;
    result
}
