//! The demo's network: echo over TCP and UDP, addresses, a cable that is pulled.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bundle_tool::machine::{Nic, Qemu};
use system_tests::client::{Pattern, ask_udp, echo_tcp};
use system_tests::demo::{Demo, demo_config};
use system_tests::namespace::{GUEST, HOST, Namespace, TAP};
use system_tests::skip::skip;
use system_tests::vm::{boot, config};

const MIB: u64 = 1 << 20;
/// `GUEST_TSO4`, `GUEST_TSO6` and `HOST_TSO4` (virtio 1.2 §5.1.3).
const SEGMENTATION: u64 = 1 << 7 | 1 << 8 | 1 << 11;

#[test]
fn sixty_four_mib_come_back_unchanged() {
    let demo = Demo::boot(demo_config());
    echo_tcp(demo.echo, 64 * MIB, 1).unwrap();
    demo.stop_and_expect_success();
}

/// A tap device cuts and merges segments, which the user-mode network does not.
#[test]
fn sixty_four_mib_come_back_unchanged_through_a_tap_device() {
    let namespace = match Namespace::new("bulk") {
        Ok(namespace) => namespace,
        Err(error) => return skip("bulk through tap", &error.to_string()),
    };
    let options = format!("net={GUEST}/24,gw={HOST} log=debug");
    let config = config("demo").nic(Nic::tap(TAP)).options(&options);
    let mut qemu = Qemu::new(config);
    qemu.program = namespace.wrap(&in_path(&qemu.program)).unwrap();
    let vm = boot(qemu);
    let started = vm.expect_line("net: started");
    let features = started.split("features=0x").nth(1).unwrap();
    let features = u64::from_str_radix(features.split(' ').next().unwrap(), 16).unwrap();
    assert_eq!(features & SEGMENTATION, SEGMENTATION, "{started}");
    vm.expect_line("http: listening");
    let echo = (GUEST.parse::<IpAddr>().unwrap(), 7).into();
    let echoed = namespace.inside(|| echo_tcp(echo, 64 * MIB, 1));
    echoed.unwrap().unwrap();
    vm.stop_and_expect_success();
}

/// Where a program is that is called by its name.
fn in_path(program: &Path) -> PathBuf {
    let folders = std::env::var_os("PATH").expect("a test runner has one");
    let mut found = std::env::split_paths(&folders).map(|folder| folder.join(program));
    found
        .find(|path| path.is_file())
        .expect("it runs every other test")
}

#[test]
#[ignore = "long: a gibibyte"]
fn a_gibibyte_comes_back_unchanged() {
    let demo = Demo::on(system_tests::vm::boot_within(
        bundle_tool::machine::Qemu::new(demo_config()),
        Duration::from_secs(600),
    ));
    echo_tcp(demo.echo, 1024 * MIB, 2).unwrap();
    demo.stop_and_expect_success();
}

#[test]
fn connections_echo_side_by_side() {
    let demo = Demo::boot(demo_config());
    std::thread::scope(|scope| {
        for seed in 1..=16 {
            scope.spawn(move || echo_tcp(demo.echo, MIB, seed).unwrap());
        }
    });
}

#[test]
fn datagrams_come_back() {
    let demo = Demo::boot(demo_config());
    for length in [1, 2, 511, 1400, 1472] {
        let mut datagram = vec![0; length];
        Pattern::new(length as u64).fill(&mut datagram);
        let answer = ask_udp(demo.udp_echo, &datagram, 10);
        assert!(answer.unwrap() == datagram, "{length} bytes differ");
    }
}

#[test]
fn a_static_address_serves_as_well() {
    let config = demo_config().options("net=10.0.2.15/24,gw=10.0.2.2,dns=10.0.2.3");
    let demo = Demo::boot(config);
    demo.expect_healthy();
    assert!(!demo.log().text().contains("dhcp"), "nobody asked for DHCP");
    echo_tcp(demo.echo, MIB, 1).unwrap();
}

#[test]
fn a_cable_may_be_pulled_and_plugged_in() {
    let demo = Demo::boot(demo_config());
    demo.expect_healthy();
    let before = demo.log().line_count();
    demo.set_link(0, false).unwrap();
    demo.log()
        .wait_for("down", before, Duration::from_secs(10))
        .unwrap();
    demo.set_link(0, true).unwrap();
    demo.log()
        .wait_for("up", before, Duration::from_secs(10))
        .unwrap();
    demo.expect_healthy();
    echo_tcp(demo.echo, MIB, 1).unwrap();
}
