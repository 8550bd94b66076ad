//! From boot to end: command lines full of noise, serial input, all sizes of memory, idleness, a stop.

use std::time::Duration;

use bundle_tool::machine::WaitError;
use system_tests::demo::{Demo, demo_config, metric};
use system_tests::http::Connection;

#[test]
fn a_stop_lets_a_request_finish() {
    let demo = Demo::boot(demo_config());
    let mut connection = Connection::open(demo.http).unwrap();
    let head = b"POST /jobs HTTP/1.1\r\nHost: a\r\nContent-Length: 7\r\n\r\n";
    connection.send(head).unwrap();
    connection.send(b"one ").unwrap();
    demo.expect_healthy();
    demo.stop().unwrap();
    demo.expect_line("http: stopping");
    connection.send(b"two").unwrap();
    assert_eq!(connection.read_response().unwrap().status, 202);
    demo.expect_status(0);
}

#[test]
fn two_kib_of_noise_on_the_command_line_are_named_and_ignored() {
    let mut noise = String::from("log=loud net= net=1.2.3.4/99 =x \u{e9} net=dhcp,,, ");
    while noise.len() < 2000 {
        noise.push_str(&format!("k{0}=v{0} ", noise.len()));
    }
    let demo = Demo::boot(demo_config().options(&noise));
    demo.expect_line("WARN");
    demo.expect_healthy();
    demo.stop_and_expect_success();
}

#[test]
fn serial_input_while_busy_is_harmless() {
    let demo = Demo::boot(demo_config());
    for round in 0..20u8 {
        let noise: Vec<u8> = (0..200u8).map(|n| n.wrapping_mul(round)).collect();
        demo.write_serial(&noise).unwrap();
        demo.expect_healthy();
    }
    demo.stop_and_expect_success();
}

#[test]
fn eight_gib_of_memory_are_used() {
    let demo = Demo::boot(demo_config().memory_mib(8192));
    assert!(demo.metric("ukernel_memory_bytes") > 8.0e9);
    demo.expect_healthy();
}

#[test]
fn eight_mib_of_memory_are_enough() {
    let demo = Demo::boot(demo_config().memory_mib(8));
    demo.expect_healthy();
    demo.stop_and_expect_success();
}

/// One connection asks twice, five seconds apart: what happened in between beyond the price of asking
/// is what idleness costs.
#[test]
fn idleness_costs_nothing() {
    let network = "net=10.0.2.15/24,gw=10.0.2.2,dns=10.0.2.3";
    let demo = Demo::boot(demo_config().options(network).argument("heartbeat=off"));
    let mut connection = Connection::open(demo.http).unwrap();
    let mut ask = || {
        let text = connection.get("/metrics").unwrap().text().to_string();
        [
            "ukernel_polls_total",
            "ukernel_wakes_total",
            "ukernel_timers_fired_total",
        ]
        .map(|name| metric(&text, name))
    };
    ask(); // the first request of a connection costs more
    let first = ask();
    let busy = ask();
    let silence = demo.wait_for_line("this line never comes", Duration::from_secs(5));
    assert!(matches!(silence, Err(WaitError { .. })));
    let idle = ask();
    for index in 0..3 {
        let price = busy[index] - first[index];
        let paid = idle[index] - busy[index];
        assert!(
            paid <= price,
            "{paid} instead of {price}: {first:?} {busy:?} {idle:?}"
        );
    }
}
