//! Datagrams, and names.

use core::net::{Ipv4Addr, SocketAddr};

use abi::Error;
use abi::layout::NetAddressV6;
use abi::number::*;
use calls::backend::Network;
use netstack::testing::{Conditions, Wire, random};
use netstack::{Config, UdpSocket};
use reactor::Reactor;
use reactor::testing::VirtualClock;
use reactor::time::{Duration, Instant};

use crate::foreign::network::Sockets;

use super::bench::{Bench, OWN, PEER, datagram, failed, stream};

#[test]
fn datagrams_keep_their_ends_and_their_senders() {
    Bench::new().run(async |bench, task| {
        let peer = UdpSocket::bind(bench.machine.peer(), 53).unwrap();
        let socket = datagram(&task);
        let (data, room) = (bench.input(b"question"), bench.room(4));
        let to = bench.address(PEER, 53);
        task.net_send_to(socket, data.input(), 0, to.as_argument(5))
            .await
            .unwrap();
        let mut got = [0; 16];
        let (len, from) = peer.recv_from(&mut got).await;
        assert_eq!(
            (len, from),
            (
                8,
                task.net_local_address(socket)
                    .map(|at| SocketAddr::new(OWN.into(), at.port()))
                    .unwrap()
            )
        );
        peer.send_to(b"", from).await.unwrap();
        peer.send_to(b"answer", from).await.unwrap();
        let at = SocketAddr::new(PEER.into(), 53);
        assert_eq!(
            task.net_recv_from(socket, room.output(), 0).await,
            Ok((0, at))
        );
        assert_eq!(
            task.net_recv_from(socket, room.output(), 0).await,
            Ok((4, at)),
            "cut"
        );
        assert_eq!(room.bytes(4), b"answ");
        let none = task
            .net_recv_from(socket, room.output(), NET_NONBLOCK)
            .await;
        assert_eq!(failed(none).0, Error::WouldBlock);
    });
}

#[test]
fn a_connected_socket_has_one_peer() {
    Bench::new().run(async |bench, task| {
        let [peer, stranger] =
            [53, 54].map(|port| UdpSocket::bind(bench.machine.peer(), port).unwrap());
        let socket = datagram(&task);
        let at = bench.address(Ipv4Addr::UNSPECIFIED, 9);
        task.net_bind(socket, at.argument()).unwrap();
        let (data, room) = (bench.input(b"x"), bench.room(8));
        assert_eq!(
            failed(task.net_send(socket, data.input(), 0).await),
            (Error::Invalid, 1)
        );
        let to = bench.address(PEER, 53);
        task.net_connect(socket, to.argument()).await.unwrap();
        assert_eq!(
            task.net_peer_address(socket),
            Ok(SocketAddr::new(PEER.into(), 53))
        );
        assert_eq!(task.net_send(socket, data.input(), 0).await, Ok(1));
        let (_, from) = peer.recv_from(&mut [0; 8]).await;
        stranger.send_to(b"strange", from).await.unwrap();
        peer.send_to(b"right", from).await.unwrap();
        assert_eq!(
            task.io_wait(socket, IO_READABLE, FOREVER).await,
            Ok(IO_READABLE)
        );
        assert_eq!(task.net_recv(socket, room.output(), 0).await, Ok(5));
        assert_eq!(
            failed(task.io_wait(socket, IO_READABLE, 1_000_000).await).0,
            Error::Timeout
        );
        let other = bench.address(PEER, 54);
        let sent = task
            .net_send_to(socket, data.input(), 0, other.as_argument(5))
            .await;
        assert_eq!(failed(sent), (Error::Invalid, 5));
        let sent = task
            .net_send_to(socket, data.input(), 0, to.as_argument(5))
            .await;
        assert_eq!(sent, Ok(()));
    });
}

#[test]
fn what_datagram_sockets_refuse() {
    Bench::new().run(async |bench, task| {
        let socket = datagram(&task);
        let room = bench.room(8);
        assert_eq!(
            failed(task.net_recv(socket, room.output(), 0).await),
            (Error::Invalid, 1)
        );
        let long = bench.input(&[0; 2000]);
        let to = bench.address(PEER, 53);
        let sent = task
            .net_send_to(socket, long.input(), 0, to.as_argument(5))
            .await;
        assert_eq!(failed(sent), (Error::Invalid, 3));
        for wrong in [
            bench.address(PEER, 0),
            bench.address(Ipv4Addr::UNSPECIFIED, 1),
            bench.address6("[::1]:1"),
        ] {
            let sent = task
                .net_send_to(socket, room.input(), 0, wrong.as_argument(5))
                .await;
            assert_eq!(failed(sent).0, Error::Invalid);
            let connected = task.net_connect(socket, wrong.argument()).await;
            assert_eq!(failed(connected).0, Error::Invalid);
        }
        let unsupported = (Error::Unsupported, 1);
        assert_eq!(failed(task.net_listen(socket, 1)), unsupported);
        assert_eq!(failed(task.net_accept(socket, 0).await), unsupported);
        assert_eq!(
            failed(task.net_shutdown(socket, NET_SHUT_BOTH)),
            unsupported
        );
        assert_eq!(
            failed(task.io_read(socket, room.output()).await),
            unsupported
        );
        assert_eq!(
            failed(task.io_write(socket, room.input()).await),
            unsupported
        );
        assert_eq!(
            failed(task.net_get_option(socket, NET_OPT_NODELAY)),
            (Error::Unsupported, 2)
        );
        let sent = task
            .net_send_to(stream(&task), room.input(), 0, to.as_argument(5))
            .await;
        assert_eq!(failed(sent), unsupported);
        let received = task.net_recv_from(stream(&task), room.output(), 0).await;
        assert_eq!(failed(received), unsupported);
        for (domain, kind, protocol, argument) in [
            (1, NET_STREAM, 0, 1),
            (NET_INET, 3, 0, 2),
            (NET_INET, NET_STREAM, NET_UDP, 3),
            (NET_INET6, NET_DGRAM, NET_TCP, 3),
        ] {
            let made = task.net_socket(domain, kind, protocol);
            assert_eq!(failed(made), (Error::Unsupported, argument));
        }
    });
}

#[test]
fn a_datagram_socket_of_ipv6_talks_both() {
    Bench::new().run(async |bench, task| {
        let socket = task.net_socket(NET_INET6, NET_DGRAM, 0).unwrap();
        let other = datagram(&task);
        let at = bench.address(Ipv4Addr::LOCALHOST, 9);
        task.net_bind(other, at.argument()).unwrap();
        let (data, room) = (bench.input(b"x"), bench.room(8));
        let to = bench.address6("[::ffff:127.0.0.1]:9");
        task.net_send_to(socket, data.input(), 0, to.as_argument(5))
            .await
            .unwrap();
        let (_, from) = task.net_recv_from(other, room.output(), 0).await.unwrap();
        let back = bench.address(Ipv4Addr::LOCALHOST, from.port());
        task.net_send_to(other, data.input(), 0, back.as_argument(5))
            .await
            .unwrap();
        let (_, from) = task.net_recv_from(socket, room.output(), 0).await.unwrap();
        assert_eq!(from, "[::ffff:127.0.0.1]:9".parse().unwrap());
    });
}

#[test]
fn names_become_addresses_as_far_as_there_is_room() {
    Bench::new().run(async |bench, task| {
        let (name, room) = (bench.input(b"localhost"), bench.room(24));
        let room = &room.0;
        assert_eq!(task.net_resolve(name.input(), &room.room()).await, Ok(1));
        let [found] = room.values::<NetAddressV6>()[..] else {
            panic!("one address")
        };
        assert_eq!(found.ip, Ipv4Addr::LOCALHOST.to_ipv6_mapped().octets());
        assert_eq!((found.port, found.scope), (0, 0));
        let wide = bench.room(240);
        assert_eq!(task.net_resolve(name.input(), &wide.0.room()).await, Ok(2));
        let none = bench.room(0);
        let asked = task.net_resolve(name.input(), &none.0.room()).await;
        assert_eq!(failed(asked), (Error::Invalid, 4));
        for (name, error) in [
            (&b"example.org"[..], Error::Timeout), // nobody to ask
            (b"", Error::Invalid),
            (&[b'a'; 254], Error::Invalid),
            (b"\xff.org", Error::Invalid),
            (b"a..b", Error::Invalid),
        ] {
            let name = bench.input(name);
            let asked = task.net_resolve(name.input(), &room.room()).await;
            assert_eq!(failed(asked).0, error);
        }
    });
}

/// A DHCP server that does not answer: a program waits a while for the first address, and goes on without.
#[test]
fn patience_with_a_network_without_an_address_ends() {
    let reactor = Reactor::new(VirtualClock::new());
    let (_wire, device, _) = Wire::new(&reactor.clock(), 1, Conditions::default());
    let config = Config::new([2, 0, 0, 0, 0, 9]);
    let (stack, runner) = netstack::new(device, config, reactor.clock(), random(1)).unwrap();
    reactor.spawner().spawn(runner.run()).detach();
    let clock = reactor.clock();
    let network = Sockets { stack, clock };
    reactor.block_on(network.ready());
    assert_eq!(
        reactor.clock().now(),
        Instant::ZERO + Duration::from_secs(10)
    );
}
