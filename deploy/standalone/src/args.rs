//! Responsible for the flags of `footfall` and which settings they stand for. Leaves their values to the settings.

use clap::Parser;
use operator::cli::CommonArgs;
use serde::Serialize;

/// Page views and clicks in, Parquet files out, in one process.
#[derive(Debug, Parser)]
#[command(name = "footfall", version, after_help = EXAMPLES)]
pub struct Args {
    /// Folder for the journal and the lake [default: ./footfall-data]
    #[arg(long, value_name = "DIR")]
    data: Option<String>,
    /// Where events are sent to; port 0 takes a free one [default: 127.0.0.1:8080]
    #[arg(long, value_name = "ADDR")]
    listen: Option<String>,
    /// Console, health and metrics [default: 127.0.0.1:8081]
    #[arg(long, value_name = "ADDR")]
    admin: Option<String>,
    /// How long events wait for others before they go to the lake in one file [default: 2s]
    #[arg(long, value_name = "TIME")]
    roll_interval: Option<String>,
    #[command(flatten)]
    pub common: CommonArgs,
}

const EXAMPLES: &str = "\
Examples:
  footfall
      events to http://127.0.0.1:8080/v1/events, console at http://127.0.0.1:8081/
  footfall --data /var/lib/footfall --listen 0.0.0.0:8080 --roll-interval 10s
  footfall --config footfall.toml --check-config
  FOOTFALL__JOURNAL__PARTITIONS=8 footfall

Settings: flag, then environment (FOOTFALL__SECTION__KEY), then --config file, then default.
Exit codes: 0 stopped and drained; 64 configuration; 69 data folder, port or lake cannot be used; 70 stopped by an error.";

/// The flags in the shape of [`crate::config::Settings`].
#[derive(Debug, Serialize)]
pub struct Flags {
    data: Option<String>,
    gateway: Listen,
    admin: Listen,
    sink: Roll,
}

#[derive(Debug, Serialize)]
struct Listen {
    listen: Option<String>,
}

#[derive(Debug, Serialize)]
struct Roll {
    roll_interval: Option<String>,
}

impl Args {
    /// What was given, for the settings.
    pub fn flags(&self) -> Flags {
        Flags {
            data: self.data.clone(),
            gateway: Listen { listen: self.listen.clone() },
            admin: Listen { listen: self.admin.clone() },
            sink: Roll { roll_interval: self.roll_interval.clone() },
        }
    }
}
