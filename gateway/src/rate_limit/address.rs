//! What one client address may send.
//!
//! Responsible for a bucket for each address, and for forgetting those that are full again. Promises bounded memory: a
//! sweep about once a minute, and one at once when there are too many; where a sweep does not help, because so many
//! addresses are busy at a time, all are forgotten, which gives each a new burst.

use std::{
    net::IpAddr,
    num::NonZeroU32,
    sync::Arc,
    time::{Duration, Instant},
};

use arc_swap::ArcSwap;
use governor::{RateLimiter, clock::MonotonicClock, state::keyed::DashMapStateStore};

use super::{Rate, never, refused};
use crate::rejection::{Code, Rejection};

/// About 40 bytes each.
const NETWORKS_MAX: usize = 1 << 20;

/// How often those are forgotten whose bucket is full again, at the earliest.
const SWEEP: Duration = Duration::from_secs(55);

type Limiter = RateLimiter<Network, DashMapStateStore<Network>, MonotonicClock>;

/// What counts as one address: an IPv4 address, or an IPv6 /64, which is what one customer gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Network(u64);

/// What an address may send.
#[derive(Debug)]
pub(crate) struct AddressQuota {
    rate: Rate,
    networks_max: usize,
    limiter: ArcSwap<Limiter>,
}

impl Network {
    pub(crate) fn of(address: IpAddr) -> Network {
        match address.to_canonical() {
            IpAddr::V4(v4) => Network(v4.to_bits().into()),
            IpAddr::V6(v6) => Network((v6.to_bits() >> 64) as u64),
        }
    }
}

impl AddressQuota {
    pub(crate) fn new(rate: Rate) -> AddressQuota {
        AddressQuota::bounded(rate, NETWORKS_MAX)
    }

    pub(super) fn bounded(rate: Rate, networks_max: usize) -> AddressQuota {
        AddressQuota { rate, networks_max, limiter: ArcSwap::from_pointee(limiter(rate)) }
    }

    pub(crate) fn rate(&self) -> Rate {
        self.rate
    }

    pub(super) fn take(&self, network: Network, events: NonZeroU32) -> Result<(), Rejection> {
        let message = "this address has sent more events than it may: send again after Retry-After";
        match self.limiter.load().check_key_n(&network, events) {
            Ok(judged) => judged.map_err(|until| refused(Code::AddressQuotaExceeded, message, until)),
            Err(_) => Err(never(self.rate)),
        }
    }

    /// Addresses that are remembered.
    pub(super) fn networks(&self) -> usize {
        self.limiter.load().len()
    }

    /// Forgets the addresses whose bucket is full again; all, if too many are left.
    pub(super) fn sweep(&self) {
        let limiter = self.limiter.load();
        limiter.retain_recent();
        limiter.shrink_to_fit();
        if limiter.len() > self.networks_max / 2 {
            tracing::warn!(addresses = limiter.len(), "too many client addresses are busy: their limits begin anew");
            self.limiter.store(Arc::new(self::limiter(self.rate)));
        }
    }
}

/// Decides when to sweep.
#[derive(Debug)]
pub(crate) struct Sweeper {
    swept: Instant,
    period: Duration,
}

impl Sweeper {
    /// How often to look.
    pub(crate) const PERIOD: Duration = Duration::from_secs(1);

    pub(crate) fn new() -> Sweeper {
        // So that gateways which were started together do not all pause at the same time.
        let jitter = Duration::from_millis(u64::from(std::process::id()) % 10_000);
        Sweeper { swept: Instant::now(), period: SWEEP + jitter }
    }

    /// Sweeps if it is time, and says how many addresses are remembered.
    pub(crate) fn look(&mut self, addresses: &AddressQuota) -> usize {
        if self.swept.elapsed() > self.period || addresses.networks() > addresses.networks_max {
            addresses.sweep();
            self.swept = Instant::now();
        }
        addresses.networks()
    }
}

fn limiter(rate: Rate) -> Limiter {
    RateLimiter::new(rate.quota(), DashMapStateStore::default(), MonotonicClock)
}
