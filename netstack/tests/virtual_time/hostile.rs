//! Whatever comes off the wire: counted or answered, and the stack goes on serving.

use crate::pair::{Pair, SERVER, SERVER_MAC, configs, server_at};
use crate::raw::{arp, syn, udp};
use core::net::Ipv4Addr;
use netstack::testing::Conditions;
use netstack::{Ipv6Config, ListenOptions, TcpStream};
use proptest::prelude::*;
use reactor::time::Duration;
use smoltcp::wire::{ArpOperation, Ipv4Packet};

const STRANGER: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 66);

/// Serves echo while `frames` come in, and proves it afterwards.
fn survives(frames: Vec<Vec<u8>>) {
    let mut configs = configs();
    configs[1].ipv6 = Ipv6Config::Slaac;
    let pair = Pair::with_configs(2, Conditions::default(), configs);
    pair.run(async |pair| {
        pair.serve_echo(ListenOptions {
            backlog: 16,
            ..ListenOptions::default()
        });
        let _udp = netstack::UdpSocket::bind(&pair.server, 9).unwrap();
        for (index, frame) in frames.into_iter().enumerate() {
            pair.wire.inject(1, frame);
            if index % 8 == 0 {
                pair.sleep(Duration::from_micros(1)).await;
            }
        }
        pair.sleep(Duration::from_secs(120)).await;
        let mut stream = TcpStream::connect(&pair.client, server_at(7))
            .await
            .unwrap();
        stream.write_all(b"alive").await.unwrap();
        let mut answer = [0; 5];
        assert_eq!(stream.read(&mut answer).await, Ok(5));
    });
}

/// A frame of each kind that the stack understands, as a start for what is nearly right.
fn seeds() -> Vec<Vec<u8>> {
    let router = {
        let mut message = vec![
            0x33, 0x33, 0, 0, 0, 1, 2, 0, 0, 0, 0, 9, 0x86, 0xdd, 0x60, 0, 0, 0,
        ];
        message.extend([
            0, 48, 58, 255, 0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9,
        ]);
        message.extend([0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
        message.extend([134, 0, 0, 0, 64, 0, 7, 8, 0, 0, 0, 0, 0, 0, 0, 0]);
        message.extend([3, 4, 64, 0xc0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
        message.extend([0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        message
    };
    let mut ping = udp((STRANGER.into(), 7), (SERVER.into(), 9), b"datagram");
    let datagram = ping.clone();
    ping[23] = 1;
    vec![
        arp(ArpOperation::Request, STRANGER, SERVER),
        syn(STRANGER.into(), 4000, SERVER.into(), 7),
        datagram,
        ping,
        router,
    ]
}

/// Makes the checksum of an IPv4 header right, so that what is wrong is seen further up.
fn mend_ipv4(frame: &mut [u8]) {
    if let Some(packet) = frame.get_mut(14..)
        && Ipv4Packet::new_checked(&*packet).is_ok()
    {
        Ipv4Packet::new_unchecked(packet).fill_checksum();
    }
}

/// Frames that are nearly right: some bytes changed, the end cut off or something appended.
fn nearly_right() -> impl Strategy<Value = Vec<u8>> {
    let changes = proptest::collection::vec((0_usize..120, any::<u8>()), 0..6);
    let tail = proptest::collection::vec(any::<u8>(), 0..40);
    let kind = (0..seeds().len(), any::<bool>());
    (kind, changes, 0_usize..60, tail).prop_map(|((seed, mend), changes, cut, tail)| {
        let mut frame = seeds().swap_remove(seed);
        for (at, byte) in changes {
            if let Some(changed) = frame.get_mut(at) {
                *changed = byte;
            }
        }
        frame.truncate(frame.len().saturating_sub(cut));
        frame.extend(tail);
        if mend {
            mend_ipv4(&mut frame);
        }
        frame
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn garbage_is_survived(frames in proptest::collection::vec(
        proptest::collection::vec(any::<u8>(), 0..200), 1..64,
    )) {
        // Half of it is addressed to us, so that more than the first check is tried.
        let addressed = frames.into_iter().enumerate().map(|(index, mut frame)| {
            if index % 2 == 0 && frame.len() >= 14 {
                frame[..6].copy_from_slice(&SERVER_MAC);
                frame[6] &= 0xfe;
                frame[12..14].copy_from_slice(&[[8, 0], [8, 6], [0x86, 0xdd]][index / 2 % 3]);
                mend_ipv4(&mut frame);
            }
            frame
        });
        survives(addressed.collect());
    }

    #[test]
    fn what_is_nearly_right_is_survived(
        frames in proptest::collection::vec(nearly_right(), 1..64),
    ) {
        survives(frames);
    }
}

#[test]
fn frames_beyond_the_mtu_are_survived() {
    let big = udp((STRANGER.into(), 1), (SERVER.into(), 9), &vec![7; 60_000]);
    survives(vec![big, vec![0xff; 65_535]]);
}
