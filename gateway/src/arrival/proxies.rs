//! The client's address behind proxies.
//!
//! Responsible for reading `X-Forwarded-For`. Promises that only trusted proxies are believed: the list is walked from
//! the right, where the nearest proxy wrote, and ends with the first address that is no trusted proxy. What a client
//! wrote there itself stands further left and is never reached. `Forwarded` (RFC 7239) is not read: a proxy that writes
//! one of the two headers passes the other one on as the client sent it.

use std::net::{IpAddr, SocketAddr};

use hyper::HeaderMap;
use ipnet::IpNet;

/// Networks of proxies that say the truth about who is behind them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct TrustedProxies(Vec<IpNet>);

impl TrustedProxies {
    /// Networks in CIDR notation, or single addresses.
    ///
    /// # Errors
    /// The first text that is neither.
    pub(crate) fn parse(networks: &[String]) -> Result<TrustedProxies, &String> {
        let parse = |text: &String| text.parse().or_else(|_| text.parse::<IpAddr>().map(IpNet::from)).ok();
        networks.iter().map(|text| parse(text).ok_or(text)).collect::<Result<_, _>>().map(TrustedProxies)
    }

    /// Who sent a request that came from `peer`.
    pub(crate) fn client(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        if self.0.is_empty() || !self.trust(peer) {
            return peer;
        }
        let mut client = peer;
        let values = headers.get_all("x-forwarded-for").into_iter().rev();
        for hop in values.flat_map(|value| value.as_bytes().rsplit(|byte| *byte == b',')) {
            // What a trusted proxy cannot have written says nothing about who is further away.
            let Some(address) = address(hop) else { return client };
            client = address;
            if !self.trust(address) {
                return client;
            }
        }
        client
    }

    fn trust(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.0.iter().any(|network| network.contains(&address))
    }
}

/// An address, with or without a port; IPv6 with or without brackets.
fn address(hop: &[u8]) -> Option<IpAddr> {
    let text = str::from_utf8(hop).ok()?.trim();
    let bare = || text.strip_prefix('[')?.strip_suffix(']')?.parse().ok();
    text.parse().ok().or_else(bare).or_else(|| text.parse::<SocketAddr>().ok().map(|socket| socket.ip()))
}

#[cfg(test)]
mod tests {
    use hyper::header::HeaderValue;

    use super::*;

    #[test]
    fn only_trusted_proxies_are_believed() {
        #[track_caller]
        fn check(trusted: &[&str], peer: &str, headers: &[&str], expected: &str) {
            let trusted: Vec<String> = trusted.iter().map(|text| (*text).to_owned()).collect();
            let trusted = TrustedProxies::parse(&trusted).expect("networks");
            let mut map = HeaderMap::new();
            for value in headers {
                map.append("x-forwarded-for", HeaderValue::from_bytes(value.as_bytes()).expect("a value"));
            }
            let client = trusted.client(peer.parse().expect("an address"), &map);
            assert_eq!(client.to_string(), expected, "{headers:?}");
        }
        let lan: &[&str] = &["10.0.0.0/8", "2001:db8::/32", "192.0.2.7"];
        check(&[], "10.0.0.1", &["203.0.113.9"], "10.0.0.1");
        check(lan, "198.51.100.1", &["203.0.113.9"], "198.51.100.1");
        check(lan, "10.0.0.1", &["203.0.113.9"], "203.0.113.9");
        check(lan, "::ffff:10.0.0.1", &["203.0.113.9"], "203.0.113.9");
        check(lan, "192.0.2.7", &["203.0.113.9"], "203.0.113.9");
        check(lan, "192.0.2.8", &["203.0.113.9"], "192.0.2.8");
        // What the client wrote itself stands left of what the proxy saw.
        check(lan, "10.0.0.1", &["1.1.1.1, 203.0.113.9"], "203.0.113.9");
        check(lan, "10.0.0.1", &["1.1.1.1", "203.0.113.9"], "203.0.113.9");
        check(lan, "10.0.0.1", &["203.0.113.9, 10.0.0.3,10.0.0.2"], "203.0.113.9");
        check(lan, "10.0.0.1", &["10.0.0.3, 10.0.0.2"], "10.0.0.3");
        check(lan, "2001:db8::1", &["2001:db9::5"], "2001:db9::5");
        check(lan, "10.0.0.1", &["203.0.113.9:4711"], "203.0.113.9");
        check(lan, "10.0.0.1", &["[2001:db9::5]:4711"], "2001:db9::5");
        check(lan, "10.0.0.1", &["[2001:db9::5]"], "2001:db9::5");
        for garbage in ["", "unknown", "203.0.113", "203.0.113.9;", "1.1.1.1, ", "\u{e9}", "999.1.1.1"] {
            check(lan, "10.0.0.1", &[garbage], "10.0.0.1");
        }
        check(lan, "10.0.0.1", &["203.0.113.9, garbage, 10.0.0.2"], "10.0.0.2");
    }

    #[test]
    fn what_is_no_network_is_named() {
        let networks = ["10.0.0.0/8".to_owned(), "10.0.0.0/33".to_owned()];
        assert_eq!(TrustedProxies::parse(&networks), Err(&networks[1]));
    }
}
