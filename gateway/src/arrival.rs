//! When and from where a request came.
//!
//! Responsible for the one clock read of a request and for what the connection tells about the client. Promises that
//! arrival times never go back within a process, also when the system's clock is set back: the sink rolls by the log's
//! time. Whether the client's own times are plausible is validation's business.

mod proxies;

use std::{
    net::IpAddr,
    sync::atomic::{AtomicI64, Ordering},
    time::{SystemTime, UNIX_EPOCH},
};

pub(crate) use self::proxies::TrustedProxies;

/// The only place where the gateway learns the time of day.
#[derive(Debug)]
pub struct Clock {
    read: fn() -> i64,
    last_us: AtomicI64,
}

impl Clock {
    /// The system's clock.
    pub fn system() -> Clock {
        Clock::new(|| {
            let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
            i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
        })
    }

    /// A clock that reads microseconds since 1970 UTC from `read`.
    pub fn new(read: fn() -> i64) -> Clock {
        Clock { read, last_us: AtomicI64::new(0) }
    }

    /// The time now in microseconds since 1970 UTC, but never earlier than an answer given before.
    pub fn now_us(&self) -> i64 {
        let now_us = (self.read)();
        self.last_us.fetch_max(now_us, Ordering::Relaxed).max(now_us)
    }
}

/// The client's address as far as it is kept: the network, not the host (IPv4 /24, IPv6 /48).
pub fn truncated(address: IpAddr) -> String {
    match address.to_canonical() {
        IpAddr::V4(v4) => {
            let [a, b, c, _] = v4.octets();
            IpAddr::from([a, b, c, 0]).to_string()
        }
        IpAddr::V6(v6) => {
            let [a, b, c, ..] = v6.segments();
            IpAddr::from([a, b, c, 0, 0, 0, 0, 0]).to_string()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_never_goes_back() {
        static NOW_US: AtomicI64 = AtomicI64::new(0);
        let clock = Clock::new(|| NOW_US.load(Ordering::Relaxed));
        for (now_us, expected) in [(5, 5), (7, 7), (3, 7), (8, 8)] {
            NOW_US.store(now_us, Ordering::Relaxed);
            assert_eq!(clock.now_us(), expected);
        }
    }

    #[test]
    fn addresses_lose_their_host() {
        #[track_caller]
        fn check(address: &str, expected: &str) {
            assert_eq!(truncated(address.parse().expect("an address")), expected);
        }
        check("203.0.113.77", "203.0.113.0");
        check("2001:db8:1:2:3:4:5:6", "2001:db8:1::");
        check("::ffff:203.0.113.77", "203.0.113.0");
        check("::1", "::");
    }
}
