//! The stack's one state: whom each packet is for, and what happens in a turn.
//!
//! The Runner calls `turn` with the device; handles (streams, sockets, the stack itself) call the
//! rest between turns. It holds no device, so handles need not know one, and it wakes tasks but
//! never runs them. Work in a turn is bounded and depends on what happened, not on what exists.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::task::{Context, Waker};
use log::info;
use reactor::hardware::Hardware;
use reactor::time::Instant;
use smoltcp::iface::{Interface, SocketSet};
use smoltcp::phy::{Device, DeviceCapabilities, RxToken, TxToken};

use crate::config::Config;
use crate::convert::to_smoltcp;
use crate::device::{Ingress, LOOPBACK_MTU, ip_capabilities};
use crate::dhcp::Dhcp;
use crate::interfaces::{Interfaces, Path};
use crate::link::ethernet::ethertype;
use crate::link::{Link, ndisc};
use crate::packet::{IpHead, Unreadable, is_right_ipv4_header, protocol};
use crate::slaac::Slaac;
use crate::stats::DropCause;
use crate::tcp::Table;
use crate::tcp::connection::Connection;
use crate::tcp::cookie::Cookies;
use crate::tcp::path_mtu::is_report;
use crate::udp;
use reactor::sync::Wakers;

/// Frames taken from the device in one turn; more wait for the next turn, so that tasks run in
/// between. As many as the largest receive ring that the kernel makes: a host's queue for us is short, and
/// an answer may bring two more frames into it, its acknowledgement and the next request.
const MAX_INGRESS: usize = 256;
/// Packets to ourselves taken in one turn.
const MAX_LOOPED: usize = 128;
/// Frames sent, and connections looked at, in one turn.
const MAX_EGRESS: usize = 256;

/// When the next turn should be, unless something wakes the Runner before.
pub(crate) enum Next {
    /// There is more to do.
    AtOnce,
    At(Instant),
    WhenWoken,
}

/// Everything but the device.
pub(crate) struct Engine {
    pub(crate) config: Config,
    pub(crate) udp: udp::Table,
    pub(crate) dhcp: Option<Dhcp>,
    pub(crate) slaac: Option<Slaac>,
    pub(crate) link: Link,
    pub(crate) tcp: Table,
    pub(crate) cookies: Cookies,
    pub(crate) interfaces: Interfaces,
    /// For packets that belong to no socket: smoltcp answers echoes, resets and the like.
    empty: SocketSet<'static>,
    random: Box<dyn FnMut() -> u64>,
    runner: Option<Waker>,
    notified: bool,
    link_up: bool,
    /// Tasks that wait for an address, and for everything to be sent.
    pub(crate) configured: Wakers,
    pub(crate) draining: Wakers,
}

impl Engine {
    pub(crate) fn new(
        config: Config,
        device: &DeviceCapabilities,
        mut random: Box<dyn FnMut() -> u64>,
        now: Instant,
    ) -> Engine {
        let capabilities = ip_capabilities(device);
        let mtu = capabilities.max_transmission_unit;
        let checksums = capabilities.checksum.clone();
        let cut = capabilities.segmentation.tcpv4;
        let largest = mtu.max(LOOPBACK_MTU).max(cut.map_or(0, |size| size.get()));
        let mut link = Link::new(config.mac, mtu, largest, checksums, random());
        link.now = now;
        let mut engine = Engine {
            tcp: Table::new(random(), &config.limits),
            cookies: Cookies::new([random(), random()]),
            udp: udp::Table::new(),
            dhcp: None,
            slaac: None,
            interfaces: Interfaces::new(capabilities, &mut random, now),
            empty: SocketSet::new(Vec::new()),
            random,
            runner: None,
            notified: false,
            link_up: true,
            configured: Wakers::default(),
            draining: Wakers::default(),
            link,
            config,
        };
        engine.configure();
        engine
    }

    /// One of the CSPRNG's numbers.
    pub(crate) fn random(&mut self) -> u64 {
        (self.random)()
    }

    /// Tells the Runner that there is work, once until its next turn.
    pub(crate) fn notify(&mut self) {
        if !core::mem::replace(&mut self.notified, true)
            && let Some(runner) = &self.runner
        {
            runner.wake_by_ref();
        }
    }

    /// The interface for a new connection, which begins with the sequence number that `seed` decides.
    pub(crate) fn reseed(&mut self, path: Path, seed: u64) -> &mut Interface {
        let addresses = self.link.routes.addresses();
        self.interfaces.reseed(path, seed, self.link.now, addresses)
    }

    /// Tells smoltcp our addresses.
    pub(crate) fn sync_addresses(&mut self) {
        self.interfaces.assign(self.link.routes.addresses());
    }

    /// Does what is to be done now, and says when to come again at the latest. The waker is woken when
    /// the device has something.
    ///
    /// A connection that got something is looked at in the next turn, when the task that reads from it
    /// had its say: an answer, the acknowledgement and the news of room in the buffer are then one
    /// segment, and one look. Segments come before deadlines: what a late machine finds acknowledged is
    /// not repeated.
    pub(crate) fn turn<D: Device + Hardware>(
        &mut self,
        device: &mut D,
        now: Instant,
        cx: &mut Context<'_>,
    ) -> Next {
        self.begin_turn(now, cx);
        self.watch_link(device.is_up());
        self.tcp.begin_turn();
        let sent = self.link.stats.frames_sent;
        let more_received = self.receive_frames(device);
        let dropped = device.dropped();
        self.link.stats.set_drops(DropCause::Device, dropped);
        self.tick_services();
        self.tick_tcp();
        let room = self.send(device);
        self.receive_looped::<D>();
        let local = self.link.has_loopback() || self.tcp.has_marked(true);
        let more = more_received || local || (room && self.has_frames_to_send());
        // What was received is answered in the next turn: buffers that the device gets back can wait as
        // long, unless it may have none left.
        if !more || more_received || self.link.stats.frames_sent != sent {
            device.flush();
        }
        if !self.draining.is_empty() && self.is_drained() {
            self.draining.wake_all();
        }
        if more || device.poll_event(cx).is_ready() {
            return Next::AtOnce;
        }
        match self.tcp.deadline().min(self.services_deadline()) {
            Instant::FAR_FUTURE => Next::WhenWoken,
            deadline => Next::At(deadline),
        }
    }

    /// Whether nothing waits to be sent or acknowledged. A walk over all connections, but only
    /// while somebody waits for that.
    pub(crate) fn is_drained(&self) -> bool {
        let queued = self.has_frames_to_send() || self.tcp.has_marked(true);
        let outstanding = |connection: &Connection| connection.is_outstanding();
        !queued
            && !self
                .tcp
                .connections
                .iter()
                .any(|(_, connection)| outstanding(connection))
    }

    fn begin_turn(&mut self, now: Instant, cx: &mut Context<'_>) {
        self.link.now = now;
        if self.link.stats.turns == 0 {
            self.say_addresses();
        }
        self.link.stats.turns += 1;
        self.notified = false;
        if !self
            .runner
            .as_ref()
            .is_some_and(|known| known.will_wake(cx.waker()))
        {
            self.runner = Some(cx.waker().clone());
        }
    }

    fn watch_link(&mut self, up: bool) {
        if core::mem::replace(&mut self.link_up, up) == up {
            return;
        }
        info!("net: link state={}", if up { "up" } else { "down" });
        if up {
            self.link_is_up();
        }
    }

    /// True where more frames may wait than fit this turn.
    fn receive_frames<D: Device>(&mut self, device: &mut D) -> bool {
        let now = to_smoltcp(self.link.now);
        for _ in 0..MAX_INGRESS {
            let Some((received, answer)) = device.receive(now) else {
                return false;
            };
            received.consume(|frame| self.receive_frame(frame, answer));
        }
        true
    }

    /// Packets for ourselves need no token. They name the device's all the same, so that the whole
    /// way of a packet is compiled once.
    fn receive_looped<D: Device>(&mut self) {
        for _ in 0..MAX_LOOPED {
            let Some(packet) = self.link.pop_loopback() else {
                return;
            };
            self.receive_packet(&packet, None::<D::TxToken<'_>>, true);
            self.link.recycle(packet);
        }
    }

    fn receive_frame<T: TxToken>(&mut self, frame: &[u8], token: T) {
        let Some((ethertype, payload)) = self.link.open(frame) else {
            return;
        };
        let version = payload.first().map(|byte| byte >> 4);
        match (ethertype, version) {
            (ethertype::ARP, _) => self.link.process_arp(payload),
            (ethertype::IPV4, Some(4)) | (ethertype::IPV6, Some(6)) => {
                self.receive_packet(payload, Some(token), false);
            }
            (ethertype::IPV4 | ethertype::IPV6, _) => {
                self.link.stats.count_drop(DropCause::Malformed);
            }
            _ => self.link.stats.count_drop(DropCause::UnknownProtocol),
        }
    }

    /// Finds whom an IP packet is for.
    fn receive_packet<T: TxToken>(&mut self, packet: &[u8], token: Option<T>, local: bool) {
        let head = match IpHead::parse(packet) {
            Ok(head) => head,
            Err(Unreadable::Malformed) => {
                return self.link.stats.count_drop(DropCause::Malformed);
            }
            Err(Unreadable::Fragment) => return self.link.stats.count_drop(DropCause::Fragment),
        };
        if !local && head.source.is_ipv4() && !is_right_ipv4_header(packet) {
            return self.link.stats.count_drop(DropCause::Malformed);
        }
        let token = match self.receive_known(&head, packet, token, local) {
            Ok(()) => return,
            Err(token) => token,
        };
        let discovery = head.protocol == protocol::ICMPV6 && ndisc::is_discovery(head.payload);
        if !local && !discovery && self.is_impossible(&head) {
            return self.link.stats.count_drop(DropCause::ImpossibleAddress);
        }
        match head.protocol {
            protocol::TCP => self.receive_tcp(&head, packet, token, local),
            protocol::UDP => self.receive_udp(&head, packet, token, local),
            _ if discovery && !local => self.receive_discovery(&head),
            _ if is_report(&head) => self.receive_too_big(&head),
            _ => self.receive_stray(&head, packet, token, local),
        }
    }

    /// Lets smoltcp answer what belongs to no socket: echo requests, closed ports.
    pub(crate) fn receive_stray<T: TxToken>(
        &mut self,
        head: &IpHead<'_>,
        packet: &[u8],
        token: Option<T>,
        local: bool,
    ) {
        let now = to_smoltcp(self.link.now);
        let mut device = Ingress {
            packet: Some(packet),
            token,
            link: &mut self.link,
            peer: head.source,
            sender: None,
        };
        let interface = self.interfaces.on(Path::new(local));
        interface.poll_ingress_single(now, &mut device, &mut self.empty);
    }

    /// What cannot come through a wire: to or from ourselves, or from a group (RFC 1122 §3.2.1.3).
    fn is_impossible(&self, head: &IpHead<'_>) -> bool {
        let routes = &self.link.routes;
        head.source.is_multicast()
            || routes.is_own(head.source)
            || routes.is_broadcast(head.source)
            || head.destination.is_loopback()
    }

    /// False where the device has no room. Each kind has a budget of its own, so that none starves.
    fn send<D: Device>(&mut self, device: &mut D) -> bool {
        let room = self.send_own_frames(device, MAX_EGRESS)
            && self.send_udp(device, MAX_EGRESS)
            && (!self.tcp.has_due(false) || self.send_tcp(device, MAX_EGRESS, false));
        self.link.stats.transmit_full += u64::from(!room);
        if self.tcp.has_due(true) {
            self.send_tcp(device, MAX_EGRESS, true);
        }
        room
    }

    /// Whether anything waits for the device.
    fn has_frames_to_send(&self) -> bool {
        self.link.has_frames() || self.udp.has_marked() || self.tcp.has_marked(false)
    }

    /// Sends what the link queued; false where the device has no room.
    fn send_own_frames<D: Device>(&mut self, device: &mut D, budget: usize) -> bool {
        for _ in 0..budget {
            if !self.link.has_frames() {
                return true;
            }
            let Some(token) = device.transmit(to_smoltcp(self.link.now)) else {
                return false;
            };
            let Some(frame) = self.link.pop_frame() else {
                return true;
            };
            token.consume(frame.len(), |buffer| buffer.copy_from_slice(&frame));
            self.link.recycle(frame);
        }
        true
    }
}
