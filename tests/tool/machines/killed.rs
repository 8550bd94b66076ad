//! What is left of a machine when a process of its is killed as by `kill -9`, and what the next command makes of it.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;

use super::{Host, project};
use crate::fake::Fake;

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
    let mut bystander = Command::new("sleep").arg("60").spawn().unwrap();
    state["supervisor"]["pid"] = bystander.id().into();
    fs::write(&file, state.to_string()).unwrap();
    assert_eq!(host.run(&["stop", "web"]).status, Some(0));
    assert_eq!(host.run(&["rm", "--force", "web"]).data(), "web\n");
    assert!(bystander.try_wait().unwrap().is_none(), "it was killed");
    bystander.kill().unwrap();
    bystander.wait().unwrap();
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
    let mut child = host.tool(&arguments).spawn().expect("it starts");
    let folder = host.place.here().join(".ukernel/machines/web");
    let secrets = folder.join("settings.img");
    // It waits for a Firecracker that never listens.
    while !folder.join("console.log").exists() {
        std::thread::yield_now();
        assert!(child.try_wait().unwrap().is_none(), "it ended");
    }
    let mode = fs::metadata(&secrets).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    assert!(
        fs::read_to_string(&secrets)
            .unwrap()
            .contains("open sesame")
    );
    assert_eq!(host.look("web")["phase"], "starting");
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(host.look("web")["end"]["kind"], "died");
    assert!(!secrets.exists());
}
