//! ARP (RFC 826): who has an IPv4 address.
//!
//! Every request for an address of ours is answered, whoever asks: published ports and /32
//! addresses bring askers from outside our prefix.

use core::net::{IpAddr, Ipv4Addr};
use log::warn;

use super::Link;
use super::ethernet::{EthernetAddress, ethertype};
use crate::config::is_host;
use crate::stats::DropCause;

/// The beginning of every packet: addresses of Ethernet (1) and IPv4, of 6 and 4 bytes.
const KIND: [u8; 6] = [0, 1, 8, 0, 6, 4];
const REQUEST: u16 = 1;
const REPLY: u16 = 2;
/// Bytes of a packet.
const LEN: usize = 28;

/// An ARP packet.
struct Packet {
    operation: u16,
    source_mac: EthernetAddress,
    source: Ipv4Addr,
    target_mac: EthernetAddress,
    target: Ipv4Addr,
}

impl Packet {
    /// `None`: it is too short, or for other kinds of addresses.
    fn parse(payload: &[u8]) -> Option<Packet> {
        let (kind, rest) = payload.split_first_chunk()?;
        let (operation, rest) = rest.split_first_chunk()?;
        let (source_mac, rest) = rest.split_first_chunk()?;
        let (source, rest) = rest.split_first_chunk::<4>()?;
        let (target_mac, rest) = rest.split_first_chunk()?;
        let target: &[u8; 4] = rest.first_chunk()?;
        (*kind == KIND).then_some(Packet {
            operation: u16::from_be_bytes(*operation),
            source_mac: EthernetAddress(*source_mac),
            source: (*source).into(),
            target_mac: EthernetAddress(*target_mac),
            target: (*target).into(),
        })
    }

    /// Writes it to a buffer of [`LEN`] bytes.
    fn write(&self, buffer: &mut [u8]) {
        buffer[..6].copy_from_slice(&KIND);
        buffer[6..8].copy_from_slice(&self.operation.to_be_bytes());
        buffer[8..14].copy_from_slice(&self.source_mac.0);
        buffer[14..18].copy_from_slice(&self.source.octets());
        buffer[18..24].copy_from_slice(&self.target_mac.0);
        buffer[24..28].copy_from_slice(&self.target.octets());
    }
}

impl Link {
    /// Takes an ARP packet: answers, learns, or drops it.
    pub(crate) fn process_arp(&mut self, payload: &[u8]) {
        let Some(packet) = Packet::parse(payload) else {
            return self.stats.count_drop(DropCause::Malformed);
        };
        let Packet {
            source_mac: mac,
            source,
            target,
            ..
        } = packet;
        if !mac.is_unicast() || mac == self.mac {
            return self.stats.count_drop(DropCause::Malformed);
        }
        // A probe has no source yet (RFC 5227 §2.1.1): answered, not learned from.
        let learnable = is_host(source.into());
        if learnable && self.owns(source) {
            return self.report_conflict(source, mac);
        }
        let for_us = self.owns(target);
        let request = packet.operation == REQUEST;
        if learnable {
            // Who asks for us will talk to us. Others' chatter only refreshes what we know.
            self.learn(source.into(), mac, !(request && for_us));
        }
        if for_us && request {
            self.send_arp(REPLY, target, source, mac, mac);
        }
    }

    /// Asks who has `target`: everybody, or only its last known place.
    pub(super) fn send_arp_request(&mut self, target: Ipv4Addr, to: Option<EthernetAddress>) {
        let Some(IpAddr::V4(source)) = self.routes.source_for(target.into()) else {
            return;
        };
        let to = to.unwrap_or(EthernetAddress::BROADCAST);
        self.send_arp(REQUEST, source, target, EthernetAddress([0; 6]), to);
    }

    /// Tells everybody that an address is ours now (RFC 5227 §3), so that caches filled by its
    /// former owner, perhaps ourselves before a restart, are corrected.
    pub(crate) fn announce_ipv4(&mut self, address: Ipv4Addr) {
        let everybody = EthernetAddress::BROADCAST;
        self.send_arp(
            REQUEST,
            address,
            address,
            EthernetAddress([0; 6]),
            everybody,
        );
    }

    fn send_arp(
        &mut self,
        operation: u16,
        source: Ipv4Addr,
        target: Ipv4Addr,
        target_mac: EthernetAddress,
        to: EthernetAddress,
    ) {
        let packet = Packet {
            operation,
            source_mac: self.mac,
            source,
            target_mac,
            target,
        };
        self.send_frame(to, ethertype::ARP, LEN, |buffer| packet.write(buffer));
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
