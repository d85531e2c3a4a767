//! Responsible for the log: to stderr, as text or one JSON object a line, filtered by `RUST_LOG` (default: `info`, without
//! the storage engine's own news).
//! Leaves stdout alone: that belongs to printed addresses and reports.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::util::SubscriberInitExt;

/// The storage engine tells of every file it opens; at boot that would hide what the operator has to know.
const DEFAULT: &str = "info,fjall=warn,lsm_tree=warn";

/// Form of a log line.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line, for log collectors.
    Json,
}

/// Starts logging for this process. A second call changes nothing, so that tests may call it freely.
pub fn init(format: LogFormat) {
    let filter = match std::env::var(EnvFilter::DEFAULT_ENV) {
        Ok(directives) if !directives.is_empty() => EnvFilter::new(directives),
        _ => EnvFilter::new(DEFAULT),
    };
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    // An error here means that a subscriber is already in place, which is the promise above.
    let _ = match format {
        LogFormat::Text => lines.with_ansi(std::io::stderr().is_terminal()).finish().try_init(),
        LogFormat::Json => lines.json().finish().try_init(),
    };
}
