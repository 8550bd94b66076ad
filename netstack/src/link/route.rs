//! Our addresses, and the next hop for each destination.
//!
//! The link asks it for every packet; DHCP, router advertisements and the configuration fill it.
//! It knows nothing of Ethernet: a next hop is an IP address.

use alloc::vec::Vec;
use core::cell::Cell;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use policy::AddressPrefix;

/// Own addresses beside the two loopback ones; together they fit smoltcp's interface (its feature
/// `iface-max-addr-count-8`). What comes beyond is ignored, with a warning from the caller.
pub(crate) const MAX_ADDRESSES: usize = 6;

/// The broadcast address of a prefix; /31 (RFC 3021) and /32 have none.
fn broadcast(prefix: &AddressPrefix) -> Option<Ipv4Addr> {
    match prefix.address {
        IpAddr::V4(own) if prefix.prefix < 31 => Some(Ipv4Addr::from_bits(
            own.to_bits() | (u32::MAX >> prefix.prefix),
        )),
        _ => None,
    }
}

/// Where a packet goes next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Route {
    /// To ourselves.
    Local,
    /// To everybody on the link.
    Broadcast,
    /// To a group on the link.
    Multicast,
    /// To this neighbour.
    Neighbor(IpAddr),
    /// Nowhere.
    None,
}

/// The routing table: connected prefixes and at most one default router for each family.
#[derive(Debug, Default)]
pub(crate) struct Routes {
    addresses: Vec<AddressPrefix>,
    /// Prefixes on the link in which we have no address (RFC 4861 §6.3.4).
    on_link: Vec<AddressPrefix>,
    gateway_v4: Option<Ipv4Addr>,
    gateway_v6: Option<Ipv6Addr>,
    version: u64,
    /// The last question and its answer: whoever sends asks for the same destination several times.
    last: Cell<Option<(IpAddr, Route)>>,
}

impl Routes {
    /// Grows with every change.
    pub(crate) fn version(&self) -> u64 {
        self.version
    }

    fn changed(&mut self) {
        self.version += 1;
        self.last.set(None);
    }

    pub(crate) fn addresses(&self) -> &[AddressPrefix] {
        &self.addresses
    }

    /// Adds or replaces; false where there is no room.
    #[must_use]
    pub(crate) fn add(&mut self, new: AddressPrefix) -> bool {
        self.changed();
        if let Some(old) = self
            .addresses
            .iter_mut()
            .find(|old| old.address == new.address)
        {
            *old = new;
            return true;
        }
        let fits = self.addresses.len() < MAX_ADDRESSES;
        if fits {
            self.addresses.push(new);
        }
        fits
    }

    pub(crate) fn remove(&mut self, address: IpAddr) {
        self.changed();
        self.addresses.retain(|own| own.address != address);
    }

    pub(crate) fn set_gateway_v4(&mut self, gateway: Option<Ipv4Addr>) {
        self.changed();
        self.gateway_v4 = gateway;
    }

    pub(crate) fn set_gateway_v6(&mut self, gateway: Option<Ipv6Addr>) {
        self.changed();
        self.gateway_v6 = gateway;
    }

    pub(crate) fn gateway_v4(&self) -> Option<Ipv4Addr> {
        self.gateway_v4
    }

    pub(crate) fn gateway_v6(&self) -> Option<Ipv6Addr> {
        self.gateway_v6
    }

    /// Notes that a prefix is on the link, whether or not we have an address in it.
    #[must_use]
    pub(crate) fn add_on_link(&mut self, prefix: AddressPrefix) -> bool {
        self.changed();
        if self.on_link.contains(&prefix) {
            return true;
        }
        if self.on_link.len() == MAX_ADDRESSES {
            return false;
        }
        self.on_link.push(prefix);
        true
    }

    pub(crate) fn remove_on_link(&mut self, prefix: AddressPrefix) {
        self.changed();
        self.on_link.retain(|known| *known != prefix);
    }

    /// Whether this is one of our own addresses or a loopback address.
    pub(crate) fn is_own(&self, address: IpAddr) -> bool {
        address.is_loopback() || self.addresses.iter().any(|own| own.address == address)
    }

    /// Whether a packet to this address is for us among others.
    pub(crate) fn is_broadcast(&self, address: IpAddr) -> bool {
        match address {
            IpAddr::V4(address) => {
                address.is_broadcast()
                    || self
                        .addresses
                        .iter()
                        .any(|own| broadcast(own) == Some(address))
            }
            IpAddr::V6(_) => false,
        }
    }

    pub(crate) fn is_on_link(&self, address: IpAddr) -> bool {
        matches!(address, IpAddr::V6(address) if address.is_unicast_link_local())
            || self
                .addresses
                .iter()
                .chain(&self.on_link)
                .any(|own| own.contains(address))
    }

    /// The next hop. The gateway need not lie in any prefix of ours: with a /32 address and the
    /// gateway 169.254.1.1, as container networks give, it is resolved on the link all the same.
    pub(crate) fn route(&self, destination: IpAddr) -> Route {
        if let Some((last, route)) = self.last.get()
            && last == destination
        {
            return route;
        }
        let route = self.look_up(destination);
        self.last.set(Some((destination, route)));
        route
    }

    fn look_up(&self, destination: IpAddr) -> Route {
        if self.is_own(destination) {
            return Route::Local;
        }
        if destination.is_multicast() {
            return Route::Multicast;
        }
        if self.is_broadcast(destination) {
            return Route::Broadcast;
        }
        if self.is_on_link(destination) {
            return Route::Neighbor(destination);
        }
        let gateway = match destination {
            IpAddr::V4(_) => self.gateway_v4.map(IpAddr::V4),
            IpAddr::V6(_) => self.gateway_v6.map(IpAddr::V6),
        };
        gateway.map_or(Route::None, Route::Neighbor)
    }

    /// The address of ours to talk to `destination` from: itself where it is ours, else one on
    /// the same prefix, else the first that is not confined to the link (RFC 6724 rules 1, 2, 8,
    /// cut to what a single link needs).
    pub(crate) fn source_for(&self, destination: IpAddr) -> Option<IpAddr> {
        if self.is_own(destination) {
            return Some(destination);
        }
        let same_family = || {
            self.addresses
                .iter()
                .filter(|own| own.address.is_ipv4() == destination.is_ipv4())
        };
        let near = same_family().find(|own| own.contains(destination));
        let global = || same_family().find(|own| !is_link_local(own.address));
        let chosen = if is_link_local(destination) {
            near.or_else(|| same_family().find(|own| is_link_local(own.address)))
                .or_else(global)
        } else {
            near.or_else(global)
        };
        chosen
            .or_else(|| same_family().next())
            .map(|own| own.address)
    }
}

fn is_link_local(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(_) => false,
        IpAddr::V6(address) => {
            address.is_unicast_link_local() || address.octets()[..2] == [0xff, 0x02]
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn routes(addresses: &[(&str, u8)]) -> Routes {
        let mut routes = Routes::default();
        for (address, prefix) in addresses {
            assert!(routes.add(AddressPrefix {
                address: ip(address),
                prefix: *prefix
            }));
        }
        routes
    }

    #[test]
    fn every_change_is_a_new_answer() {
        let mut routes = Routes::default();
        let (v4, v6) = (ip("10.0.0.9"), ip("2001:db8::9"));
        let mut known = Vec::new();
        let mut expect = |routes: &Routes, destination, route| {
            assert_eq!(routes.route(destination), route);
            assert!(
                !known.contains(&routes.version()),
                "the caches would not know"
            );
            known.push(routes.version());
        };
        expect(&routes, v4, Route::None);
        routes.set_gateway_v4(Some(Ipv4Addr::new(169, 254, 1, 1)));
        expect(&routes, v4, Route::Neighbor(ip("169.254.1.1")));
        let own = |address, prefix| AddressPrefix { address, prefix };
        assert!(routes.add(own(ip("10.0.0.1"), 24)));
        expect(&routes, v4, Route::Neighbor(v4));
        routes.remove(ip("10.0.0.1"));
        expect(&routes, v4, Route::Neighbor(ip("169.254.1.1")));
        routes.set_gateway_v6(Some("fe80::1".parse().unwrap()));
        expect(&routes, v6, Route::Neighbor(ip("fe80::1")));
        assert!(routes.add_on_link(own(ip("2001:db8::"), 64)));
        expect(&routes, v6, Route::Neighbor(v6));
        routes.remove_on_link(own(ip("2001:db8::"), 64));
        expect(&routes, v6, Route::Neighbor(ip("fe80::1")));
    }

    #[test]
    fn a_slash_32_reaches_everything_through_a_gateway_that_is_not_in_it() {
        let mut routes = routes(&[("10.65.0.7", 32)]);
        routes.set_gateway_v4(Some(Ipv4Addr::new(169, 254, 1, 1)));
        assert_eq!(
            routes.route(ip("10.65.0.8")),
            Route::Neighbor(ip("169.254.1.1"))
        );
        assert_eq!(routes.route(ip("10.65.0.7")), Route::Local);
        assert_eq!(routes.source_for(ip("8.8.8.8")), Some(ip("10.65.0.7")));
    }

    #[test]
    fn prefix_broadcast_and_multicast_stay_on_the_link() {
        let routes = routes(&[("192.168.5.9", 24)]);
        assert_eq!(
            routes.route(ip("192.168.5.77")),
            Route::Neighbor(ip("192.168.5.77"))
        );
        assert_eq!(routes.route(ip("192.168.5.255")), Route::Broadcast);
        assert_eq!(routes.route(ip("255.255.255.255")), Route::Broadcast);
        assert_eq!(routes.route(ip("224.0.0.251")), Route::Multicast);
        assert_eq!(routes.route(ip("192.168.6.1")), Route::None);
    }

    #[test]
    fn extreme_prefixes_neither_overflow_nor_surprise() {
        let everything = routes(&[("10.0.0.1", 0)]);
        assert!(everything.is_on_link(ip("200.1.1.1")));
        let point_to_point = routes(&[("10.0.0.0", 31)]);
        assert_eq!(
            point_to_point.route(ip("10.0.0.1")),
            Route::Neighbor(ip("10.0.0.1"))
        );
        let all_v6 = routes(&[("2001:db8::1", 0)]);
        assert!(all_v6.is_on_link(ip("2001:db9::1")));
    }

    #[test]
    fn the_source_is_of_the_right_scope() {
        let routes = routes(&[("fe80::1", 64), ("2001:db8::1", 64)]);
        assert_eq!(routes.source_for(ip("fe80::99")), Some(ip("fe80::1")));
        assert_eq!(routes.source_for(ip("ff02::1")), Some(ip("fe80::1")));
        assert_eq!(routes.source_for(ip("2a00::1")), Some(ip("2001:db8::1")));
        assert_eq!(routes.source_for(ip("::1")), Some(ip("::1")));
        assert_eq!(routes.source_for(ip("10.0.0.1")), None);
    }

    #[test]
    fn addresses_are_bounded() {
        let mut routes = Routes::default();
        for last in 0..=MAX_ADDRESSES as u8 {
            let address = IpAddr::V4(Ipv4Addr::new(10, 0, 0, last));
            let fits = usize::from(last) < MAX_ADDRESSES;
            assert_eq!(
                routes.add(AddressPrefix {
                    address,
                    prefix: 24
                }),
                fits
            );
        }
    }
}
