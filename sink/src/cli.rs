//! The command line of `footfall-sink`: one file for each command.
//!
//! Responsible for flags, their place in the settings, and what all commands share: the settings file and the threads.
//! Leaves every decision to the library.

/// `footfall-sink run`.
pub(crate) mod run;

use std::time::Duration;

use operator::{Failure, cli::CommonArgs, logging};
use serde::{Deserialize, Serialize};
use sink::{ColumnSettings, KafkaSettings, SchemaSettings, Settings};

/// The settings file, the same for all commands.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Config {
    pub(crate) sink: Settings,
    columns: Vec<ColumnSettings>,
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
        config.sink.registry = config.schema.registry.take();
        config.sink.check().map_err(Failure::config)?;
        config.sink.registry.as_ref().map_or(Ok(()), registry::Settings::check).map_err(Failure::config)?;
        Ok(config)
    }
}

/// Runs a command's work on threads of its own.
pub(crate) fn block_on(common: &CommonArgs, work: impl Future<Output = Result<(), Failure>>) -> Result<(), Failure> {
    logging::init(common.log_format);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::environment(format!("cannot start threads: {error}")))?;
    let result = runtime.block_on(work);
    // A request to a store that does not answer must not hold up the end.
    runtime.shutdown_timeout(Duration::from_secs(1));
    result
}
