//! The section `[kafka]`.
//!
//! Responsible for how the sink reaches its brokers and takes part in its group, and for the combinations that make no
//! sense there.

use std::{collections::BTreeMap, time::Duration};

use serde::{Deserialize, Serialize};

use super::{SettingsError, first_broken};

/// Section `[kafka]`.
#[derive(Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct KafkaSettings {
    /// `HOST:PORT`, several with commas.
    pub brokers: String,
    /// Consumer group; its members share the partitions.
    pub group: String,
    /// Name of this member across restarts (static membership): a restart then moves no partition, and a stop moves them
    /// only after the session timeout. Each process needs one of its own.
    pub group_instance_id: Option<String>,
    /// `classic`, or `consumer` for the protocol of KIP-848.
    pub group_protocol: GroupProtocol,
    /// A member that is silent for so long loses its partitions; 10 s unless set. With the protocol `consumer` it is the
    /// broker that decides, by `group.consumer.session.timeout.ms`.
    #[serde(with = "humantime_serde")]
    pub session_timeout: Option<Duration>,
    /// So long a partition that goes to another member may still write what it has read; then that is dropped, and the
    /// other member reads it again.
    #[serde(with = "humantime_serde")]
    pub revoke_timeout: Duration,
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
            session_timeout: None,
            revoke_timeout: Duration::from_secs(3),
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
            .field("revoke_timeout", &self.revoke_timeout)
            .field("properties", &self.properties.keys())
            .finish()
    }
}

impl KafkaSettings {
    /// A member of the classic protocol that is silent for so long loses its partitions.
    pub(crate) fn session_timeout(&self) -> Duration {
        self.session_timeout.unwrap_or(Duration::from_secs(10))
    }

    /// Checks the values.
    ///
    /// # Errors
    /// Names the key and the rule.
    pub fn check(&self) -> Result<(), SettingsError> {
        let is_free = |key: &str| !self.properties.contains_key(key);
        let is_classic = self.group_protocol == GroupProtocol::Classic;
        first_broken(&[
            (!self.brokers.is_empty(), "kafka.brokers", "is missing: set it to HOST:PORT, or use --brokers"),
            (!self.group.is_empty(), "kafka.group", "must not be empty"),
            (
                ["auto.offset.reset", "enable.auto.commit", "group.id", "bootstrap.servers"].into_iter().all(is_free),
                "kafka.properties",
                "must not set auto.offset.reset, enable.auto.commit, group.id or bootstrap.servers: the sink decides",
            ),
            (
                ["group.protocol", "group.instance.id", "session.timeout.ms", "heartbeat.interval.ms"]
                    .into_iter()
                    .chain(["partition.assignment.strategy"])
                    .all(is_free),
                "kafka.properties",
                "must not set how the group works: use kafka.group_protocol, kafka.group_instance_id and \
                 kafka.session_timeout",
            ),
            (
                is_classic || self.session_timeout.is_none(),
                "kafka.session_timeout",
                "has no meaning with kafka.group_protocol = \"consumer\": leave it out, and set \
                 group.consumer.session.timeout.ms at the broker or consumer.session.timeout.ms of the group",
            ),
            (self.session_timeout() >= Duration::from_millis(100), "kafka.session_timeout", "must be at least 100ms"),
            (
                self.group_instance_id.as_deref() != Some(""),
                "kafka.group_instance_id",
                "must not be empty: leave it out, or give each process a name of its own",
            ),
            (
                self.revoke_timeout <= Duration::from_secs(60),
                "kafka.revoke_timeout",
                "must not be longer than 1m: the whole group waits for it",
            ),
        ])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_that_cannot_be_is_named() {
        #[track_caller]
        fn check(change: impl FnOnce(&mut KafkaSettings), expected: Option<&str>) {
            let mut settings = KafkaSettings { brokers: "b:9092".to_owned(), ..KafkaSettings::default() };
            change(&mut settings);
            let line = settings.check().err().map(|error| error.to_string()).unwrap_or_default();
            assert!(line.starts_with(expected.unwrap_or_default()) && line.is_empty() == expected.is_none(), "{line}");
        }
        let property = |settings: &mut KafkaSettings, key: &str| {
            settings.properties.insert(key.to_owned(), "1".to_owned());
        };
        check(|_| {}, None);
        check(|settings| settings.session_timeout = Some(Duration::from_secs(60)), None);
        check(|settings| settings.group_protocol = GroupProtocol::Consumer, None);
        check(
            |settings| {
                settings.group_protocol = GroupProtocol::Consumer;
                settings.session_timeout = Some(Duration::from_secs(60));
            },
            Some("kafka.session_timeout has no meaning with kafka.group_protocol = \"consumer\": leave it out"),
        );
        check(|settings| settings.session_timeout = Some(Duration::ZERO), Some("kafka.session_timeout must be"));
        check(|settings| settings.group_instance_id = Some(String::new()), Some("kafka.group_instance_id"));
        check(|settings| settings.revoke_timeout = Duration::from_secs(61), Some("kafka.revoke_timeout"));
        check(|settings| property(settings, "group.protocol"), Some("kafka.properties must not set how"));
        check(|settings| property(settings, "session.timeout.ms"), Some("kafka.properties must not set how"));
        check(|settings| property(settings, "fetch.wait.max.ms"), None);
    }
}
