//! How many connections an address has.
//!
//! Responsible for the cap on connections of one address (one network of 2^64, for IPv6). Promises that a place is given
//! back whatever ends the connection. Without a cap nothing is counted.

use std::{
    collections::{HashMap, hash_map::Entry},
    net::{IpAddr, Ipv6Addr},
    sync::Arc,
};

use parking_lot::Mutex;

/// Connections by address.
#[derive(Debug)]
pub(super) struct Addresses {
    connections: Mutex<HashMap<IpAddr, usize>>,
    connections_max: usize,
}

/// A connection's place.
#[derive(Debug)]
pub(super) struct Place(Option<(Arc<Addresses>, IpAddr)>);

impl Addresses {
    /// 0 is no cap.
    pub(super) fn new(connections_max: usize) -> Addresses {
        Addresses { connections: Mutex::default(), connections_max }
    }

    /// A place for a connection from `address`, if there is one.
    pub(super) fn enter(self: &Arc<Addresses>, address: IpAddr) -> Option<Place> {
        if self.connections_max == 0 {
            return Some(Place(None));
        }
        let address = who(address);
        let mut connections = self.connections.lock();
        let count = connections.entry(address).or_default();
        if *count >= self.connections_max {
            return None;
        }
        *count += 1;
        Some(Place(Some((self.clone(), address))))
    }
}

/// Whoever has an IPv6 network has all its addresses.
fn who(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(v4) => v4.into(),
        IpAddr::V6(v6) => Ipv6Addr::from_bits(v6.to_bits() >> 64 << 64).into(),
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let Some((addresses, address)) = self.0.take() else { return };
        if let Entry::Occupied(mut count) = addresses.connections.lock().entry(address) {
            *count.get_mut() -= 1;
            if *count.get() == 0 {
                count.remove();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_so_many_places_and_leaves_nothing_behind() {
        let addresses = Arc::new(Addresses::new(2));
        let enter = |address: &str| addresses.enter(address.parse().expect("an address"));
        let first = enter("203.0.113.1").expect("a place");
        let _mapped = enter("::ffff:203.0.113.1").expect("a place");
        assert!(enter("203.0.113.1").is_none());
        let other = enter("203.0.113.2").expect("a place of its own");
        drop(first);
        let _again = enter("203.0.113.1").expect("the place is free again");
        let network = [enter("2001:db8::1").expect("a place"), enter("2001:db8::2").expect("a place")];
        assert!(enter("2001:db8::ffff:3").is_none(), "one network is one client");
        drop((other, network));
        assert_eq!(addresses.connections.lock().len(), 1);
    }

    #[test]
    fn without_a_cap_nothing_is_counted() {
        let addresses = Arc::new(Addresses::new(0));
        let _place = addresses.enter(IpAddr::from([127, 0, 0, 1])).expect("no cap");
        assert!(addresses.connections.lock().is_empty());
    }
}
