//! From boot to end: command lines full of noise, serial input, all sizes of memory, idleness, a stop.

use std::time::Duration;

use system_tests::demo::{Demo, demo_config, metric};
use system_tests::http::Connection;
use system_tests::vm::SOON;

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
fn the_heart_beats_in_the_log() {
    let demo = Demo::boot(demo_config().argument("heartbeat=1"));
    let (mut next, mut before) = (0, None);
    for _ in 0..3 {
        let found = demo.log().wait_for("demo: heartbeat ", next, SOON).unwrap();
        next = found.index + 1;
        let number = |name| {
            let text = found.line.split(name).nth(1).expect("the name is there");
            let digits = text.split(|c: char| !c.is_ascii_digit()).next();
            let number: u64 = digits.unwrap_or_default().parse().expect("a number");
            number
        };
        let uptime = number(" uptime=");
        assert!(before < Some(uptime), "{}", found.line);
        assert!(number(" tasks=") > 0 && number(" heap_used=") > 0);
        // Since the beat before, of which the timer's is the least.
        let (polls, interrupts) = (number(" polls="), number(" interrupts="));
        assert!(
            before.is_none() || (polls > 0 && interrupts > 0),
            "{}",
            found.line
        );
        assert!(number(" idle=") <= 100);
        before = Some(uptime);
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

/// One connection asks now and then: what it costs must not depend on how long it waited. Each wait is
/// longer than the watchdog goes on looking, so that its last look is part of the price; the timer's re-arms
/// are not.
#[test]
fn idleness_costs_nothing() {
    /// Each with its slack: how many interrupts the frames of a request are depends on when the host sends
    /// them. Even one a second would be five more.
    const COSTS: [(&str, f64); 5] = [
        ("ukernel_polls_total", 0.0),
        ("ukernel_wakes_total", 0.0),
        ("ukernel_timers_fired_total", 0.0),
        ("ukernel_halts_total", 2.0),
        ("ukernel_interrupts_total", 2.0),
    ];
    let network = "net=10.0.2.15/24,gw=10.0.2.2,dns=10.0.2.3";
    let demo = Demo::boot(demo_config().options(network).argument("heartbeat=off"));
    let mut connection = Connection::open(demo.http).unwrap();
    let mut ask_after = |seconds| {
        let silence = demo.wait_for_line("this line never comes", Duration::from_secs(seconds));
        assert!(silence.is_err());
        let text = connection.get("/metrics").unwrap().text().to_string();
        let rearms = metric(&text, "ukernel_timer_rearms_total");
        COSTS.map(|(name, _)| match name {
            "ukernel_halts_total" | "ukernel_interrupts_total" => metric(&text, name) - rearms,
            _ => metric(&text, name),
        })
    };
    ask_after(0); // the first request of a connection costs more
    let [start, after_3, after_8] = [3, 3, 8].map(&mut ask_after);
    for (index, (name, slack)) in COSTS.into_iter().enumerate() {
        let price = after_3[index] - start[index];
        let paid = after_8[index] - after_3[index];
        assert!(
            paid <= price + slack,
            "{name}: {paid} instead of {price}: {start:?} {after_3:?} {after_8:?}"
        );
    }
}
