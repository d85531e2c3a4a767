//! The command line of `footfall-sink`: one file for each command.
//!
//! Responsible for flags, their place in the settings, and what all commands share: the settings file and the threads.
//! Leaves every decision to the library.

mod allocator;
/// `footfall-sink audit`.
pub(crate) mod audit;
/// `footfall-sink dead-letters`.
pub(crate) mod dead_letters;
/// `footfall-sink rebuild`.
pub(crate) mod rebuild;
/// `footfall-sink run`.
pub(crate) mod run;

use std::{path::PathBuf, time::Duration};

use journal::Journal;
use operator::{Failure, cli::CommonArgs, logging};
use serde::{Deserialize, Serialize};
use sink::{ColumnSettings, DuplicatesSettings, KafkaSettings, SchemaSettings, Settings, source::Replay};

/// The settings file, the same for all commands.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Config {
    pub(crate) sink: Settings,
    columns: Vec<ColumnSettings>,
    duplicates: DuplicatesSettings,
    schema: SchemaSettings,
    pub(crate) kafka: KafkaSettings,
    pub(crate) admin: AdminSettings,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct AdminSettings {
    pub(crate) listen: String,
}

impl Default for AdminSettings {
    fn default() -> AdminSettings {
        AdminSettings { listen: "127.0.0.1:8082".to_owned() }
    }
}

impl Config {
    /// The settings of a command: flag, environment, file, default. What concerns Kafka is checked by who needs Kafka.
    pub(crate) fn load(common: &CommonArgs, flags: impl Serialize) -> Result<Config, Failure> {
        let mut config: Config = common.settings(flags)?;
        config.sink.columns = std::mem::take(&mut config.columns);
        config.sink.duplicates = std::mem::take(&mut config.duplicates);
        config.sink.schema_version = config.schema.version;
        config.sink.registry = config.schema.registry.take();
        config.sink.check().map_err(Failure::config)?;
        config.sink.registry.as_ref().map_or(Ok(()), registry::Settings::check).map_err(Failure::config)?;
        Ok(config)
    }
}

/// Where a command finds the log.
#[derive(Debug, clap::Args)]
pub(crate) struct LogArgs {
    /// The log: Kafka brokers, separated by commas
    #[arg(long, value_name = "HOST:PORT")]
    pub(crate) brokers: Option<String>,
    /// The log: the journal of `footfall`, which must not run meanwhile
    #[arg(long, value_name = "DIR", conflicts_with = "brokers")]
    pub(crate) journal: Option<PathBuf>,
}

impl LogArgs {
    /// Is there no log, neither by flag nor by the settings?
    pub(crate) fn is_missing(&self, config: &Config) -> bool {
        self.journal.is_none() && config.kafka.brokers.is_empty()
    }

    /// Opens the log, if there is one.
    pub(crate) fn open(&self, config: &Config) -> Result<Option<Replay>, Failure> {
        if let Some(folder) = &self.journal {
            let journal = Journal::open_existing(folder).map_err(Failure::environment)?;
            return Ok(Some(Replay::Journal(journal)));
        }
        if config.kafka.brokers.is_empty() {
            return Ok(None);
        }
        config.kafka.check().map_err(Failure::config)?;
        let replay = tokio::task::block_in_place(|| Replay::kafka(&config.kafka, &config.sink.topic));
        replay.map(Some).map_err(|error| sink::audit::AuditError::Log(error).into())
    }
}

/// A time in a flag, as microseconds since 1970 UTC.
pub(crate) fn time(text: &str) -> Result<i64, String> {
    event::parse_time(text).ok_or_else(|| "use a time such as 2026-01-31T12:00:00Z".to_owned())
}

/// Microseconds since 1970 UTC as people read them.
pub(crate) fn time_text(time_us: i64) -> String {
    jiff::Timestamp::from_microsecond(time_us).map_or_else(|_| time_us.to_string(), |time| time.to_string())
}

/// Runs a command's work on threads of its own.
pub(crate) fn block_on(common: &CommonArgs, work: impl Future<Output = Result<(), Failure>>) -> Result<(), Failure> {
    logging::init(common.log_format);
    allocator::give_memory_back();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::environment(format!("cannot start threads: {error}")))?;
    let result = runtime.block_on(work);
    // A request to a store that does not answer must not hold up the end.
    runtime.shutdown_timeout(Duration::from_secs(1));
    result
}
