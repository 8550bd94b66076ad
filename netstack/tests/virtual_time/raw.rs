//! One stack on a wire whose other end the test plays, frame by frame.

use crate::pair::SERVER_MAC;
use core::net::{IpAddr, Ipv4Addr};
use netstack::testing::{Conditions, Wire, random};
use netstack::{Config, Stack};
use reactor::testing::VirtualClock;
use reactor::time::Duration;
use reactor::{Clock, Reactor, Spawner};
use smoltcp::phy::ChecksumCapabilities;
use smoltcp::wire::{
    ArpOperation, ArpPacket, ArpRepr, EthernetAddress, EthernetFrame, EthernetProtocol,
    EthernetRepr, IpAddress, IpProtocol, IpRepr, TcpControl, TcpPacket, TcpRepr, TcpSeqNumber,
    UDP_HEADER_LEN, UdpPacket, UdpRepr,
};

pub(crate) const PEER_MAC: EthernetAddress = EthernetAddress([2, 0, 0, 0, 0, 0x99]);
const OUR_MAC: EthernetAddress = EthernetAddress(SERVER_MAC);

/// The stack is at end 1; the test is end 0.
pub(crate) struct Lone {
    pub(crate) reactor: Reactor,
    pub(crate) clock: Clock,
    pub(crate) spawner: Spawner,
    pub(crate) wire: Wire,
    pub(crate) stack: Stack,
}

impl Lone {
    pub(crate) fn new(config: Config) -> Lone {
        Lone::with_random(config, random(1))
    }

    pub(crate) fn with_random(config: Config, random: impl FnMut() -> u64 + 'static) -> Lone {
        Lone::on_wire(config, random, Conditions::default())
    }

    pub(crate) fn on_wire(
        config: Config,
        random: impl FnMut() -> u64 + 'static,
        conditions: Conditions,
    ) -> Lone {
        let reactor = Reactor::new(VirtualClock::new());
        let (clock, spawner) = (reactor.clock(), reactor.spawner());
        let (wire, _, end) = Wire::new(&clock, 1, conditions);
        wire.record();
        let (stack, runner) = netstack::new(end, config, clock.clone(), random).unwrap();
        spawner.task("network").spawn(runner.run()).detach();
        Lone {
            reactor,
            clock,
            spawner,
            wire,
            stack,
        }
    }

    pub(crate) fn run<R>(&self, test: impl AsyncFnOnce(&Lone) -> R) -> R {
        self.reactor.block_on(test(self))
    }

    pub(crate) async fn sleep(&self, span: Duration) {
        self.clock.sleep(span).await;
    }

    /// Gives the stack a frame and a moment, and returns what it sent since the last look.
    pub(crate) async fn tell(&self, frame: Vec<u8>) -> Vec<Vec<u8>> {
        self.wire.inject(1, frame);
        self.sent().await
    }

    /// What the stack sent since the last look.
    pub(crate) async fn sent(&self) -> Vec<Vec<u8>> {
        self.sleep(Duration::from_micros(10)).await;
        self.wire.sent(1)
    }
}

/// A frame from the peer.
pub(crate) fn frame(
    to: EthernetAddress,
    ethertype: EthernetProtocol,
    len: usize,
    fill: impl FnOnce(&mut [u8]),
) -> Vec<u8> {
    let mut bytes = vec![0; EthernetFrame::<&[u8]>::buffer_len(len)];
    let mut frame = EthernetFrame::new_unchecked(&mut bytes[..]);
    EthernetRepr {
        src_addr: PEER_MAC,
        dst_addr: to,
        ethertype,
    }
    .emit(&mut frame);
    fill(frame.payload_mut());
    bytes
}

pub(crate) fn arp(operation: ArpOperation, source: Ipv4Addr, target: Ipv4Addr) -> Vec<u8> {
    let request = operation == ArpOperation::Request;
    let to = if request {
        EthernetAddress::BROADCAST
    } else {
        OUR_MAC
    };
    let repr = ArpRepr::EthernetIpv4 {
        operation,
        source_hardware_addr: PEER_MAC,
        source_protocol_addr: source,
        target_hardware_addr: if request {
            EthernetAddress([0; 6])
        } else {
            OUR_MAC
        },
        target_protocol_addr: target,
    };
    frame(to, EthernetProtocol::Arp, repr.buffer_len(), |bytes| {
        repr.emit(&mut ArpPacket::new_unchecked(bytes));
    })
}

/// Operation, source and target of an ARP frame.
pub(crate) fn as_arp(frame: &[u8]) -> Option<(ArpOperation, Ipv4Addr, Ipv4Addr)> {
    let frame = EthernetFrame::new_checked(frame).ok()?;
    if frame.ethertype() != EthernetProtocol::Arp {
        return None;
    }
    let packet = ArpPacket::new_checked(frame.payload()).ok()?;
    let ArpRepr::EthernetIpv4 {
        operation,
        source_protocol_addr,
        target_protocol_addr,
        ..
    } = ArpRepr::parse(&packet).ok()?
    else {
        return None;
    };
    Some((operation, source_protocol_addr, target_protocol_addr))
}

/// Destination address of a frame, on the link and beyond, where it is TCP over IPv4.
pub(crate) fn as_tcp(frame: &[u8]) -> Option<(EthernetAddress, IpAddr, TcpPacket<&[u8]>)> {
    let ethernet = EthernetFrame::new_checked(frame).ok()?;
    let is_tcp = ethernet.ethertype() == EthernetProtocol::Ipv4 && frame.get(23) == Some(&6);
    let to: [u8; 4] = frame.get(30..34)?.try_into().ok()?;
    let segment = TcpPacket::new_checked(frame.get(34..)?).ok()?;
    is_tcp.then_some((ethernet.dst_addr(), IpAddr::from(to), segment))
}

pub(crate) fn ethertype(source: IpAddr) -> EthernetProtocol {
    if source.is_ipv4() {
        EthernetProtocol::Ipv4
    } else {
        EthernetProtocol::Ipv6
    }
}

/// An IP packet from the peer.
pub(crate) fn ip(
    source: IpAddr,
    target: IpAddr,
    protocol: IpProtocol,
    len: usize,
    fill: impl FnOnce(&mut [u8], &IpAddress, &IpAddress),
) -> Vec<u8> {
    let (from, to) = (IpAddress::from(source), IpAddress::from(target));
    let repr = IpRepr::new(from, to, protocol, len, 64);
    frame(OUR_MAC, ethertype(source), repr.buffer_len(), |bytes| {
        repr.emit(&mut *bytes, &ChecksumCapabilities::default());
        fill(&mut bytes[repr.header_len()..], &from, &to);
    })
}

/// The sequence number of each SYN.
pub(crate) const FIRST: i32 = 1000;

pub(crate) fn syn(source: IpAddr, source_port: u16, target: IpAddr, port: u16) -> Vec<u8> {
    syn_of((source, source_port), (target, port), Some(1460))
}

/// A SYN from a host that takes segments of this size.
pub(crate) fn syn_of(
    (source, source_port): (IpAddr, u16),
    (target, port): (IpAddr, u16),
    max_seg_size: Option<u16>,
) -> Vec<u8> {
    let repr = TcpRepr {
        control: TcpControl::Syn,
        seq_number: TcpSeqNumber(FIRST),
        max_seg_size,
        ..segment(source_port, port)
    };
    tcp(source, target, &repr)
}

/// The first segment after a handshake, with some data or none; `seen` is the stack's sequence number.
pub(crate) fn first_ack(
    (source, source_port): (IpAddr, u16),
    (target, port): (IpAddr, u16),
    seen: TcpSeqNumber,
    payload: &[u8],
) -> Vec<u8> {
    let repr = TcpRepr {
        ack_number: Some(seen + 1),
        payload,
        ..segment(source_port, port)
    };
    tcp(source, target, &repr)
}

/// The first segment after a SYN, without options or data.
pub(crate) fn segment(source: u16, target: u16) -> TcpRepr<'static> {
    TcpRepr {
        src_port: source,
        dst_port: target,
        control: TcpControl::None,
        seq_number: TcpSeqNumber(FIRST + 1),
        ack_number: None,
        window_len: 10_000,
        window_scale: None,
        max_seg_size: None,
        sack_permitted: false,
        sack_ranges: [None; 3],
        timestamp: None,
        payload: &[],
    }
}

pub(crate) fn tcp(source: IpAddr, target: IpAddr, repr: &TcpRepr<'_>) -> Vec<u8> {
    ip(
        source,
        target,
        IpProtocol::Tcp,
        repr.buffer_len(),
        |bytes, from, to| {
            let mut segment = TcpPacket::new_unchecked(bytes);
            repr.emit(&mut segment, from, to, &ChecksumCapabilities::default());
        },
    )
}

pub(crate) fn udp(
    (source, source_port): (IpAddr, u16),
    (target, port): (IpAddr, u16),
    payload: &[u8],
) -> Vec<u8> {
    let repr = UdpRepr {
        src_port: source_port,
        dst_port: port,
    };
    let len = UDP_HEADER_LEN + payload.len();
    ip(source, target, IpProtocol::Udp, len, |bytes, from, to| {
        let mut datagram = UdpPacket::new_unchecked(bytes);
        let copy = |to: &mut [u8]| to.copy_from_slice(payload);
        repr.emit(
            &mut datagram,
            from,
            to,
            payload.len(),
            copy,
            &ChecksumCapabilities::default(),
        );
    })
}
