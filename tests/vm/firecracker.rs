//! The kernel in Firecracker itself, where `UKERNEL_FIRECRACKER` names its binary. A processor without
//! virtualization makes KVM emulate each instruction, so these tests are patient and their data small.

use std::path::PathBuf;
use std::time::Duration;

use bundle_tool::machine::{Disk, Ending, Firecracker, Nic, VmConfig};
use system_tests::image::{Image, sha256};
use system_tests::namespace::{GUEST, HOST, Namespace, TAP};
use system_tests::skip::skip;
use system_tests::tiny_guest::{Step, exit_record, tiny_guest};
use system_tests::vm::{TestVm, boot_within, config};

const PATIENCE: Duration = Duration::from_secs(120);

/// The binary, or a visible skip.
fn program(what: &str) -> Option<PathBuf> {
    let program = Firecracker::program_from_environment();
    if program.is_none() {
        skip(
            &format!("{what} in Firecracker"),
            "UKERNEL_FIRECRACKER names no binary",
        );
    }
    program
}

fn run(program: PathBuf, config: VmConfig) -> TestVm {
    boot_within(Firecracker::new(program, config), PATIENCE)
}

#[test]
fn it_runs_any_guest() {
    let Some(program) = program("a guest of a few instructions") else {
        return;
    };
    let steps = [
        Step::Print("up\n".into()),
        Step::AwaitKeyboard(4),
        exit_record(7),
        Step::Reset,
    ];
    let guest = tiny_guest(&steps);
    let vm = run(program, VmConfig::new(guest.path()).memory_mib(16));
    vm.expect_line("up");
    vm.stop().unwrap();
    vm.expect_status(7);
}

/// Firecracker tells its event loop of the end before it says with which status, so it may end with 0 all the same.
#[test]
fn its_own_failure_is_told_from_the_guests() {
    let Some(program) = program("a triple fault") else {
        return;
    };
    let guest = tiny_guest(&[Step::TripleFault]);
    let outcome = run(program, VmConfig::new(guest.path()).memory_mib(16)).wait();
    assert!(
        matches!(outcome.ending, Ending::VmmFailed(_) | Ending::NoRecord),
        "{:?}",
        outcome.ending
    );
}

#[test]
fn it_enters_by_pvh() {
    let Some(program) = program("the boot") else {
        return;
    };
    let vm = run(program, config("guest").options("log=debug"));
    vm.expect_line("boot: up protocol=Pvh");
    vm.expect_status(0);
}

#[test]
fn it_serves_the_demo() {
    let Some(program) = program("the demo") else {
        return;
    };
    let namespace = match Namespace::new("demo") {
        Ok(namespace) => namespace,
        Err(error) => {
            return skip(
                "the demo in Firecracker",
                &format!("no tap device: {error}"),
            );
        }
    };
    let image = Image::new(64 * 1024, 1);
    let config = config("demo")
        .nic(Nic::tap(TAP))
        .disk(Disk::new(&image.path).read_only())
        .options(&format!("net={GUEST}/24,gw={HOST}"));
    let vm = run(namespace.wrap(&program).unwrap(), config);
    vm.expect_line("http: listening");
    assert_eq!(namespace.fetch("/healthz").unwrap(), b"ok\n");
    assert!(
        namespace.fetch("/disk/0").unwrap() == image.content,
        "the disk differs"
    );
    let digest = namespace.fetch("/disk/0/sha256").unwrap();
    assert_eq!(
        String::from_utf8_lossy(&digest).trim_end(),
        sha256(&image.content)
    );
    vm.stop_and_expect_success();
}
