//! Floods of SYNs, and the cookies that let everybody else in meanwhile.

use crate::pair::{
    CLIENT, Pair, SERVER, SERVER_MAC, config, configs, exchange, pattern, server_at,
};
use crate::raw::{FIRST, Lone, arp, as_tcp, first_ack, segment, syn, syn_of, tcp};
use crate::syn::Syns;
use core::net::{IpAddr, Ipv4Addr};
use netstack::testing::Conditions;
use netstack::{Config, DropCause, Ipv4Config, ListenOptions, TcpListener, TcpStream};
use reactor::time::Duration;
use smoltcp::wire::{ArpOperation, TcpControl, TcpRepr, TcpSeqNumber};

const FLOOD: u32 = 20_000;
const BACKLOG: usize = 16;
const GREETING: &[u8] = b"welcome";
/// To a client; it is as far back.
const DELAY: Duration = Duration::from_millis(50);
/// For what hosts are played by the test.
const PEER: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 9);
const US: (IpAddr, u16) = (IpAddr::V4(SERVER), 80);

fn options() -> ListenOptions {
    ListenOptions {
        backlog: BACKLOG,
        ..ListenOptions::default()
    }
}

/// Answers to addresses elsewhere go to the client, which is not they and says nothing.
fn behind_the_client() -> [Config; 2] {
    let [client, mut server] = configs();
    if let Ipv4Config::Static(ipv4) = &mut server.ipv4 {
        ipv4.gateway = Some(CLIENT);
    }
    [client, server]
}

fn pair(delay: Duration) -> Pair {
    let conditions = Conditions {
        delay,
        ..Conditions::default()
    };
    Pair::with_configs(3, conditions, behind_the_client())
}

/// One of 20,000 hosts that do not exist.
fn nobody(number: u32) -> Ipv4Addr {
    Ipv4Addr::from_bits(0xc633_6400 + number)
}

/// Has the stack answer each further SYN by a cookie, for as long as a handshake may take.
async fn crowd(pair: &Pair, syns: &mut Syns, from: u32) {
    for number in from..from + BACKLOG as u32 {
        syns.send(pair, nobody(number), 1024);
    }
    pair.sleep(Duration::from_micros(1)).await;
}

/// A listener of the server that nothing waits for, and SYNs for it.
async fn ready(pair: &Pair, port: u16) -> (TcpListener, Syns) {
    let listener = pair.listen(port, options());
    let syns = Syns::recorded(pair, &listener).await;
    (listener, syns)
}

/// Greets whoever connects: a service that speaks first waits for no data of the peer's.
fn serve_greeting(pair: &Pair, listener: TcpListener) {
    let greeting = async move {
        loop {
            let (mut stream, _) = listener.accept().await;
            stream.write_all(GREETING).await.unwrap();
        }
    };
    pair.spawner.task("greeting").spawn(greeting).detach();
}

/// Ten SYNs come in each millisecond: a place in the backlog would last for 1.6 ms, and a client takes
/// 100 ms to answer.
#[test]
fn clients_are_served_at_once_while_twenty_thousand_syns_come_in() {
    pair(DELAY).run(async |pair| {
        let (listener, mut syns) = ready(pair, 80).await;
        serve_greeting(pair, listener);
        let client = pair.client.clone();
        let clock = pair.clock.clone();
        let clients = pair.spawner.spawn(async move {
            let mut longest = Duration::ZERO;
            for _ in 0..8 {
                let start = clock.now();
                let mut stream = TcpStream::connect(&client, server_at(80)).await.unwrap();
                assert_eq!(stream.read(&mut [0; 16]).await.unwrap(), GREETING.len());
                longest = longest.max(clock.now().duration_since(start));
            }
            longest
        });
        for number in 0..FLOOD {
            syns.send(pair, nobody(number), 1024);
            pair.sleep(Duration::from_micros(100)).await;
            assert!(pair.server.stats().half_open <= BACKLOG as u64);
        }
        assert!(clients.is_finished(), "while it went on");
        // There and back for the handshake, and once more for the greeting.
        let longest = clients.await.unwrap();
        assert_eq!(longest, 4 * DELAY);
        let stats = pair.server.stats();
        assert!(stats.syn_cookies > u64::from(FLOOD) * 9 / 10, "{stats:?}");
        assert_eq!(stats.dropped_in_all(), 0, "{stats:?}");
        assert_eq!(pair.client.stats().retransmits, 0);
        pair.sleep(Duration::from_secs(20)).await;
        assert_eq!(pair.server.stats().half_open, 0);
    });
}

/// Nothing of a connection is missing that began with a cookie.
#[test]
fn connections_by_cookie_carry_everything_both_ways_though_segments_are_lost() {
    pair(Duration::from_millis(1)).run(async |pair| {
        let (listener, mut syns) = ready(pair, 7).await;
        drop(listener);
        pair.serve_echo(options());
        crowd(pair, &mut syns, 7).await;
        pair.wire.set_conditions(Conditions {
            delay: Duration::from_millis(1),
            loss: 20,
            reordering: 20,
            ..Conditions::default()
        });
        let before = pair.server.stats().syn_cookies;
        let mut exchanges = Vec::new();
        for seed in 0..20 {
            let stream = pair.connect(7).await;
            let spawner = pair.spawner.clone();
            exchanges.push(pair.spawner.spawn(async move {
                let sent = pattern(50_000, seed);
                assert!(exchange(stream, sent.clone(), &spawner).await == sent);
            }));
        }
        for exchange in exchanges {
            exchange.await.unwrap();
        }
        assert!(pair.server.stats().syn_cookies - before >= 20);
    });
}

/// A burst of clients that all exist.
#[test]
fn a_thousand_clients_at_once_all_get_in_without_a_repetition() {
    pair(Duration::from_millis(1)).run(async |pair| {
        pair.serve_echo(options());
        // The peers know each other.
        drop(pair.connect(7).await);
        let mut clients = Vec::new();
        for _ in 0..1000 {
            let client = pair.client.clone();
            clients.push(pair.spawner.spawn(async move {
                let mut stream = TcpStream::connect(&client, server_at(7)).await.unwrap();
                stream.write_all(b"hello").await.unwrap();
                let mut answer = [0; 5];
                assert_eq!(stream.read(&mut answer).await.unwrap(), 5);
                stream
            }));
        }
        for client in clients {
            client.await.unwrap();
        }
        assert!(pair.server.stats().syn_cookies > 0);
        let stats = pair.client.stats();
        assert_eq!(stats.retransmits, 0, "{stats:?}");
    });
}

/// A stack that has one half-open connection, and may have no other.
async fn crowded(lone: &Lone) -> TcpListener {
    let options = ListenOptions {
        backlog: 1,
        ..ListenOptions::default()
    };
    let listener = TcpListener::bind(&lone.stack, US.1, options).unwrap();
    lone.tell(arp(ArpOperation::Request, PEER, SERVER)).await;
    lone.tell(syn(PEER.into(), 1, US.0, US.1)).await;
    assert_eq!(lone.stack.stats().half_open, 1);
    listener
}

fn lone() -> Lone {
    Lone::new(config(SERVER_MAC, SERVER))
}

fn peer(port: u16) -> (IpAddr, u16) {
    (PEER.into(), port)
}

/// Sends a SYN and gives the sequence number of its answer, which has to be a cookie.
async fn cookie(lone: &Lone, syn: Vec<u8>) -> TcpSeqNumber {
    let before = lone.stack.stats();
    let sent = lone.tell(syn).await;
    let (.., answer) = as_tcp(&sent[0]).unwrap();
    assert!(answer.syn() && answer.ack() && answer.ack_number() == TcpSeqNumber(FIRST + 1));
    let after = lone.stack.stats();
    assert_eq!(after.syn_cookies, before.syn_cookies + 1);
    assert_eq!(
        after.connections, before.connections,
        "nothing is remembered"
    );
    answer.seq_number()
}

/// Whether the only answer is a reset.
fn is_refused(sent: &[Vec<u8>]) -> bool {
    let segments: Vec<_> = sent.iter().filter_map(|frame| as_tcp(frame)).collect();
    segments.len() == 1 && segments[0].2.rst()
}

#[test]
fn who_returns_a_cookie_is_connected_even_with_data_at_once() {
    lone().run(async |lone| {
        let listener = crowded(lone).await;
        let syn = syn_of(peer(2), US, Some(1460));
        let seen = cookie(lone, syn.clone()).await;
        assert_eq!(
            cookie(lone, syn).await,
            seen,
            "a repeated SYN has the same answer"
        );
        // The ACK that ends the handshake is lost; the data behind it does as well.
        lone.tell(first_ack(peer(2), US, seen, b"hello")).await;
        let (mut stream, from) = listener.try_accept().unwrap();
        assert_eq!((from.ip(), from.port()), peer(2));
        let mut data = [0; 9];
        assert_eq!(stream.read(&mut data).await.unwrap(), 5);
        assert_eq!(&data[..5], b"hello");
        assert_eq!(lone.stack.stats().accepted, 1);
    });
}

#[test]
fn the_peers_segment_size_is_in_the_cookie() {
    for (announced, used) in [
        (Some(9000), 1460),
        (Some(1460), 1460),
        (Some(1459), 1440),
        (Some(1300), 1220),
        (Some(1000), 536),
        (None, 536),
    ] {
        lone().run(async |lone| {
            let listener = crowded(lone).await;
            let seen = cookie(lone, syn_of(peer(2), US, announced)).await;
            lone.tell(first_ack(peer(2), US, seen, b"")).await;
            let (mut stream, _) = listener.try_accept().unwrap();
            stream.write_all(&[7; 5000]).await.unwrap();
            let sent = lone.sent().await;
            let sizes = sent.iter().filter_map(|frame| as_tcp(frame));
            let largest = sizes.map(|(.., segment)| segment.payload().len()).max();
            assert_eq!(largest, Some(used), "{announced:?}");
        });
    }
}

#[test]
fn a_forged_or_late_cookie_opens_nothing() {
    lone().run(async |lone| {
        let listener = crowded(lone).await;
        let seen = cookie(lone, syn_of(peer(2), US, Some(1460))).await;
        let late = cookie(lone, syn_of(peer(5), US, Some(1460))).await;
        for forged in [
            first_ack(peer(2), US, seen + 1, b""),
            first_ack(peer(2), US, seen - 1, b""),
            first_ack(peer(2), US, TcpSeqNumber(0), b"x"),
            first_ack(peer(3), US, seen, b""),
            first_ack(
                (IpAddr::from(PEER.octets().map(|byte| byte ^ 1)), 2),
                US,
                seen,
                b"",
            ),
        ] {
            let sent = lone.tell(forged).await;
            assert!(is_refused(&sent) || sent.iter().all(|frame| as_tcp(frame).is_none()));
            assert!(listener.try_accept().is_none());
        }
        // Good for half a minute, whenever it was made; for a minute at most.
        lone.sleep(Duration::from_secs(31)).await;
        lone.tell(arp(ArpOperation::Request, PEER, SERVER)).await;
        lone.tell(first_ack(peer(2), US, seen, b"")).await;
        assert!(listener.try_accept().is_some());
        lone.sleep(Duration::from_secs(40)).await;
        lone.tell(arp(ArpOperation::Request, PEER, SERVER)).await;
        assert!(is_refused(
            &lone.tell(first_ack(peer(5), US, late, b"")).await
        ));
        assert_eq!(lone.stack.stats().accepted, 1);
    });
}

#[test]
fn a_cookie_is_good_for_a_full_queue_once_there_is_room() {
    lone().run(async |lone| {
        let listener = crowded(lone).await;
        let first = cookie(lone, syn_of(peer(2), US, Some(1460))).await;
        let second = cookie(lone, syn_of(peer(3), US, Some(1460))).await;
        lone.tell(first_ack(peer(2), US, first, b"")).await;
        assert_eq!(lone.stack.stats().accepted, 1);
        // One waits to be accepted, as many as may: further ones are neither let in nor refused.
        assert!(
            lone.tell(first_ack(peer(3), US, second, b"hi"))
                .await
                .is_empty()
        );
        assert!(lone.tell(syn_of(peer(4), US, Some(1460))).await.is_empty());
        assert_eq!(lone.stack.stats().dropped(DropCause::Backlog), 2);
        let (_stream, _) = listener.try_accept().unwrap();
        lone.tell(first_ack(peer(3), US, second, b"hi")).await;
        let (mut stream, from) = listener.try_accept().unwrap();
        assert_eq!((from.ip(), from.port()), peer(3));
        assert_eq!(stream.read(&mut [0; 9]).await, Ok(2));
    });
}

#[test]
fn a_flow_in_time_wait_can_be_opened_anew_by_a_cookie() {
    lone().run(async |lone| {
        let options = ListenOptions {
            backlog: 2,
            ..ListenOptions::default()
        };
        let listener = TcpListener::bind(&lone.stack, US.1, options).unwrap();
        lone.tell(arp(ArpOperation::Request, PEER, SERVER)).await;
        let syn = |port| syn_of(peer(port), US, Some(1460));
        // Opened, and closed by both: by us first.
        let sent = lone.tell(syn(2)).await;
        let seen = as_tcp(&sent[0]).unwrap().2.seq_number();
        lone.tell(first_ack(peer(2), US, seen, b"")).await;
        drop(listener.try_accept().unwrap());
        lone.sent().await;
        let tell = |segment: TcpRepr<'_>| lone.tell(tcp(PEER.into(), US.0, &segment));
        let fin = TcpRepr {
            control: TcpControl::Fin,
            ack_number: Some(seen + 2),
            ..segment(2, US.1)
        };
        tell(fin).await;
        assert_eq!(
            (lone.stack.stats().connections, lone.stack.stats().time_wait),
            (0, 1)
        );
        for port in [10, 11] {
            lone.tell(syn(port)).await;
        }
        let again = TcpRepr {
            control: TcpControl::Syn,
            seq_number: TcpSeqNumber(FIRST + 1000),
            ..segment(2, US.1)
        };
        let sent = tell(again).await;
        let answer = as_tcp(&sent[0]).unwrap().2;
        assert!(answer.syn() && lone.stack.stats().syn_cookies == 1);
        let last = TcpRepr {
            seq_number: TcpSeqNumber(FIRST + 1001),
            ack_number: Some(answer.seq_number() + 1),
            ..segment(2, US.1)
        };
        tell(last).await;
        assert!(listener.try_accept().is_some());
    });
}
