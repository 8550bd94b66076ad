//! Garbage on the wire: every frame of it is counted, each kind said once, and nothing stops working.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::os::unix::net::UnixDatagram;

use bundle_tool::machine::Nic;
use smoltcp::wire::Ipv4Packet;
use system_tests::client::{Pattern, echo_tcp};
use system_tests::demo::{Demo, demo_config, metric};
use system_tests::hosts::Hosts;
use system_tests::vm::{SOON, TestVm};

use crate::flood::boot_on_wire;

const MIB: u64 = 1 << 20;
/// How often each kind of garbage is sent.
const TIMES: usize = 200;
/// Where things are in a frame with an IPv4 datagram.
const ETHERTYPE: usize = 12;
const IPV4: usize = 14;
const UDP: usize = 34;

/// A frame of this kind is dropped for this reason, by the name that the log gives it.
type Kind = (&'static str, Vec<u8>);

/// A datagram for the demo's UDP echo: what is changed into garbage. It has no checksum, which IPv4
/// allows, so that the driver lets everything pass.
fn datagram(hosts: &Hosts) -> Vec<u8> {
    let mut frame = hosts.mac().to_vec();
    frame.extend([2, 0, 0, 0, 0, 98, 8, 0]);
    frame.extend([0x45, 0, 0, 36, 0, 0, 0, 0, 64, 17, 0, 0]);
    frame.extend([10, 9, 2, 2, 10, 9, 0, 1]);
    frame.extend([0x27, 0x10, 0, 7, 0, 16, 0, 0]);
    frame.extend(b"hello!!!");
    mended(frame)
}

/// The frame with the right checksum in its IPv4 header.
fn mended(mut frame: Vec<u8>) -> Vec<u8> {
    Ipv4Packet::new_unchecked(&mut frame[IPV4..]).fill_checksum();
    frame
}

fn garbage(good: &[u8]) -> Vec<Kind> {
    let cut = |len: usize| good[..len].to_vec();
    let changed = |at: usize, bytes: &[u8]| {
        let mut frame = good.to_vec();
        frame[at..at + bytes.len()].copy_from_slice(bytes);
        frame
    };
    let longer = |len: usize| {
        let mut frame = good.to_vec();
        frame.resize(len, 0xa5);
        frame
    };
    // Its TCP header is cut short by the length of the packet.
    let short_tcp = {
        let mut frame = changed(IPV4 + 9, &[6]);
        frame[IPV4 + 3] = 32;
        mended(frame)
    };
    vec![
        ("device", cut(10)),
        ("device", longer(9_000)),
        ("device", longer(60_000)),
        ("device", changed(UDP + 6, &[0xbe, 0xef])), // a checksum, and a wrong one
        ("malformed", cut(IPV4 + 10)),
        ("malformed", cut(UDP + 4)),
        ("malformed", changed(6, &[1])), // from a group
        ("malformed", changed(IPV4, &[0x65])),
        ("malformed", changed(IPV4 + 8, &[63])),
        ("malformed", changed(ETHERTYPE, &[0x08, 0x06])),
        ("malformed", changed(ETHERTYPE, &[0x86, 0xdd, 0x60])),
        ("malformed", short_tcp),
        ("other_host", changed(0, &[2, 9, 9, 9, 9, 9])),
        ("unknown_protocol", changed(ETHERTYPE, &[0x88, 0xcc])),
        ("fragment", mended(changed(IPV4 + 6, &[0x20]))),
        (
            "impossible_address",
            mended(changed(IPV4 + 12, &[127, 0, 0, 1])),
        ),
        ("other_address", mended(changed(IPV4 + 16, &[10, 9, 7, 7]))),
        ("udp_malformed", changed(UDP + 4, &[0xff])),
    ]
}

/// The demo's own count of dropped packets, asked for over the wire.
fn dropped(hosts: &mut Hosts, port: u16) -> f64 {
    let request = b"GET /metrics HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n";
    let from = SocketAddrV4::new(Ipv4Addr::new(10, 9, 2, 1), port);
    let answer = hosts.exchange(from, 8080, request, 1, SOON);
    let answer = answer.expect("the demo answers");
    metric(
        std::str::from_utf8(&answer).expect("text"),
        "ukernel_net_dropped_total",
    )
}

fn lines_about(vm: &TestVm, cause: &str) -> usize {
    let text = vm.log().text();
    let line = format!("net: dropping cause={cause} ");
    text.lines().filter(|found| found.contains(&line)).count()
}

#[test]
fn each_frame_of_garbage_is_counted_and_each_kind_is_said_once() {
    let (vm, mut hosts, _folder) = boot_on_wire("demo", 32);
    vm.expect_line("http: listening");
    let before = dropped(&mut hosts, 1);
    let lines_before = vm.log().line_count();
    let kinds = garbage(&datagram(&hosts));
    for _ in 0..TIMES {
        for (_, frame) in &kinds {
            hosts.send_frame(frame).unwrap();
        }
    }
    // The service goes on, and by its own count nothing is missing and nothing counted twice.
    let rose = dropped(&mut hosts, 2) - before;
    assert_eq!(rose as usize, TIMES * kinds.len());
    for (cause, _) in &kinds {
        vm.expect_line(&format!("net: dropping cause={cause} "));
        assert_eq!(lines_about(&vm, cause), 1, "{}", vm.log().text());
    }
    let lines = vm.log().line_count() - lines_before;
    assert!(lines < 20, "{lines} lines:\n{}", vm.log().text());
    vm.stop_and_expect_success();
}

/// The test is the network of a second interface: it sends frames of every length, random or nearly
/// right, to everybody and to nobody.
#[test]
fn garbage_on_the_wire_stops_nothing() {
    const FRAMES: usize = 20_000;
    let folder = tempfile::tempdir().unwrap();
    let (guest, here) = (folder.path().join("guest"), folder.path().join("here"));
    let wire = UnixDatagram::bind(&here).unwrap();
    let demo = Demo::boot(demo_config().nic(Nic::datagram(&guest, &here)));
    let before = demo.log().line_count();
    let mut pattern = Pattern::new(1);
    let mut frame = [0; 2048];
    for number in 0..FRAMES {
        pattern.fill(&mut frame);
        dress(&mut frame, number);
        let length = 1 + number * 7 % 1600;
        wire.send_to(&frame[..length], &guest).unwrap();
    }
    demo.expect_healthy();
    echo_tcp(demo.echo, MIB, 1).unwrap();
    let lines = demo.log().line_count() - before;
    assert!(
        lines < 100,
        "{lines} lines about {FRAMES} frames:\n{}",
        demo.log().text()
    );
    demo.stop_and_expect_success();
}

/// Makes a random frame look ever more like a real one, so that each layer gets its garbage.
fn dress(frame: &mut [u8], number: usize) {
    if !number.is_multiple_of(5) {
        frame[..6].fill(0xff);
    }
    match number % 5 {
        2 => frame[12..14].copy_from_slice(&[0x08, 0x06]),
        3 => frame[12..15].copy_from_slice(&[0x08, 0x00, 0x45]),
        4 => frame[12..15].copy_from_slice(&[0x86, 0xdd, 0x60]),
        _ => {}
    }
}
