//! `X-Forwarded-For`: no client can choose the address it is taken for.
//!
//! An input is a byte for the peer, then the header's values, each on a line.

use std::net::{IpAddr, SocketAddr};

use gateway::stage::client_address;

/// As an operator has them.
const TRUSTED: [&str; 3] = ["10.0.0.0/8", "2001:db8::/32", "192.0.2.7"];
const PEERS: [&str; 5] = ["10.1.2.3", "::ffff:10.1.2.3", "2001:db8::1", "192.0.2.7", "198.51.100.1"];

pub(crate) fn run(input: &[u8]) {
    let Some((peer, rest)) = input.split_first() else { return };
    let peer: IpAddr = PEERS[usize::from(*peer) % PEERS.len()].parse().expect("an address");
    let values: Vec<&[u8]> = rest.split(|byte| *byte == b'\n').filter(|value| is_value(value)).collect();
    let found = client(peer, &values);
    assert_eq!(found, expected(peer, &values), "{:?}", String::from_utf8_lossy(rest));
    if !is_trusted(found) {
        // Everything left of it may come from the client.
        let spoofed = [&[&b"203.0.113.99, 10.0.0.1"[..]], &values[..]].concat();
        assert_eq!(client(peer, &spoofed), found, "a client chose its address");
    }
}

fn client(peer: IpAddr, values: &[&[u8]]) -> IpAddr {
    client_address(&TRUSTED.map(str::to_owned), peer, values).expect("the networks are networks")
}

/// HTTP lets in no control characters but the tab.
fn is_value(value: &[u8]) -> bool {
    value.iter().all(|byte| *byte == b'\t' || *byte >= 0x20 && *byte != 0x7f)
}

/// The hops from the nearest to the furthest, as far as they can be believed.
fn expected(peer: IpAddr, values: &[&[u8]]) -> IpAddr {
    let list = values.join(&b","[..]);
    let mut client = peer;
    if values.is_empty() {
        return client;
    }
    for hop in list.split(|byte| *byte == b',').rev() {
        let Some(address) = is_trusted(client).then(|| address(hop)).flatten() else { break };
        client = address;
    }
    client
}

fn address(hop: &[u8]) -> Option<IpAddr> {
    let text = str::from_utf8(hop).ok()?.trim();
    let inside = text.strip_prefix('[').and_then(|text| text.strip_suffix(']'));
    let of_socket = text.parse::<SocketAddr>().map(|socket| socket.ip());
    text.parse().or(inside.unwrap_or_default().parse()).or(of_socket).ok()
}

fn is_trusted(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(v4) => v4.octets()[0] == 10 || v4.octets() == [192, 0, 2, 7],
        IpAddr::V6(v6) => v6.segments()[..2] == [0x2001, 0x0db8],
    }
}
