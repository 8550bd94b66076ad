//! Devices that cut large TCP packets into segments: what they are handed, and that nothing is lost by it.

use crate::pair::{Pair, SERVER, SERVER_MAC, config, exchange, pattern};
use crate::raw::{Lone, arp, as_tcp, first_ack, syn_of};
use core::net::{IpAddr, Ipv4Addr};
use netstack::testing::{Conditions, Segmentation, random};
use netstack::{ListenOptions, TcpListener};
use reactor::time::Duration;
use smoltcp::wire::ArpOperation;

/// The largest frame on the wire.
const MTU: usize = 1514;

fn conditions(segmentation: Segmentation, loss: u32) -> Conditions {
    Conditions {
        loss,
        delay: Duration::from_millis(1),
        segmentation,
        ..Conditions::default()
    }
}

/// Echoes a megabyte through large buffers, byte-exact, and gives the large packets of both ends and the
/// largest frame.
fn echo_over(segmentation: Segmentation, loss: u32) -> (u64, u64, usize) {
    const BUFFER: usize = 256 << 10;
    let pair = Pair::new(7, conditions(segmentation, loss));
    pair.wire.record();
    pair.run(async |pair| {
        pair.serve_echo(ListenOptions {
            receive_buffer: BUFFER,
            send_buffer: BUFFER,
            ..ListenOptions::default()
        });
        let stream = pair.connect(7).await;
        let sent = pattern(1 << 20, 3);
        assert_eq!(exchange(stream, sent.clone(), &pair.spawner).await, sent);
    });
    let frames = [pair.wire.sent(0), pair.wire.sent(1)].concat();
    let largest = frames.iter().map(Vec::len).max().unwrap();
    let [client, server] = [0, 1].map(|end| pair.wire.stats(end).large);
    let repeated = pair.client.stats().retransmits + pair.server.stats().retransmits;
    assert_eq!(repeated > 0, loss > 0);
    (client, server, largest)
}

#[test]
fn a_device_that_cuts_gets_large_packets_and_the_wire_does_not() {
    let (client, server, largest) = echo_over(Segmentation::Device, 0);
    assert!(client > 60 && server > 60, "{client} {server}");
    assert_eq!(largest, MTU);
}

#[test]
fn whoever_merges_gets_them_whole() {
    let (client, server, largest) = echo_over(Segmentation::Nobody, 0);
    assert!(client > 60 && server > 60, "{client} {server}");
    assert!(largest > 10 * MTU, "{largest}");
}

#[test]
fn what_a_wire_loses_of_them_is_repeated() {
    for segmentation in [Segmentation::Device, Segmentation::Nobody] {
        let (client, server, _) = echo_over(segmentation, 20);
        assert!(client > 30 && server > 30, "{client} {server}");
    }
}

#[test]
fn a_device_that_does_not_cut_gets_none() {
    assert_eq!(echo_over(Segmentation::Stack, 0), (0, 0, MTU));
    assert_eq!(echo_over(Segmentation::Stack, 20), (0, 0, MTU));
}

/// Bytes that are sent, less than the window of the peer that a test plays.
const SENT: usize = 10_000;

/// The segments that they are sent in, to a peer with this largest segment.
async fn sent_to(lone: &Lone, segment_size: u16) -> Vec<usize> {
    const PEER: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 9);
    let listener = TcpListener::bind(&lone.stack, 80, ListenOptions::default()).unwrap();
    lone.tell(arp(ArpOperation::Request, PEER, SERVER)).await;
    let (from, us) = ((IpAddr::V4(PEER), 5000), (IpAddr::V4(SERVER), 80));
    let answers = lone.tell(syn_of(from, us, Some(segment_size))).await;
    let answer = as_tcp(&answers[0]).unwrap().2;
    let own = answer
        .options()
        .windows(4)
        .find(|option| option[..2] == [2, 4]);
    assert_eq!(
        own,
        Some(&[2, 4, 5, 0xb4][..]),
        "1460, not what the device takes"
    );
    lone.tell(first_ack(from, us, answer.seq_number(), b""))
        .await;
    let mut stream = listener.try_accept().unwrap().0;
    stream.write_all(&[7; SENT]).await.unwrap();
    let frames = lone.sent().await;
    let segments = frames.iter().filter_map(|frame| as_tcp(frame));
    segments.map(|(.., tcp)| tcp.payload().len()).collect()
}

#[test]
fn segments_are_as_large_as_the_peer_takes() {
    for (size, expected) in [(1460, 1460), (536, 536), (9000, 1460)] {
        let conditions = conditions(Segmentation::Device, 0);
        let lone = Lone::on_wire(config(SERVER_MAC, SERVER), random(1), conditions);
        let sizes = lone.run(async |lone| sent_to(lone, size).await);
        let (last, full) = sizes.split_last().unwrap();
        assert!(full.iter().all(|len| *len == expected), "{sizes:?}");
        assert_eq!(full.len() * expected + last, SENT);
        assert_eq!(lone.wire.stats(1).large, 1);
    }
}

/// Packets to ourselves meet no device.
#[test]
fn the_loopback_gets_none() {
    let pair = Pair::new(7, conditions(Segmentation::Device, 0));
    pair.run(async |pair| {
        pair.serve_echo(ListenOptions::default());
        let to = (IpAddr::V4(SERVER), 7).into();
        let stream = netstack::TcpStream::connect(&pair.server, to)
            .await
            .unwrap();
        let sent = pattern(100_000, 3);
        assert_eq!(exchange(stream, sent.clone(), &pair.spawner).await, sent);
    });
    assert_eq!([0, 1].map(|end| pair.wire.stats(end).large), [0, 0]);
}
