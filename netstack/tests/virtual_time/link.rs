//! ARP, next hops, and frames that must be dropped.

use crate::pair::{CLIENT, Pair, SERVER, SERVER_MAC, config, server_at};
use crate::raw::{Lone, PEER_MAC, arp, as_arp, as_tcp, ip, syn, udp};
use core::net::{IpAddr, Ipv4Addr, SocketAddr};
use netstack::testing::Conditions;
use netstack::{Config, DropCause, Ipv4Config, ListenOptions, StaticIpv4, TcpListener, TcpStream};
use reactor::time::{Duration, Instant};
use smoltcp::wire::{
    ArpOperation, EthernetAddress, Icmpv4Packet, Icmpv4Repr, IpProtocol, Ipv4Packet,
};

const OUTSIDER: Ipv4Addr = Ipv4Addr::new(172, 17, 0, 1);
const GATEWAY: Ipv4Addr = Ipv4Addr::new(169, 254, 1, 1);
const FAR: Ipv4Addr = Ipv4Addr::new(93, 184, 216, 34);

fn lone() -> Lone {
    Lone::new(config(SERVER_MAC, SERVER))
}

/// As container networks give it: nothing is on the link but the gateway, which is in no prefix.
fn host_route_only() -> Config {
    let mut config = config(SERVER_MAC, SERVER);
    config.ipv4 = Ipv4Config::Static(StaticIpv4 {
        address: SERVER,
        prefix: 32,
        gateway: Some(GATEWAY),
        dns: Vec::new(),
    });
    config
}

#[test]
fn a_new_address_is_announced() {
    lone().run(async |lone| {
        let sent = lone.sent().await;
        assert_eq!(
            as_arp(&sent[0]),
            Some((ArpOperation::Request, SERVER, SERVER))
        );
        assert_eq!(sent.len(), 1);
    });
}

#[test]
fn arp_is_answered_whoever_asks() {
    lone().run(async |lone| {
        lone.sent().await;
        for asker in [Ipv4Addr::new(10, 0, 0, 9), OUTSIDER, Ipv4Addr::UNSPECIFIED] {
            let sent = lone.tell(arp(ArpOperation::Request, asker, SERVER)).await;
            assert_eq!(as_arp(&sent[0]), Some((ArpOperation::Reply, SERVER, asker)));
            assert_eq!(&sent[0][..6], PEER_MAC.as_bytes());
        }
        let foreign = arp(ArpOperation::Request, OUTSIDER, Ipv4Addr::new(10, 0, 0, 3));
        assert!(lone.tell(foreign).await.is_empty());
    });
}

/// A port published by a container engine: the first frames come from outside the subnet, and
/// there is no gateway.
#[test]
fn a_first_contact_from_outside_the_subnet_is_answered() {
    lone().run(async |lone| {
        let _listener = TcpListener::bind(&lone.stack, 80, ListenOptions::default()).unwrap();
        lone.tell(arp(ArpOperation::Request, OUTSIDER, SERVER))
            .await;
        let sent = lone
            .tell(syn(OUTSIDER.into(), 4000, SERVER.into(), 80))
            .await;
        let (mac, to, segment) = as_tcp(&sent[0]).unwrap();
        assert_eq!((mac, to), (PEER_MAC, IpAddr::V4(OUTSIDER)));
        assert!(segment.syn() && segment.ack() && segment.dst_port() == 4000);
    });
}

#[test]
fn a_slash_32_talks_through_a_gateway_outside_of_it() {
    Lone::new(host_route_only()).run(async |lone| {
        lone.sent().await;
        let stack = lone.stack.clone();
        let peer = SocketAddr::new(FAR.into(), 443);
        let connecting = lone.spawner.spawn(async move {
            let _ = TcpStream::connect(&stack, peer).await;
        });
        let sent = lone.sent().await;
        assert_eq!(
            as_arp(&sent[0]),
            Some((ArpOperation::Request, SERVER, GATEWAY))
        );
        let sent = lone.tell(arp(ArpOperation::Reply, GATEWAY, SERVER)).await;
        let (mac, to, segment) = as_tcp(&sent[0]).unwrap();
        assert_eq!((mac, to), (PEER_MAC, IpAddr::V4(FAR)));
        assert!(segment.syn() && !segment.ack());
        connecting.cancel();
    });
}

#[test]
fn a_slash_32_answers_what_comes_through_the_gateway() {
    Lone::new(host_route_only()).run(async |lone| {
        let _listener = TcpListener::bind(&lone.stack, 80, ListenOptions::default()).unwrap();
        lone.tell(arp(ArpOperation::Request, GATEWAY, SERVER)).await;
        let sent = lone.tell(syn(FAR.into(), 4000, SERVER.into(), 80)).await;
        let (mac, to, _) = as_tcp(&sent[0]).unwrap();
        assert_eq!((mac, to), (PEER_MAC, IpAddr::V4(FAR)));
    });
}

#[test]
fn a_neighbor_that_never_answers_is_asked_three_times_and_no_more() {
    lone().run(async |lone| {
        lone.sent().await;
        let socket = netstack::UdpSocket::bind(&lone.stack, 9).unwrap();
        let nobody = SocketAddr::new(Ipv4Addr::new(10, 0, 0, 77).into(), 9);
        for _ in 0..6 {
            socket.send_to(b"x", nobody).await.unwrap();
        }
        lone.sleep(Duration::from_secs(60)).await;
        let sent = lone.sent().await;
        assert!(
            sent.iter().all(|frame| as_arp(frame).is_some()) && sent.len() == 3,
            "{sent:?}"
        );
        assert_eq!(lone.stack.stats().dropped(DropCause::Unresolved), 6);
    });
}

#[test]
fn echo_requests_are_answered() {
    lone().run(async |lone| {
        lone.tell(arp(ArpOperation::Request, OUTSIDER, SERVER))
            .await;
        let ping = Icmpv4Repr::EchoRequest {
            ident: 7,
            seq_no: 1,
            data: b"hello",
        };
        let len = ping.buffer_len();
        let sent = lone
            .tell(ip(
                OUTSIDER.into(),
                SERVER.into(),
                IpProtocol::Icmp,
                len,
                |bytes, _, _| {
                    ping.emit(&mut Icmpv4Packet::new_unchecked(bytes), &Default::default());
                },
            ))
            .await;
        let packet = Icmpv4Packet::new_checked(&sent[0][34..]).unwrap();
        let answer = Icmpv4Repr::parse(&packet, &Default::default()).unwrap();
        assert_eq!(
            answer,
            Icmpv4Repr::EchoReply {
                ident: 7,
                seq_no: 1,
                data: b"hello"
            }
        );
    });
}

#[test]
fn each_kind_of_wrong_frame_is_counted_and_none_is_answered() {
    lone().run(async |lone| {
        let good = udp((OUTSIDER.into(), 1), (SERVER.into(), 9), b"x");
        lone.tell(arp(ArpOperation::Request, OUTSIDER, SERVER))
            .await;
        let changed = |at: usize, bytes: &[u8]| {
            let mut frame = good.clone();
            frame[at..at + bytes.len()].copy_from_slice(bytes);
            frame
        };
        // With the checksum of the IPv4 header that then is the right one.
        let redone = |at: usize, bytes: &[u8]| {
            let mut frame = changed(at, bytes);
            Ipv4Packet::new_unchecked(&mut frame[14..]).fill_checksum();
            frame
        };
        let _listener = TcpListener::bind(&lone.stack, 80, ListenOptions::default()).unwrap();
        let mut no_tcp = syn(OUTSIDER.into(), 4000, SERVER.into(), 80);
        no_tcp[46] = 0x40;
        let _socket = netstack::UdpSocket::bind(&lone.stack, 9).unwrap();
        for (cause, frame) in [
            (DropCause::Malformed, vec![1, 2, 3]),
            (DropCause::Malformed, changed(6, &[1])),
            (DropCause::Malformed, changed(14, &[0x65])),
            (DropCause::Malformed, changed(16, &[0xff])),
            (DropCause::Malformed, changed(24, &[0])),
            (DropCause::Malformed, no_tcp),
            (DropCause::OtherHost, changed(0, &[2, 9, 9, 9, 9, 9])),
            (DropCause::UnknownProtocol, changed(12, &[0x88, 0xcc])),
            (DropCause::Fragment, changed(20, &[0x20, 0])),
            (DropCause::ImpossibleAddress, redone(26, &[127, 0, 0, 1])),
            (DropCause::ImpossibleAddress, redone(30, &[127, 0, 0, 1])),
            (DropCause::ImpossibleAddress, redone(26, &SERVER.octets())),
            (DropCause::OtherAddress, redone(30, &[10, 0, 0, 3])),
            (DropCause::UdpMalformed, changed(42, b"y")),
        ] {
            let before = lone.stack.stats();
            let sent = lone.tell(frame).await;
            let after = lone.stack.stats();
            assert_eq!(
                after.dropped(cause),
                before.dropped(cause) + 1,
                "{}",
                cause.name()
            );
            assert_eq!(
                after.dropped_in_all(),
                before.dropped_in_all() + 1,
                "{}",
                cause.name()
            );
            assert!(sent.is_empty(), "{}", cause.name());
        }
    });
}

#[test]
fn what_the_driver_drops_is_counted_with_the_rest() {
    lone().run(async |lone| {
        lone.sent().await;
        for count in [3, 10] {
            lone.wire.set_dropped(1, count);
            lone.sent().await;
            let stats = lone.stack.stats();
            assert_eq!(stats.dropped(DropCause::Device), count);
            assert_eq!(stats.dropped_in_all(), count);
        }
    });
}

#[test]
fn an_answer_that_nobody_wants_does_not_move_a_neighbor_in() {
    lone().run(async |lone| {
        lone.tell(arp(ArpOperation::Reply, OUTSIDER, SERVER)).await;
        let sent = lone
            .tell(syn(OUTSIDER.into(), 4000, SERVER.into(), 80))
            .await;
        assert!(
            sent.is_empty(),
            "an outsider without a route cannot be answered"
        );
        assert_eq!(lone.stack.stats().dropped(DropCause::NoRoute), 1);
    });
}

/// Their SYNs wait while the peer is asked for, and leave when it answers.
#[test]
fn sixty_four_connections_at_first_contact_need_no_repetition() {
    let delay = Duration::from_millis(5);
    let conditions = Conditions {
        delay,
        ..Conditions::default()
    };
    Pair::new(1, conditions).run(async |pair| {
        pair.serve_echo(ListenOptions::default());
        let mut connecting = Vec::new();
        for _ in 0..64 {
            let client = pair.client.clone();
            let connect = async move { TcpStream::connect(&client, server_at(7)).await };
            connecting.push(pair.spawner.spawn(connect));
        }
        let mut streams = Vec::new();
        for stream in connecting {
            streams.push(stream.await.unwrap().unwrap());
        }
        // Two ways for the question, two for the handshake.
        let taken = pair.clock.now().duration_since(Instant::ZERO);
        assert!(taken <= 5 * delay, "{taken:?}");
        let stats = pair.client.stats();
        assert_eq!(stats.dropped_in_all() + stats.retransmits, 0, "{stats:?}");
    });
}

#[test]
fn a_moved_neighbor_is_found_again() {
    Pair::new(1, Conditions::default()).run(async |pair| {
        pair.serve_echo(ListenOptions::default());
        let mut stream = pair.connect(7).await;
        pair.sleep(Duration::from_secs(100)).await;
        pair.wire.record();
        stream.write_all(b"hi").await.unwrap();
        stream.read(&mut [0; 2]).await.unwrap();
        // The old answer was used at once, and confirmed by a request to where it was.
        let requests: Vec<_> = pair
            .wire
            .sent(0)
            .into_iter()
            .filter(|f| as_arp(f).is_some())
            .collect();
        assert_eq!(requests.len(), 1);
        assert_eq!(
            EthernetAddress::from_bytes(&requests[0][..6]),
            EthernetAddress(SERVER_MAC)
        );
    });
}

#[test]
fn a_connection_follows_its_neighbor_at_once() {
    Pair::new(1, Conditions::default()).run(async |pair| {
        pair.serve_echo(ListenOptions::default());
        let mut stream = pair.connect(7).await;
        pair.wire.record();
        let mut destination = async || {
            stream.write_all(b"hi").await.unwrap();
            pair.sleep(Duration::from_millis(1)).await;
            let sent = pair.wire.sent(0);
            EthernetAddress::from_bytes(
                &sent.iter().find_map(|f| as_tcp(f).map(|_| f)).unwrap()[..6],
            )
        };
        assert_eq!(destination().await, EthernetAddress(SERVER_MAC));
        assert_eq!(destination().await, EthernetAddress(SERVER_MAC));
        pair.wire
            .inject(0, arp(ArpOperation::Request, SERVER, CLIENT));
        pair.sleep(Duration::from_millis(1)).await;
        assert_eq!(destination().await, PEER_MAC);
    });
}

#[test]
fn the_cable_may_be_pulled_and_put_back() {
    Pair::new(1, Conditions::default()).run(async |pair| {
        pair.serve_echo(ListenOptions::default());
        let mut stream = pair.connect(7).await;
        pair.wire.set_up(false);
        pair.sleep(Duration::from_secs(5)).await;
        stream.write_all(b"still here").await.unwrap();
        pair.sleep(Duration::from_secs(5)).await;
        pair.wire.set_up(true);
        let mut answer = [0; 10];
        let mut got = 0;
        while got < answer.len() {
            got += stream.read(&mut answer[got..]).await.unwrap();
        }
        assert_eq!(&answer, b"still here");
    });
}

#[test]
fn a_device_with_tiny_frames_is_refused() {
    let reactor = reactor::Reactor::new(reactor::testing::VirtualClock::new());
    let clock = reactor.clock();
    let (wire, end, _) = netstack::testing::Wire::new(&clock, 1, Conditions::default());
    wire.set_mtu(0, 500);
    let made = netstack::new(end, config(SERVER_MAC, SERVER), clock, || 0);
    assert_eq!(made.err(), Some(netstack::ConfigError::Mtu(486)));
}
