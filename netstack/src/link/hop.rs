//! Where the packets of one connection go: the answer of routes and neighbours, kept while it holds.
//!
//! Each connection has one. The link fills it and asks it first: for nearly every packet nothing has
//! changed since the last one, neither a route nor what is known of a neighbour.

use reactor::time::Instant;

use super::ethernet::EthernetAddress;

/// The Ethernet address of a next hop, with what it depends on. Empty at first.
#[derive(Debug)]
pub(crate) struct HopCache {
    mac: EthernetAddress,
    /// From then on the neighbour has to be asked again.
    until: Instant,
    /// Changes of routes and neighbours there had been.
    version: u64,
}

impl Default for HopCache {
    fn default() -> HopCache {
        HopCache {
            mac: EthernetAddress::BROADCAST,
            until: Instant::ZERO,
            version: 0,
        }
    }
}

impl HopCache {
    pub(super) fn get(&self, version: u64, now: Instant) -> Option<EthernetAddress> {
        (now < self.until && self.version == version).then_some(self.mac)
    }

    pub(super) fn set(&mut self, version: u64, mac: EthernetAddress, until: Instant) {
        *self = HopCache {
            mac,
            until,
            version,
        };
    }
}
