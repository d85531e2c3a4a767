//! Settings of the gateway, a struct for each room.
//!
//! Responsible for names, defaults and the rules between settings. Promises that every setting has a working default and
//! that [`Settings::check`] names both keys of a contradiction. Where settings come from is `operator`'s business.

/// Who may send, and how much.
mod access;
/// Where events go.
mod log;
/// Requests and connections.
mod requests;

use serde::{Deserialize, Serialize};

pub(crate) use self::access::ANY_KEY;
pub use self::{
    access::{KeyRoute, KeySettings, LimitSettings},
    log::{DeadLetterSettings, KafkaSettings, RouteSettings, SchemaSettings, SpoolSettings},
    requests::{GatewaySettings, IpPolicy, TlsSettings},
};

/// The settings that serve requests, which every binary with a gateway in it has.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Serving {
    pub gateway: GatewaySettings,
    pub keys: Vec<KeySettings>,
}

/// Everything that `footfall-gateway` reads.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    pub gateway: GatewaySettings,
    /// Who may send. Anyone, if there are none.
    pub keys: Vec<KeySettings>,
    pub kafka: KafkaSettings,
    pub routes: Vec<RouteSettings>,
    pub dead_letters: DeadLetterSettings,
    pub schema: SchemaSettings,
    pub spool: SpoolSettings,
    pub admin: AdminSettings,
}

/// `[admin]`: health and metrics.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AdminSettings {
    /// Where to listen for the operator, `HOST:PORT`; port 0 takes a free one.
    pub listen: String,
}

/// Settings that contradict each other or themselves.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    #[error(
        "gateway.in_flight_bytes_max ({in_flight}) must be at least gateway.body_bytes_max plus \
         gateway.inflated_bytes_max ({largest}), or the largest request would never be taken: raise it"
    )]
    InFlightTooSmall { in_flight: usize, largest: usize },
    #[error("gateway.trusted_proxies has `{text}`, which is no network: write it like 10.0.0.0/8 or 192.0.2.7")]
    NoNetwork { text: String },
    #[error("{section} {problem}")]
    Access { section: String, problem: String },
    #[error(
        "spool.after ({after}) must be at most half of gateway.request_timeout ({request}), or requests would end before \
         the spool begins: shorten the one or lengthen the other"
    )]
    SpoolTooLate { after: humantime::Duration, request: humantime::Duration },
    #[error("{key} is {value}: {rule}")]
    OutOfRange { key: &'static str, value: u64, rule: &'static str },
    #[error("{key} is empty: {rule}")]
    Empty { key: &'static str, rule: &'static str },
    #[error("dead_letters.topic is {topic}, which is a topic of events: choose another")]
    DeadLetterTopic { topic: String },
    #[error(transparent)]
    Registry(#[from] registry::SettingsError),
    #[error("routes[{index}] {problem}")]
    Route { index: usize, problem: &'static str },
}

impl Default for AdminSettings {
    fn default() -> AdminSettings {
        AdminSettings { listen: "127.0.0.1:8081".to_owned() }
    }
}

impl Settings {
    /// Checks what can be checked without looking outside.
    ///
    /// # Errors
    /// The first contradiction, with both keys.
    pub fn check(&self) -> Result<(), ConfigError> {
        self.serving().check()?;
        self.kafka.check()?;
        log::check_routes(&self.routes)?;
        self.dead_letters.check(&self.kafka.topic, &self.routes)?;
        self.schema.check()?;
        self.spool.check(self.gateway.request_timeout)
    }

    /// What is served, without what becomes of it.
    pub fn serving(&self) -> Serving {
        Serving { gateway: self.gateway.clone(), keys: self.keys.clone() }
    }
}

impl Serving {
    /// Checks what can be checked without looking outside.
    ///
    /// # Errors
    /// The first contradiction, with its keys.
    pub fn check(&self) -> Result<(), ConfigError> {
        self.gateway.check()?;
        self.check_access()
    }

    /// Checks what a policy is made of.
    pub(crate) fn check_access(&self) -> Result<(), ConfigError> {
        self.gateway.proxies()?;
        self.gateway.limits.check()?;
        access::check_keys(&self.keys)
    }

    /// These settings, with those of `new` that a running gateway takes over.
    pub(crate) fn reloaded(&self, new: &Serving) -> Serving {
        let GatewaySettings { source, ip, trusted_proxies, limits, .. } = new.gateway.clone();
        let gateway = GatewaySettings { source, ip, trusted_proxies, limits, ..self.gateway.clone() };
        Serving { gateway, keys: new.keys.clone() }
    }
}

fn range(
    key: &'static str,
    value: u64,
    allowed: std::ops::RangeInclusive<u64>,
    rule: &'static str,
) -> Result<(), ConfigError> {
    if allowed.contains(&value) { Ok(()) } else { Err(ConfigError::OutOfRange { key, value, rule }) }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn defaults_hold() {
        Settings::default().check().expect("the defaults agree with each other");
    }

    #[test]
    fn a_contradiction_names_both_keys() {
        #[track_caller]
        fn check(change: impl FnOnce(&mut Settings), keys: &[&str]) {
            let mut settings = Settings::default();
            change(&mut settings);
            let message = settings.check().expect_err("a contradiction").to_string();
            for key in keys {
                assert!(message.contains(key), "{message} does not name {key}");
            }
        }
        check(|s| s.gateway.in_flight_bytes_max = 1 << 20, &["gateway.in_flight_bytes_max", "gateway.body_bytes_max"]);
        check(|s| s.gateway.events_max = 0, &["gateway.events_max"]);
        check(|s| s.gateway.limits.source_share_max = 0, &["gateway.limits", "source_share_max"]);
        check(|s| s.gateway.limits.burst_per_address = Some(1), &["gateway.limits", "burst"]);
        check(|s| s.gateway.trusted_proxies = vec!["10.0.0/8".to_owned()], &["gateway.trusted_proxies", "`10.0.0/8`"]);
        check(|s| s.keys = vec![KeySettings::default()], &["keys[0]"]);
        check(|s| s.kafka.partitions = -3, &["kafka.partitions"]);
        check(|s| s.kafka.topic.clear(), &["kafka.topic"]);
        check(|s| s.schema.version = 0, &["schema.version is 0"]);
        check(|s| s.schema.version = 3, &["schema.version is 3"]);
        check(|s| s.gateway.source.clear(), &["gateway.source"]);
        check(|s| s.gateway.tls.cert = "cert.pem".to_owned(), &["gateway.tls.key"]);
        check(|s| s.gateway.tls.key = "key.pem".to_owned(), &["gateway.tls.cert"]);
        check(|s| s.gateway.tls.reload_interval = Duration::ZERO, &["gateway.tls.reload_interval"]);
        check(
            |s| (s.spool.enabled, s.spool.after) = (true, Duration::from_secs(6)),
            &["spool.after (6s)", "gateway.request_timeout (10s)"],
        );
        let route = |kind: Option<&str>, topic: &str| RouteSettings {
            source: None,
            kind: kind.map(str::to_owned),
            topic: topic.to_owned(),
        };
        check(|s| s.routes = vec![route(Some("click"), "clicks"), route(None, "all")], &["routes[1]", "kafka.topic"]);
        check(|s| s.dead_letters.raw_bytes_max = 1 << 20, &["dead_letters.raw_bytes_max"]);
        check(|s| s.dead_letters.topic = Some(s.kafka.topic.clone()), &["dead_letters.topic is events"]);
        check(|s| s.routes = vec![route(Some("click"), "events.dead-letter")], &["dead_letters.topic"]);
        check(|s| s.routes = vec![route(Some("click"), "")], &["routes[0] has no topic"]);
        check(|s| s.routes = vec![route(Some("click"), "a/b")], &["routes[0]"]);
    }
}
