//! Which addresses count as one peer.

use std::net::{IpAddr, Ipv6Addr};

/// What stands for a peer where peers are counted: an IPv4 address itself, an IPv6 address by its
/// network of 64 bits, which one host may fill as it likes.
#[must_use]
pub fn network(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(v6) => match v6.to_ipv4_mapped() {
            Some(v4) => IpAddr::V4(v4),
            None => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & !u128::from(u64::MAX))),
        },
    }
}
