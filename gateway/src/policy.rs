//! Everything about requests that may change while the gateway runs.
//!
//! Responsible for one value that holds write keys, limits, trusted proxies and the ip policy, and for replacing it as a
//! whole. Promises that a request sees one policy from its head to its answer, and that what a source has used of its
//! limits outlives a reload unless its limits changed. Several keys of one name are one source: they share its limits,
//! so that a key can be replaced by another without a gap. When to reload is `reload`'s business.

mod reload;

use std::{collections::HashMap, sync::Arc};

pub use self::reload::Reload;
use crate::{
    Gateway,
    arrival::TrustedProxies,
    auth::{Keys, Origins},
    config::{ConfigError, IpPolicy, KeySettings, Serving},
    load_shed::{Division, Share},
    rate_limit::{AddressQuota, Rate, SourceQuota, Sweeper},
};

/// What requests are judged by.
#[derive(Debug)]
pub(crate) struct Policy {
    pub(crate) keys: Keys,
    /// Origins that some key allows.
    pub(crate) origins: Origins,
    pub(crate) addresses: Option<Arc<AddressQuota>>,
    pub(crate) division: Division,
    pub(crate) proxies: TrustedProxies,
    pub(crate) ip: IpPolicy,
    sources: HashMap<Box<str>, Arc<Source>>,
}

/// All keys of one name.
#[derive(Debug)]
pub(crate) struct Source {
    pub(crate) name: Box<str>,
    pub(crate) quota: Option<Arc<SourceQuota>>,
    pub(crate) share: Arc<Share>,
}

impl Policy {
    /// The policy of `settings`. What the `old` one has counted is kept where it still applies.
    ///
    /// # Errors
    /// The first contradiction in the settings.
    pub(crate) fn new(settings: &Serving, old: Option<&Policy>) -> Result<Policy, ConfigError> {
        settings.check_access()?;
        let gateway = &settings.gateway;
        let mut sources = HashMap::new();
        let mut source = |name: &str, rate| {
            let source = sources.entry(name.into()).or_insert_with(|| Arc::new(Source::new(name, rate, old)));
            Arc::clone(source)
        };
        let keys = if settings.keys.is_empty() {
            Keys::any(source(&gateway.source, None))
        } else {
            let of = |key: &KeySettings| source(&key.name, key.rate(gateway.events_max));
            let of_keys: Vec<Arc<Source>> = settings.keys.iter().map(of).collect();
            Keys::new(&settings.keys, &of_keys)
        };
        let kept = old.and_then(|old| old.addresses.clone());
        let addresses = gateway
            .limits
            .address_rate(gateway.events_max)
            .map(|rate| kept.filter(|kept| kept.rate() == rate).unwrap_or_else(|| Arc::new(AddressQuota::new(rate))));
        let share_max = gateway.in_flight_bytes_max / 100 * gateway.limits.source_share_max as usize;
        Ok(Policy {
            origins: keys.origins(),
            keys,
            addresses,
            division: Division {
                share_bytes_max: if sources.len() > 1 { share_max } else { usize::MAX },
                ack_delay_max: gateway.limits.ack_delay_max,
                processor_delay_max: gateway.limits.processor_delay_max,
            },
            proxies: settings.gateway.proxies()?,
            ip: gateway.ip,
            sources,
        })
    }

    /// Most events that a request of `source` may hold: more than a burst could never pass.
    pub(crate) fn events_max(&self, source: &Source) -> u32 {
        let of_source = source.quota.as_ref().map_or(u32::MAX, |quota| quota.rate().burst());
        self.addresses.as_ref().map_or(of_source, |addresses| of_source.min(addresses.rate().burst()))
    }
}

impl Source {
    fn new(name: &str, rate: Option<Rate>, old: Option<&Policy>) -> Source {
        let old = old.and_then(|old| old.sources.get(name));
        let kept = old.and_then(|old| old.quota.clone());
        Source {
            name: name.into(),
            quota: rate.map(|rate| {
                kept.filter(|kept| kept.rate() == rate).unwrap_or_else(|| Arc::new(SourceQuota::new(rate)))
            }),
            share: old.map(|old| old.share.clone()).unwrap_or_default(),
        }
    }
}

/// Keeps the policy small and up to date, for as long as it is polled.
pub(crate) async fn keep(gateway: &Gateway, reload: Option<&mut Reload>) {
    match reload {
        Some(reload) => drop(tokio::join!(keep_swept(gateway), reload::follow(gateway, reload))),
        None => keep_swept(gateway).await,
    }
}

/// Forgets client addresses that are at rest.
async fn keep_swept(gateway: &Gateway) {
    let mut sweeper = Sweeper::new();
    loop {
        tokio::time::sleep(Sweeper::PERIOD).await;
        let addresses = gateway.policy.load().addresses.clone();
        let remembered = addresses.map_or(0, |addresses| sweeper.look(&addresses));
        gateway.metrics.limited_addresses.set(i64::try_from(remembered).unwrap_or(i64::MAX));
    }
}

#[cfg(test)]
mod tests;
