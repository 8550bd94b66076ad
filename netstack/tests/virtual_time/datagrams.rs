//! UDP, and the loopback.

use crate::pair::{CLIENT, Pair, SERVER, echo, exchange, pattern, server_at};
use core::net::{IpAddr, Ipv4Addr, SocketAddr};
use netstack::testing::Conditions;
use netstack::{
    BindError, DropCause, ListenOptions, SendError, TcpListener, TcpStream, UdpOptions, UdpSocket,
};
use reactor::time::Duration;

fn pair() -> Pair {
    Pair::new(9, Conditions::default())
}

#[test]
fn datagrams_go_back_and_forth() {
    pair().run(async |pair| {
        let server = UdpSocket::bind(&pair.server, 7).unwrap();
        let client = UdpSocket::bind(&pair.client, 0).unwrap();
        for len in [0, 1, 500, 1472] {
            let sent = pattern(len, 1);
            client.send_to(&sent, server_at(7)).await.unwrap();
            let mut buffer = [0; 2000];
            let (read, peer) = server.recv_from(&mut buffer).await;
            assert_eq!(&buffer[..read], &sent);
            let expected = SocketAddr::new(CLIENT.into(), client.local_addr().port());
            assert_eq!(peer, expected);
            server.send_to(&buffer[..read], peer).await.unwrap();
            assert_eq!(client.recv_from(&mut buffer).await, (len, server_at(7)));
        }
    });
}

#[test]
fn a_full_queue_drops_and_counts_and_a_full_sender_waits() {
    pair().run(async |pair| {
        let options = UdpOptions {
            packets: 4,
            bytes: 4000,
        };
        let server = UdpSocket::bind_with(&pair.server, 7, options).unwrap();
        let client = UdpSocket::bind_with(&pair.client, 0, options).unwrap();
        // The first one waits for ARP, in a queue of its own.
        client.send_to(b"first", server_at(7)).await.unwrap();
        server.recv_from(&mut [0; 8]).await;
        for index in 0..10_u8 {
            client.send_to(&[index; 10], server_at(7)).await.unwrap();
        }
        pair.sleep(Duration::from_millis(1)).await;
        assert_eq!(pair.server.stats().dropped(DropCause::UdpQueueFull), 6);
        let mut buffer = [0; 4];
        for index in 0..4 {
            assert_eq!(
                server.try_recv_from(&mut buffer).unwrap().0,
                4,
                "cut to the buffer"
            );
            assert_eq!(buffer, [index; 4]);
        }
        assert!(server.try_recv_from(&mut buffer).is_none());
    });
}

#[test]
fn what_cannot_be_sent_is_an_error() {
    pair().run(async |pair| {
        let socket = UdpSocket::bind(&pair.client, 5).unwrap();
        for (len, peer, error) in [
            (1473, "10.0.0.2:7", SendError::TooLarge),
            (1, "10.0.0.2:0", SendError::InvalidAddress),
            (1, "0.0.0.0:7", SendError::InvalidAddress),
            (1, "8.8.8.8:53", SendError::Unreachable),
            (1, "[2001:db8::1]:53", SendError::Unreachable),
        ] {
            let sent = socket.send_to(&vec![0; len], peer.parse().unwrap()).await;
            assert_eq!(sent, Err(error), "{peer}");
        }
        assert_eq!(
            UdpSocket::bind(&pair.client, 5).err(),
            Some(BindError::InUse)
        );
        drop(socket);
        assert!(UdpSocket::bind(&pair.client, 5).is_ok());
    });
}

#[test]
fn a_broadcast_reaches_who_is_bound_to_any_address() {
    pair().run(async |pair| {
        let server = UdpSocket::bind(&pair.server, 7).unwrap();
        let client = UdpSocket::bind(&pair.client, 0).unwrap();
        let everybody = SocketAddr::new(Ipv4Addr::new(10, 0, 0, 255).into(), 7);
        client.send_to(b"all", everybody).await.unwrap();
        let mut buffer = [0; 8];
        assert_eq!(server.recv_from(&mut buffer).await.0, 3);
    });
}

#[test]
fn a_closed_port_answers_unreachable() {
    pair().run(async |pair| {
        let client = UdpSocket::bind(&pair.client, 0).unwrap();
        pair.wire.record();
        client.send_to(b"x", server_at(7)).await.unwrap();
        pair.sleep(Duration::from_millis(1)).await;
        let sent = pair.wire.sent(1);
        // ICMP, destination unreachable, port unreachable.
        assert!(
            sent.iter()
                .any(|frame| frame.get(23) == Some(&1) && frame[34..36] == [3, 3])
        );
    });
}

/// Everything that stays inside: 127.0.0.1, ::1 and the own address.
#[test]
fn the_loopback_needs_no_device() {
    pair().run(async |pair| {
        pair.wire.record();
        let listener = TcpListener::bind(&pair.server, 7, ListenOptions::default()).unwrap();
        let spawner = pair.spawner.clone();
        let serving = pair.spawner.spawn(async move {
            loop {
                let (stream, peer) = listener.accept().await;
                assert_eq!(stream.local_addr().ip(), peer.ip());
                spawner.spawn(echo(stream)).detach();
            }
        });
        pair.sleep(Duration::from_millis(1)).await;
        pair.wire.sent(1);
        for address in ["127.0.0.1", "127.8.8.8", "::1", "10.0.0.2"] {
            let peer = SocketAddr::new(address.parse().unwrap(), 7);
            let stream = TcpStream::connect(&pair.server, peer).await.unwrap();
            let sent = pattern(200_000, 4);
            assert_eq!(
                exchange(stream, sent.clone(), &pair.spawner).await,
                sent,
                "{address}"
            );
            let udp = UdpSocket::bind(&pair.server, 53).unwrap();
            let itself = SocketAddr::new(peer.ip(), 53);
            udp.send_to(&sent[..8000], itself).await.unwrap();
            let mut buffer = vec![0; 8000];
            assert_eq!(udp.recv_from(&mut buffer).await, (8000, itself));
        }
        let refused = SocketAddr::new(IpAddr::V4(SERVER), 99);
        assert!(TcpStream::connect(&pair.server, refused).await.is_err());
        assert_eq!(pair.wire.sent(1).len(), 0);
        serving.cancel();
    });
}
