//! Links on the way whose packets are smaller than ours: what a router's report does, and what it must
//! not do.

use crate::ipv6::icmpv6;
use crate::pair::{Pair, SERVER, SERVER_MAC, config, configs};
use crate::raw::{Lone, arp, as_tcp, first_ack, ip, syn_of};
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use netstack::testing::Conditions;
use netstack::{DropCause, Ipv6Config, ListenOptions, StaticIpv6, TcpListener, TcpStream};
use reactor::time::Duration;
use smoltcp::wire::{ArpOperation, Icmpv4Packet, IpProtocol, TcpSeqNumber};

const PEER: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 9));
/// Any router can be asked to take a packet of ours.
const ROUTER: IpAddr = IpAddr::V4(Ipv4Addr::new(203, 0, 113, 1));
const US: (IpAddr, u16) = (IpAddr::V4(SERVER), 80);
/// What fits a packet of 1500 bytes, after its headers.
const LARGEST: usize = 1460;

fn lone() -> Lone {
    Lone::new(config(SERVER_MAC, SERVER))
}

/// A connection from this port, which the peer acknowledges nothing of.
async fn connected(lone: &Lone, listener: &TcpListener, port: u16) -> TcpStream {
    lone.tell(arp(
        ArpOperation::Request,
        Ipv4Addr::new(10, 0, 0, 9),
        SERVER,
    ))
    .await;
    let from = (PEER, port);
    let sent = lone.tell(syn_of(from, US, Some(1460))).await;
    let seen = as_tcp(&sent[0]).unwrap().2.seq_number();
    lone.tell(first_ack(from, US, seen, b"")).await;
    listener.try_accept().unwrap().0
}

fn listener(lone: &Lone) -> TcpListener {
    TcpListener::bind(&lone.stack, US.1, ListenOptions::default()).unwrap()
}

/// "Fragmentation needed", about this frame of ours.
fn too_big(frame: &[u8], mtu: u16) -> Vec<u8> {
    // The IP header and eight bytes.
    let quoted = &frame[14..14 + 28];
    let fill = |bytes: &mut [u8]| {
        bytes[..2].copy_from_slice(&[3, 4]);
        bytes[6..8].copy_from_slice(&mtu.to_be_bytes());
        bytes[8..].copy_from_slice(quoted);
        Icmpv4Packet::new_unchecked(bytes).fill_checksum();
    };
    ip(
        ROUTER,
        SERVER.into(),
        IpProtocol::Icmp,
        8 + quoted.len(),
        |bytes, _, _| fill(bytes),
    )
}

/// The largest data of a segment among frames.
fn largest(frames: &[Vec<u8>]) -> Option<usize> {
    let segments = frames.iter().filter_map(|frame| as_tcp(frame));
    segments.map(|(.., segment)| segment.payload().len()).max()
}

fn data(frames: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let is_data =
        |frame: &&Vec<u8>| as_tcp(frame).is_some_and(|(.., tcp)| !tcp.payload().is_empty());
    frames.iter().filter(is_data).cloned().collect()
}

/// What the stack repeats when nothing is acknowledged.
async fn repeated(lone: &Lone) -> Vec<Vec<u8>> {
    lone.sent().await;
    lone.sleep(Duration::from_secs(20)).await;
    lone.tell(arp(
        ArpOperation::Request,
        Ipv4Addr::new(10, 0, 0, 9),
        SERVER,
    ))
    .await
    .into_iter()
    .chain(lone.sent().await)
    .collect()
}

#[test]
fn a_report_makes_the_segments_of_its_connection_smaller() {
    for (reported, fits) in [(1400, 1360), (1000, 960), (576, 536), (68, 536), (0, 536)] {
        lone().run(async |lone| {
            let listener = listener(lone);
            let mut stream = connected(lone, &listener, 5000).await;
            let mut other = connected(lone, &listener, 5001).await;
            stream.write_all(&[7; 5000]).await.unwrap();
            let sent = data(&lone.sent().await);
            assert_eq!(largest(&sent), Some(LARGEST));
            lone.tell(too_big(&sent[0], reported)).await;
            assert_eq!(lone.stack.stats().paths_narrowed, 1);
            assert_eq!(largest(&repeated(lone).await), Some(fits), "{reported}");
            other.write_all(&[7; 5000]).await.unwrap();
            assert_eq!(
                largest(&lone.sent().await),
                Some(LARGEST),
                "another connection"
            );
        });
    }
}

#[test]
fn the_narrowest_link_decides() {
    for reports in [[1400, 1300], [1300, 1400]] {
        lone().run(async |lone| {
            let listener = listener(lone);
            let mut stream = connected(lone, &listener, 5000).await;
            stream.write_all(&[7; 5000]).await.unwrap();
            let first = data(&lone.sent().await);
            for mtu in reports {
                lone.tell(too_big(&first[0], mtu)).await;
            }
            assert_eq!(largest(&repeated(lone).await), Some(1260), "{reports:?}");
        });
    }
}

#[test]
fn a_report_about_nothing_that_was_sent_is_not_believed() {
    lone().run(async |lone| {
        let listener = listener(lone);
        let mut stream = connected(lone, &listener, 5000).await;
        stream.write_all(&[7; 5000]).await.unwrap();
        let sent = data(&lone.sent().await);
        let changed = |at: usize| {
            let mut frame = sent[0].clone();
            frame[at] ^= 0x40;
            frame
        };
        let beyond = {
            let mut frame = sent[0].clone();
            let TcpSeqNumber(number) = as_tcp(&sent[0]).unwrap().2.seq_number() + 5000;
            frame[38..42].copy_from_slice(&number.to_be_bytes());
            frame
        };
        let (protocol, peer, port, sequence) = (23, 30, 36, 38);
        for at in [protocol, peer, port, sequence] {
            lone.tell(too_big(&changed(at), 1000)).await;
        }
        lone.tell(too_big(&beyond, 1000)).await;
        // Not smaller than what fits our own link.
        lone.tell(too_big(&sent[0], 1500)).await;
        // Its checksum is wrong; it is cut short.
        let mut broken = too_big(&sent[0], 1000);
        *broken.last_mut().unwrap() ^= 1;
        lone.tell(broken).await;
        let before = lone.stack.stats();
        assert_eq!(before.paths_narrowed, 0);
        assert!(before.dropped(DropCause::Malformed) >= 1);
        assert_eq!(largest(&repeated(lone).await), Some(LARGEST));
    });
}

#[test]
fn over_ipv6_a_report_is_heeded_down_to_the_smallest_link_there_is() {
    let address = |last| Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, last);
    let mut configs = configs();
    for (config, last) in configs.iter_mut().zip([1, 2]) {
        config.ipv6 = Ipv6Config::Static(StaticIpv6 {
            address: address(last),
            prefix: 64,
            gateway: None,
            dns: Vec::new(),
        });
    }
    let pair = Pair::with_configs(1, Conditions::default(), configs);
    pair.run(async |pair| {
        let listener = pair.listen(80, ListenOptions::default());
        let peer = SocketAddr::new(address(2).into(), 80);
        // Addresses are tried before they are used (RFC 4862 §5.4).
        pair.sleep(Duration::from_secs(5)).await;
        let _client = TcpStream::connect(&pair.client, peer).await.unwrap();
        let (mut server, _) = listener.accept().await;
        pair.wire.set_conditions(Conditions {
            loss: 1000,
            ..Conditions::default()
        });
        pair.wire.record();
        server.write_all(&[7; 5000]).await.unwrap();
        pair.sleep(Duration::from_millis(1)).await;
        let sent = pair.wire.sent(1);
        let longest = |frames: &[Vec<u8>]| frames.iter().map(Vec::len).max();
        assert_eq!(longest(&sent), Some(1514));
        for (reported, fits) in [(1400_u32, 1400), (600, 1280)] {
            let mut message = vec![2, 0, 0, 0];
            message.extend(reported.to_be_bytes());
            message.extend(&sent[0][14..14 + 48]);
            let router = Ipv6Addr::new(0x2001, 0xdb8, 9, 0, 0, 0, 0, 1);
            pair.wire
                .inject(1, icmpv6(router, address(2), 64, &message));
            pair.sleep(Duration::from_secs(20)).await;
            let again = longest(&pair.wire.sent(1)).unwrap();
            // After losses congestion control allows for no more than a kibibyte at first.
            assert!((14 + 40 + 1024..=14 + fits).contains(&again), "{again}");
        }
    });
}
