//! What smoltcp sees of the link: a device that carries IP packets.
//!
//! The engine makes one of these for each call into smoltcp: one packet in, with room for its
//! answer, or a connection's packets out. Nothing here outlives the call.

use core::net::IpAddr;
use smoltcp::phy::{Checksum, Device, DeviceCapabilities, Medium, PacketMeta, RxToken, TxToken};
use smoltcp::time::Instant;

use crate::link::{ETHERNET_HEADER, Link};
use crate::tcp::observer::Sender;

/// The token of a packet that meets no device.
#[derive(Debug)]
pub(crate) enum NoToken {}

impl TxToken for NoToken {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, _: usize, _: F) -> R {
        match self {}
    }
}

/// What smoltcp is told about a device whose frames the link builds.
pub(crate) fn ip_capabilities(device: &DeviceCapabilities) -> DeviceCapabilities {
    let mut ip = device.clone();
    ip.medium = Medium::Ip;
    ip.max_transmission_unit = device.max_transmission_unit.saturating_sub(ETHERNET_HEADER);
    // A limit on what the device cuts counts the Ethernet header, which smoltcp does not see here.
    let cut = |size: core::num::NonZeroUsize| size.get().checked_sub(ETHERNET_HEADER);
    let tcpv4 = device.segmentation.tcpv4.and_then(cut);
    ip.segmentation.tcpv4 = tcpv4.and_then(core::num::NonZeroUsize::new);
    // smoltcp 0.14 hands out large IPv6 segments and then drops them for their size.
    ip.segmentation.tcpv6 = None;
    // The engine checks IPv4's header itself, to count what is wrong.
    let fills = ip.checksum.ipv4.tx();
    ip.checksum.ipv4 = if fills { Checksum::Tx } else { Checksum::None };
    ip
}

/// What smoltcp is told about the loopback.
pub(crate) fn loopback_capabilities() -> DeviceCapabilities {
    let mut ip = DeviceCapabilities::default();
    ip.medium = Medium::Ip;
    ip.max_transmission_unit = LOOPBACK_MTU;
    ip.checksum = smoltcp::phy::ChecksumCapabilities::ignored();
    ip
}

/// Largest packet to ourselves.
pub(crate) const LOOPBACK_MTU: usize = 16 * 1024;

/// A device that only says what it can do: smoltcp asks one when an interface is made.
pub(crate) struct Capabilities<'c>(pub(crate) &'c DeviceCapabilities);

impl Device for Capabilities<'_> {
    type RxToken<'a>
        = PacketRx<'a>
    where
        Self: 'a;
    type TxToken<'a>
        = NoToken
    where
        Self: 'a;

    fn receive(&mut self, _: Instant) -> Option<(PacketRx<'_>, NoToken)> {
        None
    }

    fn transmit(&mut self, _: Instant) -> Option<NoToken> {
        None
    }

    fn capabilities(&self) -> DeviceCapabilities {
        self.0.clone()
    }
}

/// One packet in, and room for its answer.
pub(crate) struct Ingress<'f, T> {
    pub(crate) packet: Option<&'f [u8]>,
    pub(crate) token: Option<T>,
    pub(crate) link: &'f mut Link,
    /// Who sent the packet, so who gets the answer.
    pub(crate) peer: IpAddr,
    pub(crate) sender: Option<&'f mut Sender>,
}

impl<T: TxToken> Device for Ingress<'_, T> {
    type RxToken<'a>
        = PacketRx<'a>
    where
        Self: 'a;
    type TxToken<'a>
        = PacketTx<'a, T>
    where
        Self: 'a;

    fn receive(&mut self, _: Instant) -> Option<(PacketRx<'_>, PacketTx<'_, T>)> {
        let packet = self.packet.take()?;
        let answer = PacketTx {
            token: self.token.take(),
            link: self.link,
            destination: self.peer,
            meta: PacketMeta::default(),
            sender: self.sender.as_deref_mut(),
        };
        Some((PacketRx(packet), answer))
    }

    fn transmit(&mut self, _: Instant) -> Option<PacketTx<'_, T>> {
        None
    }

    fn capabilities(&self) -> DeviceCapabilities {
        DeviceCapabilities::default()
    }
}

/// A connection's packets out. All of them go to one peer.
pub(crate) struct Egress<'f, D> {
    pub(crate) device: &'f mut D,
    pub(crate) link: &'f mut Link,
    pub(crate) peer: IpAddr,
    /// The peer is ourselves.
    pub(crate) local: bool,
    /// Set when the device had no room.
    pub(crate) full: bool,
    pub(crate) sender: &'f mut Sender,
}

impl<D: Device> Device for Egress<'_, D> {
    type RxToken<'a>
        = PacketRx<'a>
    where
        Self: 'a;
    type TxToken<'a>
        = PacketTx<'a, D::TxToken<'a>>
    where
        Self: 'a;

    fn receive(&mut self, _: Instant) -> Option<(PacketRx<'_>, PacketTx<'_, D::TxToken<'_>>)> {
        None
    }

    fn transmit(&mut self, now: Instant) -> Option<PacketTx<'_, D::TxToken<'_>>> {
        let token = if self.local {
            None
        } else {
            self.device.transmit(now)
        };
        self.full = token.is_none() && !self.local;
        if self.full {
            return None;
        }
        Some(PacketTx {
            token,
            link: self.link,
            destination: self.peer,
            meta: PacketMeta::default(),
            sender: Some(self.sender),
        })
    }

    fn capabilities(&self) -> DeviceCapabilities {
        DeviceCapabilities::default()
    }
}

/// A packet that was received.
pub(crate) struct PacketRx<'f>(&'f [u8]);

impl RxToken for PacketRx<'_> {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, f: F) -> R {
        f(self.0)
    }
}

/// A packet to be sent.
pub(crate) struct PacketTx<'f, T> {
    token: Option<T>,
    link: &'f mut Link,
    destination: IpAddr,
    meta: PacketMeta,
    sender: Option<&'f mut Sender>,
}

impl<T: TxToken> TxToken for PacketTx<'_, T> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, len: usize, f: F) -> R {
        let PacketTx {
            token,
            link,
            destination,
            meta,
            sender,
        } = self;
        let (hop, observer) = match sender {
            Some(Sender { hop, observer }) => (Some(hop), Some(observer)),
            None => (None, None),
        };
        link.send(token, meta, (destination, hop), len, |packet| {
            let result = f(packet);
            if let Some(observer) = observer {
                observer.sent(packet);
            }
            result
        })
    }

    fn set_meta(&mut self, meta: PacketMeta) {
        self.meta = meta;
    }
}
