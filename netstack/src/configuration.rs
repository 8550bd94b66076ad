//! Which addresses the stack has, and where they come from.
//!
//! Applies what the configuration, DHCP and routers say to the routes and to smoltcp. The engine
//! calls it at its start, for their messages, and each turn for what is due.

use alloc::vec::Vec;
use core::net::{IpAddr, Ipv4Addr};
use log::{info, warn};
use reactor::time::Instant;

use crate::config::{Ipv4Config, Ipv6Config};
use crate::dhcp::{Dhcp, Lease, Outcome};
use crate::engine::Engine;
use crate::packet::IpHead;
use crate::slaac::{Change, Slaac, link_local};
use policy::AddressPrefix;

impl Engine {
    /// Begins with what the configuration says.
    pub(crate) fn configure(&mut self) {
        let now = self.link.now;
        match self.config.ipv4.clone() {
            Ipv4Config::None => {}
            Ipv4Config::Dhcp => self.dhcp = Some(Dhcp::new(&self.config.hostname, now)),
            Ipv4Config::Static(ipv4) => {
                self.link.routes.set_gateway_v4(ipv4.gateway);
                self.assign_ipv4(ipv4.address, ipv4.prefix);
            }
        }
        if !matches!(self.config.ipv6, Ipv6Config::None) {
            let address = link_local(self.config.mac).into();
            self.assign(AddressPrefix {
                address,
                prefix: 64,
            });
        }
        match self.config.ipv6.clone() {
            Ipv6Config::None => {}
            Ipv6Config::Slaac => self.slaac = Some(Slaac::new(self.config.mac, now)),
            Ipv6Config::Static(ipv6) => {
                self.link.routes.set_gateway_v6(ipv6.gateway);
                self.assign(AddressPrefix {
                    address: ipv6.address.into(),
                    prefix: ipv6.prefix,
                });
            }
        }
    }

    /// Says which addresses there are from the start. In the Runner's first turn: writing a line takes
    /// longer than all of `new`, and whoever made the stack has something better to do.
    pub(crate) fn say_addresses(&self) {
        for address in self.link.routes.addresses() {
            info!("net: address assigned addr={address}");
        }
    }

    /// When the link, DHCP or SLAAC has something to do; the far future if never.
    pub(crate) fn services_deadline(&self) -> Instant {
        let never = Instant::FAR_FUTURE;
        let dhcp = self.dhcp.as_ref().and_then(Dhcp::deadline);
        let slaac = self.slaac.as_ref().and_then(Slaac::deadline);
        let link = self.link.deadline().unwrap_or(never);
        link.min(dhcp.unwrap_or(never)).min(slaac.unwrap_or(never))
    }

    /// Does what is due in the link, DHCP and SLAAC.
    pub(crate) fn tick_services(&mut self) {
        if self.services_deadline() <= self.link.now {
            self.run_services();
        }
    }

    #[cold]
    fn run_services(&mut self) {
        let now = self.link.now;
        if self.link.deadline().is_some_and(|at| at <= now) {
            self.link.tick();
        }
        if self
            .dhcp
            .as_ref()
            .and_then(Dhcp::deadline)
            .is_some_and(|at| at <= now)
        {
            let random = self.random();
            let dhcp = self.dhcp.as_mut();
            let outcome = dhcp.and_then(|dhcp| dhcp.tick(&mut self.link, random));
            self.apply_lease(outcome);
        }
        if let Some(slaac) = &mut self.slaac
            && slaac.deadline().is_some_and(|at| at <= now)
        {
            let changes = slaac.tick(&mut self.link);
            self.apply(changes);
        }
    }

    /// Takes a message for the DHCP client's port.
    pub(crate) fn receive_dhcp(&mut self, payload: &[u8]) {
        let random = self.random();
        let Some(dhcp) = &mut self.dhcp else { return };
        let before = dhcp.lease().map(|lease| lease.address);
        let outcome = dhcp.receive(&mut self.link, payload, random);
        let kept = matches!(&outcome, Some(Outcome::Bound(lease)) if before == Some(lease.address));
        if let (Some(address), Some(_), false) = (before, &outcome, kept) {
            self.unassign(address.into());
        }
        self.apply_lease(outcome);
    }

    /// Takes a neighbour discovery packet.
    pub(crate) fn receive_discovery(&mut self, head: &IpHead<'_>) {
        let advertisement = self.link.process_ndisc(head);
        let conflict = self.link.conflict.take();
        let Some(slaac) = &mut self.slaac else { return };
        let mut changes = Vec::new();
        if let Some(address) = conflict {
            changes.extend(slaac.conflict(&mut self.link, address));
        }
        if let Some(advertisement) = advertisement {
            changes.extend(slaac.receive(&mut self.link, &advertisement));
        }
        self.apply(changes);
    }

    /// The cable is back: others may have forgotten us, and the network may be another one.
    pub(crate) fn link_is_up(&mut self) {
        let now = self.link.now;
        if let Some(dhcp) = &mut self.dhcp {
            dhcp.link_is_up(now);
        }
        if let Some(slaac) = &mut self.slaac {
            slaac.link_is_up(now);
        }
        for own in self.link.routes.addresses().to_vec() {
            if let IpAddr::V4(address) = own.address {
                self.link.announce_ipv4(address);
            }
        }
    }

    /// The DNS servers known now: configured ones, those of DHCP, those of routers.
    pub(crate) fn dns_servers(&self) -> Vec<IpAddr> {
        let mut servers = Vec::new();
        if let Ipv4Config::Static(ipv4) = &self.config.ipv4 {
            servers.extend(ipv4.dns.iter().copied().map(IpAddr::V4));
        }
        if let Ipv6Config::Static(ipv6) = &self.config.ipv6 {
            servers.extend(ipv6.dns.iter().copied().map(IpAddr::V6));
        }
        if let Some(lease) = self.dhcp.as_ref().and_then(Dhcp::lease) {
            servers.extend(lease.dns.iter().copied().map(IpAddr::V4));
        }
        if let Some(slaac) = &self.slaac {
            servers.extend(slaac.dns().map(IpAddr::V6));
        }
        servers
    }

    /// Whether there is an address to be reached at: an IPv4 one where IPv4 is configured, else an
    /// IPv6 one beyond the link.
    pub(crate) fn is_configured(&self) -> bool {
        let wants_v4 = !matches!(self.config.ipv4, Ipv4Config::None);
        self.link
            .routes
            .addresses()
            .iter()
            .any(|own| match own.address {
                IpAddr::V4(_) => wants_v4,
                IpAddr::V6(address) => !wants_v4 && !address.is_unicast_link_local(),
            })
    }

    fn apply_lease(&mut self, outcome: Option<Outcome>) {
        match outcome {
            None => {}
            Some(Outcome::Bound(Lease {
                address,
                prefix,
                gateway,
                ..
            })) => {
                self.link.routes.set_gateway_v4(gateway);
                self.assign_ipv4(address, prefix);
            }
            Some(Outcome::Lost) => {
                self.link.routes.set_gateway_v4(None);
                let owned = self.link.routes.addresses().iter().map(|own| own.address);
                for address in owned.filter(IpAddr::is_ipv4).collect::<Vec<_>>() {
                    self.unassign(address);
                }
            }
        }
    }

    fn apply(&mut self, changes: Vec<Change>) {
        for change in changes {
            match change {
                Change::Assigned(address) => self.assign(address),
                Change::Removed(address) => self.unassign(address.into()),
            }
        }
    }

    fn assign_ipv4(&mut self, address: Ipv4Addr, prefix: u8) {
        if !self.link.routes.is_own(address.into()) {
            self.assign(AddressPrefix {
                address: address.into(),
                prefix,
            });
            self.link.announce_ipv4(address);
        }
    }

    fn assign(&mut self, address: AddressPrefix) {
        if !self.link.routes.add(address) {
            return warn!("net: no room for another address addr={address}");
        }
        if self.link.stats.turns > 0 {
            info!("net: address assigned addr={address}");
        }
        self.sync_addresses();
        self.configured.wake_all();
    }

    /// Connections from the address end: smoltcp sees that it is gone when they are looked at.
    fn unassign(&mut self, address: IpAddr) {
        if !self
            .link
            .routes
            .addresses()
            .iter()
            .any(|own| own.address == address)
        {
            return;
        }
        warn!("net: address removed addr={address}");
        self.link.routes.remove(address);
        self.sync_addresses();
        self.tcp.mark_from(address);
        self.notify();
    }
}
