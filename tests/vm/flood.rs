//! Small machines under many connections: they serve what they can hold, and nothing ends them.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::{Duration, Instant};

use bundle_tool::machine::{Forward, Nic, Qemu};
use system_tests::client::{Pattern, open_echo};
use system_tests::demo::{Demo, demo_config};
use system_tests::hosts::{Hosts, OPTION};
use system_tests::load::get_over_many;
use system_tests::vm::{TestVm, boot, config};

/// The ports of the demo's HTTP server and of both guests' TCP echo.
const HTTP: u16 = 8080;
const ECHO: u16 = 7;
/// The RAM that must do for a hundred connections.
const DEMO_MIB: u32 = 8;
const ECHO_MIB: u32 = 4;

const FLOOD: u32 = 2000;
/// When a handshake that nobody finishes is given up (netstack's `Timeouts::half_open`).
const HALF_OPEN: Duration = Duration::from_secs(15);
const RECOVERY: Duration = Duration::from_secs(30);

#[test]
fn a_demo_of_8_mib_serves_its_page_to_a_hundred_connections() {
    let demo = Demo::boot(demo_config().memory_mib(DEMO_MIB));
    let report = get_over_many(demo.http, "/", 100, 5).expect("all are served");
    assert_eq!(report.answers, 500);
    demo.stop_and_expect_success();
}

#[test]
fn an_echo_of_4_mib_serves_a_hundred_connections() {
    let config = config("echo")
        .memory_mib(ECHO_MIB)
        .nic(Nic::user([Forward::tcp(0, ECHO)]));
    let vm = boot(Qemu::new(config));
    vm.expect_line("net: address assigned addr=10.0.2.15/24");
    let address = vm.forwarded(ECHO).expect("forwarded above");
    let mut open: Vec<_> = (0..100).map(|_| open_echo(address).unwrap()).collect();
    let mut sent = [0; 4096];
    for stream in &mut open {
        Pattern::new(1).fill(&mut sent);
        stream.write_all(&sent).unwrap();
    }
    for stream in &mut open {
        let mut received = [0; 4096];
        stream.read_exact(&mut received).unwrap();
        assert!(received == sent, "other bytes came back");
    }
    assert!(!vm.has_ended());
}

/// A guest on a network that the test plays.
pub(crate) fn boot_on_wire(name: &str, mib: u32) -> (TestVm, Hosts, tempfile::TempDir) {
    let folder = tempfile::tempdir().expect("a folder for sockets");
    let (hosts, nic) = Hosts::new(folder.path()).expect("the network is made");
    let config = config(name).memory_mib(mib).options(OPTION).nic(nic);
    let vm = boot(Qemu::new(config));
    vm.expect_line("net: address assigned addr=10.9.0.1/16");
    (vm, hosts, folder)
}

/// Peer `number`: one of a few hosts, each with many ports.
fn peer(number: u32) -> SocketAddrV4 {
    let host = Ipv4Addr::new(10, 9, 1, (number % 16) as u8);
    SocketAddrV4::new(host, 10_000 + (number / 16) as u16)
}

fn newcomer() -> SocketAddrV4 {
    SocketAddrV4::new(Ipv4Addr::new(10, 9, 2, 1), 10_000)
}

#[track_caller]
fn expect_healthy(hosts: &mut Hosts) {
    let request = b"GET /healthz HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n";
    let answer = hosts.exchange(newcomer(), HTTP, request, 50, RECOVERY);
    let answer = answer.expect("the demo answers");
    assert!(answer.starts_with(b"HTTP/1.1 200 "), "{answer:?}");
}

#[test]
fn two_thousand_connections_that_ask_and_fall_silent_do_not_end_the_demo() {
    let (vm, mut hosts, _folder) = boot_on_wire("demo", DEMO_MIB);
    vm.expect_line("http: listening");
    expect_healthy(&mut hosts);
    for (port, bytes) in [
        (HTTP, &b"GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n"[..]),
        (ECHO, &[7; 1400]),
    ] {
        for number in 0..FLOOD {
            hosts.open(peer(number), port).unwrap();
        }
        hosts.wait(Duration::from_millis(200)).unwrap();
        let established = hosts.established();
        assert!(
            (60..FLOOD as usize).contains(&established),
            "{established} established"
        );
        hosts.fall_silent();
        for _ in 0..4 {
            hosts.send_on_all(bytes).unwrap();
        }
        hosts.wait(Duration::from_millis(200)).unwrap();
        assert!(!vm.has_ended());
        hosts.reset_all().unwrap();
        expect_healthy(&mut hosts);
    }
    vm.stop_and_expect_success();
}

#[test]
fn a_flood_of_syns_keeps_nobody_out() {
    let (vm, mut hosts, _folder) = boot_on_wire("demo", DEMO_MIB);
    vm.expect_line("http: listening");
    for part in 0..4 {
        for number in 0..5 * FLOOD / 2 {
            hosts
                .send_syn(peer(part * 5 * FLOOD / 2 + number), HTTP)
                .unwrap();
        }
        // Long before the first handshake is given up, and with a single SYN.
        let asked = Instant::now();
        expect_healthy(&mut hosts);
        assert!(asked.elapsed() < HALF_OPEN / 4, "{:?}", asked.elapsed());
    }
    vm.stop_and_expect_success();
}

#[test]
fn two_thousand_connections_do_not_end_an_echo_of_4_mib() {
    let (vm, mut hosts, _folder) = boot_on_wire("echo", ECHO_MIB);
    for number in 0..FLOOD {
        hosts.open(peer(number), ECHO).unwrap();
    }
    hosts.wait(Duration::from_millis(200)).unwrap();
    for _ in 0..4 {
        hosts.send_on_all(&[7; 1400]).unwrap();
    }
    assert!(!vm.has_ended());
    hosts.reset_all().unwrap();
    let answer = hosts.exchange(newcomer(), ECHO, b"hello", 5, RECOVERY);
    assert_eq!(answer.expect("the echo answers"), b"hello");
    assert!(!vm.has_ended());
}
