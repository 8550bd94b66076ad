//! Names, claims, and what is left by somebody who was killed.

use std::fs;
use std::os::unix::fs::symlink;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use super::state::Description;
use super::*;

fn machines() -> (tempfile::TempDir, Machines) {
    let folder = tempfile::tempdir().unwrap();
    let machines = Machines::at(folder.path().join("machines"));
    (folder, machines)
}

/// The state of a machine that this process begins to start.
fn state(name: &str) -> State {
    let description = Description {
        name,
        vmm: "qemu",
        reason: "as asked",
        kernel: Path::new("kernel"),
        symbols: Path::new("kernel"),
        memory_mib: 128,
        vcpus: 1,
    };
    State::starting(&description, Path::new("/nowhere"))
}

/// A supervisor that is no more.
fn gone() -> ProcessId {
    let mut id = ProcessId::current();
    id.start = id.start.map(|start| start + 1);
    id
}

#[test]
fn names_are_letters_and_digits() {
    for good in ["a", "demo", "demo-2", "0x", "A_b", &"x".repeat(MAX_NAME)] {
        assert!(is_name(good), "{good}");
    }
    for bad in [
        "",
        "-a",
        "_a",
        ".a",
        "..",
        "a/b",
        "a b",
        "a.b",
        "ä",
        &"x".repeat(MAX_NAME + 1),
    ] {
        assert!(!is_name(bad), "{bad}");
    }
    let (_folder, machines) = machines();
    assert!(matches!(
        machines.find("../x"),
        Err(MachinesError::BadName(_))
    ));
    assert!(matches!(
        machines.claim("../x"),
        Err(MachinesError::BadName(_))
    ));
    assert!(matches!(
        machines.remove(".."),
        Err(MachinesError::BadName(_))
    ));
}

#[test]
fn no_folder_is_no_machines() {
    let (_folder, machines) = machines();
    assert!(machines.list().unwrap().0.is_empty());
    assert!(matches!(machines.find("a"), Err(MachinesError::Unknown(_))));
    assert!(matches!(
        machines.remove("a"),
        Err(MachinesError::Unknown(_))
    ));
    assert!(!machines.folder().exists(), "looking makes nothing");
}

#[test]
fn a_name_is_one_machines_at_a_time() {
    let (_folder, machines) = machines();
    let first = machines.claim("demo").unwrap();
    assert!(matches!(
        machines.claim("demo"),
        Err(MachinesError::Taken(_))
    ));
    assert!(matches!(
        machines.remove("demo"),
        Err(MachinesError::Taken(_))
    ));
    assert_eq!(machines.claim_free("demo").unwrap().name(), "demo-2");
    let third = machines.claim_free("demo").unwrap(); // the second was dropped at once
    assert_eq!(third.name(), "demo-2");
    assert_eq!(machines.claim_free("demo").unwrap().name(), "demo-3");
    drop(first);
    assert_eq!(machines.claim_free("demo").unwrap().name(), "demo");
    let long = "x".repeat(MAX_NAME);
    let _held = machines.claim(&long).unwrap();
    let shorter = machines.claim_free(&long).unwrap();
    assert!(shorter.name().ends_with("x-2") && is_name(shorter.name()));
}

/// Between the end of a machine and that of the process that ran it.
#[test]
fn the_name_of_a_machine_that_has_ended_is_waited_for() {
    let (_folder, machines) = machines();
    let claim = machines.claim("demo").unwrap();
    let mut supervisor = Command::new("cat").stdin(Stdio::piped()).spawn().unwrap();
    let mut ended = state("demo");
    ended.supervisor = ProcessId::of(supervisor.id());
    ended.end = Some(End::died(ended.started));
    ended.write(claim.folder()).unwrap();
    let (sender, receiver) = mpsc::channel();
    let other = machines.clone();
    let waiter = thread::spawn(move || sender.send(other.remove("demo").is_ok()));
    let early = receiver.recv_timeout(Duration::from_millis(50));
    drop(claim);
    drop(supervisor.stdin.take());
    supervisor.wait().unwrap();
    assert!(early.is_err(), "it did not wait");
    assert_eq!(receiver.recv(), Ok(true));
    waiter.join().unwrap().unwrap();
    assert!(!machines.folder().join("demo").exists());
}

#[test]
fn a_new_machine_takes_the_place_of_one_that_ended() {
    let (_folder, machines) = machines();
    let claim = machines.claim("demo").unwrap();
    let mut old = state("demo");
    old.end = Some(End::died(old.started));
    old.write(claim.folder()).unwrap();
    fs::write(claim.folder().join("console.log"), "old").unwrap();
    let folder = claim.folder().to_path_buf();
    drop(claim);
    assert_eq!(machines.find("demo").unwrap().state, old);
    let _claim = machines.claim("demo").unwrap();
    assert!(matches!(
        machines.find("demo"),
        Err(MachinesError::Unknown(_))
    ));
    let left: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert_eq!(left, ["lock"]);
}

#[test]
fn one_whose_supervisor_is_gone_died() {
    let (folder, machines) = machines();
    let scratch = folder.path().join("ukernel-x");
    fs::create_dir(&scratch).unwrap();
    let claim = machines.claim("demo").unwrap();
    State::mark_scratch(&scratch, claim.folder()).unwrap();
    let secrets = claim.folder().join("settings.img");
    fs::write(&secrets, "secret").unwrap();
    let mut died = state("demo");
    died.scratch = Some(scratch.clone());
    died.vmm_process = Some(gone());
    died.supervisor = gone();
    died.write(claim.folder()).unwrap();
    assert_eq!(died.phase(), Phase::Died);

    // As long as somebody holds the name he is trusted to write the end himself.
    assert_eq!(machines.find("demo").unwrap().state.end, None);
    drop(claim);
    let found = machines.find("demo").unwrap().state;
    assert_eq!(found.end.as_ref().map(|end| end.kind), Some(EndKind::Died));
    assert_eq!(found.phase(), Phase::Ended);
    assert!(!scratch.exists() && !secrets.exists(), "it is tidied up");
    let (all, problems) = machines.list().unwrap();
    assert_eq!((all.len(), problems.len()), (1, 0));
    assert_eq!(all[0].state, found);
}

#[test]
fn nothing_is_removed_that_is_not_the_machines() {
    let (folder, machines) = machines();
    let claim = machines.claim("demo").unwrap();
    let mut died = state("demo");
    died.supervisor = gone();
    // Another machine's, and a folder that is none for sockets.
    for name in ["ukernel-x", "home"] {
        let other = folder.path().join(name);
        fs::create_dir(&other).unwrap();
        fs::write(other.join("machine"), "somebody else").unwrap();
        died.scratch = Some(other.clone());
        died.remove_scratch(claim.folder());
        assert!(other.exists(), "{name}");
    }
    let home = folder.path().join("home");
    State::mark_scratch(&home, claim.folder()).unwrap();
    died.remove_scratch(claim.folder());
    assert!(home.exists(), "whatever it says");
}

#[test]
fn a_running_machine_is_as_it_says() {
    let (_folder, machines) = machines();
    let claim = machines.claim("demo").unwrap();
    let mut running = state("demo");
    running.write(claim.folder()).unwrap();
    assert_eq!(
        machines.find("demo").unwrap().state.phase(),
        Phase::Starting
    );
    running.vmm_process = Some(ProcessId::current());
    running.write(claim.folder()).unwrap();
    assert_eq!(machines.find("demo").unwrap().state, running);
    assert_eq!(running.phase(), Phase::Running);
}

#[test]
fn a_state_that_cannot_be_read_is_a_problem_of_its_machine_only() {
    let (_folder, machines) = machines();
    let mut old = serde_json::to_value(state("old")).unwrap();
    old["format"] = 0.into();
    let old = old.to_string();
    for (name, text) in [
        ("cut", "{\"format\": 1"),
        ("old", old.as_str()),
        ("list", "[1, 2]"),
        ("new", "{\"format\": 2}"),
        ("empty", ""),
    ] {
        let claim = machines.claim(name).unwrap();
        fs::write(claim.folder().join("state.json"), text).unwrap();
    }
    let claim = machines.claim("good").unwrap();
    state("good").write(claim.folder()).unwrap();
    let (all, problems) = machines.list().unwrap();
    assert_eq!(all.len(), 1);
    assert_eq!(problems.len(), 5);
    let error = machines.find("new").unwrap_err();
    assert!(error.to_string().contains("format 2"), "{error}");
    let hint = error.hint().unwrap();
    assert!(hint.contains("the ukernel that started it"), "{hint}");
    assert!(hint.contains("ukernel rm new"), "{hint}");
    for name in ["old", "list"] {
        let error = machines.find(name).unwrap_err();
        assert!(matches!(error, MachinesError::Damaged { .. }), "{error}");
    }
    machines.remove("cut").unwrap();
    assert!(matches!(
        machines.find("cut"),
        Err(MachinesError::Unknown(_))
    ));
}

/// Somebody else's files are no machines, whatever they are called, and no reason to warn of any.
#[test]
fn what_is_no_folder_is_no_machine() {
    let (_folder, machines) = machines();
    drop(machines.claim("good").unwrap());
    fs::write(machines.folder().join("file"), "").unwrap();
    symlink("link", machines.folder().join("link")).unwrap();
    let (all, problems) = machines.list().unwrap();
    assert_eq!((all.len(), problems.len()), (0, 0), "{problems:?}");
    for name in ["file", "link"] {
        for error in [
            machines.find(name).map(drop).unwrap_err(),
            machines.remove(name).unwrap_err(),
        ] {
            assert!(matches!(error, MachinesError::Unknown(_)), "{error}");
        }
    }
}

#[test]
fn whatever_lies_in_a_folder_a_new_machine_takes_its_place() {
    let (_folder, machines) = machines();
    let folder = machines.folder().join("demo");
    fs::create_dir_all(folder.join("state.json/deeper")).unwrap();
    fs::create_dir_all(folder.join("other/deeper")).unwrap();
    symlink("nowhere", folder.join("link")).unwrap();
    assert!(machines.find("demo").is_err());
    let claim = machines.claim("demo").unwrap();
    assert_eq!(fs::read_dir(claim.folder()).unwrap().count(), 1);
    state("demo").write(claim.folder()).unwrap();
    assert!(machines.find("demo").is_ok());
}

/// On a full disk, say: the machine is listed all the same.
#[test]
fn a_death_that_cannot_be_written_down_is_seen() {
    let (_folder, machines) = machines();
    let claim = machines.claim("demo").unwrap();
    let mut died = state("demo");
    died.supervisor = gone();
    died.write(claim.folder()).unwrap();
    // Nothing can be renamed to it any more.
    let file = claim.folder().join(super::state::FILE);
    let mut settled = died.clone();
    fs::remove_file(&file).unwrap();
    fs::create_dir_all(file.join("in the way")).unwrap();
    claim.settle(&mut settled);
    assert_eq!(settled.phase(), Phase::Ended);
    assert_eq!(settled.end.map(|end| end.kind), Some(EndKind::Died));
}

/// Somebody was killed after he had taken the name, or while he removed the machine.
#[test]
fn half_a_machine_is_none() {
    let (_folder, machines) = machines();
    drop(machines.claim("begun").unwrap());
    let left = machines.folder().join(".removed-old-1");
    fs::create_dir(&left).unwrap();
    fs::write(left.join("state.json"), "{}").unwrap();
    assert!(machines.list().unwrap().0.is_empty());
    assert!(matches!(
        machines.find("begun"),
        Err(MachinesError::Unknown(_))
    ));
    drop(machines.claim("begun").unwrap());
    assert!(!left.exists(), "the next one tidies up");
    machines.remove("begun").unwrap();
    assert!(!machines.folder().join("begun").exists());
}
