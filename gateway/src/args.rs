//! The command line of `footfall-gateway`.
//!
//! Responsible for the flags and for where they stand among the settings. What they mean is in `gateway::config`.

use clap::Parser;
use gateway::config::Settings;
use operator::{Failure, cli::CommonArgs};
use serde::Serialize;

/// Takes events over HTTP and answers when Kafka has them.
#[derive(Debug, Parser)]
#[command(
    name = "footfall-gateway",
    version,
    after_help = "Examples:
  footfall-gateway --brokers 127.0.0.1:9092 --topic events --create-topics --partitions 12
  footfall-gateway --config gateway.toml --listen 0.0.0.0:8080
  FOOTFALL__GATEWAY__SOURCE=web footfall-gateway --check-config

  curl -d '{\"type\":\"page_view\",\"user_id\":\"u1\",\"url\":\"https://shop.example.com/\"}' http://127.0.0.1:8080/v1/events"
)]
pub(crate) struct Args {
    #[command(flatten)]
    pub(crate) common: CommonArgs,
    /// Kafka's addresses, several separated by commas
    #[arg(long, value_name = "HOST:PORT")]
    brokers: Option<String>,
    /// Topic that events go to
    #[arg(long)]
    topic: Option<String>,
    /// Where to listen for events; port 0 takes a free one
    #[arg(long, value_name = "ADDR")]
    listen: Option<String>,
    /// Where to listen for the operator: /healthz, /readyz, /metrics
    #[arg(long, value_name = "ADDR")]
    admin: Option<String>,
    /// Make the topic if it is missing
    #[arg(long)]
    create_topics: bool,
    /// Partitions of a topic made by --create-topics
    #[arg(long, value_name = "N")]
    partitions: Option<i32>,
}

/// The flags that were given, in the shape of the settings.
#[derive(Debug, Serialize)]
pub(crate) struct Flags<'a> {
    gateway: Listen<'a>,
    admin: Listen<'a>,
    kafka: Kafka<'a>,
}

#[derive(Debug, Serialize)]
struct Listen<'a> {
    listen: Option<&'a str>,
}

#[derive(Debug, Serialize)]
struct Kafka<'a> {
    brokers: Option<&'a str>,
    topic: Option<&'a str>,
    create_topics: Option<bool>,
    partitions: Option<i32>,
}

impl Args {
    /// The settings of this process, checked.
    pub(crate) fn settings(&self) -> Result<Settings, Failure> {
        let settings: Settings = self.common.settings(self.flags())?;
        settings.check().map_err(Failure::config)?;
        Ok(settings)
    }

    fn flags(&self) -> Flags<'_> {
        Flags {
            gateway: Listen { listen: self.listen.as_deref() },
            admin: Listen { listen: self.admin.as_deref() },
            kafka: Kafka {
                brokers: self.brokers.as_deref(),
                topic: self.topic.as_deref(),
                create_topics: self.create_topics.then_some(true),
                partitions: self.partitions,
            },
        }
    }
}
