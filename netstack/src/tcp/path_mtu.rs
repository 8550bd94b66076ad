//! Path MTU discovery (RFC 1191, RFC 8201): a router says that a packet was too big for its next link.
//!
//! Our packets forbid fragments, so a connection would stand still otherwise: what it repeats is lost as
//! the first one was. The engine brings such reports here. Anybody can send one, so it is believed only
//! where it quotes a segment that is on its way (RFC 5927 §7.2).

use core::net::IpAddr;
use smoltcp::wire::{Icmpv4Packet, Icmpv6Packet};

use super::Place;
use super::flow::Flow;
use crate::config::MIN_MTU;
use crate::engine::Engine;
use crate::interfaces::Path;
use crate::packet::{IpHead, protocol, quoted_tcp};
use crate::stats::DropCause;

/// IPv6's smallest link (RFC 8200 §5).
const MIN_MTU_V6: usize = 1280;
/// Where ICMP's own header ends and the quoted packet begins.
const QUOTE: usize = 8;

/// "Fragmentation needed and DF set" (RFC 792), or "packet too big" (RFC 4443 §3.2).
pub(crate) fn is_report(head: &IpHead<'_>) -> bool {
    match (head.protocol, head.payload) {
        (protocol::ICMP, [kind, code, ..]) => (*kind, *code) == (3, 4),
        (protocol::ICMPV6, [kind, ..]) => *kind == 2,
        _ => false,
    }
}

/// The size that fits, and what did not. `None`: the message is not whole.
fn read(head: &IpHead<'_>) -> Option<(usize, Flow, u32)> {
    let bytes = head.payload;
    let (sound, mtu, least) = match (head.source, head.destination) {
        (IpAddr::V6(source), IpAddr::V6(destination)) => {
            let packet = Icmpv6Packet::new_checked(bytes).ok()?;
            let mtu = u32::from_be_bytes(bytes.get(4..QUOTE)?.try_into().ok()?);
            let sound = packet.verify_checksum(&source, &destination);
            (sound, mtu as usize, MIN_MTU_V6)
        }
        _ => {
            let packet = Icmpv4Packet::new_checked(bytes).ok()?;
            // Routers before RFC 1191 say 0 here, and get the size that every link carries.
            let mtu = u16::from_be_bytes(bytes.get(6..QUOTE)?.try_into().ok()?);
            (packet.verify_checksum(), usize::from(mtu), MIN_MTU)
        }
    };
    let (source, destination, sequence) = quoted_tcp(bytes.get(QUOTE..)?)?;
    let flow = Flow {
        local: source,
        remote: destination,
    };
    sound.then_some((mtu.max(least), flow, sequence))
}

impl Engine {
    /// Takes a router's report.
    pub(crate) fn receive_too_big(&mut self, head: &IpHead<'_>) {
        let Some((mtu, flow, sequence)) = read(head) else {
            return self.link.stats.count_drop(DropCause::Malformed);
        };
        let Some(Place::Connection(key)) = self.tcp.find(&flow) else {
            return;
        };
        let connection = &mut self.tcp.connections[key];
        if mtu < self.link.mtu && !connection.is_local() && connection.is_on_its_way(sequence) {
            connection.path = Path::Narrow;
            let addresses = self.link.routes.addresses();
            self.interfaces.narrow_to(mtu, self.link.now, addresses);
            self.link.stats.paths_narrowed += 1;
        }
    }
}
