//! How connections end, and what each end is told.

use crate::pair::{Pair, configs, pattern, read_all, server_at};
use netstack::testing::Conditions;
use netstack::{ConnectError, ListenOptions, StreamError, TcpStream};
use reactor::time::{Duration, Instant};

fn pair() -> Pair {
    Pair::new(
        7,
        Conditions {
            delay: Duration::from_millis(1),
            ..Conditions::default()
        },
    )
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

#[test]
fn one_side_may_end_and_still_hear_the_other() {
    pair().run(async |pair| {
        let (mut client, mut server) = pair.connected().await;
        client.write_all(b"question").await.unwrap();
        client.shutdown().await.unwrap();
        assert_eq!(read_all(&mut server).await.unwrap(), b"question");
        let answer = pattern(50_000, 1);
        let sent = answer.clone();
        let serving = pair
            .spawner
            .spawn(async move { server.write_all(&sent).await });
        assert_eq!(read_all(&mut client).await.unwrap(), answer);
        serving.await.unwrap().unwrap();
        assert_eq!(client.write(b"more").await, Err(StreamError::Closed));
    });
}

#[test]
fn a_dropped_stream_delivers_what_was_written_and_leaves_nothing() {
    pair().run(async |pair| {
        let (mut client, mut server) = pair.connected().await;
        let sent = pattern(10_000, 2);
        client.write_all(&sent).await.unwrap();
        drop(client);
        assert_eq!(read_all(&mut server).await.unwrap(), sent);
        drop(server);
        pair.sleep(seconds(1)).await;
        // The side that ended first waits for late segments, without buffers.
        assert_eq!(
            (
                pair.client.stats().connections,
                pair.client.stats().time_wait
            ),
            (0, 1)
        );
        assert_eq!(
            (
                pair.server.stats().connections,
                pair.server.stats().time_wait
            ),
            (0, 0)
        );
        pair.sleep(seconds(10)).await;
        assert_eq!(pair.client.stats().time_wait, 0);
        assert_eq!(
            pair.client.stats().resets_sent + pair.server.stats().resets_sent,
            0
        );
    });
}

#[test]
fn dropping_unread_data_resets() {
    pair().run(async |pair| {
        let (mut client, server) = pair.connected().await;
        client.write_all(b"never read").await.unwrap();
        pair.sleep(seconds(1)).await;
        drop(server);
        let mut buffer = [0; 8];
        assert_eq!(client.read(&mut buffer).await, Err(StreamError::Reset));
        assert_eq!(client.write(b"x").await, Err(StreamError::Reset));
        assert_eq!(pair.client.stats().resets_received, 1);
        pair.sleep(seconds(1)).await;
        assert_eq!(pair.server.stats().connections, 0);
    });
}

#[test]
fn data_for_a_stream_that_is_gone_is_answered_with_a_reset() {
    pair().run(async |pair| {
        let (mut client, server) = pair.connected().await;
        drop(server);
        pair.sleep(seconds(1)).await;
        client.write_all(b"anybody there?").await.unwrap();
        pair.sleep(seconds(1)).await;
        assert_eq!(client.write(b"x").await, Err(StreamError::Reset));
        assert_eq!(pair.server.stats().connections, 0);
    });
}

#[test]
fn an_abort_is_a_reset_for_the_peer() {
    pair().run(async |pair| {
        let (client, mut server) = pair.connected().await;
        client.abort();
        assert_eq!(server.read(&mut [0; 8]).await, Err(StreamError::Reset));
    });
}

#[test]
fn nobody_listening_is_refused() {
    pair().run(async |pair| {
        let refused = TcpStream::connect(&pair.client, server_at(81)).await;
        assert_eq!(refused.err(), Some(ConnectError::Refused));
        assert_eq!(pair.server.stats().refused, 1);
        pair.sleep(seconds(1)).await;
        assert_eq!(pair.client.stats().connections, 0);
    });
}

#[test]
fn a_silent_peer_times_out() {
    pair().run(async |pair| {
        // One exchange, so that the peer's Ethernet address is known.
        let _ = TcpStream::connect(&pair.client, server_at(81)).await;
        pair.wire.set_conditions(Conditions {
            loss: 1000,
            ..Conditions::default()
        });
        let before = pair.clock.now();
        let silent = TcpStream::connect(&pair.client, server_at(81)).await;
        assert_eq!(silent.err(), Some(ConnectError::TimedOut));
        assert_eq!(pair.clock.now().duration_since(before), seconds(30));
    });
}

#[test]
fn wrong_or_unreachable_addresses_are_told_at_once() {
    pair().run(async |pair| {
        for (address, error) in [
            ("10.0.0.2:0", ConnectError::InvalidAddress),
            ("0.0.0.0:80", ConnectError::InvalidAddress),
            ("255.255.255.255:80", ConnectError::InvalidAddress),
            ("192.168.77.1:80", ConnectError::Unreachable),
            ("[2001:db8::1]:80", ConnectError::Unreachable),
        ] {
            let result = TcpStream::connect(&pair.client, address.parse().unwrap()).await;
            assert_eq!(result.err(), Some(error), "{address}");
        }
        assert_eq!(pair.clock.now(), Instant::ZERO);
    });
}

#[test]
fn a_peer_that_vanishes_with_data_outstanding_times_out() {
    pair().run(async |pair| {
        let (mut client, _server) = pair.connected().await;
        client.set_timeout(seconds(20));
        // An hour of silence is no reason to end; nor does it count later.
        pair.sleep(seconds(3600)).await;
        pair.wire.set_conditions(Conditions {
            loss: 1000,
            ..Conditions::default()
        });
        let before = pair.clock.now();
        client.write_all(b"into the void").await.unwrap();
        assert_eq!(client.read(&mut [0; 8]).await, Err(StreamError::TimedOut));
        let waited = pair.clock.now().duration_since(before);
        assert!(waited >= seconds(20) && waited < seconds(22), "{waited:?}");
        assert_eq!(pair.client.stats().timeouts, 1);
    });
}

#[test]
fn closing_after_a_long_silence_is_a_close_and_no_timeout() {
    pair().run(async |pair| {
        let (mut client, mut server) = pair.connected().await;
        pair.sleep(seconds(7200)).await;
        client.shutdown().await.unwrap();
        assert_eq!(read_all(&mut server).await.unwrap(), b"");
        server.shutdown().await.unwrap();
        assert_eq!(read_all(&mut client).await.unwrap(), b"");
        assert_eq!(pair.client.stats().timeouts, 0);
    });
}

#[test]
fn keep_alive_finds_a_dead_peer_and_keeps_a_live_one() {
    pair().run(async |pair| {
        let (mut client, _server) = pair.connected().await;
        pair.sleep(seconds(3600)).await;
        client.set_keep_alive(Some(seconds(10)));
        pair.sleep(seconds(3600)).await;
        assert_eq!(pair.client.stats().timeouts, 0);
        pair.wire.set_conditions(Conditions {
            loss: 1000,
            ..Conditions::default()
        });
        let before = pair.clock.now();
        assert_eq!(client.read(&mut [0; 8]).await, Err(StreamError::TimedOut));
        let waited = pair.clock.now().duration_since(before);
        assert!(waited > seconds(30) && waited < seconds(65), "{waited:?}");
        assert_eq!(pair.client.stats().retransmits, 0);
    });
}

#[test]
fn an_orphan_whose_peer_never_closes_is_given_up() {
    pair().run(async |pair| {
        let (client, server) = pair.connected().await;
        drop(client);
        pair.sleep(seconds(59)).await;
        assert_eq!(pair.client.stats().connections, 1);
        pair.sleep(seconds(2)).await;
        assert_eq!(pair.client.stats().connections, 0);
        drop(server);
    });
}

#[test]
fn orphans_are_bounded() {
    let mut configs = configs();
    configs[0].limits.orphans = 10;
    let pair = Pair::with_configs(7, Conditions::default(), configs);
    pair.run(async |pair| {
        let listener = pair.listen(9, ListenOptions::default());
        let mut served = Vec::new();
        for _ in 0..30 {
            drop(pair.connect(9).await);
            served.push(listener.accept().await);
        }
        pair.sleep(seconds(1)).await;
        assert_eq!(pair.client.stats().connections, 10);
        assert_eq!(pair.client.stats().resets_sent, 20);
    });
}

#[test]
fn time_wait_is_bounded_and_the_oldest_goes() {
    let mut configs = configs();
    configs[0].limits.time_wait = 5;
    let pair = Pair::with_configs(7, Conditions::default(), configs);
    pair.run(async |pair| {
        pair.serve_echo(ListenOptions::default());
        for _ in 0..20 {
            drop(pair.connect(7).await);
        }
        pair.sleep(seconds(1)).await;
        let stats = pair.client.stats();
        assert_eq!(
            (stats.connections, stats.time_wait, stats.time_wait_recycled),
            (0, 5, 15)
        );
        pair.sleep(seconds(10)).await;
        assert_eq!(pair.client.stats().time_wait, 0);
    });
}

#[test]
fn the_last_acknowledgement_is_repeated_out_of_time_wait() {
    pair().run(async |pair| {
        let (client, mut server) = pair.connected().await;
        drop(client);
        assert_eq!(read_all(&mut server).await.unwrap(), b"");
        // The server's FIN arrives, but the answer is lost: it must come again.
        pair.sleep(seconds(1)).await;
        drop(server);
        pair.sleep(Duration::from_micros(1500)).await;
        pair.wire.set_conditions(Conditions {
            loss: 1000,
            ..Conditions::default()
        });
        pair.sleep(Duration::from_millis(10)).await;
        pair.wire.set_conditions(Conditions::default());
        pair.sleep(seconds(5)).await;
        assert_eq!(pair.server.stats().connections, 0);
        assert_eq!(pair.server.stats().resets_received, 0);
    });
}

#[test]
fn draining_waits_for_what_was_written() {
    pair().run(async |pair| {
        pair.client.drain().await;
        let (mut client, server) = pair.connected().await;
        client.write_all(&pattern(10_000, 1)).await.unwrap();
        drop(client);
        pair.client.drain().await;
        let taken = pair.clock.now();
        assert!(
            taken > Instant::ZERO + Duration::from_millis(2),
            "{taken:?}"
        );
        // All of it has arrived; nothing that is sent later counts.
        pair.wire.set_up(false);
        let mut server = server;
        assert_eq!(read_all(&mut server).await.unwrap().len(), 10_000);
    });
}

/// The next connection has the socket of the last one, but nothing that was set or left in it.
#[test]
fn a_connection_inherits_nothing_from_the_one_before() {
    pair().run(async |pair| {
        let listener = pair.listen(9, ListenOptions::default());
        let mut client = pair.connect(9).await;
        let (mut server, _) = listener.accept().await;
        for stream in [&client, &server] {
            stream.set_keep_alive(Some(seconds(1)));
            stream.set_nodelay(false);
        }
        client.write_all(&[7; 10_000]).await.unwrap();
        server.write_all(&[8; 10_000]).await.unwrap();
        pair.sleep(seconds(1)).await;
        // Unread data is left behind on both sides.
        drop((client, server));
        pair.sleep(seconds(120)).await;
        assert_eq!(pair.client.stats().connections, 0);

        let mut client = pair.connect(9).await;
        let (mut server, _) = listener.accept().await;
        pair.sleep(seconds(1)).await;
        let sent = pair.client.stats().frames_sent;
        client.write_all(b"a").await.unwrap();
        pair.sleep(Duration::from_micros(1)).await;
        client.write_all(b"b").await.unwrap();
        pair.sleep(Duration::from_micros(1)).await;
        assert_eq!(pair.client.stats().frames_sent, sent + 2, "no waiting");
        server.write_all(b"cd").await.unwrap();
        pair.sleep(seconds(1)).await;
        let mut buffer = [0; 8];
        assert_eq!(server.read(&mut buffer).await, Ok(2));
        assert_eq!(&buffer[..2], b"ab");
        assert_eq!(client.read(&mut buffer).await, Ok(2));
        assert_eq!(&buffer[..2], b"cd");
        pair.sleep(seconds(60)).await;
        let before = (pair.client.stats(), pair.server.stats());
        pair.sleep(seconds(60)).await;
        assert_eq!((pair.client.stats(), pair.server.stats()), before);
    });
}
