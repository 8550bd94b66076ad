//! Ports that are taken before it is known what for, connecting in two steps, and sockets for one family or one peer.

use crate::pair::{CLIENT, Pair, SERVER, server_at};
use core::future::poll_fn;
use core::net::{IpAddr, Ipv4Addr, SocketAddr};
use core::task::{Context, Waker};
use netstack::testing::Conditions;
use netstack::{
    BindAddress, BindError, ConnectError, ListenOptions, SendError, StreamError, TcpListener,
    TcpSocket, TcpStream, UdpSocket,
};
use reactor::time::Duration;

fn pair() -> Pair {
    Pair::new(6, Conditions::default())
}

fn now() -> Context<'static> {
    Context::from_waker(Waker::noop())
}

#[test]
fn a_bound_port_refuses_until_somebody_listens() {
    pair().run(async |pair| {
        let socket = TcpSocket::bind(&pair.server, 80).unwrap();
        let again = TcpSocket::bind(&pair.server, 80);
        assert_eq!(again.err(), Some(BindError::InUse));
        let refused = TcpStream::connect(&pair.client, server_at(80)).await;
        assert_eq!(refused.err(), Some(ConnectError::Refused));
        let listener = socket.listen(ListenOptions::default()).ok().unwrap();
        let _client = pair.connect(80).await;
        listener.accept().await;
        drop(listener);
        assert!(TcpSocket::bind(&pair.server, 80).is_ok());
    });
}

#[test]
fn a_connection_can_come_from_a_bound_port() {
    pair().run(async |pair| {
        let listener = pair.listen(80, ListenOptions::default());
        let bound = TcpSocket::bind(&pair.client, 2000).unwrap();
        let options = ListenOptions::default();
        let stream = bound.begin_connect(server_at(80), options).unwrap();
        assert!(stream.poll_connected(&mut now()).is_pending());
        poll_fn(|cx| stream.poll_connected(cx)).await.unwrap();
        let (_, peer) = listener.accept().await;
        assert_eq!(peer, SocketAddr::new(CLIENT.into(), 2000));
        let twice = bound.begin_connect(server_at(80), options);
        assert_eq!(twice.err(), Some(ConnectError::InUse));
    });
}

#[test]
fn a_bound_address_is_where_a_connection_comes_from() {
    pair().run(async |pair| {
        let options = ListenOptions::default();
        let loopback = SocketAddr::new(Ipv4Addr::LOCALHOST.into(), 0);
        let bound = TcpSocket::bind(&pair.client, loopback).unwrap();
        let own = SocketAddr::new(CLIENT.into(), 80);
        let stream = bound.begin_connect(own, options).unwrap();
        assert_eq!(stream.local_addr(), bound.local_addr());
        let ipv4 = TcpSocket::bind(&pair.client, BindAddress::ipv4(0)).unwrap();
        let other_family = ipv4.begin_connect("[::1]:80".parse().unwrap(), options);
        assert_eq!(other_family.err(), Some(ConnectError::Unreachable));
    });
}

#[test]
fn how_an_attempt_failed_is_told_later() {
    pair().run(async |pair| {
        let options = ListenOptions::default();
        let stream = TcpStream::begin_connect(&pair.client, server_at(80), options).unwrap();
        let failed = poll_fn(|cx| stream.poll_connected(cx)).await;
        assert_eq!(failed, Err(ConnectError::Refused));
        assert_eq!(stream.error(), Some(StreamError::Reset));
        pair.wire.set_up(false);
        let stream = TcpStream::begin_connect(&pair.client, server_at(80), options).unwrap();
        let failed = poll_fn(|cx| stream.poll_connected(cx)).await;
        assert_eq!(failed, Err(ConnectError::TimedOut));
    });
}

#[test]
fn an_attempt_may_be_given_up_sooner() {
    pair().run(async |pair| {
        pair.wire.set_up(false);
        let options = ListenOptions::default();
        let stream = TcpStream::begin_connect(&pair.client, server_at(80), options).unwrap();
        let before = pair.clock.now();
        // Its SYN, whose own limit is longer, is out by then.
        pair.sleep(Duration::from_secs(1)).await;
        stream.set_timeout(Duration::from_secs(3));
        let failed = poll_fn(|cx| stream.poll_connected(cx)).await;
        assert_eq!(failed, Err(ConnectError::TimedOut));
        let waited = pair.clock.now().duration_since(before);
        assert_eq!(waited, Duration::from_secs(3));
    });
}

#[test]
fn an_ipv4_port_is_not_reached_by_ipv6() {
    pair().run(async |pair| {
        let server = &pair.server;
        let bind = |at| TcpListener::bind(server, at, ListenOptions::default());
        let ipv4 = bind(BindAddress::ipv4(80)).unwrap();
        assert_eq!(ipv4.local_addr(), "0.0.0.0:80".parse().unwrap());
        let localhost = "[::1]:80".parse().unwrap();
        let refused = TcpStream::connect(server, localhost).await;
        assert_eq!(refused.err(), Some(ConnectError::Refused));
        let _client = pair.connect(80).await;
        ipv4.accept().await;
        let both = bind(80.into()).unwrap();
        let _client = TcpStream::connect(server, localhost).await.unwrap();
        assert!(both.accept().await.1.is_ipv6());
    });
}

#[test]
fn an_ipv4_datagram_socket_neither_hears_nor_says_ipv6() {
    pair().run(async |pair| {
        let ipv4 = UdpSocket::bind(&pair.server, BindAddress::ipv4(7)).unwrap();
        let other = UdpSocket::bind(&pair.server, 0).unwrap();
        other
            .send_to(b"six", "[::1]:7".parse().unwrap())
            .await
            .unwrap();
        other
            .send_to(b"four", "127.0.0.1:7".parse().unwrap())
            .await
            .unwrap();
        let mut buffer = [0; 8];
        assert_eq!(ipv4.recv_from(&mut buffer).await.0, 4);
        let sent = ipv4.send_to(b"x", "[::1]:9".parse().unwrap()).await;
        assert_eq!(sent, Err(SendError::Unreachable));
        let peer = SocketAddr::new(CLIENT.into(), 9);
        assert_eq!(ipv4.send_to(b"x", peer).await, Ok(()));
    });
}

#[test]
fn a_connected_datagram_socket_hears_its_peer_only() {
    pair().run(async |pair| {
        let server = UdpSocket::bind(&pair.server, 7).unwrap();
        let [peer, stranger] =
            [1000, 1001].map(|port| UdpSocket::bind(&pair.client, port).unwrap());
        for (socket, bytes) in [(&stranger, "before"), (&peer, "kept"), (&peer, "too")] {
            socket
                .send_to(bytes.as_bytes(), server_at(7))
                .await
                .unwrap();
        }
        pair.sleep(Duration::from_millis(1)).await;
        server
            .connect(SocketAddr::new(IpAddr::V4(CLIENT), 1000))
            .unwrap();
        stranger.send_to(b"after", server_at(7)).await.unwrap();
        peer.send_to(b"last", server_at(7)).await.unwrap();
        let mut buffer = [0; 16];
        for expected in ["kept", "too", "last"] {
            let (len, _) = server.recv_from(&mut buffer).await;
            assert_eq!(&buffer[..len], expected.as_bytes());
        }
        assert!(server.try_recv_from(&mut buffer).is_none());
        let nowhere = SocketAddr::new(SERVER.into(), 0);
        assert_eq!(server.connect(nowhere), Err(SendError::InvalidAddress));
    });
}
