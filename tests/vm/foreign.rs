//! Programs in C: what they are handed, how their tasks end, and that a mistake in one of them is that one's alone.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc;

use abi::exit::EXCEPTION;
use bundle_tool::machine::{Disk, Forward, Nic, Qemu, VmConfig};
use bundle_tool::trace::Recording;
use system_tests::client::{Pattern, echo_tcp, open_echo};
use system_tests::image::Image;
use system_tests::vm::{SOON, TestVm, boot, c_config, config};

/// The test program in one of its modes.
fn mode(words: &[&str]) -> VmConfig {
    let config = c_config("program").memory_mib(32);
    words
        .iter()
        .fold(config, |config, word| config.argument(*word))
}

#[track_caller]
fn run(words: &[&str], status: u8) -> TestVm {
    end(mode(words), status)
}

#[track_caller]
fn end(config: VmConfig, status: u8) -> TestVm {
    let vm = boot(Qemu::new(config));
    vm.expect_status(status);
    vm
}

/// The number behind `name=` in what the program said.
#[track_caller]
fn number(vm: &TestVm, name: &str) -> u64 {
    let log = vm.log().text();
    let found = log.lines().find_map(|line| {
        let (_, rest) = line.split_once(&format!(" {name}="))?;
        rest.split(' ').next()?.parse().ok()
    });
    found.unwrap_or_else(|| panic!("{name} is not in:\n{log}"))
}

// --- the examples --------------------------------------------------------------------------------

const CONNECTIONS: usize = 1000;
const THREADS: usize = 8;

/// Opens connections and keeps them; then each carries as many bytes as `piece`, all of them at the same time.
fn echo_over_many(address: SocketAddr, connections: usize, piece: &[u8]) -> io::Result<()> {
    let mut streams: Vec<TcpStream> = (0..connections)
        .map(|_| open_echo(address))
        .collect::<io::Result<_>>()?;
    for stream in &mut streams {
        stream.write_all(piece)?;
    }
    for stream in &mut streams {
        let mut answer = vec![0; piece.len()];
        stream.read_exact(&mut answer)?;
        if answer != piece {
            return Err(io::Error::other("other bytes came back"));
        }
    }
    Ok(())
}

#[test]
fn echo_serves_a_thousand_connections() {
    let vm = boot(Qemu::new(
        c_config("echo").nic(Nic::user([Forward::tcp(0, 7)])),
    ));
    vm.expect_line("echo: listening port=7");
    vm.expect_line("net: address assigned addr=10.0.2.15");
    let address = vm.forwarded(7).unwrap();
    let mut piece = vec![0; 512];
    Pattern::new(1).fill(&mut piece);
    std::thread::scope(|scope| {
        let share = || echo_over_many(address, CONNECTIONS / THREADS, &piece);
        let clients: Vec<_> = (0..THREADS).map(|_| scope.spawn(share)).collect();
        for client in clients {
            client.join().unwrap().unwrap();
        }
    });
    echo_tcp(address, 4 << 20, 2).unwrap();
    let outcome = vm.stop_and_expect_success();
    let stopped = format!("echo: stopped served={}", CONNECTIONS + 1);
    assert!(outcome.log.contains(&stopped), "{}", outcome.log);
}

#[test]
fn a_pipeline_adds_squares_up() {
    let vm = boot(Qemu::new(c_config("pipeline").argument("1000")));
    let outcome = vm.expect_status(0);
    assert!(
        outcome.log.contains("pipeline: sum=333833500"),
        "{}",
        outcome.log
    );
}

// --- what is handed over -------------------------------------------------------------------------

#[test]
fn arguments_follow_the_programs_name() {
    let vm = run(&["arguments", "one", "two=2"], 4);
    let said: Vec<String> = vm.log().text().lines().map(String::from).collect();
    let words: Vec<&str> = said
        .iter()
        .filter_map(|line| line.split_once("task=1 cap=0xff ").map(|(_, word)| word))
        .collect();
    assert_eq!(words, ["program", "arguments", "one", "two=2"]);
}

#[test]
fn any_number_may_be_given_as_a_pointer() {
    let vm = run(&["wild-pointers"], 0);
    assert!(number(&vm, "refused") > 100);
}

// --- ends ----------------------------------------------------------------------------------------

#[test]
fn a_status_is_cut_to_eight_bits() {
    run(&["exit"], (300 & 0xff) as u8);
}

#[test]
fn the_end_of_main_ends_the_others() {
    let vm = run(&["leave"], 0x34);
    let log = vm.log().text();
    assert!(!log.contains("slept for ever"), "{log}");
    assert!(!log.contains("tasks do not end"), "{log}");
}

#[test]
fn tasks_are_cancelled_and_exit() {
    run(&["cancel"], 0);
}

/// There are fewer frames than tasks are asked for, and what ends gives its stack back.
#[test]
fn tasks_are_spawned_until_memory_is_short() {
    let vm = run(&["spawn-many"], 0);
    let spawned = number(&vm, "spawned");
    assert!(
        (300..500).contains(&spawned),
        "{spawned} stacks of 64 KiB in 32 MiB"
    );
}

/// What the program had and freed is there for stacks, as many as in a fresh machine, and for the program again.
#[test]
fn memory_that_was_freed_serves_as_stacks() {
    let vm = run(&["fill-then-spawn"], 0);
    let spawned = number(&vm, "spawned");
    assert!((300..500).contains(&spawned), "{spawned}");
    let (filled, again) = (number(&vm, "filled"), number(&vm, "again"));
    assert!(filled > 1500, "{filled} blocks of 16,000 bytes in 32 MiB");
    // A few stacks are kept for the next tasks.
    assert!(again > filled - filled / 12, "{again} after {filled}");
}

// --- faults --------------------------------------------------------------------------------------

/// Each fault by the name of its mode: what is said of it, and where it was.
const FAULTS: [(&str, &str, &str); 12] = [
    ("overflow", "stack overflow", "recurse"),
    ("overflow-in-call", "stack overflow", "recurse_calling"),
    ("large-frame", "stack overflow", "large_frame"),
    ("null-pointer", "null pointer", "null_pointer"),
    ("divide", "division by zero", "divide"),
    ("trap", "invalid opcode", "trap"),
    ("bad-address", "general protection fault", "bad_address"),
    (
        "write-constant",
        "page fault: writing read-only memory",
        "write_constant",
    ),
    ("run-data", "page fault: executing data", ""),
    ("call-null", "null pointer", ""),
    ("lose-stack", "general protection fault", "lose_stack"),
    ("disorder", "invalid opcode", "disorder"),
];

/// The program itself checks that every task's status says so, that another task goes on all the time, and that
/// floating point works as before.
#[test]
fn a_fault_ends_the_task_that_made_it() {
    let vm = run(&["faults"], 7);
    for (_, what, function) in FAULTS {
        vm.expect_in_log(&[&format!("exception=\"{what}\"")]);
        vm.expect_frame(function);
    }
    let log = vm.log().text();
    let faulted = log.matches("ERROR program: task faulted task=").count();
    assert_eq!(faulted, FAULTS.len(), "{log}");
}

#[test]
fn a_fault_in_main_ends_the_machine() {
    for (name, what, function) in FAULTS {
        let vm = run(&["fault", name], EXCEPTION);
        vm.expect_in_log(&[&format!("exception: {what}\n"), "task=c id="]);
        vm.expect_frame(function);
    }
}

/// A workload in Rust runs a program and drops it, several times; it looks itself at what is left each time.
#[test]
fn a_program_that_is_dropped_leaves_nothing_behind() {
    let vm = boot(Qemu::new(config("embedding").nic(Nic::user([]))));
    vm.expect_status(0);
    vm.expect_in_log(&["embedding: nothing is left"]);
}

// --- waiting, and not waiting --------------------------------------------------------------------

/// A second in `io_poll`, of which the program's own figures and the reactor's say how busy it was.
#[test]
fn waiting_takes_no_turns() {
    let vm = end(mode(&["quiet"]).options("log=debug"), 0);
    // Two waits: one poll each that finds nothing, and one that finds the time over.
    let turns = number(&vm, "turns");
    assert!((2..=4).contains(&turns), "{turns} turns");
    assert_eq!(number(&vm, "switches"), 2 * turns);
    let polls = number(&vm, "polls");
    assert!(polls < 1000, "{polls} polls in a second of waiting");
    assert!(number(&vm, "parks") >= 2);
}

#[test]
fn a_task_that_never_calls_in_is_named() {
    let vm = boot(Qemu::new(mode(&["spin"])));
    let line = vm.expect_line("watchdog: task does not return");
    assert!(
        line.contains(" task=c id=") && line.contains(" number=2 "),
        "{line}"
    );
    vm.expect_line("  at 0x");
    vm.expect_frame("spins");
}

#[test]
fn rounding_is_each_tasks_own() {
    run(&["floats"], 0);
}

/// Answers one client with what it sends.
fn echo_one(server: &TcpListener) -> io::Result<u64> {
    let (mut stream, _) = server.accept()?;
    let mut reader = stream.try_clone()?;
    io::copy(&mut reader, &mut stream)
}

/// The kernel's part of a task's stack (`RESERVE` in `foreign/ground.rs`, 8 KiB) is enough for twice the deepest call. The
/// measure includes what the program's own functions take, of which the largest has 2 KiB.
#[test]
fn calls_fit_into_the_kernels_part_of_a_stack() {
    let image = Image::new(1 << 20, 1);
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = server.local_addr().unwrap().port().to_string();
    let (ended, echoed) = mpsc::channel();
    std::thread::spawn(move || ended.send(echo_one(&server)));
    let config = mode(&["stack", &port])
        .nic(Nic::user([]))
        .disk(Disk::new(&image.path))
        .options("log=debug");
    let vm = end(config, 0);
    // Not for ever: the program may have ended well without having come.
    let echoed = echoed.recv_timeout(SOON).expect("a program that connects");
    assert_eq!(echoed.unwrap(), 4096);
    let deepest = number(&vm, "deepest");
    assert!((1024..6 * 1024).contains(&deepest), "{deepest} bytes");
}

// --- traces --------------------------------------------------------------------------------------

/// The trace that the program left: phase, name, task and arguments of each event.
fn traced(vm: &TestVm) -> Vec<(String, String, u64, serde_json::Value)> {
    let recording = Recording::of(&vm.log().text());
    assert_eq!(recording.unreadable(), 0);
    let chrome = recording.to_chrome();
    let events = chrome["traceEvents"].as_array().expect("a list of events");
    let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
    events
        .iter()
        .map(|event| {
            let (phase, name) = (text(&event["ph"]), text(&event["name"]));
            (
                phase,
                name,
                event["tid"].as_u64().unwrap_or(0),
                event["args"].clone(),
            )
        })
        .collect()
}

#[test]
fn a_programs_spans_arrive_when_it_ends() {
    let vm = run(&["traces", "0"], 0);
    let events = traced(&vm);
    let find = |phase: &str, name: &str| {
        let found = events
            .iter()
            .find(|event| event.0 == phase && event.1 == name);
        found.unwrap_or_else(|| panic!("no {phase} {name} in {events:#?}"))
    };
    let (outer, other) = (find("X", "outer"), find("X", "other"));
    assert_eq!(outer.3["path"], "/a b");
    assert_ne!(outer.2, other.2, "tasks have tracks of their own");
    assert_eq!(
        (find("b", "passed").2, find("e", "passed").2),
        (outer.2, other.2)
    );
    assert_eq!(find("b", "passed").3["parent"], outer.3["span"]);
    let tick = find("i", "tick");
    assert_eq!(
        (tick.2, &tick.3["n"], &tick.3["span"]),
        (other.2, &"1".into(), &other.3["span"])
    );
    assert_eq!(find("B", "open").2, outer.2);
}

/// With as much as there is room for, the trace is several times what the log keeps: it has to wait for the port.
#[test]
fn a_long_trace_arrives_whole() {
    let vm = end(mode(&["traces", "5000"]).options("log=off"), 0);
    let log = vm.log().text();
    let recording = Recording::of(&log);
    assert_eq!(
        (
            recording.unreadable(),
            recording.spans() + recording.events()
        ),
        (0, 2048)
    );
    // Four spans and two events beside these.
    assert_eq!(recording.lost(), 5000 + 6 - 2048);
    assert!(
        log.contains(" outer\n") || log.contains(" outer\r\n"),
        "no outer span"
    );
}
