//! What is left of a machine when a process of its is killed as by `kill -9`, and what the next command makes of it.

use std::cell::Cell;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use serde_json::Value;
use system_tests::process::{Process, until};

use super::{Host, project};
use crate::fake::Fake;
use crate::killed::kill_everywhere;

#[test]
fn a_killed_supervisor_takes_its_machine_along_and_the_next_command_sees_it() {
    let host = Host::new();
    host.start(&["--name", "web"]);
    let before = host.look("web");
    let state = fs::read_to_string(host.machines().join("web/state.json")).unwrap();
    let state: Value = serde_json::from_str(&state).unwrap();
    let sockets = PathBuf::from(state["scratch"].as_str().unwrap());
    assert!(sockets.exists());
    host.kill(&before["supervisor_pid"], &before["vmm_pid"]);
    let stopped = host.run(&["stop", "web"]);
    assert!(
        stopped.words.contains("web is not running"),
        "{}",
        stopped.words
    );
    assert_eq!(host.look("web")["end"]["kind"], "died");
    assert!(
        host.run(&["ps", "-a"]).data().contains("web   died "),
        "{before}"
    );
    assert!(host.run(&["logs", "web"]).data().contains("fake: up"));
    assert!(!sockets.exists(), "the next command tidies up");
    assert_eq!(host.start(&["--name", "web"]), "web");
}

/// Its number may be somebody else's by then: here, that of a program of this test's own.
#[test]
fn nobody_else_is_killed_for_a_machine() {
    let host = Host::new();
    host.start(&["--name", "web"]);
    let before = host.look("web");
    host.kill(&before["supervisor_pid"], &before["vmm_pid"]);
    let file = host.machines().join("web/state.json");
    let mut state: Value = serde_json::from_str(&fs::read_to_string(&file).unwrap()).unwrap();
    let bystander = Process::start(Command::new("sleep").arg("60"));
    state["supervisor"]["pid"] = bystander.id().as_raw_nonzero().get().into();
    fs::write(&file, state.to_string()).unwrap();
    assert_eq!(host.run(&["stop", "web"]).status, Some(0));
    assert_eq!(host.run(&["rm", "--force", "web"]).data(), "web\n");
    assert!(bystander.is_running(), "it was killed");
}

#[test]
fn a_killed_vmm_is_a_failed_machine() {
    let host = Host::new();
    host.start(&["--name", "web"]);
    let before = host.look("web");
    host.kill(&before["vmm_pid"], &before["supervisor_pid"]);
    let end = &host.look("web")["end"];
    assert_eq!(
        (&end["kind"], &end["status"]),
        (&"vmm-failed".into(), &125.into())
    );
    assert!(
        end["message"].as_str().unwrap().contains("signal: 9"),
        "{end}"
    );
}

/// In the middle of the start: the machine has a name and secrets, but nobody to run it.
#[test]
fn a_supervisor_that_is_killed_while_it_starts_a_machine_leaves_no_secrets() {
    let host = Host::with(Fake::in_mood("silent"));
    project(&host.place);
    let arguments = [
        "run",
        "--vmm",
        "firecracker",
        "--name",
        "web",
        "-e",
        "PASSWORD=open sesame",
    ];
    let run = Process::start(&mut host.tool(&arguments));
    let folder = host.place.here().join(".ukernel/machines/web");
    let secrets = folder.join("settings.img");
    // It waits for a Firecracker that never listens.
    until("it has its log", || folder.join("console.log").exists());
    let mode = fs::metadata(&secrets).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    assert!(
        fs::read_to_string(&secrets)
            .unwrap()
            .contains("open sesame")
    );
    assert_eq!(host.look("web")["phase"], "starting");
    run.kill();
    // Its VMM, forked just then, may have the lock for as long as it takes to die.
    let mut end = Value::Null;
    until("it is written down", || {
        end = host.look("web")["end"].take();
        !end.is_null()
    });
    assert_eq!(end["kind"], "died");
    assert!(!secrets.exists());
}

/// As a newer version of the tool leaves it, or a cat on the keyboard.
#[test]
fn a_machine_whose_state_nobody_can_read_is_not_removed_while_it_runs() {
    let host = Host::new();
    host.start(&["--name", "web"]);
    let file = host.machines().join("web/state.json");
    let state = fs::read_to_string(&file).unwrap();
    for unreadable in ["garbage", "{\"format\": 99}"] {
        fs::write(&file, unreadable).unwrap();
        assert!(
            host.run(&["ps"])
                .words
                .contains("warning: the state of machine 'web'")
        );
        let refused = host.run(&["rm", "--force", "web"]);
        assert_eq!(refused.status, Some(125));
        let lock = host.machines().join("web/lock").display().to_string();
        for words in ["machine 'web' is running", &lock] {
            assert!(refused.words.contains(words), "{}", refused.words);
        }
    }
    fs::write(&file, state).unwrap();
    assert_eq!(host.run(&["stop", "web"]).data(), "web\n");
}

/// As whoever cleans temporary files may do.
#[test]
fn a_machine_whose_socket_was_removed_is_asked_to_stop_by_a_signal() {
    let host = Host::new();
    host.start(&["--name", "web"]);
    let state = fs::read_to_string(host.machines().join("web/state.json")).unwrap();
    let state: Value = serde_json::from_str(&state).unwrap();
    fs::remove_file(PathBuf::from(state["scratch"].as_str().unwrap()).join("control")).unwrap();
    assert_eq!(host.run(&["stop", "web"]).data(), "web\n");
    let end = &host.look("web")["end"];
    assert_eq!(
        (&end["kind"], &end["status"]),
        (&"exited".into(), &0.into())
    );
}

/// How often something short is killed everywhere.
const ROUNDS: u32 = 8;

/// Between one kill and the next.
const STEP: Duration = Duration::from_millis(1);

/// The one that types `run --detach` is killed, and whoever it has started, as long as they are one group.
#[test]
fn a_killed_start_leaves_no_machine_or_a_whole_one() {
    let host = Host::new();
    let count = Cell::new(0);
    let start = || {
        count.set(count.get() + 1);
        host.run_command(&["--detach", "--name", &format!("web-{}", count.get())])
    };
    let check = || {
        let listed = host.run(&["ps", "--all", "--json"]);
        assert_eq!((listed.status, listed.words.as_str()), (Some(0), ""));
        let machines: Value = serde_json::from_str(&listed.output).unwrap();
        for machine in machines.as_array().unwrap() {
            let log = host.run(&["logs", machine["name"].as_str().unwrap()]);
            assert_eq!(log.status, Some(0), "{machine}: {}", log.words);
        }
    };
    let killed = kill_everywhere(start, STEP, check);
    assert!(killed > 3, "only {killed} kills landed in it");
    let last = format!("web-{}", count.get());
    assert_eq!(host.run(&["stop", &last]).data(), format!("{last}\n"));
}

#[test]
fn a_killed_rm_leaves_all_of_a_machine_or_nothing() {
    let host = Host::new();
    let make = || {
        host.start(&["--name", "web"]);
        host.run(&["stop", "web"]).data();
    };
    make();
    let check = || {
        let log = host.run(&["logs", "web"]);
        match log.status {
            Some(0) => assert!(log.output.ends_with("exit status=0\n"), "{}", log.output),
            _ => {
                assert!(log.words.contains("no machine 'web'"), "{}", log.words);
                make();
            }
        }
    };
    // It takes a few milliseconds only, so few kills land in one.
    let mut killed = 0;
    for _ in 0..ROUNDS {
        killed += kill_everywhere(|| host.tool(&["rm", "web"]), STEP / 20, check);
        make();
    }
    assert!(killed > ROUNDS / 2, "only {killed} kills landed in it");
    host.run(&["rm", "web"]).data();
    assert_eq!(fs::read_dir(host.machines()).unwrap().count(), 0);
}
