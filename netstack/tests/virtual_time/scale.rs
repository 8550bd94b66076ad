//! Work depends on what is active, and an idle stack does none.

use crate::pair::{CLIENT, Pair, SERVER, configs, echo, server_at};
use crate::raw::{arp, as_arp};
use core::net::{IpAddr, Ipv4Addr, SocketAddr};
use netstack::testing::Conditions;
use netstack::{ListenOptions, Stats, TcpListener, TcpStream, UdpSocket};
use reactor::time::Duration;
use smoltcp::wire::ArpOperation;

const OPEN: usize = 10_000;
const ACTIVE: usize = 10;
const ROUNDS: usize = 100;
/// Who asks for the client's Ethernet address.
const ASKER: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 9);

fn small() -> ListenOptions {
    ListenOptions {
        backlog: 1000,
        receive_buffer: 512,
        send_buffer: 512,
    }
}

/// What `ACTIVE` connections cost while `open` ones are open, on the server.
fn cost_of_activity(open: usize) -> (u64, u64, u64) {
    let pair = Pair::with_configs(5, Conditions::default(), configs());
    pair.run(async |pair| {
        pair.serve_echo(small());
        let mut streams = Vec::new();
        for _ in 0..open {
            let peer = crate::pair::server_at(7);
            streams.push(
                TcpStream::connect_with(&pair.client, peer, small())
                    .await
                    .unwrap(),
            );
        }
        pair.sleep(Duration::from_secs(60)).await;
        let before = pair.server.stats();
        let timers_before = pair.reactor.stats();
        assert_eq!(before.connections, open as u64);
        let step = open / ACTIVE;
        for _ in 0..ROUNDS {
            for index in 0..ACTIVE {
                let stream = &mut streams[index * step];
                stream.write_all(b"ping").await.unwrap();
                let mut answer = [0; 4];
                assert_eq!(stream.read(&mut answer).await.unwrap(), 4);
            }
        }
        let after: Stats = pair.server.stats();
        let timers = pair.reactor.stats().timers_fired - timers_before.timers_fired;
        (
            after.connection_polls - before.connection_polls,
            after.turns - before.turns,
            after.deadlines_fired - before.deadlines_fired + timers,
        )
    })
}

#[test]
fn ten_active_of_ten_thousand_cost_what_ten_of_ten_do() {
    let few = cost_of_activity(ACTIVE);
    let many = cost_of_activity(OPEN);
    assert_eq!(few, many);
    // One segment arrives for each echo, and one look answers and acknowledges it.
    let (polls, ..) = few;
    let echoes = (ACTIVE * ROUNDS) as u64;
    assert_eq!(polls, 2 * echoes);
}

/// Five segments there and three back: a look for each that comes, and one for each that is sent. The
/// server has one more, to see that the handshake is over.
#[test]
fn a_connection_is_looked_at_for_its_segments_and_no_more() {
    let pair = Pair::new(5, Conditions::default());
    pair.run(async |pair| {
        pair.serve_echo(small());
        drop(pair.connect(7).await);
        let polls = || [&pair.client, &pair.server].map(|stack| stack.stats().connection_polls);
        for _ in 0..10 {
            pair.sleep(Duration::from_secs(60)).await;
            let before = polls();
            let mut stream = pair.connect(7).await;
            stream.set_nodelay(true);
            pair.sleep(Duration::from_millis(1)).await;
            stream.write_all(b"ping").await.unwrap();
            let mut answer = [0; 4];
            assert_eq!(stream.read(&mut answer).await.unwrap(), 4);
            drop(stream);
            pair.sleep(Duration::from_secs(1)).await;
            let after = polls();
            assert_eq!([0, 1].map(|end| after[end] - before[end]), [8, 9]);
        }
    });
}

#[test]
fn an_idle_stack_is_never_polled() {
    let pair = Pair::new(5, Conditions::default());
    pair.run(async |pair| {
        pair.serve_echo(small());
        let mut streams = Vec::new();
        for _ in 0..100 {
            streams.push(pair.connect(7).await);
        }
        pair.sleep(Duration::from_secs(60)).await;
        let before = (pair.client.stats(), pair.server.stats());
        let fired = pair.reactor.stats().timers_fired;
        pair.sleep(Duration::from_secs(24 * 60 * 60 - 100)).await;
        assert_eq!((pair.client.stats(), pair.server.stats()), before);
        // The test's own sleep.
        assert_eq!(pair.reactor.stats().timers_fired, fired + 1);
    });
}

#[test]
fn a_full_transmit_queue_is_waited_for_and_not_polled() {
    let pair = Pair::new(5, Conditions::default());
    pair.run(async |pair| {
        pair.serve_echo(ListenOptions::default());
        let mut stream = pair.connect(7).await;
        pair.sleep(Duration::from_secs(60)).await;
        pair.wire.set_room(0, 0);
        pair.sleep(Duration::from_millis(1)).await;
        let before = pair.client.stats().turns;
        stream.write_all(b"stuck").await.unwrap();
        pair.sleep(Duration::from_secs(60)).await;
        let turns = pair.client.stats().turns - before;
        assert!(turns <= 3, "{turns} turns while the queue was full");
        pair.wire.set_room(0, 64);
        let mut answer = [0; 5];
        assert_eq!(stream.read(&mut answer).await.unwrap(), 5);
        assert_eq!(&answer, b"stuck");
    });
}

/// What waits for the device ahead of TCP.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Ahead {
    Arp,
    Datagram,
}

/// A device that takes nothing, for now or for ever, is no matter to those who talk to themselves.
#[test]
fn the_loopback_serves_while_the_transmit_queue_is_full() {
    Pair::new(5, Conditions::default()).run(async |pair| {
        pair.serve_echo(ListenOptions::default());
        let listener = TcpListener::bind(&pair.client, 7, ListenOptions::default()).unwrap();
        let (mut far, sender) = (
            pair.connect(7).await,
            UdpSocket::bind(&pair.client, 0).unwrap(),
        );
        pair.wire.set_room(0, 0);
        pair.sleep(Duration::from_secs(1)).await;
        // One of each kind waits for the device.
        far.write_all(b"x").await.unwrap();
        sender.send_to(b"x", server_at(53)).await.unwrap();
        pair.wire
            .inject(0, arp(ArpOperation::Request, ASKER, CLIENT));
        pair.sleep(Duration::from_millis(1)).await;

        let before = (pair.clock.now(), pair.client.stats().frames_sent);
        for address in [IpAddr::V4(Ipv4Addr::LOCALHOST), CLIENT.into()] {
            let to_us = SocketAddr::new(address, 7);
            let mut near = TcpStream::connect(&pair.client, to_us).await.unwrap();
            pair.spawner.spawn(echo(listener.accept().await.0)).detach();
            for _ in 0..100 {
                near.write_all(b"ping").await.unwrap();
                let mut answer = [0; 4];
                assert_eq!(near.read(&mut answer).await.unwrap(), 4);
            }
        }
        let taken = pair.clock.now().duration_since(before.0);
        assert!(taken < Duration::from_millis(1), "{taken:?}");
        assert_eq!(
            pair.client.stats().frames_sent,
            before.1,
            "the device was full"
        );
        pair.wire.set_room(0, 64);
        assert_eq!(far.read(&mut [0; 2]).await.unwrap(), 1);
    });
}

/// More connections than one turn looks at have nothing to send, and then one has.
#[test]
fn nobody_is_forgotten_behind_those_that_a_turn_has_no_time_for() {
    Pair::new(5, Conditions::default()).run(async |pair| {
        pair.serve_echo(small());
        let listener = TcpListener::bind(&pair.client, 7, small()).unwrap();
        for address in [CLIENT, SERVER] {
            let peer = SocketAddr::new(address.into(), 7);
            let mut streams = Vec::new();
            for _ in 0..600 {
                let stream = TcpStream::connect_with(&pair.client, peer, small()).await;
                streams.push(stream.unwrap());
            }
            pair.sleep(Duration::from_secs(60)).await;
            while let Some((accepted, _)) = listener.try_accept() {
                pair.spawner.spawn(echo(accepted)).detach();
            }
            for stream in &streams {
                stream.set_nodelay(true);
            }
            let last = streams.last_mut().unwrap();
            last.write_all(b"ping").await.unwrap();
            assert_eq!(last.read(&mut [0; 4]).await.unwrap(), 4);
        }
    });
}

/// Deadlines of TCP come while something else waits for the device.
fn deadlines_behind_a_full_queue(ahead: Ahead) {
    Pair::new(5, Conditions::default()).run(async |pair| {
        let (ended, peer) = pair.connected().await;
        drop(ended);
        drop(peer);
        let listener = pair.listen(8, ListenOptions::default());
        let mut client = pair.connect(8).await;
        let (mut server, _) = listener.accept().await;
        let to = UdpSocket::bind(&pair.server, 53).unwrap();
        let from = UdpSocket::bind(&pair.client, 0).unwrap();
        pair.sleep(Duration::from_secs(1)).await;
        assert_eq!(pair.client.stats().time_wait, 1);

        // Lost, so that it is to be sent again.
        pair.wire.set_conditions(Conditions {
            loss: 1000,
            ..Conditions::default()
        });
        client.write_all(b"again").await.unwrap();
        pair.sleep(Duration::from_micros(1)).await;
        pair.wire.set_conditions(Conditions::default());
        pair.wire.set_room(0, 0);
        pair.sleep(Duration::from_micros(1)).await;

        let before = pair.client.stats();
        match ahead {
            Ahead::Arp => {
                let question = arp(ArpOperation::Request, ASKER, CLIENT);
                pair.wire.inject(0, question);
            }
            Ahead::Datagram => from.send_to(b"first", server_at(53)).await.unwrap(),
        }
        pair.sleep(Duration::from_secs(15)).await;
        let after = pair.client.stats();
        let turns = after.turns - before.turns;
        assert!(turns <= 4, "{turns} turns while the queue was full");
        assert_eq!(after.time_wait, 0);
        assert_eq!(after.frames_sent, before.frames_sent);

        pair.wire.record();
        pair.wire.set_room(0, 64);
        let mut buffer = [0; 8];
        assert_eq!(server.read(&mut buffer).await.unwrap(), 5);
        assert_eq!(&buffer[..5], b"again");
        assert_eq!(pair.client.stats().retransmits, before.retransmits + 1);
        match ahead {
            Ahead::Arp => {
                let answer = Some((ArpOperation::Reply, CLIENT, ASKER));
                let sent = pair.wire.sent(0);
                assert!(sent.iter().any(|frame| as_arp(frame) == answer));
            }
            Ahead::Datagram => assert_eq!(to.recv_from(&mut buffer).await.0, 5),
        }
    });
}

#[test]
fn deadlines_come_while_an_arp_answer_waits_for_a_full_queue() {
    deadlines_behind_a_full_queue(Ahead::Arp);
}

#[test]
fn deadlines_come_while_a_datagram_waits_for_a_full_queue() {
    deadlines_behind_a_full_queue(Ahead::Datagram);
}
