//! ARP (RFC 826): who has an IPv4 address.
//!
//! Every request for an address of ours is answered, whoever asks: published ports and /32
//! addresses bring askers from outside our prefix.

use core::net::{IpAddr, Ipv4Addr};
use log::warn;
use smoltcp::wire::{ArpOperation, ArpPacket, ArpRepr, EthernetAddress, EthernetProtocol};

use super::Link;
use crate::config::is_host;
use crate::stats::DropCause;

impl Link {
    /// Takes an ARP packet: answers, learns, or drops it.
    pub(crate) fn process_arp(&mut self, payload: &[u8]) {
        let parsed = ArpPacket::new_checked(payload).and_then(|packet| ArpRepr::parse(&packet));
        let Ok(ArpRepr::EthernetIpv4 {
            operation,
            source_hardware_addr: mac,
            source_protocol_addr: source,
            target_protocol_addr: target,
            ..
        }) = parsed
        else {
            return self.stats.count_drop(DropCause::Malformed);
        };
        if !mac.is_unicast() || mac == self.mac {
            return self.stats.count_drop(DropCause::Malformed);
        }
        // A probe has no source yet (RFC 5227 §2.1.1): answered, not learned from.
        let learnable = is_host(source.into());
        if learnable && self.owns(source) {
            return self.report_conflict(source, mac);
        }
        let for_us = self.owns(target);
        if learnable {
            let request = operation == ArpOperation::Request;
            // Who asks for us will talk to us. Others' chatter only refreshes what we know.
            self.learn(source.into(), mac, !(request && for_us));
        }
        if for_us && operation == ArpOperation::Request {
            self.send_arp(ArpOperation::Reply, target, source, mac, mac);
        }
    }

    /// Asks who has `target`: everybody, or only its last known place.
    pub(super) fn send_arp_request(&mut self, target: Ipv4Addr, to: Option<EthernetAddress>) {
        let Some(IpAddr::V4(source)) = self.routes.source_for(target.into()) else {
            return;
        };
        let to = to.unwrap_or(EthernetAddress::BROADCAST);
        self.send_arp(
            ArpOperation::Request,
            source,
            target,
            EthernetAddress([0; 6]),
            to,
        );
    }

    /// Tells everybody that an address is ours now (RFC 5227 §3), so that caches filled by its
    /// former owner, perhaps ourselves before a restart, are corrected.
    pub(crate) fn announce_ipv4(&mut self, address: Ipv4Addr) {
        let everybody = EthernetAddress::BROADCAST;
        self.send_arp(
            ArpOperation::Request,
            address,
            address,
            EthernetAddress([0; 6]),
            everybody,
        );
    }

    fn send_arp(
        &mut self,
        operation: ArpOperation,
        source: Ipv4Addr,
        target: Ipv4Addr,
        target_mac: EthernetAddress,
        to: EthernetAddress,
    ) {
        let repr = ArpRepr::EthernetIpv4 {
            operation,
            source_hardware_addr: self.mac,
            source_protocol_addr: source,
            target_hardware_addr: target_mac,
            target_protocol_addr: target,
        };
        self.send_frame(to, EthernetProtocol::Arp, repr.buffer_len(), |buffer| {
            repr.emit(&mut ArpPacket::new_unchecked(buffer));
        });
    }

    fn owns(&self, address: Ipv4Addr) -> bool {
        self.routes
            .addresses()
            .iter()
            .any(|own| own.address == IpAddr::V4(address))
    }

    pub(super) fn report_conflict(&mut self, address: impl Into<IpAddr>, mac: EthernetAddress) {
        if !core::mem::replace(&mut self.conflict_said, true) {
            warn!("net: address conflict addr={} other={mac}", address.into());
        }
    }
}
