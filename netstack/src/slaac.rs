//! IPv6 addresses from what routers advertise (RFC 4862), and a default router with them.
//!
//! The engine feeds it advertisements and the passing of time. Addresses are used at once while a
//! probe asks whether somebody has them already (RFC 4429): in a virtual machine waiting a second
//! costs more than the rare conflict, which takes the address back.

use alloc::vec::Vec;
use core::net::{IpAddr, Ipv6Addr};
use core::time::Duration;
use log::warn;
use reactor::time::Instant;

use crate::link::Link;
use crate::link::ndisc::{Prefix, RouterAdvertisement};
use policy::AddressPrefix;

/// Solicitations before routers are left to speak on their own (RFC 4861 §10).
const MAX_SOLICITATIONS: u8 = 3;
const SOLICITATION_INTERVAL: Duration = Duration::from_secs(4);
/// Prefixes taken from routers; further ones are ignored.
const MAX_PREFIXES: usize = 4;
/// DNS servers taken from routers; further ones are ignored.
const MAX_DNS: usize = 3;
/// How long a conflict takes a new address back (RFC 4862 §5.1, RetransTimer).
const TENTATIVE: Duration = Duration::from_secs(1);
/// Shorter lifetimes must not cut a longer one off (RFC 4862 §5.5.3 e).
const TWO_HOURS: Duration = Duration::from_secs(2 * 60 * 60);

/// What routers told us.
#[derive(Debug)]
pub(crate) struct Slaac {
    link_local: Ipv6Addr,
    solicitations: u8,
    solicit_at: Option<Instant>,
    router: Option<(Ipv6Addr, Instant)>,
    prefixes: Vec<Known>,
    dns: Vec<(Ipv6Addr, Instant)>,
    /// The newest address, until when a conflict counts.
    tentative: Option<(Ipv6Addr, Instant)>,
    /// The earliest end of all of these: asked for in every turn, and seldom another.
    deadline: Option<Instant>,
}

#[derive(Clone, Copy, Debug)]
struct Known {
    advertised: Prefix,
    until: Instant,
}

impl Known {
    fn on_link(&self) -> AddressPrefix {
        AddressPrefix {
            address: self.advertised.prefix.into(),
            prefix: self.advertised.bits,
        }
    }
}

/// What changed for the engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    Assigned(AddressPrefix),
    Removed(Ipv6Addr),
}

/// The address with this interface's identifier in a prefix (RFC 4291 appendix A).
fn address_in(prefix: Ipv6Addr, mac: [u8; 6]) -> Ipv6Addr {
    let mut octets = prefix.octets();
    let [a, b, c, d, e, f] = mac;
    octets[8..].copy_from_slice(&[a ^ 0x02, b, c, 0xff, 0xfe, d, e, f]);
    octets.into()
}

/// The link-local address of an Ethernet address (RFC 4291 §2.5.6).
pub(crate) fn link_local(mac: [u8; 6]) -> Ipv6Addr {
    address_in(Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0), mac)
}

impl Slaac {
    pub(crate) fn new(mac: [u8; 6], now: Instant) -> Slaac {
        Slaac {
            link_local: link_local(mac),
            solicitations: 0,
            solicit_at: Some(now),
            router: None,
            prefixes: Vec::new(),
            dns: Vec::new(),
            tentative: Some((link_local(mac), now + TENTATIVE)),
            deadline: Some(now),
        }
    }

    /// When [`tick`](Self::tick) has something to do.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    /// To be called by whatever changes an end.
    fn update_deadline(&mut self) {
        let router = self.router.map(|(_, until)| until);
        let prefixes = self.prefixes.iter().map(|known| known.until);
        let dns = self.dns.iter().map(|(_, until)| *until);
        let ends = self
            .solicit_at
            .into_iter()
            .chain(router)
            .chain(prefixes)
            .chain(dns);
        self.deadline = ends.min().filter(|at| *at < Instant::FAR_FUTURE);
    }

    pub(crate) fn dns(&self) -> impl Iterator<Item = Ipv6Addr> {
        self.dns.iter().map(|(server, _)| *server)
    }

    /// The cable is back, maybe in another network.
    pub(crate) fn link_is_up(&mut self, now: Instant) {
        self.solicitations = 0;
        self.solicit_at = Some(now);
        self.update_deadline();
    }

    /// Asks routers while none has answered, and lets go of what has expired.
    pub(crate) fn tick(&mut self, link: &mut Link) -> Vec<Change> {
        let now = link.now;
        if self.solicit_at.is_some_and(|at| at <= now) {
            if self.solicitations == 0 {
                link.send_duplicate_probe(self.link_local);
            }
            link.send_router_solicitation(self.link_local);
            self.solicitations += 1;
            let again = self.solicitations < MAX_SOLICITATIONS;
            self.solicit_at = again.then_some(now + SOLICITATION_INTERVAL);
        }
        if self.router.is_some_and(|(_, until)| until <= now) {
            self.router = None;
            link.routes.set_gateway_v6(None);
        }
        self.dns.retain(|(_, until)| *until > now);
        let mut changes = Vec::new();
        while let Some(index) = self.prefixes.iter().position(|known| known.until <= now) {
            changes.extend(self.forget(index, link));
        }
        self.update_deadline();
        changes
    }

    /// Takes an advertisement.
    pub(crate) fn receive(
        &mut self,
        link: &mut Link,
        advertisement: &RouterAdvertisement,
    ) -> Vec<Change> {
        let now = link.now;
        self.solicit_at = None;
        self.set_router(link, advertisement);
        for (server, lifetime) in &advertisement.dns {
            self.dns.retain(|(known, _)| known != server);
            if !lifetime.is_zero() && self.dns.len() < MAX_DNS {
                self.dns.push((*server, expiry(now, *lifetime)));
            }
        }
        let prefixes = advertisement.prefixes.iter();
        let changes = prefixes.flat_map(|prefix| self.receive_prefix(link, *prefix));
        let changes = changes.collect();
        self.update_deadline();
        changes
    }

    /// Somebody else has an address: given back if it is new.
    pub(crate) fn conflict(&mut self, link: &mut Link, address: Ipv6Addr) -> Option<Change> {
        let (tentative, until) = self.tentative?;
        if tentative != address || link.now > until {
            return None;
        }
        warn!("net: address is taken addr={address}");
        Some(Change::Removed(address))
    }

    fn set_router(&mut self, link: &mut Link, advertisement: &RouterAdvertisement) {
        let current = self.router.map(|(router, _)| router);
        if !advertisement.lifetime.is_zero() {
            // The first router that serves stays; another takes over when it goes.
            if current.is_none_or(|router| router == advertisement.router) {
                self.router = Some((advertisement.router, link.now + advertisement.lifetime));
                link.routes.set_gateway_v6(Some(advertisement.router));
            }
        } else if current == Some(advertisement.router) {
            self.router = None;
            link.routes.set_gateway_v6(None);
        }
    }

    fn receive_prefix(&mut self, link: &mut Link, new: Prefix) -> Option<Change> {
        let now = link.now;
        let same = |known: &Known| {
            (known.advertised.prefix, known.advertised.bits) == (new.prefix, new.bits)
        };
        if let Some(index) = self.prefixes.iter().position(same) {
            let known = &mut self.prefixes[index];
            let left = known.until.duration_since(now);
            if new.valid > TWO_HOURS || new.valid > left {
                known.until = expiry(now, new.valid);
            } else if left > TWO_HOURS {
                known.until = now + TWO_HOURS;
            }
            return None;
        }
        if new.valid.is_zero() || self.prefixes.len() == MAX_PREFIXES {
            return None;
        }
        let known = Known {
            advertised: new,
            until: expiry(now, new.valid),
        };
        self.prefixes.push(known);
        // RFC 4862 §5.5.3 d: prefix and identifier must make up an address.
        if new.autonomous && new.bits == 64 {
            let address = address_in(new.prefix, link.mac().0);
            self.tentative = Some((address, now + TENTATIVE));
            link.send_duplicate_probe(address);
            // The rest of the prefix is on the link only if the router says so.
            let prefix = if new.on_link { new.bits } else { 128 };
            return Some(Change::Assigned(AddressPrefix {
                address: address.into(),
                prefix,
            }));
        }
        if new.on_link {
            // There is room: these prefixes are fewer than the table takes.
            let _ = link.routes.add_on_link(known.on_link());
        }
        None
    }

    fn forget(&mut self, index: usize, link: &mut Link) -> Option<Change> {
        let known = self.prefixes.swap_remove(index);
        link.routes.remove_on_link(known.on_link());
        let address = address_in(known.advertised.prefix, link.mac().0);
        let assigned = link.routes.addresses().iter();
        assigned
            .filter(|own| own.address == IpAddr::V6(address))
            .map(|_| Change::Removed(address))
            .next()
    }
}

/// A lifetime of all ones never ends (RFC 4861 §4.6.2).
fn expiry(now: Instant, lifetime: Duration) -> Instant {
    if lifetime >= Duration::from_secs(u32::MAX.into()) {
        Instant::FAR_FUTURE
    } else {
        now + lifetime
    }
}
