//! smoltcp's half of the stack: an interface for each path that packets take.
//!
//! The engine and the connections ask for the one that a packet goes through. An interface knows our
//! addresses, the largest packet and a seed, and keeps nothing of a connection.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use reactor::time::Instant;
use smoltcp::iface::{Config, Interface};
use smoltcp::phy::DeviceCapabilities;
use smoltcp::wire::{HardwareAddress, IpCidr};

use crate::convert::to_smoltcp;
use crate::device::{Capabilities, loopback_capabilities};
use policy::AddressPrefix;

/// How a connection's packets reach the peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Path {
    /// Through the device.
    Wire,
    /// Through the device, and over a link with smaller packets than ours.
    Narrow,
    /// The peer is ourselves.
    Local,
}

impl Path {
    /// Of a new connection.
    pub(crate) fn new(local: bool) -> Path {
        if local { Path::Local } else { Path::Wire }
    }
}

/// One interface for each path.
pub(crate) struct Interfaces {
    wire: Interface,
    local: Interface,
    /// Made for the first connection on such a path. All of them share it, so the narrowest decides.
    narrow: Option<Interface>,
    capabilities: DeviceCapabilities,
    narrow_mtu: usize,
}

impl Interfaces {
    /// Without addresses, for a device with these capabilities.
    pub(crate) fn new(
        capabilities: DeviceCapabilities,
        random: &mut dyn FnMut() -> u64,
        now: Instant,
    ) -> Interfaces {
        Interfaces {
            wire: interface(&capabilities, random(), now, false, &[]),
            local: interface(&loopback_capabilities(), random(), now, true, &[]),
            narrow: None,
            narrow_mtu: capabilities.max_transmission_unit,
            capabilities,
        }
    }

    pub(crate) fn on(&mut self, path: Path) -> &mut Interface {
        match path {
            Path::Wire => &mut self.wire,
            Path::Narrow => self.narrow.as_mut().unwrap_or(&mut self.wire),
            Path::Local => &mut self.local,
        }
    }

    /// Tells all our addresses.
    pub(crate) fn assign(&mut self, addresses: &[AddressPrefix]) {
        assign(&mut self.local, addresses, true);
        for interface in [&mut self.wire].into_iter().chain(&mut self.narrow) {
            assign(interface, addresses, false);
        }
    }

    /// smoltcp draws initial sequence numbers from a small generator of the interface, whose state
    /// a peer could work out from a few of them. A new interface for each connection, seeded by
    /// the CSPRNG, leaves nothing to work out (RFC 6528).
    pub(crate) fn reseed(
        &mut self,
        path: Path,
        seed: u64,
        now: Instant,
        addresses: &[AddressPrefix],
    ) -> &mut Interface {
        let (place, local) = match path {
            Path::Local => (&mut self.local, true),
            Path::Wire | Path::Narrow => (&mut self.wire, false),
        };
        // In its place, as it is large.
        *place = if local {
            unaddressed(&loopback_capabilities(), seed, now)
        } else {
            unaddressed(&self.capabilities, seed, now)
        };
        assign(place, addresses, local);
        place
    }

    /// Lets packets on narrow paths have at most `mtu` bytes from now on.
    pub(crate) fn narrow_to(&mut self, mtu: usize, now: Instant, addresses: &[AddressPrefix]) {
        self.narrow_mtu = self.narrow_mtu.min(mtu);
        let mut capabilities = self.capabilities.clone();
        capabilities.max_transmission_unit = self.narrow_mtu;
        // No connection begins on it, so the seed does not matter.
        self.narrow = Some(interface(&capabilities, 0, now, false, addresses));
    }
}

/// `local`: for packets to ourselves, of which the routes have decided that they are.
fn interface(
    capabilities: &DeviceCapabilities,
    seed: u64,
    now: Instant,
    local: bool,
    addresses: &[AddressPrefix],
) -> Interface {
    let mut interface = unaddressed(capabilities, seed, now);
    assign(&mut interface, addresses, local);
    interface
}

#[inline]
fn unaddressed(capabilities: &DeviceCapabilities, seed: u64, now: Instant) -> Interface {
    let mut config = Config::new(HardwareAddress::Ip);
    config.random_seed = seed;
    Interface::new(config, &mut Capabilities(capabilities), to_smoltcp(now))
}

/// Tells smoltcp our addresses. It walks over them for each packet, so those of the loopback are with the
/// interface for packets to ourselves only.
fn assign(interface: &mut Interface, addresses: &[AddressPrefix], local: bool) {
    // All of 127.0.0.0/8 is ours (RFC 1122 §3.2.1.3).
    interface.set_any_ip(local);
    interface.update_ip_addrs(|assigned| {
        assigned.clear();
        let loopback = [
            IpCidr::new(LOOPBACK_V4.into(), 8),
            IpCidr::new(LOOPBACK_V6.into(), 128),
        ];
        let loopback = loopback.into_iter().filter(|_| local);
        let own = addresses
            .iter()
            .map(|own| IpCidr::new(own.address.into(), own.prefix));
        for cidr in own.chain(loopback) {
            // Its room is two more than `MAX_ADDRESSES`.
            let _ = assigned.push(cidr);
        }
    });
}

const LOOPBACK_V4: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const LOOPBACK_V6: IpAddr = IpAddr::V6(Ipv6Addr::LOCALHOST);
