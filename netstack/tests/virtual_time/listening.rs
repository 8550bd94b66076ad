//! Listeners: backlogs and slow peers.

use crate::pair::{Pair, SERVER, pattern, read_all, server_at};
use core::net::SocketAddr;
use netstack::testing::Conditions;
use netstack::{BindError, DropCause, ListenOptions, TcpListener, TcpStream};
use reactor::time::Duration;

fn small(backlog: usize) -> ListenOptions {
    ListenOptions {
        backlog,
        receive_buffer: 2048,
        send_buffer: 2048,
    }
}

fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

#[test]
fn a_thousand_wait_to_be_accepted() {
    Pair::new(3, Conditions::default()).run(async |pair| {
        let listener = pair.listen(80, small(1000));
        assert_eq!(
            pair.server.stats().connections,
            0,
            "a listener holds no sockets"
        );
        let mut clients = Vec::new();
        for _ in 0..1000 {
            clients.push(pair.connect(80).await);
        }
        let mut served = Vec::new();
        for client in &mut clients {
            let (mut stream, peer) = listener.accept().await;
            assert_eq!(peer, client.local_addr());
            stream.write_all(b"hello").await.unwrap();
            let mut greeting = [0; 5];
            assert_eq!(client.read(&mut greeting).await.unwrap(), 5);
            served.push(stream);
        }
        assert_eq!(pair.server.stats().accepted, 1000);
    });
}

#[test]
fn beyond_the_backlog_peers_wait_and_get_in_later() {
    Pair::new(3, Conditions::default()).run(async |pair| {
        let listener = pair.listen(80, small(2));
        let _in_line = [pair.connect(80).await, pair.connect(80).await];
        let client = pair.client.clone();
        let third = pair.spawner.spawn(async move {
            TcpStream::connect(&client, server_at(80)).await.unwrap();
        });
        pair.sleep(millis(100)).await;
        assert_eq!(pair.server.stats().dropped(DropCause::Backlog), 1);
        assert!(!third.is_finished());
        let _ = listener.accept().await;
        third.await.unwrap();
    });
}

#[test]
fn a_slow_reader_holds_the_writer_back_and_loses_nothing() {
    let conditions = Conditions {
        delay: millis(1),
        ..Conditions::default()
    };
    Pair::new(3, conditions).run(async |pair| {
        let (mut client, mut server) = pair.connected().await;
        let sent = pattern(100_000, 9);
        let writing = {
            let sent = sent.clone();
            pair.spawner
                .spawn(async move { server.write_all(&sent).await })
        };
        pair.sleep(Duration::from_secs(3)).await;
        assert!(!writing.is_finished());
        let mut got = Vec::new();
        let mut buffer = [0; 700];
        while got.len() < sent.len() {
            let read = client.read(&mut buffer).await.unwrap();
            assert!(read > 0);
            got.extend_from_slice(&buffer[..read]);
            pair.sleep(millis(50)).await;
        }
        writing.await.unwrap().unwrap();
        assert_eq!(got, sent);
        assert_eq!(read_all(&mut client).await.unwrap(), b"");
    });
}

#[test]
fn a_closed_window_is_probed_until_it_opens() {
    Pair::new(3, Conditions::default()).run(async |pair| {
        let (mut client, mut server) = pair.connected().await;
        let sent = pattern(60_000, 9);
        let copy = sent.clone();
        let writing = pair
            .spawner
            .spawn(async move { server.write_all(&copy).await });
        pair.sleep(Duration::from_secs(600)).await;
        // The update that the read causes is lost; the next probe learns of the room.
        pair.wire.set_conditions(Conditions {
            loss: 1000,
            ..Conditions::default()
        });
        let mut got = vec![0; 40_000];
        let read = client.read(&mut got).await.unwrap();
        got.truncate(read);
        pair.sleep(millis(100)).await;
        pair.wire.set_conditions(Conditions::default());
        got.extend(read_all(&mut client).await.unwrap());
        writing.await.unwrap().unwrap();
        assert_eq!(got, sent);
    });
}

#[test]
fn ports_and_addresses_are_checked() {
    Pair::new(3, Conditions::default()).run(async |pair| {
        let bind = |address: SocketAddr| {
            TcpListener::bind(&pair.server, address, ListenOptions::default())
        };
        let everywhere = pair.listen(80, small(1));
        assert_eq!(
            bind("0.0.0.0:80".parse().unwrap()).err(),
            Some(BindError::InUse)
        );
        let exact = bind(SocketAddr::new(SERVER.into(), 80)).unwrap();
        let foreign = bind("10.9.9.9:80".parse().unwrap());
        assert_eq!(foreign.err(), Some(BindError::NotOurs));
        let free = pair.listen(0, small(1));
        assert!(free.local_addr().port() >= 49_152);
        // The exact address wins, and what is gone is free again.
        let _client = pair.connect(80).await;
        pair.sleep(millis(1)).await;
        assert!(everywhere.try_accept().is_none() && exact.try_accept().is_some());
        drop(exact);
        let _client = pair.connect(80).await;
        pair.sleep(millis(1)).await;
        assert!(everywhere.try_accept().is_some());
        drop(everywhere);
        drop(pair.listen(80, small(1)));
    });
}

#[test]
fn a_dropped_listener_resets_who_waits() {
    Pair::new(3, Conditions::default()).run(async |pair| {
        let listener = pair.listen(80, small(5));
        let mut client = pair.connect(80).await;
        drop(listener);
        assert!(client.read(&mut [0; 1]).await.is_err());
        pair.sleep(millis(10)).await;
        assert_eq!(pair.server.stats().connections, 0);
    });
}
