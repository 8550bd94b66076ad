//! What a stranger must not guess follows the random numbers handed in, and nothing else: the same
//! numbers give the same choices, others give others.

use crate::dhcp::as_dhcp;
use crate::pair::{SERVER, SERVER_MAC, config};
use crate::raw::{Lone, arp, as_tcp, syn};
use core::net::{Ipv4Addr, SocketAddr};
use netstack::testing::random;
use netstack::{Config, Ipv4Config, ListenOptions, TcpListener, TcpStream, UdpSocket};
use reactor::time::Duration;
use smoltcp::wire::ArpOperation;
use std::collections::BTreeSet;

const PEER: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 53);
/// Of each kind of choice.
const CHOICES: u16 = 64;

/// Tells the stack the peer's Ethernet address.
async fn introduced(lone: &Lone) {
    lone.tell(arp(ArpOperation::Request, PEER, SERVER)).await;
}

/// A static address, and the peer as its DNS server.
fn with_dns() -> Config {
    let mut config = config(SERVER_MAC, SERVER);
    if let Ipv4Config::Static(ipv4) = &mut config.ipv4 {
        ipv4.dns = vec![PEER];
    }
    config
}

/// Runs `choose` on a stack that has the numbers of `random`.
fn chosen<R>(
    config: Config,
    random: impl FnMut() -> u64 + 'static,
    choose: impl AsyncFnOnce(&Lone) -> R,
) -> R {
    Lone::with_random(config, random).run(choose)
}

/// Sequence number and port of each connection that the stack opens.
async fn opened(lone: &Lone) -> Vec<(u32, u16)> {
    introduced(lone).await;
    let mut choices = Vec::new();
    for _ in 0..CHOICES {
        let stack = lone.stack.clone();
        let connecting = async move {
            let _ = TcpStream::connect(&stack, SocketAddr::new(PEER.into(), 80)).await;
        };
        let connecting = lone.spawner.spawn(connecting);
        let sent = lone.sent().await;
        let (.., segment) = as_tcp(&sent[0]).unwrap();
        assert!(segment.syn() && !segment.ack());
        choices.push((segment.seq_number().0 as u32, segment.src_port()));
        connecting.cancel();
        lone.sent().await;
    }
    choices
}

/// Sequence number of each connection that the stack accepts.
async fn accepted(lone: &Lone) -> Vec<u32> {
    introduced(lone).await;
    let _listener = TcpListener::bind(&lone.stack, 80, ListenOptions::default()).unwrap();
    let mut choices = Vec::new();
    for port in 5000..5000 + CHOICES {
        let sent = lone.tell(syn(PEER.into(), port, SERVER.into(), 80)).await;
        let (.., segment) = as_tcp(&sent[0]).unwrap();
        assert!(segment.syn() && segment.ack());
        choices.push(segment.seq_number().0 as u32);
    }
    choices
}

/// Sequence number of each SYN that the stack answers and forgets.
async fn answered(lone: &Lone) -> Vec<u32> {
    introduced(lone).await;
    let options = ListenOptions {
        backlog: 1,
        ..ListenOptions::default()
    };
    let _listener = TcpListener::bind(&lone.stack, 80, options).unwrap();
    let mut choices = Vec::new();
    for port in 5000..=5000 + CHOICES {
        let sent = lone.tell(syn(PEER.into(), port, SERVER.into(), 80)).await;
        let (.., segment) = as_tcp(&sent[0]).unwrap();
        choices.push(segment.seq_number().0 as u32);
    }
    assert_eq!(lone.stack.stats().syn_cookies, u64::from(CHOICES));
    choices
}

/// Id and source port of each question to the DNS server, which never answers.
async fn questions(lone: &Lone) -> Vec<(u16, u16)> {
    let word = |frame: &[u8], at: usize| u16::from_be_bytes([frame[at], frame[at + 1]]);
    let mut choices = Vec::new();
    for _ in 0..CHOICES / 2 {
        // Each time: asking takes so long that the peer is forgotten.
        introduced(lone).await;
        let _ = lone.stack.resolve("example.org").await;
        let sent = lone.sent().await;
        let asked = sent.iter().filter(|frame| frame[36..38] == [0, 53]);
        choices.extend(asked.map(|frame| (word(frame, 42), word(frame, 34))));
    }
    assert_eq!(choices.len(), usize::from(CHOICES), "each is asked twice");
    choices
}

/// Port of each socket that is bound to any.
async fn bound(lone: &Lone) -> Vec<(u16, u16)> {
    let options = ListenOptions::default();
    let port = |_| {
        let datagrams = UdpSocket::bind(&lone.stack, 0).unwrap();
        let listener = TcpListener::bind(&lone.stack, 0, options).unwrap();
        (datagrams.local_addr().port(), listener.local_addr().port())
    };
    (0..CHOICES).map(port).collect()
}

/// Transaction of each search for a DHCP server, of which there is none: one after each time that the
/// cable was put back.
async fn transactions(lone: &Lone) -> Vec<u32> {
    let mut choices = Vec::new();
    for _ in 0..CHOICES {
        lone.wire.set_up(false);
        lone.sent().await;
        lone.wire.set_up(true);
        lone.sleep(Duration::from_secs(60)).await;
        let sent = lone.sent().await;
        let mut asked = sent.iter().filter_map(|frame| as_dhcp(frame));
        choices.push(asked.next().unwrap().transaction);
    }
    choices
}

/// How many different ones there are.
fn distinct<T: Ord>(choices: impl IntoIterator<Item = T>) -> usize {
    choices.into_iter().collect::<BTreeSet<_>>().len()
}

#[test]
fn equal_seeds_choose_alike_and_others_differently() {
    let all = |seed| {
        (
            chosen(with_dns(), random(seed), opened),
            chosen(with_dns(), random(seed), accepted),
            chosen(with_dns(), random(seed), questions),
            chosen(with_dns(), random(seed), bound),
            chosen(Config::new(SERVER_MAC), random(seed), transactions),
            chosen(with_dns(), random(seed), answered),
        )
    };
    let (one, same, other) = (all(1), all(1), all(2));
    assert_eq!(one, same);
    let differ = |one: &[u32], other: &[u32]| {
        assert!(!one.is_empty() && one.iter().all(|choice| !other.contains(choice)));
    };
    let firsts = |pairs: &[(u32, u16)]| pairs.iter().map(|(first, _)| *first).collect::<Vec<_>>();
    differ(&firsts(&one.0), &firsts(&other.0));
    differ(&one.1, &other.1);
    differ(&one.4, &other.4);
    differ(&one.5, &other.5);
    // Of 16 bits some meet by chance, but not most.
    let meet = |one: &[(u16, u16)], other: &[(u16, u16)]| {
        one.iter()
            .zip(other)
            .filter(|(a, b)| a.0 == b.0 || a.1 == b.1)
            .count()
    };
    assert!(meet(&one.2, &other.2) < 3 && meet(&one.3, &other.3) < 3);
}

/// A counter, a clock or a small step would bring many of them close together.
#[test]
fn successive_sequence_numbers_lie_far_apart() {
    let opened = chosen(with_dns(), random(3), opened);
    let accepted = chosen(with_dns(), random(3), accepted);
    let answered = chosen(with_dns(), random(3), answered);
    let opened = opened.iter().map(|(number, _)| *number).collect();
    for numbers in [opened, accepted, answered] {
        let steps: Vec<u32> = numbers
            .windows(2)
            .map(|w| w[1].wrapping_sub(w[0]))
            .collect();
        let near = |step: &&u32| step.min(&&step.wrapping_neg()) < &&(1 << 20);
        assert_eq!(steps.iter().filter(near).count(), 0, "{numbers:x?}");
        assert_eq!(distinct(&steps), steps.len(), "a constant step");
        let high = distinct(numbers.iter().map(|number| number >> 26));
        let low = distinct(numbers.iter().map(|number| number & 63));
        assert!(
            high > 32 && low > 32,
            "{high} and {low} of 64: {numbers:x?}"
        );
    }
}

#[test]
fn ports_and_ids_are_scattered_over_their_ranges() {
    let all = usize::from(CHOICES);
    let opened = chosen(with_dns(), random(5), opened);
    let questions = chosen(with_dns(), random(5), questions);
    let bound = chosen(with_dns(), random(5), bound);
    let ports = [
        opened.iter().map(|(_, port)| *port).collect::<Vec<_>>(),
        questions.iter().map(|(_, port)| *port).collect(),
        bound.iter().map(|(port, _)| *port).collect(),
        bound.iter().map(|(_, port)| *port).collect(),
    ];
    for ports in ports {
        assert!(ports.iter().all(|port| *port >= 49_152));
        assert!(distinct(&ports) > all - 4, "{ports:?}");
        assert!(
            distinct(ports.iter().map(|port| port >> 8)) > all / 3,
            "{ports:?}"
        );
    }
    assert!(distinct(questions.iter().map(|(id, _)| *id)) > all - 4);
    assert!(distinct(questions.iter().map(|(id, _)| id >> 8)) > all / 2);
    let transactions = chosen(Config::new(SERVER_MAC), random(5), transactions);
    assert_eq!(distinct(&transactions), all);
    assert!(distinct(transactions.iter().map(|id| id >> 24)) > all / 2);
}

/// A generator of the stack's own, seeded once, would go on by itself, and who has seen a few of its
/// numbers could tell the next. Here it would show: random numbers that never change must give choices
/// that never change.
#[test]
fn every_choice_takes_a_fresh_random_number() {
    let numbers =
        |choices: Vec<(u32, u16)>| distinct(choices.into_iter().map(|(number, _)| number));
    assert_eq!(numbers(chosen(with_dns(), || 7, opened)), 1);
    assert_eq!(distinct(chosen(with_dns(), || 7, accepted)), 1);
    assert_eq!(distinct(chosen(with_dns(), || 7, questions)), 1);
    assert_eq!(distinct(chosen(with_dns(), || 7, bound)), 1);
    assert_eq!(
        distinct(chosen(Config::new(SERVER_MAC), || 7, transactions)),
        1
    );
}
