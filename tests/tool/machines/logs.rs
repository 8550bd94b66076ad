//! Logs and traces of machines with names.

use std::fs::{self, File};
use std::path::Path;
use std::time::Duration;

use serde_json::Value;
use system_tests::process::{Done, Process, until};

use super::{Host, in_foreground};
use crate::fake::{Fake, SHORT};

#[test]
fn a_log_can_be_followed_filtered_and_read_by_programs() {
    let host = Host::new();
    let mut guest = in_foreground(host.run_command(&["--name", "web"]));
    guest.wait_for("fake: command_line");
    let mut follower = Process::start(&mut host.tool(&["logs", "--follow", "web"]));
    follower.wait_for("fake: up");
    guest.write("say [    1.500000] WARN  low memory\n");
    follower.wait_for("low memory");
    guest.write("say panic: at src/main.rs:1\nexit 101\n");
    follower.wait_for("exit status=101");
    assert_eq!(follower.finish().data(), "", "it ends with the machine");
    assert_eq!(guest.finish().status, Some(101));

    let important = host.run(&["logs", "--level", "warn"]).data();
    let expected =
        "[    1.500000] WARN  low memory\npanic: at src/main.rs:1\nukernel: exit status=101\n";
    assert_eq!(important, expected);
    assert_eq!(
        host.run(&["logs", "-n", "1"]).data(),
        "ukernel: exit status=101\n"
    );
    assert_eq!(
        host.run(&["logs", "--since", "1h"]).data().lines().count(),
        5
    );
    assert_eq!(
        host.run(&["logs", "--since", "2099-01-01T00:00:00Z"])
            .data(),
        ""
    );
    let stamped = host.run(&["logs", "-t", "-n", "1"]).data();
    let (time, rest) = stamped.split_once(' ').expect("a time");
    assert!(
        time.ends_with('Z') && time.len() == 27 && rest.starts_with("ukernel:"),
        "{stamped}"
    );
    let json = host.run(&["logs", "--json", "--level", "warn"]).data();
    let objects: Vec<Value> = json
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(
        (&objects[0]["level"], &objects[0]["uptime"]),
        (&"warn".into(), &1.5.into())
    );
    assert_eq!(objects[0]["message"], "low memory");
    assert_eq!(
        (&objects[1]["level"], &objects[1]["message"]),
        (&Value::Null, &"panic: at src/main.rs:1".into())
    );
    assert_eq!(host.run(&["logs", "--since", "soon"]).status, Some(2));
}

/// Once, however many frames a backtrace has.
#[test]
fn symbols_that_cannot_be_read_are_complained_about() {
    let host = Host::new();
    let frames = "say   at 0x0000000000101234\nsay   at 0x0000000000101238\n";
    host.place.write("input", &format!("{frames}exit 101\n"));
    let input = File::open(host.place.here().join("input")).unwrap();
    let mut run = host.run_command(&["--name", "web", "--input"]);
    let ran = Done::of(run.stdin(input));
    assert_eq!(ran.status, Some(101), "{}", ran.words);
    assert!(
        ran.output.contains("\n  at 0x0000000000101238\n"),
        "{}",
        ran.output
    );
    for words in [ran.words, host.run(&["logs"]).words] {
        let complaints = words.matches("cannot read symbols").count();
        assert_eq!(complaints, 1, "{words}");
    }
}

/// Less than a first line is waited for.
const BEFORE_GIVING_UP: Duration = Duration::from_secs(5);

/// As soon as the one that typed `run --detach` goes on, whatever the machine takes to its first line.
#[test]
fn a_detached_machine_has_a_log() {
    let host = Host::with(Fake::gated());
    let run = Process::start(&mut host.run_command(&["--detach", "--name", "web"]));
    until("it runs", || {
        assert!(run.is_running(), "it ended");
        host.run(&["ps"]).data().contains("web   up")
    });
    assert!(!run.ends_within(SHORT), "nothing was said yet");
    assert_eq!(host.run(&["logs", "web"]).data(), "");
    host.fake.open();
    assert_eq!(run.finish().data(), "web\n");
    let log = host.run(&["logs", "web"]).data();
    assert!(log.starts_with("[    0.000001] INFO  fake: up\n"), "{log}");
}

/// Nobody waits for the first line of one that was told to say none.
#[test]
fn a_machine_that_logs_nothing_is_detached_at_once() {
    let host = Host::with(Fake::gated());
    let run = Process::start(&mut host.run_command(&["--detach", "--append", "log=off"]));
    assert!(run.ends_within(BEFORE_GIVING_UP));
    assert_eq!(run.finish().data(), "kernel\n");
    assert_eq!(host.run(&["logs"]).data(), "");
    assert_eq!(host.look("kernel")["phase"], "running");
}

/// The line `#trace` on its serial port is answered between the lines of the log.
#[test]
fn a_running_machine_is_asked_for_its_trace() {
    let host = Host::new();
    host.start(&["--name", "web"]);
    let traced = host.run(&["trace", "--out", "trace.json"]);
    assert_eq!(traced.status, Some(0), "{}", traced.words);
    let read = |file: &Path| -> Value {
        serde_json::from_str(&fs::read_to_string(file).unwrap()).unwrap()
    };
    let trace = read(&host.place.here().join("trace.json"));
    let names: Vec<&Value> = trace["traceEvents"]
        .as_array()
        .unwrap()
        .iter()
        .map(|event| &event["name"])
        .collect();
    assert!(names.contains(&&"work".into()), "{names:?}");
    host.run(&["stop"]).data();
    // What it wrote is still in its log, and in the file of that.
    let again: Value = serde_json::from_str(&host.run(&["trace", "--name", "web"]).data()).unwrap();
    let file = host
        .machines()
        .join("web/console.log")
        .display()
        .to_string();
    let of_file: Value = serde_json::from_str(&host.run(&["trace", &file]).data()).unwrap();
    assert_eq!(again, of_file);
    assert!(
        again["traceEvents"].as_array().unwrap().len()
            >= trace["traceEvents"].as_array().unwrap().len()
    );
    let late = host.run(&["trace", "--on", "--name", "web"]);
    assert_eq!(late.status, Some(125), "{}", late.words);
}
