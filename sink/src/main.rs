//! `footfall-sink`: the sink as a process of its own, reading Kafka.
//!
//! Responsible for the command line, the runtime, the admin port and the exit code. Everything else is the library's.

use std::{process::ExitCode, sync::Arc, time::Duration};

use clap::{Parser, Subcommand};
use operator::{Failure, Health, admin, cli, exit, logging, process, shutdown};
use serde::{Deserialize, Serialize};
use sink::{ColumnSettings, KafkaSettings, Metrics, SchemaSettings, Settings, Source, Store};
use tokio_util::sync::CancellationToken;

/// From the log to Parquet files in a lake: each user's events in order, each exactly once.
#[derive(Debug, Parser)]
#[command(name = "footfall-sink", version, after_help = EXAMPLES)]
struct Args {
    #[command(flatten)]
    common: cli::CommonArgs,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Read a Kafka topic and write the lake, sharing the partitions with the other members of the group
    #[command(after_help = EXAMPLES)]
    Run(RunArgs),
}

const EXAMPLES: &str = "Examples:
  footfall-sink run --brokers 127.0.0.1:9092 --topic events --group lake --lake file:///srv/lake
  footfall-sink run --config sink.toml --lake s3://bucket/lake --roll-interval 30s
  FOOTFALL__KAFKA__BROKERS=broker:9092 footfall-sink run --lake gs://bucket/lake --check-config";

/// Flags of `run`; each is a key of the settings file.
#[derive(Debug, clap::Args)]
struct RunArgs {
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
    /// Address of the admin port [default: 127.0.0.1:8082]
    #[arg(long, value_name = "ADDR")]
    admin: Option<String>,
}

/// The settings file.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Config {
    sink: Settings,
    columns: Vec<ColumnSettings>,
    schema: SchemaSettings,
    kafka: KafkaSettings,
    admin: AdminSettings,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct AdminSettings {
    listen: String,
}

impl Default for AdminSettings {
    fn default() -> AdminSettings {
        AdminSettings { listen: "127.0.0.1:8082".to_owned() }
    }
}

impl RunArgs {
    fn into_settings(self) -> serde_json::Value {
        serde_json::json!({
            "sink": { "topic": self.topic, "lake": self.lake, "roll_interval": self.roll_interval },
            "kafka": { "brokers": self.brokers, "group": self.group },
            "admin": { "listen": self.admin },
        })
    }
}

fn main() -> ExitCode {
    exit::finish("footfall-sink", start())
}

fn start() -> Result<(), Failure> {
    let Args { common, command: Command::Run(flags) } = cli::parse()?;
    let mut config: Config = common.settings(flags.into_settings())?;
    config.sink.columns = std::mem::take(&mut config.columns);
    config.sink.registry = config.schema.registry.take();
    config.sink.check().map_err(Failure::config)?;
    config.kafka.check().map_err(Failure::config)?;
    config.sink.registry.as_ref().map_or(Ok(()), registry::Settings::check).map_err(Failure::config)?;
    if common.check_only() {
        return Ok(());
    }
    logging::init(common.log_format);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::environment(format!("cannot start threads: {error}")))?;
    let result = runtime.block_on(run(config));
    // A request to a store that does not answer must not hold up the end.
    runtime.shutdown_timeout(Duration::from_secs(1));
    result
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
