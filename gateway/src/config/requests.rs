//! `[gateway]` and `[gateway.tls]`: requests and connections.
//!
//! Responsible for the names, the defaults and the rules of these settings.

use std::{net::IpAddr, time::Duration};

use serde::{Deserialize, Serialize};

use super::{ConfigError, LimitSettings, range};
use crate::arrival::{self, TrustedProxies};

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

/// How much of a client's address is kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum IpPolicy {
    Full,
    #[default]
    Truncated,
    None,
}

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
