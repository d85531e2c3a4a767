//! `[kafka]`, `[[routes]]`, `[schema]`, `[dead_letters]` and `[spool]`: where events go.
//!
//! Responsible for the names, the defaults and the rules of these settings.

use std::{collections::BTreeMap, path::PathBuf, time::Duration};

use event::Version;
use serde::{Deserialize, Serialize};

use super::{ConfigError, range};

/// Each is looked at for every event that no earlier one fits.
const ROUTES_MAX: usize = 1000;

/// `[kafka]`: the log.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct KafkaSettings {
    /// `HOST:PORT`, several separated by commas.
    pub brokers: String,
    pub topic: String,
    /// Make the topic at boot if it is missing.
    pub create_topics: bool,
    /// Partitions of a topic made at boot.
    pub partitions: i32,
    /// Replicas of a topic made at boot; -1 takes the broker's default.
    pub replication_factor: i32,
    /// How long a record waits for others to go with it. Every request pays it.
    #[serde(with = "humantime_serde")]
    pub linger: Duration,
    /// `lz4`, `gzip` or `none`.
    pub compression: String,
    /// Records that wait for the brokers; above it requests are refused at once.
    pub queue_bytes_max: usize,
    /// Further keys for librdkafka, as they stand in its CONFIGURATION.md; they win over everything above.
    pub properties: BTreeMap<String, String>,
}

/// `[[routes]]`: a topic for a source or a type of events. The first that fits counts.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RouteSettings {
    /// Events of this source only.
    pub source: Option<String>,
    /// Events of this type only.
    #[serde(rename = "type")]
    pub kind: Option<String>,
    /// Where they go instead of `kafka.topic`.
    pub topic: String,
}

/// `[schema]`: how events are written.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SchemaSettings {
    /// Version of the event's schema; an older one while there are sinks that do not know the newest.
    pub version: u32,
    /// `[schema.registry]`; without it records carry the built-in id.
    pub registry: Option<registry::Settings>,
}

impl Default for SchemaSettings {
    fn default() -> SchemaSettings {
        SchemaSettings { version: Version::NEWEST.number(), registry: None }
    }
}

impl SchemaSettings {
    /// The version, once the settings are checked.
    pub fn version(&self) -> Version {
        Version::of_number(self.version).expect("the settings are checked")
    }

    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        range(
            "schema.version",
            self.version.into(),
            1..=Version::NEWEST.number().into(),
            "write a version that exists",
        )?;
        self.registry.as_ref().map_or(Ok(()), |registry| Ok(registry.check()?))
    }
}

/// `[dead_letters]`: refused events, kept with the reason.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DeadLetterSettings {
    pub enabled: bool,
    /// Where they go; without it to `kafka.topic` followed by `.dead-letter`.
    pub topic: Option<String>,
    /// Most of what was sent that is kept.
    pub raw_bytes_max: usize,
}

/// `[spool]`: where events wait while Kafka is down or slow.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SpoolSettings {
    /// Acknowledge events that are on local disk when Kafka does not take them.
    pub enabled: bool,
    /// Folder of this gateway alone.
    pub dir: PathBuf,
    /// Events that wait for Kafka; above it requests are refused.
    pub bytes_max: u64,
    /// How long a record may wait for Kafka before new ones go to the spool.
    #[serde(with = "humantime_serde")]
    pub after: Duration,
}

impl Default for KafkaSettings {
    fn default() -> KafkaSettings {
        KafkaSettings {
            brokers: "127.0.0.1:9092".to_owned(),
            topic: "events".to_owned(),
            create_topics: false,
            partitions: 12,
            replication_factor: -1,
            linger: Duration::from_millis(5),
            compression: "lz4".to_owned(),
            queue_bytes_max: 256 << 20,
            properties: BTreeMap::new(),
        }
    }
}

impl Default for DeadLetterSettings {
    fn default() -> DeadLetterSettings {
        DeadLetterSettings { enabled: true, topic: None, raw_bytes_max: 16 << 10 }
    }
}

impl DeadLetterSettings {
    /// The topic's name.
    pub(crate) fn topic(&self, main_topic: &str) -> String {
        self.topic.clone().unwrap_or_else(|| format!("{main_topic}.dead-letter"))
    }

    pub(super) fn check(&self, main_topic: &str, routes: &[RouteSettings]) -> Result<(), ConfigError> {
        // Six bytes for one where it is a control character, in a record of at most a megabyte.
        let raw_bytes_max = self.raw_bytes_max as u64;
        range("dead_letters.raw_bytes_max", raw_bytes_max, 0..=128 << 10, "choose at most 131072")?;
        let topic = self.topic(main_topic);
        let is_taken = topic == main_topic || routes.iter().any(|route| route.topic == topic);
        if self.enabled && is_taken {
            return Err(ConfigError::DeadLetterTopic { topic });
        }
        Ok(())
    }
}

impl Default for SpoolSettings {
    fn default() -> SpoolSettings {
        SpoolSettings {
            enabled: false,
            dir: PathBuf::from("./footfall-spool"),
            bytes_max: 4 << 30,
            after: Duration::from_secs(1),
        }
    }
}

impl SpoolSettings {
    pub(super) fn check(&self, request_timeout: Duration) -> Result<(), ConfigError> {
        if self.enabled && 2 * self.after > request_timeout {
            return Err(ConfigError::SpoolTooLate { after: self.after.into(), request: request_timeout.into() });
        }
        Ok(())
    }
}

impl KafkaSettings {
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        range("kafka.partitions", self.partitions.max(0) as u64, 1..=100_000, "choose 1 to 100000")?;
        for (key, value) in [("kafka.brokers", &self.brokers), ("kafka.topic", &self.topic)] {
            if value.is_empty() {
                return Err(ConfigError::Empty { key, rule: "set it, or leave it out for the default" });
            }
        }
        Ok(())
    }
}

pub(super) fn check_routes(routes: &[RouteSettings]) -> Result<(), ConfigError> {
    let topic_char = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    for (index, route) in routes.iter().enumerate() {
        let problem = match route {
            _ if index == ROUTES_MAX => "is one too many: 1000 routes are allowed",
            RouteSettings { source: None, kind: None, .. } => {
                "names neither source nor type, so it would take everything: set kafka.topic instead"
            }
            RouteSettings { topic, .. } if topic.is_empty() => "has no topic: name one",
            RouteSettings { topic, .. } if topic.len() > 249 || !topic.chars().all(topic_char) => {
                "has a topic that Kafka does not allow: use at most 249 of a-z, A-Z, 0-9, '.', '_' and '-'"
            }
            _ => continue,
        };
        return Err(ConfigError::Route { index, problem });
    }
    Ok(())
}
