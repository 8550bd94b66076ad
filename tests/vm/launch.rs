//! The starting of machines itself, with guests of a few instructions: what the other tests stand on.

use std::fs;
use std::path::Path;
use std::thread;
use std::time::Duration;

use bundle_tool::machine::{
    Accelerator, Disk, DiskFault, DiskOperation, Ending, Forward, Launch, MachineType, Nic,
    Protocol, Qemu, StartError, VmConfig, ports,
};
use system_tests::tiny_guest::{Step, exit_record, tiny_guest};
use system_tests::vm::{boot, boot_within};
use tempfile::NamedTempFile;

fn qemu(guest: &NamedTempFile) -> Qemu {
    Qemu::with_accelerator(VmConfig::new(guest.path()).memory_mib(16), Accelerator::Tcg)
}

fn print(text: &str) -> Step {
    Step::Print(text.into())
}

#[test]
fn the_guests_status_is_the_last_record() {
    let guest = tiny_guest(&[print("hello\r\n"), exit_record(7), Step::Reset]);
    let vm = boot(qemu(&guest));
    let outcome = vm.expect_status(7);
    assert_eq!(outcome.log, "hello\nukernel: exit status=7\n");
}

/// QEMU must not let it run before it has said that the machine started.
#[test]
fn a_guest_that_ends_at_once_has_started() {
    let guest = tiny_guest(&[exit_record(0), Step::Reset]);
    for _ in 0..30 {
        boot(qemu(&guest)).expect_status(0);
    }
}

#[test]
fn every_board_boots_by_pvh() {
    let guest = tiny_guest(&[exit_record(0), Step::Reset]);
    for machine in [MachineType::Microvm, MachineType::Pc, MachineType::Q35] {
        boot(qemu(&guest).machine(machine)).expect_status(0);
    }
}

#[test]
fn a_missing_record_is_no_success() {
    let guest = tiny_guest(&[print("hello\n"), Step::TripleFault]);
    assert_eq!(boot(qemu(&guest)).wait().ending, Ending::NoRecord);
}

#[test]
fn a_machine_is_killed_at_its_deadline() {
    let guest = tiny_guest(&[exit_record(0), Step::Hang]);
    let limit = Duration::from_secs(1);
    let vm = boot_within(qemu(&guest), limit);
    assert_eq!(vm.wait().ending, Ending::Deadline(limit));
}

#[test]
fn a_killed_machine_is_told_from_one_that_failed() {
    let guest = tiny_guest(&[print("up\n"), Step::Hang]);
    let vm = boot(qemu(&guest));
    vm.expect_line("up");
    vm.kill();
    assert_eq!(vm.wait().ending, Ending::Killed);
}

#[test]
fn a_dropped_machine_leaves_no_process() {
    let guest = tiny_guest(&[Step::Hang]);
    let vm = boot(qemu(&guest));
    let process = format!("/proc/{}", vm.process_id());
    assert!(Path::new(&process).exists());
    drop(vm);
    assert!(!Path::new(&process).exists());
}

/// Whoever starts it from a pool of threads, say.
#[test]
fn a_machine_outlives_the_thread_that_started_it() {
    let guest = tiny_guest(&[Step::AwaitKeyboard(4), exit_record(0), Step::Reset]);
    let qemu = qemu(&guest);
    let (vm, place) =
        thread::spawn(move || (boot(qemu), fs::read_link("/proc/thread-self").unwrap()))
            .join()
            .unwrap();
    // Joined is not quite ended: the system sends its signals last.
    while Path::new("/proc").join(&place).exists() {
        thread::yield_now();
    }
    vm.stop_and_expect_success();
}

#[test]
fn ctrl_alt_del_reaches_the_keyboard() {
    let guest = tiny_guest(&[
        print("up\n"),
        Step::AwaitKeyboard(4),
        exit_record(0),
        Step::Reset,
    ]);
    let vm = boot(qemu(&guest));
    vm.expect_line("up");
    vm.stop_and_expect_success();
}

#[test]
fn serial_input_reaches_the_guest() {
    let steps = [
        print("up\n"),
        Step::AwaitSerial(b'!'),
        exit_record(0),
        Step::Reset,
    ];
    let vm = boot(qemu(&tiny_guest(&steps)));
    vm.expect_line("up");
    vm.write_serial(b"hello!").unwrap();
    vm.expect_status(0);
}

#[test]
fn a_port_that_is_taken_after_the_look_is_named() {
    let port = ports::free(Protocol::Tcp).unwrap();
    let guest = tiny_guest(&[Step::Hang]);
    let mut qemu = qemu(&guest);
    qemu.config = qemu.config.nic(Nic::user([Forward::tcp(port, 80)]));
    // QEMU itself binds the port first: the look sees it free, the second rule finds it taken.
    let rule = format!("user,id=late,hostfwd=tcp:127.0.0.1:{port}-:80");
    let error = Launch::new(qemu.extra(["-netdev", &rule]))
        .start()
        .err()
        .expect("taken");
    assert!(
        matches!(error, StartError::PortTaken { port: p, .. } if p == port),
        "{error}"
    );
}

#[test]
fn what_qemu_refuses_is_said_in_its_words() {
    let guest = tiny_guest(&[Step::Hang]);
    let error = Launch::new(qemu(&guest).extra(["-no-such-option"]))
        .start()
        .err()
        .expect("refused");
    let StartError::Exited { stderr, .. } = error else {
        panic!("{error}")
    };
    assert!(stderr.contains("no-such-option"), "{stderr}");
}

#[test]
fn a_missing_program_has_a_hint() {
    let guest = tiny_guest(&[Step::Hang]);
    let mut qemu = qemu(&guest);
    qemu.program = "qemu-of-nowhere".into();
    let error = Launch::new(qemu).start().err().expect("no such program");
    assert!(matches!(error, StartError::Vmm { .. }), "{error}");
    assert!(error.hint().expect("a hint").contains("apt-get"));
}

#[test]
fn qemu_accepts_every_kind_of_device() {
    let folder = tempfile::tempdir().unwrap();
    let image = folder.path().join("a, b.img");
    fs::write(&image, vec![0; 64 * 1024]).unwrap();
    let fault = DiskFault {
        operation: DiskOperation::Read,
        sector: Some(8),
        once: false,
    };
    let guest = tiny_guest(&[
        print("up\n"),
        Step::AwaitSerial(b'!'),
        exit_record(0),
        Step::Reset,
    ]);
    let mut qemu = qemu(&guest);
    qemu.config = qemu
        .config
        .disk(Disk::new(&image).read_only())
        .disk(
            Disk::new(&image)
                .read_only()
                .fault(fault)
                .requests_per_second(100),
        )
        .nic(Nic::user([Forward::tcp(0, 80), Forward::udp(0, 80)]))
        .nic(Nic::datagram(
            folder.path().join("here"),
            folder.path().join("there"),
        ))
        .entropy();
    let vm = boot(qemu);
    vm.set_link(0, false).unwrap();
    vm.set_link(0, true).unwrap();
    assert!(vm.set_link(2, true).is_err(), "there is no third interface");
    assert!(vm.forwarded(80).is_some() && vm.forwarded_udp(80).is_some());
    assert_eq!(vm.forwarded(81), None);
    vm.write_serial(b"!").unwrap();
    vm.expect_status(0);
}
