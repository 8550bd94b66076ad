//! From boot to end: command lines full of noise, serial input, all sizes of memory, idleness, a stop.

use std::time::Duration;

use system_tests::client::{ask_udp, echo_tcp};
use system_tests::demo::{Demo, demo_config, metric};
use system_tests::http::{Connection, post};
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

/// Options that are wrong in every way that there is, and what is said about each.
const NOISE: [(&str, &str); 13] = [
    (
        "log=loud",
        "the levels are off, error, warn, info, debug, trace",
    ),
    (
        "hostname=a_b",
        "a host name has 1 to 63 letters, digits and hyphens",
    ),
    ("net=", "expected off, dhcp or <address>/<prefix>"),
    ("net=1.2.3.4/99", "the prefix is longer than the address"),
    ("net=dhcp,,,", "expected name=value after the comma"),
    ("net=dhcp,gw=10.0.2.2", "gw= needs a static address"),
    ("net=10.0.2.15/24,dns=x", "dns= is not an IPv4 address"),
    (
        "net=dhcp,x=1",
        "the names after the comma are gw, dns, ip6, gw6",
    ),
    ("net8=dhcp", "there are at most 8 interfaces"),
    ("netx=dhcp", "unknown"),
    ("=x", "unknown"),
    ("\u{e9}", "unknown"),
    ("k=v", "unknown"),
];

#[test]
fn two_kib_of_noise_on_the_command_line_are_named_and_ignored() {
    let mut noise = NOISE.map(|(option, _)| option).join(" ");
    let mut unknown = 0;
    while noise.len() < 2500 {
        noise.push_str(&format!(" k{unknown}=v"));
        unknown += 1;
    }
    let demo = Demo::boot(demo_config().options(&noise));
    for (option, problem) in NOISE {
        // The serial line is ASCII.
        let option = option.replace('\u{e9}', "??");
        demo.expect_line(&format!(
            "WARN  command line: ignored option={option} problem=\"{problem}"
        ));
    }
    // A few more are named, all others counted.
    demo.expect_line("WARN  command line: ignored option=k0=v problem=\"unknown\"");
    demo.expect_line("problem=\"the command line is too long; this and the rest is cut off");
    demo.expect_line("WARN  command line: ignored more=");
    demo.expect_healthy();
    demo.stop_and_expect_success();
}

/// The demo takes no input: a buffer of it is counted, the rest waits in the port and costs nothing.
#[test]
fn serial_input_while_busy_is_counted_and_harmless() {
    const TAKEN: f64 = 256.0; // the kernel's `input_ring::CAPACITY`
    let demo = Demo::boot(demo_config());
    let input = |metric| demo.metric(&format!("ukernel_serial_input_{metric}_total"));
    assert_eq!((input("bytes"), input("stalls")), (0.0, 0.0));
    for round in 0..20u8 {
        let noise: Vec<u8> = (0..200u8).map(|n| n.wrapping_mul(round)).collect();
        demo.write_serial(&noise).unwrap();
        demo.expect_healthy();
    }
    echo_tcp(demo.echo, 1 << 20, 1).unwrap();
    assert_eq!(ask_udp(demo.udp_echo, b"hello", 5).unwrap(), b"hello");
    assert_eq!(post(demo.http, "/jobs", b"a b").unwrap().status, 202);
    assert_eq!((input("bytes"), input("stalls")), (TAKEN, 1.0));
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
    /// Each with its slack: how many interrupts the frames of a request are, and so how often the network's
    /// Runner is woken and polled, depends on when the host sends them; and so does whether a deadline of the
    /// connection runs out before the frame that makes it needless. Even one a second would be five more.
    const COSTS: [(&str, f64); 5] = [
        ("ukernel_polls_total", 2.0),
        ("ukernel_wakes_total", 2.0),
        ("ukernel_timers_fired_total", 1.0),
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
