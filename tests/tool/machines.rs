//! Machines with names, as a person looks after them: run, ps, logs, stop, rm, trace; several at once, and what is left when
//! somebody is killed. Firecracker is played, so that nothing here waits for a machine.

mod json;
mod killed;
mod logs;
mod projects;

use std::fs;
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use bundle_tool::image::Draft;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::retry_on_intr;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use serde_json::Value;
use system_tests::place::Place;
use system_tests::process::{Done, Process};
use system_tests::vm::SOON;

use crate::fake::Fake;
use crate::pty::Terminal;
use crate::terminal::on_terminal_of_its_own;

/// A place with a Firecracker.
struct Host {
    place: Place,
    fake: Fake,
}

impl Host {
    fn new() -> Host {
        Host::with(Fake::new())
    }

    fn with(fake: Fake) -> Host {
        let place = Place::new();
        Host { place, fake }
    }

    fn tool(&self, arguments: &[&str]) -> Command {
        let mut command = self.place.tool(arguments);
        command.env("UKERNEL_FIRECRACKER", &self.fake.program);
        command
    }

    fn run(&self, arguments: &[&str]) -> Done {
        Done::of(&mut self.tool(arguments))
    }

    /// `ukernel run` with a kernel for the fake.
    fn run_command(&self, arguments: &[&str]) -> Command {
        let kernel = self.fake.kernel().display().to_string();
        let words = ["run", "--vmm", "firecracker", "--kernel", &kernel];
        self.tool(&[&words, arguments].concat())
    }

    /// Leaves a machine running that has written the beginning of its log; returns what it is called.
    #[track_caller]
    fn start(&self, arguments: &[&str]) -> String {
        let done = Done::of(&mut self.run_command(&[&["--detach"], arguments].concat()));
        let name = done.data().trim_end().to_string();
        self.wait_until_up(&name);
        name
    }

    #[track_caller]
    fn wait_until_up(&self, name: &str) {
        Process::start(&mut self.tool(&["logs", "--follow", name])).wait_for("fake: command_line");
    }

    /// What `ps --all --json` says of a machine.
    #[track_caller]
    fn look(&self, name: &str) -> Value {
        let all: Value =
            serde_json::from_str(&self.run(&["ps", "--all", "--json"]).data()).expect("JSON");
        let mut machines = all.as_array().expect("a list").iter();
        let found = machines.find(|machine| machine["name"] == name);
        found
            .unwrap_or_else(|| panic!("no {name} in {all:#}"))
            .clone()
    }

    fn machines(&self) -> PathBuf {
        self.place.beside("home/state/ukernel/machines")
    }

    /// Kills a process as `kill -9` does, and waits until it and `other` are gone.
    #[track_caller]
    fn kill(&self, process: &Value, other: &Value) {
        let processes = [process, other].map(|id| {
            let pid = i32::try_from(id.as_i64().expect("a number")).expect("small");
            pidfd_open(Pid::from_raw(pid).expect("not 0"), PidfdFlags::empty()).expect("it runs")
        });
        pidfd_send_signal(&processes[0], Signal::KILL).expect("it runs");
        for process in &processes {
            let mut ended = [PollFd::new(process, PollFlags::IN)];
            let limit = Timespec::try_from(SOON).expect("seconds");
            let count =
                retry_on_intr(|| poll(&mut ended, Some(&limit))).expect("it can be waited for");
            assert_eq!(count, 1, "it still runs");
        }
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        // What a failed test has left running.
        let names = self.run(&["ps", "--json"]).output;
        let names: Value = serde_json::from_str(&names).unwrap_or_default();
        for machine in names.as_array().into_iter().flatten() {
            self.run(&[
                "rm",
                "--force",
                machine["name"].as_str().unwrap_or_default(),
            ]);
        }
    }
}

/// Starts a machine in the foreground, whose serial port this test types at.
fn in_foreground(mut command: Command) -> Process {
    Process::start(command.arg("--input").stdin(Stdio::piped()))
}

/// A project that was packed, as far as `run` looks.
fn project(place: &Place) {
    let manifest = "[project]\nname = \"demo\"\nlanguage = \"c\"\n[run]\nmemory_mb = 48\n";
    place.write("ukernel.toml", manifest);
    place.write("dist/demo.vmlinux", "");
    let draft = Draft::new(bundle::Index::new("demo"), Vec::new()).expect("a bundle");
    let image = place.here().join("dist/demo.img");
    draft.write(&image).expect("the folder is writable");
}

#[test]
fn two_machines_live_beside_each_other() {
    let host = Host::new();
    assert_eq!(host.start(&["--name", "one"]), "one");
    assert_eq!(
        host.start(&["--name", "two", "--memory", "64M", "--vcpu", "2"]),
        "two"
    );
    let listed = host.run(&["ps"]).data();
    assert!(
        listed.contains("one   up") && listed.contains("two   up"),
        "{listed}"
    );
    let two = host.look("two");
    assert_eq!((&two["memory_mib"], &two["vcpus"]), (&64.into(), &2.into()));
    assert_eq!(
        (&two["vmm"], &two["reason"]),
        (&"firecracker".into(), &"as asked".into())
    );
    assert_eq!(two["phase"], "running");

    let several = host.run(&["stop"]);
    assert_eq!(several.status, Some(125));
    assert!(
        several.words.contains("name one: one, two"),
        "{}",
        several.words
    );
    assert_eq!(host.run(&["stop", "one"]).data(), "one\n");
    let listed = host.run(&["ps"]).data();
    assert!(
        !listed.contains("one ") && listed.contains("two   up"),
        "{listed}"
    );
    let listed = host.run(&["ps", "--all"]).data();
    assert!(listed.contains("one   exited (0) "), "{listed}");
    assert_eq!(host.look("one")["end"]["status"], 0);
    assert!(
        host.run(&["logs", "one"])
            .data()
            .ends_with("fake: command_line=\"\"\nukernel: exit status=0\n")
    );

    assert_eq!(host.run(&["stop"]).data(), "two\n", "it is the only one");
    assert_eq!(host.run(&["rm", "one"]).data(), "one\n");
    assert_eq!(host.run(&["rm", "--ended"]).data(), "two\n");
    assert_eq!(host.run(&["ps", "--all"]).data().lines().count(), 1);
    assert_eq!(fs::read_dir(host.machines()).unwrap().count(), 0);
}

/// All that the command line and the machine's folder say, in Firecracker's words.
#[test]
fn firecracker_is_told_of_processors_memory_disks_network_metrics_and_log() {
    let host = Host::new();
    host.place.write("data.img", "");
    // A device that every machine has, if no cable leads from it.
    let machine = [
        "--name", "web", "--vcpu", "2", "--memory", "64M", "--tap", "lo",
    ];
    host.start(&[&machine[..], &["--disk", "data.img,ro"]].concat());
    let told = |path: &str| {
        let mut bodies = host.fake.heard(path);
        assert_eq!(bodies.len(), 1, "{path}: {bodies:?}");
        bodies.remove(0)
    };
    let of_machine = told("/machine-config");
    assert_eq!(
        (&of_machine["vcpu_count"], &of_machine["mem_size_mib"]),
        (&2.into(), &64.into())
    );
    assert_eq!(
        told("/boot-source")["kernel_image_path"],
        host.fake.kernel().display().to_string()
    );
    let disk = told("/drives/disk0");
    assert_eq!(
        disk["path_on_host"],
        host.place.here().join("data.img").display().to_string()
    );
    assert_eq!(disk["is_read_only"], true);
    assert_eq!(told("/network-interfaces/net0")["host_dev_name"], "lo");
    let folder = host.machines().join("web");
    assert_eq!(
        told("/metrics")["metrics_path"],
        folder.join("metrics.json").display().to_string()
    );
    assert!(told("/logger")["log_path"].is_string());
    assert_eq!(told("/actions")["action_type"], "InstanceStart");
    host.run(&["stop"]).data();
    assert_eq!(
        host.fake.heard("/actions")[1]["action_type"],
        "SendCtrlAltDel"
    );
}

/// Sockets lie there, and the system wants their paths short.
#[test]
fn a_long_name_of_the_folder_for_temporary_files_is_no_obstacle() {
    let host = Host::new();
    let temporary = host.place.here().join("x".repeat(100));
    fs::create_dir(&temporary).unwrap();
    let mut run = host.run_command(&["--detach", "--name", "web"]);
    assert_eq!(Done::of(run.env("TMPDIR", temporary)).data(), "web\n");
    assert_eq!(host.run(&["stop", "web"]).data(), "web\n");
    assert_eq!(host.look("web")["end"]["status"], 0);
}

#[test]
fn a_name_is_taken_as_long_as_its_machine_runs() {
    let host = Host::new();
    host.start(&["--name", "web", "--arg", "first"]);
    let again = Done::of(&mut host.run_command(&["--detach", "--name", "web"]));
    assert_eq!((again.status, again.output.as_str()), (Some(125), ""));
    assert!(
        again.words.contains("there is a machine 'web' already"),
        "{}",
        again.words
    );
    assert!(again.words.contains("ukernel stop web"), "{}", again.words);
    let foreground = Done::of(&mut host.run_command(&["--name", "web"]));
    assert_eq!(foreground.status, Some(125), "{}", foreground.words);
    host.run(&["stop", "web"]).data();
    host.start(&["--name", "web", "--arg", "second"]);
    let log = host.run(&["logs", "web"]).data();
    assert!(log.contains("second") && !log.contains("first"), "{log}");
    let refused = host.run(&["rm", "web"]);
    assert!(
        refused.words.contains("machine 'web' is running"),
        "{}",
        refused.words
    );
    assert_eq!(host.run(&["rm", "--force", "web"]).data(), "web\n");
}

#[test]
fn machines_without_a_name_are_numbered() {
    let host = Host::new();
    assert_eq!(host.start(&[]), "kernel");
    assert_eq!(host.start(&[]), "kernel-2");
    host.run(&["stop", "kernel"]).data();
    assert_eq!(host.start(&[]), "kernel");
}

#[test]
fn what_does_not_work_with_one_machine_is_done_to_the_others() {
    let host = Host::new();
    host.start(&["--name", "one"]);
    host.start(&["--name", "two"]);
    let stopped = host.run(&["stop", "gone", "one", "lost", "two"]);
    assert_eq!(
        (stopped.status, stopped.output.as_str()),
        (Some(125), "one\ntwo\n")
    );
    for name in ["'gone'", "'lost'"] {
        assert!(stopped.words.contains(name), "{}", stopped.words);
    }
    host.start(&["--name", "one"]);
    let removed = host.run(&["rm", "one", "two"]);
    assert_eq!(
        (removed.status, removed.output.as_str()),
        (Some(125), "two\n")
    );
    assert!(
        removed.words.contains("ukernel rm --force one"),
        "{}",
        removed.words
    );
}

#[test]
fn names_that_are_none_or_nobodys_are_refused() {
    let host = Host::new();
    let bad = Done::of(&mut host.run_command(&["--detach", "--name", "../x"]));
    assert!(bad.words.contains("'../x' is no name"), "{}", bad.words);
    for command in ["logs", "stop", "rm"] {
        let unknown = host.run(&[command, "gone"]);
        assert_eq!(unknown.status, Some(125));
        assert!(
            unknown.words.contains("there is no machine 'gone'"),
            "{}",
            unknown.words
        );
        assert!(
            unknown.words.contains("ukernel ps --all"),
            "{}",
            unknown.words
        );
    }
}

#[test]
fn one_that_does_not_stop_is_killed() {
    let host = Host::with(Fake::in_mood("deaf"));
    host.start(&["--name", "deaf"]);
    let stopped = host.run(&["stop", "--timeout", "0", "deaf"]);
    assert!(stopped.words.contains("it is killed"), "{}", stopped.words);
    assert_eq!(host.look("deaf")["end"]["kind"], "killed");
    let again = host.run(&["stop", "deaf"]);
    assert_eq!(again.status, Some(0));
    assert!(
        again.words.contains("deaf is not running"),
        "{}",
        again.words
    );
}

#[test]
fn a_time_limit_ends_a_detached_machine() {
    let host = Host::new();
    host.start(&["--name", "slow", "--timeout", "1"]);
    host.run(&["logs", "--follow", "slow"]).data();
    let end = &host.look("slow")["end"];
    assert_eq!(
        (&end["kind"], &end["status"]),
        (&"timed-out".into(), &124.into())
    );
}

/// Nothing is left of it, wherever the failure was.
#[test]
fn a_machine_that_does_not_start_is_none() {
    for mood in ["refuse=/boot-source", "die=/machine-config"] {
        let host = Host::with(Fake::in_mood(mood));
        for mode in [&["--detach", "--name", "x"][..], &["--name", "x"]] {
            let failed = Done::of(&mut host.run_command(mode));
            assert_eq!(
                (failed.status, failed.output.as_str()),
                (Some(125), ""),
                "{mood}"
            );
            assert!(
                failed.words.contains("fake: "),
                "in its own words: {}",
                failed.words
            );
            assert_eq!(fs::read_dir(host.machines()).unwrap().count(), 0, "{mood}");
        }
    }
    let host = Host::new();
    let holder = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = format!("{}:80", holder.local_addr().unwrap().port());
    let kernel = host.fake.kernel().display().to_string();
    let taken = host.run(&[
        "run", "--detach", "--accel", "tcg", "--kernel", &kernel, "-p", &port,
    ]);
    assert_eq!(taken.status, Some(125));
    assert!(taken.words.contains("is already in use"), "{}", taken.words);
    assert!(
        taken.words.contains("hint: choose another port"),
        "{}",
        taken.words
    );
}

/// Such as one of another version, which was installed in between.
#[test]
fn a_supervisor_that_does_not_understand_says_so() {
    let host = Host::new();
    let answer = host.run(&["supervise"]).data();
    assert!(
        answer.contains("cannot start a supervisor: EOF while"),
        "{answer}"
    );
}

#[test]
fn no_two_machines_write_one_disk() {
    let host = Host::new();
    host.place.write("data.img", "");
    host.start(&["--name", "writer", "--disk", "data.img"]);
    for disk in ["data.img", "data.img,ro"] {
        let second =
            Done::of(&mut host.run_command(&["--detach", "--name", "second", "--disk", disk]));
        assert!(
            second.words.contains("another machine uses the disk"),
            "{}",
            second.words
        );
    }
    host.run(&["stop", "writer"]).data();
    host.start(&["--name", "one", "--disk", "data.img,ro"]);
    host.start(&["--name", "two", "--disk", "data.img,ro"]);
}

#[test]
fn ctrl_c_on_a_terminal_asks_and_a_second_one_kills() {
    for (mood, presses, status) in [("", 1, 0), ("deaf", 2, 130)] {
        let host = Host::with(Fake::in_mood(mood));
        let command = host.run_command(&["--name", "web"]);
        let Some(command) = on_terminal_of_its_own(&command) else {
            return;
        };
        let mut terminal = Terminal::start(command, |_| ());
        // From here on it is the machine that hears of it.
        terminal.wait_for("ukernel: machine web");
        for press in 1..=presses {
            terminal.write(b"\x03");
            if press == 1 {
                terminal.wait_for("asking the guest to stop; Ctrl-C again kills it");
            }
        }
        let (code, raw) = terminal.finish();
        assert_eq!(code, Some(status), "{raw}");
        assert_eq!(host.look("web")["end"]["status"], status);
    }
}
