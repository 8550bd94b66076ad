//! The demo under all kinds of clients for minutes: afterwards everything is as before.

use std::io::Write;
use std::time::{Duration, Instant};

use bundle_tool::machine::{Disk, Qemu};
use system_tests::demo::{Demo, demo_config, metric};
use system_tests::image::Image;
use system_tests::soak::{Clients, Report};
use system_tests::vm::boot_within;

/// How long the load lasts; `./just test-soak SECONDS` says otherwise.
const SECONDS_VARIABLE: &str = "UKERNEL_SOAK_SECONDS";
const SECONDS: u64 = 120;
/// The load comes in rounds, and the machine is looked at after each: tables and queues that keep the room
/// they once needed grow in one round or another, a leak grows in all of them.
const ROUNDS: u32 = 4;
/// Conversations of each client in a round, however long they take, so that there are a few thousand
/// connections in each: enough to see a leak of one in a thousand.
const LEAST: usize = 700;
const LEAST_CONNECTIONS: f64 = 3_000.0;
/// What the heap may grow by in the calmest round. One connection's state is 5 KiB at the very least: an
/// echo's task, or the smallest buffers.
const HEAP_SLACK: f64 = 1024.0;

/// What all but the load may take: boot and calming down, on a slow host.
const REST: Duration = Duration::from_secs(900);
/// Heartbeats, one a second, that must agree before the machine counts as calm.
const CALM: usize = 4;
const PATIENCE: usize = 120;

/// What a machine holds when nobody talks to it.
#[derive(Clone, Debug)]
struct Level {
    heap: f64,
    tasks: f64,
    timers: f64,
    connections: f64,
    accepted: f64,
}

/// Waits until as few tasks are there as at the start, and the heap stays as it is.
fn level(demo: &Demo, idle: Option<&Level>) -> Level {
    let (mut last, mut agreeing) = (String::new(), 0);
    for _ in 0..PATIENCE {
        let seen = demo.log().line_count();
        let line = demo
            .log()
            .wait_for("demo: heartbeat", seen, Duration::from_secs(20));
        let line = line.expect("a heartbeat").line;
        // The request for the metrics is a task more.
        let calm =
            idle.is_none_or(|idle| word(&line, "tasks=") == format!("tasks={}", idle.tasks - 1.0));
        let heap = word(&line, "heap_used=");
        agreeing = if calm && heap == last {
            agreeing + 1
        } else {
            0
        };
        last = heap.to_string();
        if agreeing == CALM {
            break;
        }
    }
    assert_eq!(agreeing, CALM, "the machine does not calm down: {idle:?}");
    let text = demo.get_ok("/metrics").text().to_string();
    let gauge = |name| metric(&text, name);
    Level {
        heap: gauge("ukernel_heap_used_bytes"),
        tasks: gauge("ukernel_tasks"),
        timers: gauge("ukernel_timers"),
        connections: gauge("ukernel_tcp_connections"),
        accepted: gauge("ukernel_tcp_accepted_total"),
    }
}

fn word<'a>(line: &'a str, name: &str) -> &'a str {
    let word = line.split(' ').find(|word| word.starts_with(name));
    word.unwrap_or_else(|| panic!("no {name} in {line}"))
}

/// A poll takes long where the host gave the machine's time to somebody else.
fn is_unexpected(line: &str) -> bool {
    let loud = line.contains("] WARN") || line.contains("] ERROR");
    loud && !line.contains("reactor: slow poll")
}

/// Shows a round's end while the soak goes on, past the test runner's capture.
fn say(level: &Level) {
    let _ = writeln!(std::io::stderr(), "soak: {level:?}");
}

fn expect_all_well(report: &Report) {
    assert!(
        report.failures.is_empty(),
        "after {} conversations: {:#?}",
        report.conversations,
        report.failures
    );
}

#[test]
#[ignore = "long: two minutes of load"]
fn nothing_is_left_behind_by_many_clients() {
    let seconds = std::env::var(SECONDS_VARIABLE)
        .ok()
        .map(|text| text.parse().expect("seconds"));
    let load = Duration::from_secs(seconds.unwrap_or(SECONDS));
    let image = Image::new(1 << 20, 21);
    let config = demo_config()
        .disk(Disk::new(&image.path).read_only())
        .argument("heartbeat=1");
    let demo = Demo::on(boot_within(Qemu::new(config), load + REST));
    let clients = Clients::new(&demo, &image);
    let idle = level(&demo, None);
    let mut levels = vec![idle.clone()];
    for _ in 0..ROUNDS {
        expect_all_well(&clients.run(Instant::now() + load / ROUNDS, LEAST));
        let level = level(&demo, Some(&idle));
        say(&level);
        levels.push(level);
    }
    let grown = |of: fn(&Level) -> f64| {
        levels
            .windows(2)
            .map(move |pair| of(&pair[1]) - of(&pair[0]))
    };
    let fewest = grown(|level| level.accepted).fold(f64::INFINITY, f64::min);
    assert!(
        fewest >= LEAST_CONNECTIONS,
        "a round of {fewest} connections shows no leak"
    );
    let heap = grown(|level| level.heap).fold(f64::INFINITY, f64::min);
    assert!(
        heap <= HEAP_SLACK,
        "the heap grows by {heap} bytes in each round: {levels:#?}"
    );
    let held = |level: &Level| [level.tasks, level.timers, level.connections].map(f64::to_bits);
    assert_eq!(levels.last().map(held), Some(held(&idle)), "{levels:#?}");
    let log = demo.log().text();
    let loud: Vec<_> = log.lines().filter(|line| is_unexpected(line)).collect();
    assert!(loud.is_empty(), "{loud:#?}");
    demo.stop_and_expect_success();
}
