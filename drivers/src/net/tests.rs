//! The network device against a fake: frames both ways, checksums, back-pressure, link, lies.

use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::vec;
use std::vec::Vec;

use proptest::prelude::*;
use reactor::Reactor;
use reactor::testing::VirtualClock;
use smoltcp::phy::{Device as _, RxToken as _, TxToken as _};
use smoltcp::wire::{
    EthernetAddress, EthernetFrame, EthernetProtocol, IpAddress, IpProtocol, Ipv4Address,
    Ipv4Packet, Ipv6Address, Ipv6Packet, TcpPacket, UdpPacket,
};

mod segmentation;

use super::*;
use crate::testing::{FakeNet, FakeRegisters};

const LINE: u8 = 6;
const CONFIG_LINE: u8 = 38;
const NOW: Instant = Instant::ZERO;

const BARE: Features = Features::VERSION_1;
const FIRECRACKER: Features = Features::from_bits(
    BARE.bits()
        | Features::EVENT_IDX.bits()
        | Features::NET_CSUM.bits()
        | Features::NET_GUEST_CSUM.bits()
        | Features::NET_MAC.bits()
        | Features::NET_MRG_RXBUF.bits(),
);
const QEMU: Features = Features::from_bits(FIRECRACKER.bits() | Features::NET_STATUS.bits());

/// An interface, its device and a reactor whose turns carry interrupts.
struct Bench {
    reactor: Reactor,
    device: FakeNet,
    net: VirtioNet<FakeRegisters>,
}

fn config(rx_buffers: u16, tx_buffers: u16) -> NetConfig {
    NetConfig {
        rx_buffers,
        tx_buffers,
        bulk_buffers: 0,
        mac: None,
        config_irq: None,
    }
}

fn bench(features: Features) -> Bench {
    bench_with(features, 1500, config(64, 4))
}

fn bench_with(features: Features, mtu: u16, config: NetConfig) -> Bench {
    let clock = VirtualClock::new();
    let reactor = Reactor::new(clock.clone());
    let device = FakeNet::new(clock, LINE, features, mtu);
    let irq = reactor.irq_event(LINE);
    let mut net = VirtioNet::new(device.bus().transport(), irq, config).unwrap();
    net.flush();
    Bench {
        reactor,
        device,
        net,
    }
}

/// Brings up a device whose configuration was changed, and says why it was refused.
fn refusal(features: Features, mtu: u16, offset: usize, bytes: &[u8]) -> Option<InitError> {
    let clock = VirtualClock::new();
    let reactor = Reactor::new(clock.clone());
    let device = FakeNet::new(clock, LINE, features, mtu);
    device.bus().set_config(offset, bytes);
    VirtioNet::new(
        device.bus().transport(),
        reactor.irq_event(LINE),
        config(64, 4),
    )
    .err()
}

/// Its queues' memory is freed only after it let go of it.
#[test]
fn a_device_that_does_not_start_is_reset() {
    let clock = VirtualClock::new();
    let reactor = Reactor::new(clock.clone());
    let device = FakeNet::new(clock, LINE, Features::VERSION_1, 1500);
    device.bus().refuse_starts();
    let (transport, irq) = (device.bus().transport(), reactor.irq_event(LINE));
    let refused = VirtioNet::new(transport, irq, config(64, 4));
    assert!(matches!(refused, Err(InitError::StartRefused(_))));
    assert_eq!(device.bus().model().status(), 0);
}

impl Bench {
    /// Takes the next frame.
    fn receive(&mut self) -> Option<Vec<u8>> {
        let (token, _) = self.net.receive(NOW)?;
        Some(token.consume(<[u8]>::to_vec))
    }

    /// Sends a frame, if there is room.
    fn send(&mut self, frame: &[u8]) -> bool {
        let Some(token) = self.net.transmit(NOW) else {
            return false;
        };
        token.consume(frame.len(), |bytes| bytes.copy_from_slice(frame));
        true
    }

    /// What the stack's task does before it waits, in a turn of its own, so that interrupts
    /// arrive. `true`: there may be work.
    fn poll_event(&mut self) -> bool {
        let Bench { reactor, net, .. } = self;
        reactor.block_on(async {
            reactor::task::yield_now().await;
            net.poll_event(&mut Context::from_waker(Waker::noop())) == Poll::Ready(())
        })
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        let model = self.device.bus().model();
        assert_eq!(
            model.rejections(),
            [],
            "Firecracker would have ignored these"
        );
    }
}

const UDP4: (IpProtocol, bool) = (IpProtocol::Udp, false);
const TCP4: (IpProtocol, bool) = (IpProtocol::Tcp, false);
const UDP6: (IpProtocol, bool) = (IpProtocol::Udp, true);
const TCP6: (IpProtocol, bool) = (IpProtocol::Tcp, true);
const KINDS: [(IpProtocol, bool); 4] = [UDP4, TCP4, UDP6, TCP6];

fn addresses(ipv6: bool) -> (IpAddress, IpAddress) {
    if ipv6 {
        let [a, b] = [1, 2].map(|last| Ipv6Address::new(0xfe80, 0, 0, 0, 0, 0, 0xffff, last));
        (a.into(), b.into())
    } else {
        (
            Ipv4Address::new(10, 0, 255, 1).into(),
            Ipv4Address::new(192, 168, 1, 254).into(),
        )
    }
}

/// Offset of the transport header in a frame.
fn transport_offset(ipv6: bool) -> usize {
    14 + if ipv6 { 40 } else { 20 }
}

/// A frame with right checksums, by smoltcp's own reckoning.
fn frame((protocol, ipv6): (IpProtocol, bool), payload: &[u8]) -> Vec<u8> {
    let header = if protocol == IpProtocol::Tcp { 20 } else { 8 };
    let start = transport_offset(ipv6);
    let mut bytes = vec![0; start + header + payload.len()];
    let len = header + payload.len();
    let mut ethernet = EthernetFrame::new_unchecked(&mut bytes);
    ethernet.set_dst_addr(EthernetAddress(FakeNet::MAC));
    ethernet.set_src_addr(EthernetAddress([2, 0, 0, 0, 0, 9]));
    if ipv6 {
        ethernet.set_ethertype(EthernetProtocol::Ipv6);
        fill_ipv6(&mut bytes[14..], protocol, len);
    } else {
        ethernet.set_ethertype(EthernetProtocol::Ipv4);
        fill_ipv4(&mut bytes[14..], protocol, len);
    }
    let (source, target) = addresses(ipv6);
    if protocol == IpProtocol::Tcp {
        let mut tcp = TcpPacket::new_unchecked(&mut bytes[start..]);
        tcp.set_src_port(80);
        tcp.set_header_len(20);
        tcp.payload_mut().copy_from_slice(payload);
        tcp.fill_checksum(&source, &target);
    } else {
        let mut udp = UdpPacket::new_unchecked(&mut bytes[start..]);
        udp.set_dst_port(53);
        udp.set_len(len as u16);
        udp.payload_mut().copy_from_slice(payload);
        udp.fill_checksum(&source, &target);
    }
    bytes
}

fn fill_ipv4(bytes: &mut [u8], protocol: IpProtocol, len: usize) {
    let mut ip = Ipv4Packet::new_unchecked(bytes);
    ip.set_version(4);
    ip.set_header_len(20);
    ip.set_total_len(20 + len as u16);
    ip.set_next_header(protocol);
    ip.set_src_addr(Ipv4Address::new(10, 0, 255, 1));
    ip.set_dst_addr(Ipv4Address::new(192, 168, 1, 254));
    ip.fill_checksum();
}

fn fill_ipv6(bytes: &mut [u8], protocol: IpProtocol, len: usize) {
    let mut ip = Ipv6Packet::new_unchecked(bytes);
    ip.set_version(6);
    ip.set_payload_len(len as u16);
    ip.set_next_header(protocol);
    let (IpAddress::Ipv6(source), IpAddress::Ipv6(target)) = addresses(true) else {
        unreachable!("asked for IPv6")
    };
    ip.set_src_addr(source);
    ip.set_dst_addr(target);
}

/// Whether smoltcp finds a frame's transport checksum right.
fn is_sound((protocol, ipv6): (IpProtocol, bool), frame: &[u8]) -> bool {
    let (source, target) = addresses(ipv6);
    let transport = &frame[transport_offset(ipv6)..];
    match protocol {
        IpProtocol::Tcp => TcpPacket::new_unchecked(transport).verify_checksum(&source, &target),
        _ => UdpPacket::new_unchecked(transport).verify_checksum(&source, &target),
    }
}

/// An address resolution request: a frame without any checksum.
fn arp() -> Vec<u8> {
    let mut bytes = vec![0xff; 42];
    bytes[12..14].copy_from_slice(&[8, 6]);
    bytes
}

#[test]
fn comes_up_as_the_device_says() {
    let bench = bench_with(QEMU | Features::NET_MTU, 1400, config(64, 4));
    assert_eq!(
        (bench.net.mac(), bench.net.mtu(), bench.net.is_up()),
        (FakeNet::MAC, 1400, true)
    );
    assert!(bench.net.monitor().is_up());
    let capabilities = bench.net.capabilities();
    assert_eq!(capabilities.max_transmission_unit, 1414);
    assert!(!capabilities.checksum.tcp.tx() && !capabilities.checksum.udp.rx());
    assert!(capabilities.checksum.ipv4.tx() && capabilities.checksum.ipv4.rx());
    assert_eq!(
        bench.device.bus().notifications(),
        1,
        "the receive queue's buffers"
    );
    assert!(bench.device.bus().model().running());
}

#[test]
fn makes_sums_itself_where_the_device_makes_none() {
    let mut bench = bench(BARE);
    let capabilities = bench.net.capabilities();
    assert!(!capabilities.checksum.tcp.tx() && !capabilities.checksum.udp.tx());
    assert!(!capabilities.checksum.tcp.rx() && !capabilities.checksum.udp.rx());
    for kind in KINDS {
        for len in [0, 1, 2, 7, 8, 9, 1000] {
            let whole = frame(kind, &vec![0x77; len]);
            assert!(bench.send(&bare(kind, &whole)));
            bench.net.flush();
            let sent = bench.device.take_sent();
            assert_eq!(sent, [[&[0; 12][..], &whole].concat()], "{kind:?} {len}");
            bench.device.finish_sent(1);
        }
    }
}

/// RFC 768: a datagram whose sum is zero says so by all ones.
#[test]
fn a_sum_of_zero_is_not_taken_for_none() {
    let mut datagram = frame(UDP4, &[0, 0]);
    let field = transport_offset(false) + 6;
    let sum = [datagram[field], datagram[field + 1]];
    datagram[field + 2..].copy_from_slice(&sum);
    checksum::complete(&mut datagram);
    assert_eq!(datagram[field..field + 2], [0xff; 2]);
    assert_eq!(checksum::verify(&datagram), checksum::Verdict::Good);
}

/// A frame without its transport checksum, as the stack leaves it.
fn bare(kind: (IpProtocol, bool), whole: &[u8]) -> Vec<u8> {
    let mut bare = whole.to_vec();
    let field = transport_offset(kind.1) + if kind.0 == IpProtocol::Tcp { 16 } else { 6 };
    bare[field..field + 2].fill(0);
    bare
}

#[test]
fn refuses_impossible_configurations() {
    let invalid = |what| Some(InitError::ConfigInvalid(what));
    let address = invalid("hardware address is not unicast");
    assert_eq!(refusal(QEMU, 1500, 0, &[1]), address);
    assert_eq!(refusal(QEMU, 1500, 0, &[0; 6]), address);
    assert_eq!(
        refusal(QEMU | Features::NET_MTU, 67, 0, &[]),
        invalid("mtu below 68")
    );
    assert_eq!(
        refusal(Features::NET_MAC, 1500, 0, &[]),
        Some(InitError::NotVersion1)
    );
}

#[test]
fn bounds_what_it_believes() {
    let bench = bench_with(QEMU | Features::NET_MTU, u16::MAX, config(0, 0));
    assert_eq!(bench.net.mtu(), MAX_MTU);
    let mut nameless = bench_with(
        BARE,
        0,
        NetConfig {
            mac: Some([1; 6]),
            ..config(1, u16::MAX)
        },
    );
    assert_eq!(
        nameless.net.mac()[0],
        2,
        "a made-up address: what was configured is multicast"
    );
    assert_eq!(nameless.device.receive_queue().waiting(), MIN_RX_BUFFERS);
    let given = NetConfig {
        mac: Some([2, 3, 4, 5, 6, 7]),
        ..config(64, 4)
    };
    assert_eq!(bench_with(BARE, 0, given).net.mac(), [2, 3, 4, 5, 6, 7]);
}

#[test]
fn makes_buffers_a_few_a_turn() {
    let mut bench = bench_with(QEMU, 1500, config(64, 4));
    let mut counts = Vec::new();
    for _ in 0..5 {
        counts.push(bench.device.receive_queue().waiting());
        bench.net.flush();
    }
    assert_eq!(counts, [40, 48, 56, 64, 64]);
}

#[test]
fn carries_frames_round_and_round() {
    let rounds = if cfg!(miri) { 70 } else { 70_000_u32 }; // more than there are buffers
    for features in [BARE, QEMU] {
        let mut bench = bench(features);
        for round in 0..rounds {
            let frame = frame(UDP4, &round.to_le_bytes());
            assert!(bench.device.deliver(&frame));
            assert_eq!(bench.receive(), Some(frame.clone()));
            assert_eq!(bench.receive(), None);
            assert!(bench.send(&frame));
            bench.net.flush();
            assert_eq!(bench.device.sent()[0][12..38], frame[..26]);
        }
        let stats = bench.net.stats();
        assert_eq!(
            (stats.rx_frames, stats.tx_frames),
            (rounds.into(), rounds.into())
        );
        assert_eq!(stats.rx_bytes, u64::from(rounds) * 46);
    }
}

#[test]
fn returns_the_buffer_of_a_frame_that_nobody_reads() {
    let mut bench = bench(QEMU);
    for _ in 0..if cfg!(miri) { 70 } else { 200 } {
        assert!(bench.device.deliver(&arp()));
        assert!(bench.net.receive(NOW).is_some());
    }
}

#[test]
fn verifies_what_nobody_vouches_for() {
    for features in [BARE, QEMU] {
        let mut bench = bench(features);
        let mut dropped = 0;
        for kind in KINDS {
            let long = if cfg!(miri) { 101 } else { 1401 };
            for len in [0, 1, 2, 3, long] {
                let good = frame(kind, &vec![0xa5; len]);
                assert!(is_sound(kind, &good));
                bench.device.deliver(&good);
                assert_eq!(bench.receive().as_ref(), Some(&good), "{kind:?} {len}");
                let start = transport_offset(kind.1);
                for byte in [start, start + 7, good.len() - 1] {
                    let mut bad = good.clone();
                    bad[byte] ^= 0x10;
                    bench.device.deliver(&bad);
                    assert_eq!(
                        bench.receive(),
                        None,
                        "{kind:?} {len}: byte {byte} is wrong"
                    );
                    dropped += 1;
                    assert_eq!(bench.net.stats().rx_bad_checksum, dropped);
                    assert_eq!(bench.net.dropped(), dropped);
                }
            }
        }
    }
}

#[test]
fn believes_the_host_only_where_it_was_agreed() {
    let mut bad = frame(TCP6, b"wrong");
    bad[70] ^= 1;
    for (features, passes) in [(QEMU, true), (BARE, false)] {
        for flags in [header::DATA_VALID, header::NEEDS_CSUM] {
            let mut bench = bench(features);
            bench.device.deliver_with(flags, &bad);
            assert_eq!(bench.receive().is_some(), passes);
        }
    }
}

#[test]
fn lets_pass_what_has_no_sum_to_look_at() {
    let mut zero = frame(UDP4, b"no checksum");
    zero[40..42].fill(0);
    let mut fragment = frame(UDP4, b"first part");
    fragment[20] |= 0x20; // more fragments
    fragment[40] ^= 1;
    let mut icmp = frame(UDP4, b"ping");
    icmp[23] = 1;
    let mut truncated = frame(TCP4, b"total length beyond the frame");
    truncated.truncate(60);
    let mut bench = bench(BARE);
    for frame in [zero, fragment, icmp, truncated, arp()] {
        bench.device.deliver(&frame);
        assert_eq!(bench.receive(), Some(frame));
    }
    let mut zero6 = frame(UDP6, b"IPv6 has no such thing");
    zero6[60..62].fill(0);
    bench.device.deliver(&zero6);
    assert_eq!(bench.receive(), None);
}

#[test]
fn looks_through_options_of_ipv6() {
    let whole = frame(UDP6, b"behind hop-by-hop options");
    let mut options = whole[..54].to_vec();
    options.extend_from_slice(&[17, 0, 1, 4, 0, 0, 0, 0]); // padding, then UDP
    options.extend_from_slice(&whole[54..]);
    options[20] = 0; // hop-by-hop
    let len = (options.len() - 54) as u16;
    options[18..20].copy_from_slice(&len.to_be_bytes());
    let mut bench = bench(BARE);
    bench.device.deliver(&options);
    assert_eq!(bench.receive().as_ref(), Some(&options));
    *options.last_mut().unwrap() ^= 1;
    bench.device.deliver(&options);
    assert_eq!(bench.receive(), None);
}

/// What a device does with NEEDS_CSUM (virtio 1.2 §5.1.6.2), by the letter.
fn complete_checksum(packet: &[u8]) -> Vec<u8> {
    assert_eq!(packet[0], 1, "asks the device for a checksum");
    let field = |at: usize| usize::from(u16::from_le_bytes([packet[at], packet[at + 1]]));
    let (start, offset) = (field(6), field(8));
    let mut frame = packet[12..].to_vec();
    let mut sum: u32 = 0;
    for pair in frame[start..].chunks(2) {
        sum += u32::from(pair[0]) << 8 | u32::from(*pair.get(1).unwrap_or(&0));
    }
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    frame[start + offset..start + offset + 2].copy_from_slice(&(!(sum as u16)).to_be_bytes());
    frame
}

#[test]
fn prepares_sums_for_the_device() {
    let mut bench = bench(QEMU);
    for kind in KINDS {
        let long = if cfg!(miri) { 100 } else { 1000 };
        for len in [0, 1, 2, long] {
            let whole = frame(kind, &vec![0x77; len]);
            assert!(bench.send(&bare(kind, &whole)));
            bench.net.flush();
            let completed = complete_checksum(&bench.device.sent()[0]);
            assert!(is_sound(kind, &completed), "{kind:?} {len}");
            assert_eq!(completed, whole);
        }
    }
    assert!(bench.send(&arp()));
    assert_eq!(
        bench.device.sent()[0],
        [&[0; 12][..], &arp()].concat(),
        "nothing to prepare"
    );
}

#[test]
fn refuses_to_send_while_the_device_has_every_buffer() {
    let mut bench = bench(QEMU);
    for _ in 0..4 {
        assert!(bench.send(&arp()));
    }
    assert!(!bench.send(&arp()), "four buffers, all on their way");
    bench.net.flush();
    assert!(!bench.poll_event());
    assert_eq!(bench.device.take_sent().len(), 4);
    bench.device.finish_sent(1);
    assert!(bench.poll_event(), "one came back before anybody slept");
    assert!(bench.send(&arp()));
    assert!(!bench.send(&arp()));
    assert_eq!(bench.net.stats().tx_full, 2);
    assert!(!bench.poll_event());
    bench.device.finish_sent(1);
    assert_eq!(
        bench.device.bus().interrupts(),
        0,
        "asked for half of what is outstanding"
    );
    bench.device.finish_sent(1);
    assert_eq!(bench.device.bus().interrupts(), 1);
    assert!(bench.poll_event());
    assert!(bench.send(&arp()) && bench.send(&arp()));
}

/// A stack that cannot send is not given frames either, for it could not answer; so frames that
/// wait must not keep it awake.
#[test]
fn does_not_spin_on_frames_that_it_cannot_take() {
    let mut bench = bench(QEMU);
    for _ in 0..4 {
        assert!(bench.send(&arp()));
    }
    bench.device.deliver(&arp());
    assert_eq!(bench.receive(), None);
    bench.net.flush();
    assert!(!bench.poll_event());
    assert!(!bench.poll_event());
    bench.device.sent();
    assert!(bench.poll_event());
    assert_eq!(bench.receive(), Some(arp()));
    assert!(!bench.poll_event());
}

#[test]
fn a_frame_that_does_not_fit_is_not_sent() {
    let mut bench = bench(QEMU);
    let token = bench.net.transmit(NOW).unwrap();
    assert_eq!(token.consume(5000, |bytes| bytes.len()), 5000);
    assert_eq!(bench.net.stats().tx_oversized, 1);
    assert!(bench.device.sent().is_empty());
    assert!(bench.send(&arp()), "the buffer is still there");
}

#[test]
fn puts_packets_of_several_buffers_together() {
    let mut bench = bench_with(QEMU | Features::NET_MTU, 9000, config(64, 4));
    let long = frame(UDP4, &vec![0x5a; 8000]);
    let mut bad = long.clone();
    bad[7000] ^= 1;
    let rounds = if cfg!(miri) { 8 } else { 30 }; // more buffers than there are
    for _ in 0..rounds {
        assert!(bench.device.deliver(&long));
        assert_eq!(bench.receive().as_ref(), Some(&long));
        assert!(bench.device.deliver(&bad));
        assert_eq!(bench.receive(), None);
        assert!(bench.device.deliver(&arp()));
        assert_eq!(bench.receive(), Some(arp()));
    }
    assert_eq!(bench.net.stats().rx_bad_checksum, rounds);
}

#[test]
fn takes_jumbo_frames_in_one_buffer_where_there_is_no_merging() {
    let features = BARE | Features::NET_MTU;
    let mut bench = bench_with(features, 9000, config(64, 4));
    let long = frame(UDP4, &vec![0x5a; 8000]);
    assert!(bench.device.deliver(&long));
    assert_eq!(bench.receive(), Some(long));
}

#[test]
fn drops_and_counts_packets_that_cannot_be() {
    let mut bench = bench(QEMU);
    let mut packet = vec![0; 12 + 42];
    packet[10] = 1;
    let mut merged = packet.clone();
    merged[1] = 1;
    let mut nowhere = packet.clone();
    nowhere[10] = 0;
    let lies: [(&[u8], u32); 9] = [
        (&packet, 0),
        (&packet, 11),
        (&packet, 12),
        (&packet, 25),
        (&merged, 54),
        (&nowhere, 54),
        (&[&packet[..10], &[2, 0], &packet[12..]].concat(), 54),
        (&[&packet[..10], &[60, 0], &packet[12..]].concat(), 54),
        (&[&packet[..10], &[0xff, 0xff], &packet[12..]].concat(), 54),
    ];
    for (count, (bytes, claimed)) in (1..).zip(lies) {
        assert!(bench.device.deliver_raw(bytes, claimed));
        assert_eq!(bench.receive(), None, "lie {count}");
        assert_eq!(bench.net.stats().rx_malformed, count);
        assert_eq!(bench.net.dropped(), count);
    }
    assert!(bench.device.deliver(&arp()));
    assert_eq!(bench.receive(), Some(arp()), "and goes on");
    assert_eq!(
        bench.device.receive_queue().waiting(),
        40,
        "every buffer is back"
    );
}

/// More bytes than the largest packet, in buffers that exist.
#[test]
fn drops_packets_that_are_longer_than_the_link_allows() {
    let mut bench = bench(QEMU);
    for count in [2_u8, 40] {
        let mut packet = vec![0; 2048];
        packet[10] = count;
        for _ in 0..count {
            assert!(bench.device.deliver_raw(&packet, 2048));
        }
        assert_eq!(bench.receive(), None);
    }
    assert_eq!(bench.net.stats().rx_malformed, 2);
    assert_eq!(bench.device.receive_queue().waiting(), 40);
}

#[test]
fn a_flood_of_garbage_ends_the_call_and_not_the_device() {
    let mut bench = bench_with(BARE, 1500, config(128, 4));
    for _ in 0..20 {
        bench.net.flush();
    }
    let mut bad = frame(UDP4, b"wrong");
    bad[45] ^= 1;
    for _ in 0..100 {
        assert!(bench.device.deliver(&bad));
    }
    bench.device.deliver(&arp());
    assert_eq!(bench.receive(), None);
    assert_eq!(bench.net.stats().rx_bad_checksum, MAX_DROPS_PER_CALL as u64);
    assert!(bench.poll_event(), "there is more");
    assert_eq!(bench.receive(), Some(arp()));
}

#[test]
fn a_lying_device_is_given_up() {
    let lies: [fn(&mut FakeNet); 4] = [
        |device| device.receive_queue().push_raw(5000, 60),
        |device| device.receive_queue().push_raw(0, 2049),
        |device| device.receive_queue().publish(100),
        |device| device.transmit_queue().push_raw(3, 0),
    ];
    for lie in lies {
        let mut bench = bench(QEMU);
        bench.send(&arp());
        lie(&mut bench.device);
        for _ in 0..8 {
            bench.receive();
            bench.send(&arp());
        }
        assert!(!bench.net.is_up() && !bench.net.monitor().is_up());
        assert!(!bench.poll_event(), "nothing to wake for");
        assert!(bench.net.receive(NOW).is_none() && bench.net.transmit(NOW).is_none());
        bench.net.flush();
        assert_eq!(bench.device.bus().model().status() & 128, 128);
        // Miri: what the device has is still its own.
        while let Some(request) = bench.device.receive_queue().pop() {
            request.write(&[0xee; 2048]);
        }
    }
}

#[test]
fn tells_the_device_once_for_each_queue_and_turn() {
    for features in [QEMU, BARE] {
        let mut bench = bench_with(features, 1500, config(64, 16));
        let before = bench.device.bus().notifications();
        for _ in 0..10 {
            bench.device.deliver(&arp());
        }
        for _ in 0..10 {
            assert_eq!(bench.receive(), Some(arp()));
            assert!(bench.send(&arp()));
        }
        bench.net.flush();
        bench.net.flush();
        let count = bench.device.bus().notifications() - before;
        assert!((1..=3).contains(&count), "{count}"); // the second flush makes buffers
    }
}

#[test]
fn sleeps_until_a_frame_comes() {
    for features in [QEMU, BARE] {
        let mut bench = bench(features);
        assert!(!bench.poll_event());
        let before = bench.device.bus().interrupts();
        bench.device.deliver(&arp());
        assert_eq!(bench.device.bus().interrupts() - before, 1);
        assert!(bench.poll_event());
        bench.device.deliver(&arp());
        assert_eq!(
            bench.device.bus().interrupts() - before,
            1,
            "the stack is awake"
        );
        assert!(bench.receive().is_some() && bench.receive().is_some());
        assert!(!bench.poll_event());
    }
}

/// A Runner that was woken takes frames before it asks whether there is an event.
#[test]
fn whoever_takes_frames_is_awake_and_needs_no_interrupt() {
    for features in [QEMU, BARE] {
        let mut bench = bench(features);
        assert!(!bench.poll_event());
        bench.device.deliver(&arp());
        let before = bench.device.bus().interrupts();
        assert!(bench.receive().is_some());
        bench.device.deliver(&arp());
        bench.device.deliver(&arp());
        assert_eq!(bench.device.bus().interrupts(), before);
        assert!(bench.receive().is_some() && bench.receive().is_some());
        assert!(!bench.poll_event());
        bench.device.deliver(&arp());
        assert_eq!(bench.device.bus().interrupts(), before + 1);
    }
}

#[test]
fn sees_a_frame_that_came_before_it_asked() {
    let mut bench = bench(QEMU);
    bench.device.deliver(&arp());
    assert!(bench.poll_event());
    assert!(bench.poll_event(), "level, not edge");
}

#[test]
fn follows_the_link() {
    let mut bench = bench(QEMU);
    assert!(!bench.poll_event());
    bench.device.set_link(false);
    assert!(bench.poll_event() && !bench.net.is_up());
    assert!(!bench.poll_event());
    bench.device.deliver(&arp());
    assert!(bench.poll_event());
    assert!(!bench.net.is_up() && bench.receive().is_some());
    bench.device.set_link(true);
    assert!(bench.poll_event() && bench.net.is_up());
    assert_eq!(bench.net.stats().link_changes, 2);
}

#[test]
fn hears_of_the_link_on_a_line_of_its_own() {
    let clock = VirtualClock::new();
    let reactor = Reactor::new(clock.clone());
    let device = FakeNet::new(clock.clone(), LINE, QEMU, 1500);
    let config = NetConfig {
        config_irq: Some(reactor.irq_event(CONFIG_LINE)),
        ..config(64, 4)
    };
    let irq = reactor.irq_event(LINE);
    let net = VirtioNet::new(device.bus().transport(), irq, config).unwrap();
    let mut bench = Bench {
        reactor,
        device,
        net,
    };
    bench.device.set_link(false);
    assert!(!bench.poll_event(), "that was the queues' line");
    assert!(bench.net.is_up());
    clock.raise(CONFIG_LINE);
    assert!(bench.poll_event() && !bench.net.is_up());
}

#[test]
fn an_early_interrupt_is_nothing() {
    let mut bench = bench(QEMU);
    for _ in 0..3 {
        bench.device.bus().interrupt();
        assert!(!bench.poll_event());
    }
    assert_eq!(bench.net.stats().interrupts, 3);
}

#[test]
fn dropping_the_interface_resets_the_device() {
    let Bench { ref device, .. } = bench(QEMU);
    assert_eq!(device.bus().model().status(), 15);
    let clock = VirtualClock::new();
    let reactor = Reactor::new(clock.clone());
    let device = FakeNet::new(clock as Arc<_>, LINE, QEMU, 1500);
    let irq = reactor.irq_event(LINE);
    drop(VirtioNet::new(device.bus().transport(), irq, config(64, 4)).unwrap());
    assert_eq!(device.bus().model().status(), 0);
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: if cfg!(miri) { 3 } else { 1000 },
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    /// No packet, whatever its bytes and header say, does more than vanish or arrive.
    #[test]
    fn garbage_is_harmless(
        packets in prop::collection::vec(
            (prop::collection::vec(any::<u8>(), 0..200), any::<[u8; 12]>(), 0..2048_u32),
            1..20,
        ),
        shape in 0..3_u8,
    ) {
        let mut bench = bench(if shape == 0 { BARE } else { QEMU });
        for (mut bytes, mut header, claimed) in packets {
            if shape == 2 {
                header[10..].copy_from_slice(&[1, 0]); // one buffer, so that frames are looked at
                header[1] = 0;
            }
            if bytes.len() > 14 && bytes[0] & 1 == 0 {
                // Likely to be taken for IP.
                let ipv6 = bytes[1] & 1 == 0;
                bytes[12..14].copy_from_slice(if ipv6 { &[0x86, 0xdd] } else { &[8, 0] });
                bytes[14] = if ipv6 { 0x60 } else { 0x45 };
            }
            bench.device.deliver_raw(&[&header[..], &bytes].concat(), claimed);
            bench.receive();
            bench.send(&bytes);
            bench.net.flush();
            bench.device.sent();
        }
        prop_assert!(bench.net.is_up());
    }

    /// The prepared sum, completed by a device or here, is right for any payload.
    #[test]
    fn any_sum_is_right(payload in prop::collection::vec(any::<u8>(), 0..300), kind in 0..4_usize) {
        let whole = frame(KINDS[kind], &payload);
        let mut bare = whole.clone();
        let (start, offset) = checksum::prepare(&mut bare).unwrap();
        let mut packet = vec![0; 12];
        header::write((&mut packet[..12]).try_into().unwrap(), Some((start, offset)));
        packet.extend_from_slice(&bare);
        prop_assert!(is_sound(KINDS[kind], &complete_checksum(&packet)));
        prop_assert_eq!(checksum::verify(&whole), checksum::Verdict::Good);
        checksum::complete(&mut bare);
        prop_assert!(is_sound(KINDS[kind], &bare));
    }
}
