//! Which listener or socket is bound to a port: a sorted list, searched by halves.
//!
//! TCP has one for its listeners and UDP one for its sockets. There are few, and they come and go
//! rarely, so a list is smaller and faster than a map. Peers have no influence on it.

use alloc::vec::Vec;
use core::net::IpAddr;

use crate::address::{BindAddress, EVERY_IPV4};

#[derive(Debug)]
struct Bound {
    at: BindAddress,
    key: usize,
}

/// Who is bound where.
#[derive(Debug, Default)]
pub(crate) struct Ports {
    /// By port.
    bound: Vec<Bound>,
}

impl Ports {
    fn on(&self, port: u16) -> &[Bound] {
        let from = self.bound.partition_point(|bound| bound.at.port < port);
        let rest = &self.bound[from..];
        &rest[..rest.partition_point(|bound| bound.at.port == port)]
    }

    /// Whether anybody is bound to the port.
    pub(crate) fn is_used(&self, port: u16) -> bool {
        !self.on(port).is_empty()
    }

    /// Who is bound to exactly this address (`None`: to any) and port.
    pub(crate) fn bound_to(&self, address: Option<IpAddr>, port: u16) -> Option<usize> {
        let same = |bound: &&Bound| bound.at.address == address;
        self.on(port).iter().find(same).map(|bound| bound.key)
    }

    /// Who hears of a packet: who is bound to exactly this address, else to any of its family, else to any.
    pub(crate) fn find(&self, address: IpAddr, port: u16) -> Option<usize> {
        let every = address.is_ipv4().then_some(EVERY_IPV4);
        self.bound_to(Some(address), port)
            .or_else(|| self.bound_to(Some(every?), port))
            .or_else(|| self.bound_to(None, port))
    }

    pub(crate) fn insert(&mut self, at: BindAddress, key: usize) {
        let before = |bound: &Bound| bound.at.port < at.port;
        let index = self.bound.partition_point(before);
        self.bound.insert(index, Bound { at, key });
    }

    pub(crate) fn remove(&mut self, key: usize) {
        self.bound.retain(|bound| bound.key != key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::net::Ipv4Addr;

    const ONE: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1));
    const OTHER: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 2));

    fn at(address: Option<IpAddr>, port: u16) -> BindAddress {
        BindAddress { address, port }
    }

    #[test]
    fn an_exact_address_beats_any_address() {
        let mut ports = Ports::default();
        ports.insert(at(None, 80), 1);
        ports.insert(at(Some(ONE), 80), 2);
        assert_eq!(
            (ports.find(ONE, 80), ports.find(OTHER, 80)),
            (Some(2), Some(1))
        );
        assert_eq!(ports.bound_to(Some(OTHER), 80), None);
        ports.remove(2);
        assert_eq!(ports.find(ONE, 80), Some(1));
        ports.remove(1);
        assert_eq!((ports.find(ONE, 80), ports.is_used(80)), (None, false));
    }

    #[test]
    fn every_ipv4_address_is_less_than_every_address() {
        let mut ports = Ports::default();
        let localhost = IpAddr::from(core::net::Ipv6Addr::LOCALHOST);
        ports.insert(BindAddress::ipv4(80), 1);
        assert_eq!(ports.find(localhost, 80), None);
        ports.insert(at(None, 80), 2);
        assert_eq!(
            (ports.find(ONE, 80), ports.find(localhost, 80)),
            (Some(1), Some(2))
        );
        ports.insert(at(Some(ONE), 80), 3);
        assert_eq!(ports.find(ONE, 80), Some(3));
    }

    #[test]
    fn every_port_is_found_among_many() {
        let mut ports = Ports::default();
        // In an order that is none; 37 and 1000 have no common divisor.
        let scattered = |step: usize| 1 + (step * 37 % 1000) as u16;
        for step in 0..1000 {
            ports.insert(at(None, scattered(step)), step);
        }
        for step in 0..1000 {
            assert_eq!(ports.find(ONE, scattered(step)), Some(step));
        }
        assert!(!ports.is_used(0) && !ports.is_used(1001) && ports.is_used(1000));
        ports.remove(5);
        assert!(!ports.is_used(scattered(5)) && ports.is_used(scattered(6)));
    }
}
