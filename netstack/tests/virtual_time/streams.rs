//! What a stream offers beside reading and writing: halves, options, addresses.

use crate::pair::{CLIENT, Pair, SERVER, pattern, read_all};
use crate::raw::as_tcp;
use core::net::SocketAddr;
use futures_util::future::join;
use netstack::testing::Conditions;
use netstack::{Config, Ipv4Config, ListenOptions, StreamError, TcpListener, TcpStream};
use reactor::time::Duration;

fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// A wire on which an acknowledgement takes 20 ms at least.
fn pair() -> Pair {
    Pair::new(
        11,
        Conditions {
            delay: millis(10),
            ..Conditions::default()
        },
    )
}

/// The data of each segment that the client sent since the last look.
fn segments(pair: &Pair) -> Vec<Vec<u8>> {
    let sent = pair.wire.sent(0);
    let data = sent.iter().filter_map(|frame| as_tcp(frame));
    data.map(|(_, _, segment)| segment.payload().to_vec())
        .filter(|data| !data.is_empty())
        .collect()
}

/// Writes each of `writes` in a turn of its own, all before the first can be acknowledged.
async fn write_apart(pair: &Pair, stream: &mut TcpStream, writes: &[&[u8]]) {
    for bytes in writes {
        stream.write_all(bytes).await.unwrap();
        pair.sleep(millis(1)).await;
    }
}

#[test]
fn small_writes_are_sent_at_once_unless_nodelay_is_off() {
    pair().run(async |pair| {
        let (mut client, mut server) = pair.connected().await;
        pair.wire.record();
        write_apart(pair, &mut client, &[b"a", b"b", b"c"]).await;
        assert_eq!(segments(pair), [b"a", b"b", b"c"]);
        pair.sleep(seconds(1)).await;

        client.set_nodelay(false);
        write_apart(pair, &mut client, &[b"d", b"e", b"f"]).await;
        assert_eq!(segments(pair), [b"d"], "the others wait for its end");
        pair.sleep(seconds(1)).await;
        assert_eq!(segments(pair), [b"ef"], "together, when it is acknowledged");

        client.shutdown().await.unwrap();
        assert_eq!(read_all(&mut server).await.unwrap(), b"abcdef");
    });
}

#[test]
fn nagle_holds_back_no_full_segment_and_nothing_once_it_is_off() {
    pair().run(async |pair| {
        let (mut client, _server) = pair.connected().await;
        pair.wire.record();
        client.set_nodelay(false);
        let full = pattern(1460, 1);
        write_apart(pair, &mut client, &[b"a", &full, b"b"]).await;
        assert_eq!(segments(pair), [b"a", &full[..]]);
        client.set_nodelay(true);
        pair.sleep(millis(1)).await;
        assert_eq!(segments(pair), [b"b"], "although nothing was acknowledged");
    });
}

#[test]
fn borrowed_halves_read_and_write_at_the_same_time() {
    pair().run(async |pair| {
        pair.serve_echo(ListenOptions::default());
        let mut stream = pair.connect(7).await;
        // More than all buffers on the way hold: who wrote first and read then would wait for ever.
        let sent = pattern(300_000, 2);
        let mut got = vec![0; sent.len()];
        let (mut reader, mut writer) = stream.split();
        let reading = async {
            let mut len = 0;
            while len < got.len() {
                len += reader.read(&mut got[len..]).await.unwrap();
            }
        };
        let (written, ()) = join(writer.write_all(&sent), reading).await;
        written.unwrap();
        assert!(got == sent, "other bytes came back");
        // The halves are gone, the stream is not.
        stream.write_all(b"more").await.unwrap();
        assert_eq!(stream.read(&mut [0; 9]).await, Ok(4));
    });
}

#[test]
fn dropping_the_write_half_ends_sending_and_reading_goes_on() {
    pair().run(async |pair| {
        let (client, mut server) = pair.connected().await;
        let (mut reader, mut writer) = client.into_split();
        let asking = pair.spawner.spawn(async move {
            writer.write_all(b"question").await.unwrap();
        });
        let answer = pattern(100_000, 3);
        let sent = answer.clone();
        let serving = pair.spawner.spawn(async move {
            assert_eq!(read_all(&mut server).await.unwrap(), b"question");
            server.write_all(&sent).await.unwrap();
        });
        asking.await.unwrap();
        let mut got = vec![0; answer.len()];
        let mut len = 0;
        while len < got.len() {
            len += reader.read(&mut got[len..]).await.unwrap();
        }
        assert!(got == answer, "other bytes came");
        assert_eq!(reader.read(&mut [0; 9]).await, Ok(0));
        serving.await.unwrap();
    });
}

#[test]
fn dropping_the_read_half_ends_nothing() {
    pair().run(async |pair| {
        let (client, mut server) = pair.connected().await;
        let (reader, mut writer) = client.into_split();
        drop(reader);
        let sent = pattern(100_000, 4);
        let copy = sent.clone();
        let writing = pair.spawner.spawn(async move {
            writer.write_all(&copy).await.unwrap();
        });
        assert!(read_all(&mut server).await.unwrap() == sent);
        writing.await.unwrap();
        drop(server);
        pair.sleep(seconds(20)).await;
        for stack in [&pair.client, &pair.server] {
            let stats = stack.stats();
            assert_eq!((stats.connections, stats.resets_sent), (0, 0), "{stats:?}");
        }
    });
}

/// Whichever half goes last.
#[test]
fn the_connection_is_let_go_of_with_the_second_half() {
    for read_half_last in [false, true] {
        pair().run(async |pair| {
            let (client, mut server) = pair.connected().await;
            let (reader, writer) = client.into_split();
            let _last: Box<dyn core::any::Any> = if read_half_last {
                drop(writer);
                Box::new(reader)
            } else {
                drop(reader);
                Box::new(writer)
            };
            server.write_all(b"nobody reads it").await.unwrap();
            pair.sleep(seconds(1)).await;
            assert_eq!(pair.client.stats().resets_sent, 0);
            drop(_last);
            pair.sleep(seconds(1)).await;
            // With unread data a reset, as for a whole stream.
            assert_eq!(pair.client.stats().resets_sent, 1);
            assert_eq!(server.write(b"x").await, Err(StreamError::Reset));
        });
    }
}

#[test]
fn both_ends_know_their_addresses() {
    pair().run(async |pair| {
        let listener = pair.listen(9, ListenOptions::default());
        let mut client = pair.connect(9).await;
        let (server, peer) = listener.accept().await;
        assert_eq!(client.peer_addr(), SocketAddr::new(SERVER.into(), 9));
        assert_eq!(client.local_addr().ip(), CLIENT);
        assert!(client.local_addr().port() >= 49_152);
        assert_eq!(server.local_addr(), client.peer_addr());
        assert_eq!(server.peer_addr(), client.local_addr());
        assert_eq!(peer, client.local_addr());
        let ends = (client.local_addr(), client.peer_addr());
        let (reader, writer) = client.split();
        assert_eq!((reader.local_addr(), reader.peer_addr()), ends);
        assert_eq!((writer.local_addr(), writer.peer_addr()), ends);
        let (reader, writer) = client.into_split();
        assert_eq!((reader.local_addr(), reader.peer_addr()), ends);
        assert_eq!((writer.local_addr(), writer.peer_addr()), ends);
        // They stay known when the connection is over.
        server.abort();
        pair.sleep(seconds(1)).await;
        assert_eq!((reader.local_addr(), reader.peer_addr()), ends);
    });
}

#[test]
fn addresses_of_the_loopback_are_its_own() {
    let mut config = Config::new([2, 0, 0, 0, 0, 1]);
    config.ipv4 = Ipv4Config::None;
    crate::raw::Lone::new(config).run(async |lone| {
        for address in ["127.0.0.1:7", "127.1.2.3:7", "[::1]:7"] {
            let peer: SocketAddr = address.parse().unwrap();
            let options = ListenOptions::default();
            let listener = TcpListener::bind(&lone.stack, 7, options).unwrap();
            let client = TcpStream::connect(&lone.stack, peer).await.unwrap();
            let (server, _) = listener.accept().await;
            assert_eq!((client.peer_addr(), server.local_addr()), (peer, peer));
            assert!(client.local_addr().ip().is_loopback());
            assert_eq!(server.peer_addr(), client.local_addr());
        }
    });
}

#[test]
fn keep_alive_probes_at_its_interval_and_stops_when_told() {
    pair().run(async |pair| {
        let (client, _server) = pair.connected().await;
        pair.sleep(seconds(1)).await;
        pair.wire.record();
        // A probe is the byte before the next one (RFC 9293 §3.8.4).
        let probes = |pair: &Pair| segments(pair).len();
        pair.sleep(seconds(3600)).await;
        assert_eq!(probes(pair), 0, "off by default");
        client.set_keep_alive(Some(seconds(10)));
        pair.sleep(seconds(105)).await;
        assert!((10..=11).contains(&probes(pair)));
        client.set_keep_alive(None);
        pair.sleep(seconds(15)).await;
        probes(pair);
        pair.sleep(seconds(3600)).await;
        assert_eq!(probes(pair), 0);
        assert_eq!(pair.client.stats().timeouts, 0);
    });
}
