//! Large packets: what the device is told to cut, what it merged, and its lies about that.

use smoltcp::phy::PacketMeta;
use std::num::NonZeroU16;

use super::*;

const OFFLOADS: Features = Features::from_bits(
    QEMU.bits()
        | Features::NET_HOST_TSO4.bits()
        | Features::NET_GUEST_TSO4.bits()
        | Features::NET_GUEST_TSO6.bits(),
);
const GSO_UDP: u8 = 3;
/// Buffers of the bench for what arrives; a quarter for what leaves.
const BULK: u16 = 16;
/// The largest data that a packet can have.
const MOST: usize = 65_535 - 40;

fn bulk() -> NetConfig {
    NetConfig {
        bulk_buffers: BULK,
        ..config(64, 16)
    }
}

fn bulk_bench(features: Features) -> Bench {
    bench_with(features, 1500, bulk())
}

/// Data of which every stretch is different.
fn data(len: usize) -> Vec<u8> {
    (0..len).map(|index| (index ^ (index >> 8)) as u8).collect()
}

/// Sends a frame to be cut into segments of 1460 bytes, if there is room.
fn send_large(bench: &mut Bench, frame: &[u8]) -> bool {
    let Some(mut token) = bench.net.transmit(NOW) else {
        return false;
    };
    let mut meta = PacketMeta::default();
    meta.segmentation_offload_size = NonZeroU16::new(1460);
    token.set_meta(meta);
    token.consume(frame.len(), |bytes| bytes.copy_from_slice(frame));
    true
}

#[test]
fn asks_only_for_what_the_rest_is_there_for() {
    let without = |missing| bulk_bench(OFFLOADS.without(missing)).net.features();
    let all = bulk_bench(OFFLOADS).net.features();
    assert_eq!(all.and(OFFLOADS), OFFLOADS);
    assert!(!without(Features::NET_CSUM).contains(Features::NET_HOST_TSO4));
    for missing in [Features::NET_GUEST_CSUM, Features::NET_MRG_RXBUF] {
        assert!(!without(missing).contains(Features::NET_GUEST_TSO4));
        assert!(!without(missing).contains(Features::NET_GUEST_TSO6));
    }
    // Little memory.
    let few = NetConfig {
        bulk_buffers: MIN_BULK_BUFFERS - 1,
        ..config(64, 16)
    };
    let bench = bench_with(OFFLOADS, 1500, few);
    assert_eq!(
        bench.net.features().without(QEMU),
        Features::VERSION_1.without(QEMU)
    );
    assert_eq!(bench.net.capabilities().segmentation.tcpv4, None);
    assert!(
        bulk_bench(QEMU)
            .net
            .capabilities()
            .segmentation
            .tcpv4
            .is_none()
    );
    assert!(
        bulk_bench(OFFLOADS)
            .net
            .capabilities()
            .segmentation
            .tcpv4
            .is_some()
    );
}

#[test]
fn tells_the_device_how_to_cut() {
    let mut bench = bulk_bench(OFFLOADS);
    for len in [1461, 5000, MOST, 3000] {
        let whole = frame(TCP4, &data(len));
        assert!(send_large(&mut bench, &bare(TCP4, &whole)));
        bench.net.flush();
        let sent = bench.device.sent().remove(0);
        // To be summed from byte 34 on, result 16 further; TCP over IPv4, 54 bytes of headers.
        assert_eq!(sent[..12], [1, 1, 54, 0, 0xb4, 5, 34, 0, 16, 0, 0, 0]);
        assert_eq!(sent.len(), 12 + whole.len());
        assert!(complete_checksum(&sent) == whole);
    }
    assert_eq!(bench.net.stats().tx_oversized, 0);
    // And ordinary frames afterwards are ordinary.
    assert!(bench.send(&arp()));
    assert_eq!(bench.device.sent()[0][..12], [0; 12]);
}

#[test]
fn a_large_packet_that_nobody_would_cut_is_not_sent() {
    for features in [OFFLOADS, QEMU] {
        let mut bench = bulk_bench(features);
        bench.send(&frame(TCP4, &data(5000)));
        assert_eq!(bench.net.stats().tx_oversized, 1);
        assert!(bench.device.sent().is_empty());
    }
}

#[test]
fn room_for_large_packets_is_bounded_and_comes_back() {
    let mut bench = bulk_bench(OFFLOADS);
    let large = frame(TCP4, &data(MOST));
    for _ in 0..5 {
        for _ in 0..BULK / 4 {
            assert!(send_large(&mut bench, &large));
        }
        assert!(!send_large(&mut bench, &large), "all are with the device");
        assert!(!bench.send(&arp()), "who gets a token may send any frame");
        assert!(!bench.poll_event());
        assert_eq!(bench.device.take_sent().len(), usize::from(BULK / 4));
        bench.device.finish_sent(usize::MAX);
        assert!(bench.poll_event());
    }
    // Small and large together fill no more than the ring.
    let small = (0..100).take_while(|_| bench.send(&arp())).count();
    assert_eq!(small, 16 - usize::from(BULK / 4));
}

#[test]
#[cfg_attr(miri, ignore = "moves megabytes, which takes Miri an hour")]
fn takes_merged_segments_of_any_size() {
    let mut bench = bulk_bench(OFFLOADS);
    for round in 0..200 {
        let kind = if round % 2 == 0 { TCP4 } else { TCP6 };
        let gso = if round % 2 == 0 { 1 } else { 4 };
        let most = MOST - if round % 2 == 0 { 0 } else { 20 };
        let whole = frame(kind, &data(most - round * 300));
        assert!(bench.device.deliver_merged(header::NEEDS_CSUM, gso, &whole));
        assert!(bench.receive().as_ref() == Some(&whole), "round {round}");
        bench.net.flush();
        assert!(bench.device.deliver(&arp()));
        assert_eq!(bench.receive(), Some(arp()));
    }
    assert_eq!(bench.net.stats().rx_malformed, 0);
}

/// Large packets get buffers in which they fit, as many as were allowed; other traffic gets none.
#[test]
#[cfg_attr(miri, ignore = "moves megabytes, which takes Miri an hour")]
fn large_buffers_take_the_place_of_small_ones() {
    let sizes = |bench: &mut Bench| {
        let queue = bench.device.receive_queue();
        let buffers: Vec<_> = std::iter::from_fn(|| queue.pop()).collect();
        let sizes: Vec<_> = buffers.iter().map(|buffer| buffer.capacity()).collect();
        for buffer in buffers {
            bench.device.deliver_to(&buffer, &arp());
            assert_eq!(bench.receive(), Some(arp()));
        }
        sizes
    };
    let mut bench = bulk_bench(OFFLOADS);
    assert!(sizes(&mut bench).iter().all(|size| *size == 2048));
    let whole = frame(TCP4, &data(MOST));
    for _ in 0..200 {
        assert!(bench.device.deliver_merged(header::NEEDS_CSUM, 1, &whole));
        assert!(bench.receive().as_ref() == Some(&whole));
        bench.net.flush();
    }
    let sizes = sizes(&mut bench);
    assert_eq!(sizes.len(), usize::from(BULK));
    assert!(sizes.iter().all(|size| *size as usize == BULK_BUFFER));
}

#[test]
fn merged_segments_that_cannot_be_are_dropped() {
    let mut bench = bulk_bench(OFFLOADS);
    let large = frame(TCP4, &data(40_000));
    let mut dropped = 0;
    for gso_type in [2, GSO_UDP, 5, 0x81, 0xff] {
        assert!(
            bench
                .device
                .deliver_merged(header::NEEDS_CSUM, gso_type, &large)
        );
        assert!(bench.receive().is_none());
        dropped += 1;
        assert_eq!(bench.net.stats().rx_malformed, dropped);
    }
    // Nobody vouches for it, and it is wrong.
    let mut wrong = large.clone();
    wrong[30_000] ^= 1;
    assert!(bench.device.deliver_merged(0, 1, &wrong));
    assert!(bench.receive().is_none());
    assert_eq!(bench.net.stats().rx_bad_checksum, 1);
    // Longer than a packet can be, over buffers that exist.
    for _ in 0..3 {
        let endless = std::vec![0; MAX_FRAME + 1];
        assert!(bench.device.deliver_merged(header::NEEDS_CSUM, 1, &endless));
        assert!(bench.receive().is_none());
        dropped += 1;
        assert_eq!(bench.net.stats().rx_malformed, dropped);
        bench.net.flush();
    }
    assert!(bench.net.is_up());
    assert!(bench.device.deliver_merged(header::NEEDS_CSUM, 1, &large));
    assert!(bench.receive() == Some(large), "and goes on");
}

/// One byte more than a large buffer has ends the device, not the memory behind it.
#[test]
#[cfg_attr(miri, ignore = "moves megabytes, which takes Miri an hour")]
fn a_device_that_claims_more_than_a_large_buffer_is_given_up() {
    let mut bench = bulk_bench(OFFLOADS);
    let whole = frame(TCP4, &data(MOST));
    for _ in 0..200 {
        bench.device.deliver_merged(header::NEEDS_CSUM, 1, &whole);
        assert!(bench.receive().is_some());
        bench.net.flush();
    }
    let header = [1, 1, 54, 0, 0xb4, 5, 34, 0, 16, 0, 1, 0];
    bench.device.deliver_raw(&header, BULK_BUFFER as u32 + 1);
    assert!(bench.receive().is_none());
    assert!(!bench.net.is_up());
}

#[test]
fn nothing_is_merged_where_that_was_not_agreed() {
    let mut bench = bench(QEMU);
    let merged = frame(TCP4, &data(1000));
    assert!(bench.device.deliver_merged(header::NEEDS_CSUM, 1, &merged));
    assert!(bench.receive().is_none());
    assert_eq!(bench.net.stats().rx_malformed, 1);
}
