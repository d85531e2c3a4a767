//! `[[keys]]` and `[gateway.limits]`: who may send, from where, and how much.
//!
//! Responsible for the names, the defaults and the rules of these settings. Promises that a write key is shown nowhere,
//! neither by `Debug` nor in an error: keys are named by their place in the file and by their source.

use std::{collections::HashMap, fmt, time::Duration};

use serde::{Deserialize, Serialize};

use super::ConfigError;
use crate::{auth::OriginPattern, rate_limit::Rate};

/// The key that stands for all others, and for none.
pub(crate) const ANY_KEY: &str = "*";

/// `[[keys]]`: a write key. Several keys may have one name, as while a key is replaced by another.
#[derive(Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct KeySettings {
    /// What clients send; `*` allows any key, and none.
    pub key: String,
    /// What the column `source` says.
    pub name: String,
    /// Web origins that may send with this key, such as `https://shop.example` or `https://*.shop.example`. All if empty.
    pub origins: Vec<String>,
    /// What this key may be used for. Everything if empty.
    pub routes: Vec<KeyRoute>,
    /// Events a second of all keys of this name together. Without it there is no limit.
    pub events_per_second: Option<u32>,
    /// Events at once, when there was silence before. Without it one second's, but at least one request's.
    pub burst: Option<u32>,
}

/// What a write key may be used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[repr(u8)]
pub enum KeyRoute {
    /// `POST /v1/events`.
    Native,
    /// Segment's HTTP tracking API.
    Segment,
    /// `GET /v1/pixel.gif`.
    Pixel,
}

/// `[gateway.limits]`: what one client may take from the others.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LimitSettings {
    /// Events a second from one client address (IPv6: from one /64). Without it there is no limit: an office, or a server
    /// that sends for many users, is one address.
    pub events_per_second_per_address: Option<u32>,
    /// Events at once from one client address. Without it one second's, but at least one request's.
    pub burst_per_address: Option<u32>,
    /// What the keys of one name may hold of `gateway.in_flight_bytes_max` while there are other names, in percent.
    pub source_share_max: u32,
    /// How long a request may have to wait for the log before new ones are refused; `0s` is for ever.
    #[serde(with = "humantime_serde")]
    pub ack_delay_max: Duration,
    /// How long a connection may have to wait for the processor before new requests are refused; `0s` is for ever.
    #[serde(with = "humantime_serde")]
    pub processor_delay_max: Duration,
}

impl Default for LimitSettings {
    fn default() -> LimitSettings {
        LimitSettings {
            events_per_second_per_address: None,
            burst_per_address: None,
            source_share_max: 50,
            ack_delay_max: Duration::from_secs(2),
            processor_delay_max: Duration::from_millis(200),
        }
    }
}

impl fmt::Debug for KeySettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeySettings").field("name", &self.name).finish_non_exhaustive()
    }
}

impl KeySettings {
    /// What its source may send, if that is limited.
    pub(crate) fn rate(&self, events_max: u32) -> Option<Rate> {
        Some(Rate::new(self.events_per_second?, self.burst, events_max))
    }

    fn check(&self) -> Result<(), String> {
        let masked = self.key != ANY_KEY && crate::auth::is_masked(&self.key);
        if self.key.trim() != self.key || self.key.is_empty() || masked {
            return Err("has no usable key: it must not be empty, end with `***` or have spaces around it".to_owned());
        }
        if self.name.is_empty() || self.name.len() > event::limits::SOURCE_BYTES_MAX {
            return Err(format!("has no usable name: choose 1 to {} bytes", event::limits::SOURCE_BYTES_MAX));
        }
        if let Some(origin) = self.origins.iter().find(|origin| OriginPattern::parse(origin).is_none()) {
            return Err(format!(
                "({}) has the origin `{origin}`, which is none: write scheme and host, such as https://shop.example",
                self.name
            ));
        }
        check_rate(self.events_per_second, self.burst).map_err(|problem| format!("({}) {problem}", self.name))
    }
}

impl LimitSettings {
    /// What one address may send, if that is limited.
    pub(crate) fn address_rate(&self, events_max: u32) -> Option<Rate> {
        Some(Rate::new(self.events_per_second_per_address?, self.burst_per_address, events_max))
    }

    pub(super) fn check(&self) -> Result<(), ConfigError> {
        let section = "gateway.limits".to_owned();
        check_rate(self.events_per_second_per_address, self.burst_per_address)
            .map_err(|problem| ConfigError::Access { section: section.clone(), problem })?;
        if !(1..=100).contains(&self.source_share_max) {
            let problem = format!("has source_share_max {}: choose 1 to 100 (percent)", self.source_share_max);
            return Err(ConfigError::Access { section, problem });
        }
        Ok(())
    }
}

fn check_rate(events_per_second: Option<u32>, burst: Option<u32>) -> Result<(), String> {
    match (events_per_second, burst) {
        (None, Some(_)) => Err("has a burst without events per second: set both, or none for no limit".to_owned()),
        (Some(0), _) | (_, Some(0)) => {
            Err("has a limit of 0, which would refuse everything: choose at least 1".to_owned())
        }
        (Some(rate), _) if rate > Rate::PER_SECOND_MAX => {
            Err(format!("has a limit of {rate} events a second: choose at most {}, or none", Rate::PER_SECOND_MAX))
        }
        _ => Ok(()),
    }
}

/// Checks each key, and that they agree with each other.
pub(crate) fn check_keys(keys: &[KeySettings]) -> Result<(), ConfigError> {
    let mut places: HashMap<&str, usize> = HashMap::new();
    let mut names: HashMap<&str, (usize, &KeySettings)> = HashMap::new();
    for (index, key) in keys.iter().enumerate() {
        let refused = |problem| ConfigError::Access { section: format!("keys[{index}]"), problem };
        key.check().map_err(refused)?;
        if let Some(earlier) = places.insert(&key.key, index) {
            return Err(refused(format!("({}) has the same key as keys[{earlier}]: leave one of them out", key.name)));
        }
        let (first, same) = *names.entry(&key.name).or_insert((index, key));
        if (same.events_per_second, same.burst) != (key.events_per_second, key.burst) {
            return Err(refused(format!(
                "and keys[{first}] are both named {} and share one limit: give both the same events_per_second and burst",
                key.name
            )));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(key: &str, name: &str) -> KeySettings {
        KeySettings { key: key.to_owned(), name: name.to_owned(), ..KeySettings::default() }
    }

    #[test]
    fn what_contradicts_is_named_and_never_shown() {
        #[track_caller]
        fn check(keys: &[KeySettings], parts: &[&str]) {
            let message = check_keys(keys).expect_err("a contradiction").to_string();
            for part in parts {
                assert!(message.contains(part), "{message} does not say {part}");
            }
            assert!(!message.contains("secret"), "{message} tells a key");
        }
        let with = |change: fn(&mut KeySettings)| {
            let mut key = key("secret", "web");
            change(&mut key);
            [key]
        };
        check(&with(|key| key.key.clear()), &["keys[0]", "usable key"]);
        check(&with(|key| key.key = "secret:***".to_owned()), &["keys[0]", "usable key"]);
        check(&with(|key| key.name.clear()), &["keys[0]", "usable name"]);
        check(&with(|key| key.origins = vec!["shop.example".to_owned()]), &["keys[0] (web)", "`shop.example`"]);
        check(&with(|key| key.burst = Some(5)), &["keys[0] (web)", "burst without events per second"]);
        check(&with(|key| key.events_per_second = Some(0)), &["keys[0] (web)", "at least 1"]);
        check(&with(|key| key.events_per_second = Some(2_000_000)), &["keys[0] (web)", "at most 1000000"]);
        check(&[key("secret", "web"), key("secret", "app")], &["keys[1] (app)", "keys[0]"]);
        let limited = KeySettings { events_per_second: Some(5), ..key("secret2", "web") };
        check(&[key("secret", "web"), limited], &["keys[1] and keys[0]", "events_per_second"]);
        check_keys(&[key("secret", "web"), key("secret2", "web"), key("*", "any")]).expect("a rotation and a rest");
    }

    #[test]
    fn debug_does_not_tell_a_key() {
        assert_eq!(format!("{:?}", key("secret", "web")), r#"KeySettings { name: "web", .. }"#);
    }

    #[test]
    fn the_documented_sample_is_a_configuration() {
        let page = include_str!("../../../docs/gateway.md");
        let (_, rest) = page.split_once("```toml\n").expect("a sample");
        let (sample, _) = rest.split_once("```").expect("its end");
        let dir = tempfile::tempdir().expect("a folder");
        let file = dir.path().join("gateway.toml");
        std::fs::write(&file, sample).expect("written");
        let settings: crate::config::Settings = operator::settings::load(Some(&file), ()).expect("valid settings");
        settings.check().expect("no contradiction");
        let names: Vec<&str> = settings.keys.iter().map(|key| key.name.as_str()).collect();
        assert_eq!(names, ["web", "web", "backend", "newsletter"]);
        assert_eq!(settings.keys[3].routes, [KeyRoute::Pixel]);
        assert_eq!(settings.gateway.limits.burst_per_address, Some(10_000));
    }
}
