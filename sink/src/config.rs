//! The sink's settings.
//!
//! Responsible for every key, its default and the rules between them. Reads no file and no environment.

use std::{collections::BTreeMap, time::Duration};

use serde::{Deserialize, Serialize};

use crate::roll::RollPolicy;

/// Section `[sink]`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Topic in the log; also the name of the chain in the lake.
    pub topic: String,
    /// Where the lake is: a folder, `file:///`, `s3://`, `gs://` or `az://`.
    pub lake: String,
    /// A file spans at most this much log time, and waits at most this long.
    #[serde(with = "humantime_serde")]
    pub roll_interval: Duration,
    /// A file holds at most this many log bytes.
    pub roll_bytes_max: usize,
    /// A file holds at most this many records.
    pub roll_rows_max: usize,
    /// The buffers of all partitions together hold at most about this many log bytes.
    pub buffer_bytes_max: usize,
    /// A checkpoint is written every so many files of a chain.
    pub checkpoint_files: u32,
    /// After this time a request to the store counts as unanswered.
    #[serde(with = "humantime_serde")]
    pub request_timeout: Duration,
    /// The end of a chain must be known after this time.
    #[serde(with = "humantime_serde")]
    pub resume_timeout: Duration,
    /// At a stop, what is buffered must be in the lake after this time.
    #[serde(with = "humantime_serde")]
    pub drain_timeout: Duration,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            topic: "events".to_owned(),
            lake: String::new(),
            roll_interval: Duration::from_secs(10),
            roll_bytes_max: 64 << 20,
            roll_rows_max: 1_000_000,
            buffer_bytes_max: 512 << 20,
            checkpoint_files: 256,
            request_timeout: Duration::from_secs(60),
            resume_timeout: Duration::from_secs(20),
            drain_timeout: Duration::from_secs(60),
        }
    }
}

/// Section `[kafka]`.
#[derive(Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct KafkaSettings {
    /// `HOST:PORT`, several with commas.
    pub brokers: String,
    /// Consumer group; its members share the partitions.
    pub group: String,
    /// Name of this member across restarts (static membership).
    pub group_instance_id: Option<String>,
    /// `classic`, or `consumer` for the protocol of KIP-848.
    pub group_protocol: GroupProtocol,
    /// A member that is silent for so long loses its partitions (classic protocol).
    #[serde(with = "humantime_serde")]
    pub session_timeout: Duration,
    /// Further settings of librdkafka, such as `security.protocol`.
    pub properties: BTreeMap<String, String>,
}

/// How the members of a group agree.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum GroupProtocol {
    /// The members agree among themselves, cooperative-sticky.
    #[default]
    Classic,
    /// The broker decides (KIP-848).
    Consumer,
}

impl Default for KafkaSettings {
    fn default() -> KafkaSettings {
        KafkaSettings {
            brokers: String::new(),
            group: "footfall-sink".to_owned(),
            group_instance_id: None,
            group_protocol: GroupProtocol::Classic,
            session_timeout: Duration::from_secs(10),
            properties: BTreeMap::new(),
        }
    }
}

impl std::fmt::Debug for KafkaSettings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Properties may hold a password: only their names are shown.
        f.debug_struct("KafkaSettings")
            .field("brokers", &self.brokers)
            .field("group", &self.group)
            .field("group_instance_id", &self.group_instance_id)
            .field("group_protocol", &self.group_protocol)
            .field("session_timeout", &self.session_timeout)
            .field("properties", &self.properties.keys())
            .finish()
    }
}

/// A setting that cannot be.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{key} {rule}")]
pub struct SettingsError {
    key: &'static str,
    rule: &'static str,
}

impl Settings {
    /// Checks the values and the rules between them.
    ///
    /// # Errors
    /// Names the key and the rule.
    pub fn check(&self) -> Result<(), SettingsError> {
        let name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
        let rules = [
            (!self.lake.is_empty(), "sink.lake", "is missing: set it to a folder or URL, or use --lake"),
            (!self.topic.is_empty() && self.topic.chars().all(name), "sink.topic", "must be a Kafka topic name"),
            (!self.roll_interval.is_zero(), "sink.roll_interval", "must be longer than 0"),
            (self.roll_bytes_max > 0, "sink.roll_bytes_max", "must be larger than 0"),
            (self.roll_rows_max > 0, "sink.roll_rows_max", "must be larger than 0"),
            (
                self.buffer_bytes_max >= self.roll_bytes_max,
                "sink.buffer_bytes_max",
                "must not be smaller than sink.roll_bytes_max",
            ),
            (self.checkpoint_files > 0, "sink.checkpoint_files", "must be larger than 0"),
            (!self.request_timeout.is_zero(), "sink.request_timeout", "must be longer than 0"),
            (!self.resume_timeout.is_zero(), "sink.resume_timeout", "must be longer than 0"),
        ];
        first_broken(&rules)
    }

    pub(crate) fn roll_policy(&self) -> RollPolicy {
        RollPolicy { interval: self.roll_interval, bytes_max: self.roll_bytes_max, rows_max: self.roll_rows_max }
    }
}

impl KafkaSettings {
    /// Checks the values.
    ///
    /// # Errors
    /// Names the key and the rule.
    pub fn check(&self) -> Result<(), SettingsError> {
        let ours = ["auto.offset.reset", "enable.auto.commit", "group.id", "bootstrap.servers"];
        first_broken(&[
            (!self.brokers.is_empty(), "kafka.brokers", "is missing: set it to HOST:PORT, or use --brokers"),
            (!self.group.is_empty(), "kafka.group", "must not be empty"),
            (
                !ours.iter().any(|key| self.properties.contains_key(*key)),
                "kafka.properties",
                "must not set auto.offset.reset, enable.auto.commit, group.id or bootstrap.servers: the sink decides",
            ),
        ])
    }
}

fn first_broken(rules: &[(bool, &'static str, &'static str)]) -> Result<(), SettingsError> {
    match rules.iter().find(|(holds, _, _)| !holds) {
        Some((_, key, rule)) => Err(SettingsError { key, rule }),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_is_named() {
        #[track_caller]
        fn check(change: impl FnOnce(&mut Settings), expected: Option<&'static str>) {
            let mut settings = Settings { lake: "lake".to_owned(), ..Settings::default() };
            change(&mut settings);
            assert_eq!(settings.check().err().map(|error| error.key), expected);
        }
        check(|_| {}, None);
        check(|settings| settings.lake.clear(), Some("sink.lake"));
        check(|settings| settings.topic = "a/b".to_owned(), Some("sink.topic"));
        check(|settings| settings.roll_interval = Duration::ZERO, Some("sink.roll_interval"));
        check(|settings| settings.buffer_bytes_max = 1, Some("sink.buffer_bytes_max"));
    }
}
