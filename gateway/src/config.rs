//! Settings of the gateway, a struct for each room.
//!
//! Responsible for names, defaults and the rules between settings. Promises that every setting has a working default and
//! that [`Settings::check`] names both keys of a contradiction. Where settings come from is `operator`'s business.

mod access;

use std::{collections::BTreeMap, net::IpAddr, path::PathBuf, time::Duration};

use serde::{Deserialize, Serialize};

pub(crate) use self::access::ANY_KEY;
pub use self::access::{KeyRoute, KeySettings, LimitSettings};
use crate::arrival::{self, TrustedProxies};

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

/// `[gateway]`: requests and connections.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct GatewaySettings {
    /// Where to listen for events, `HOST:PORT`; port 0 takes a free one.
    pub listen: String,
    /// What the column `source` says where there are no `[[keys]]`.
    pub source: String,
    /// How much of a client's address is kept: `full`, `truncated` or `none`.
    pub ip: IpPolicy,
    /// Networks of proxies whose `X-Forwarded-For` is believed, such as `10.0.0.0/8`.
    pub trusted_proxies: Vec<String>,
    pub limits: LimitSettings,
    /// Largest body as it comes over the wire.
    pub body_bytes_max: usize,
    /// Largest body after decompression.
    pub inflated_bytes_max: usize,
    /// Largest event as it goes to the log.
    pub event_bytes_max: usize,
    /// Most events in one request.
    pub events_max: u32,
    /// Bodies of all requests in flight, raw and inflated; above it requests are refused at once.
    pub in_flight_bytes_max: usize,
    /// Most connections at a time.
    pub connections_max: usize,
    /// Most connections of one address (IPv6: of one /64) at a time; 0 is no cap. Behind a proxy all have its address.
    pub connections_per_address_max: usize,
    /// After which a connection ends between two requests, so that load balancers spread anew; 0 is never.
    #[serde(with = "humantime_serde")]
    pub connection_age_max: Duration,
    /// From the head of a request to its answer, whatever the log does.
    #[serde(with = "humantime_serde")]
    pub request_timeout: Duration,
    /// For a body to arrive.
    #[serde(with = "humantime_serde")]
    pub body_timeout: Duration,
    /// For the next piece of a body.
    #[serde(with = "humantime_serde")]
    pub body_silence_timeout: Duration,
    /// For the head of a request to arrive, from its first byte.
    #[serde(with = "humantime_serde")]
    pub header_timeout: Duration,
    /// For the next request on a connection.
    #[serde(with = "humantime_serde")]
    pub idle_timeout: Duration,
    /// For requests in flight when the process ends.
    #[serde(with = "humantime_serde")]
    pub drain_timeout: Duration,
    pub tls: TlsSettings,
}

/// `[gateway.tls]`: encryption. Without a certificate the gateway speaks HTTP in the clear.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TlsSettings {
    /// File with the certificate and those of its issuers, in PEM.
    #[serde(alias = "certificate")]
    pub cert: String,
    /// File with its private key, in PEM.
    pub key: String,
    /// How often both files are looked at for a change.
    #[serde(with = "humantime_serde")]
    pub reload_interval: Duration,
    /// For a handshake.
    #[serde(with = "humantime_serde")]
    pub handshake_timeout: Duration,
}

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

/// `[schema]`: what the schema id of a record means.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SchemaSettings {
    /// `[schema.registry]`; without it records carry the built-in id.
    pub registry: Option<registry::Settings>,
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

/// `[admin]`: health and metrics.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AdminSettings {
    /// Where to listen for the operator, `HOST:PORT`; port 0 takes a free one.
    pub listen: String,
}

/// How much of a client's address is kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum IpPolicy {
    Full,
    #[default]
    Truncated,
    None,
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

/// Each is looked at for every event that no earlier one fits.
const ROUTES_MAX: usize = 1000;

impl Default for GatewaySettings {
    fn default() -> GatewaySettings {
        const MIB: usize = 1 << 20;
        GatewaySettings {
            listen: "127.0.0.1:8080".to_owned(),
            source: "default".to_owned(),
            ip: IpPolicy::default(),
            trusted_proxies: Vec::new(),
            limits: LimitSettings::default(),
            body_bytes_max: 5 * MIB,
            inflated_bytes_max: 20 * MIB,
            event_bytes_max: MIB,
            events_max: 10_000,
            in_flight_bytes_max: 128 * MIB,
            connections_max: 4096,
            connections_per_address_max: 0,
            connection_age_max: Duration::ZERO,
            request_timeout: Duration::from_secs(10),
            body_timeout: Duration::from_secs(8),
            body_silence_timeout: Duration::from_secs(4),
            header_timeout: Duration::from_secs(5),
            idle_timeout: Duration::from_secs(75),
            drain_timeout: Duration::from_secs(15),
            tls: TlsSettings::default(),
        }
    }
}

impl Default for TlsSettings {
    fn default() -> TlsSettings {
        TlsSettings {
            cert: String::new(),
            key: String::new(),
            reload_interval: Duration::from_secs(10),
            handshake_timeout: Duration::from_secs(5),
        }
    }
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

impl Default for AdminSettings {
    fn default() -> AdminSettings {
        AdminSettings { listen: "127.0.0.1:8081".to_owned() }
    }
}

impl IpPolicy {
    /// What is kept of `address`.
    pub fn keep(self, address: IpAddr) -> Option<String> {
        match self {
            IpPolicy::Full => Some(address.to_canonical().to_string()),
            IpPolicy::Truncated => Some(arrival::truncated(address)),
            IpPolicy::None => None,
        }
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
        check_routes(&self.routes)?;
        self.check_dead_letters()?;
        self.schema.registry.as_ref().map_or(Ok(()), registry::Settings::check)?;
        self.spool.check(self.gateway.request_timeout)?;
        Ok(())
    }
}

impl Settings {
    fn check_dead_letters(&self) -> Result<(), ConfigError> {
        let letters = &self.dead_letters;
        // Six bytes for one where it is a control character, in a record of at most a megabyte.
        let raw_bytes_max = letters.raw_bytes_max as u64;
        range("dead_letters.raw_bytes_max", raw_bytes_max, 0..=128 << 10, "choose at most 131072")?;
        let topic = letters.topic(&self.kafka.topic);
        let is_taken = topic == self.kafka.topic || self.routes.iter().any(|route| route.topic == topic);
        if letters.enabled && is_taken {
            return Err(ConfigError::DeadLetterTopic { topic });
        }
        Ok(())
    }

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

impl GatewaySettings {
    /// How clients address the gateway.
    pub fn scheme(&self) -> &'static str {
        if self.tls.is_on() { "https" } else { "http" }
    }

    /// Checks what can be checked without looking outside.
    ///
    /// # Errors
    /// The first contradiction, with its keys.
    pub fn check(&self) -> Result<(), ConfigError> {
        self.tls.check()?;
        let (in_flight, largest) = (self.in_flight_bytes_max, self.body_bytes_max + self.inflated_bytes_max);
        if in_flight < largest {
            return Err(ConfigError::InFlightTooSmall { in_flight, largest });
        }
        range("gateway.events_max", self.events_max.into(), 1..=1_000_000, "choose 1 to 1000000")?;
        range("gateway.connections_max", self.connections_max as u64, 1..=1_000_000, "choose 1 to 1000000")?;
        if self.source.is_empty() {
            return Err(ConfigError::Empty { key: "gateway.source", rule: "name where the events come from" });
        }
        Ok(())
    }

    pub(crate) fn proxies(&self) -> Result<TrustedProxies, ConfigError> {
        let no_network = |text: &String| ConfigError::NoNetwork { text: text.clone() };
        TrustedProxies::parse(&self.trusted_proxies).map_err(no_network)
    }
}

impl TlsSettings {
    /// Whether there is a certificate.
    pub fn is_on(&self) -> bool {
        !self.cert.is_empty()
    }

    fn check(&self) -> Result<(), ConfigError> {
        let rule = "a certificate and its key belong together: set both, or none";
        match (self.cert.is_empty(), self.key.is_empty()) {
            (true, false) => return Err(ConfigError::Empty { key: "gateway.tls.cert", rule }),
            (false, true) => return Err(ConfigError::Empty { key: "gateway.tls.key", rule }),
            _ => {}
        }
        let milliseconds = |duration: Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        let interval = milliseconds(self.reload_interval);
        range("gateway.tls.reload_interval", interval, 10..=86_400_000, "choose 10ms to 1day")
    }
}

impl SpoolSettings {
    fn check(&self, request_timeout: Duration) -> Result<(), ConfigError> {
        if self.enabled && 2 * self.after > request_timeout {
            return Err(ConfigError::SpoolTooLate { after: self.after.into(), request: request_timeout.into() });
        }
        Ok(())
    }
}

impl KafkaSettings {
    fn check(&self) -> Result<(), ConfigError> {
        range("kafka.partitions", self.partitions.max(0) as u64, 1..=100_000, "choose 1 to 100000")?;
        for (key, value) in [("kafka.brokers", &self.brokers), ("kafka.topic", &self.topic)] {
            if value.is_empty() {
                return Err(ConfigError::Empty { key, rule: "set it, or leave it out for the default" });
            }
        }
        Ok(())
    }
}

fn check_routes(routes: &[RouteSettings]) -> Result<(), ConfigError> {
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
