//! Firecracker's API as the tool speaks it, to a fake that checks every request against the published description.

use std::fs;
use std::time::Duration;

use bundle_tool::machine::{Disk, Ending, Launch, Machine, Nic, StartError, VmConfig};
use system_tests::vm::SOON;

use crate::fake::Fake;

fn start(fake: &Fake, describe: impl FnOnce(VmConfig) -> VmConfig) -> Result<Machine, StartError> {
    let launch = Launch::new(fake.machine(describe)).deadline(Duration::from_secs(60));
    launch.start()
}

#[track_caller]
fn refusal(fake: &Fake, describe: impl FnOnce(VmConfig) -> VmConfig) -> StartError {
    start(fake, describe).err().expect("it does not start")
}

#[test]
fn a_machine_with_everything_is_described_as_published() {
    let fake = Fake::new();
    let disk = tempfile::NamedTempFile::new().unwrap();
    let metrics = disk.path().with_extension("metrics");
    let everything = |config: VmConfig| {
        let mut nic = Nic::tap("tap0");
        nic.mac = Some("06:00:00:00:00:01".into());
        let config = config.memory_mib(32).options("log=debug").argument("serve");
        let config = config.initrd(disk.path()).entropy().nic(nic);
        config
            .disk(Disk::new(disk.path()).read_only())
            .disk(Disk::new(disk.path()))
            .nic(Nic::tap("tap1"))
    };
    let firecracker = fake.machine(everything).metrics(&metrics);
    let machine = Launch::new(firecracker).start().expect("nothing is wrong");
    assert!(metrics.exists(), "Firecracker wants the file to be there");
    fs::remove_file(&metrics).unwrap();
    let heard = machine.wait_for_line("command_line=", SOON).unwrap();
    assert!(heard.line.ends_with("\"log=debug -- serve\""), "{heard:?}");
    machine.stop().unwrap();
    assert_eq!(machine.wait().ending, Ending::Guest(0));
    assert!(machine.stop().is_err(), "nobody is there to be asked");
}

#[test]
fn a_guest_that_ends_at_once_has_started() {
    let fake = Fake::new();
    let machine = start(&fake, |config| config).unwrap();
    machine.write_serial(b"exit 7\n").unwrap();
    assert_eq!(machine.wait().ending, Ending::Guest(7));
}

#[test]
fn a_refused_request_is_said_in_firecrackers_words() {
    let fake = Fake::in_mood("refuse=/boot-source");
    let error = refusal(&fake, |config| config);
    let expected = "firecracker refused PUT /boot-source: fake: no /boot-source today";
    assert_eq!(error.to_string(), expected);
    let fake = Fake::in_mood("refuse=/actions");
    let error = refusal(&fake, |config| config);
    assert!(error.to_string().contains("no /actions today"), "{error}");
}

#[test]
fn an_early_end_is_told_with_its_last_words() {
    let fake = Fake::in_mood("die=/machine-config");
    let StartError::Exited { status, stderr, .. } = refusal(&fake, |config| config) else {
        panic!("it ended");
    };
    assert_eq!(
        (status.code(), stderr.trim()),
        (Some(3), "fake: dies at /machine-config")
    );
}

/// Before it listens.
#[test]
fn a_program_that_is_not_firecracker_is_found_out() {
    let fake = Fake::new();
    let mut wrong = fake.machine(|config| config);
    wrong.program = "/bin/false".into();
    let error = Launch::new(wrong).start().err().expect("no Firecracker");
    assert!(matches!(error, StartError::Exited { .. }), "{error}");
}

#[test]
fn one_that_never_listens_is_given_up() {
    let fake = Fake::in_mood("silent");
    let launch = Launch::new(fake.machine(|config| config));
    let error = launch.api_timeout(Duration::from_millis(20)).start().err();
    let error = error.expect("nobody listens");
    assert!(matches!(error, StartError::Silent { .. }), "{error}");
}

/// The start itself may cut the connection: then the log tells.
#[test]
fn an_end_at_the_start_is_told_by_the_outcome() {
    let fake = Fake::in_mood("die=/actions");
    let machine = start(&fake, |config| config).expect("it was told everything");
    let outcome = machine.wait();
    assert!(
        matches!(outcome.ending, Ending::VmmFailed(_)),
        "{:?}",
        outcome.ending
    );
    assert!(
        outcome.vmm_log.contains("dies at /actions"),
        "{}",
        outcome.vmm_log
    );
}
