//! The command `ukernel run` from the outside: what it prints where, and the status it ends with.

use std::fs;
use std::net::TcpListener;
use std::process::{Command, Stdio};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::retry_on_intr;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use system_tests::guest::tool;
use system_tests::process::{Done, Process};
use system_tests::tiny_guest::{Step, exit_record, tiny_guest};
use system_tests::vm::SOON;
use tempfile::NamedTempFile;

/// A running `ukernel run`.
struct Run {
    process: Process,
    _guest: NamedTempFile,
}

impl Run {
    fn start(steps: &[Step], arguments: &[&str]) -> Run {
        let guest = tiny_guest(steps);
        let mut command = Command::new(tool());
        command.args([
            "run",
            "--accel",
            "tcg",
            "--timeout",
            "30",
            "--memory",
            "16M",
            "--kernel",
        ]);
        command.arg(guest.path()).args(arguments);
        Run {
            process: Process::start(command.stdin(Stdio::null())),
            _guest: guest,
        }
    }

    fn interrupt(&self) {
        self.process.signal(Signal::INT);
    }

    /// The process that runs the guest.
    fn vmm(&self) -> Pid {
        let threads = format!("/proc/{}/task", self.process.id().as_raw_nonzero());
        let threads = fs::read_dir(threads).expect("it runs");
        let children = threads.map(|thread| {
            let path = thread.expect("a readable folder").path().join("children");
            // A thread may end meanwhile; it has no children then.
            fs::read_to_string(path).unwrap_or_default()
        });
        let children: String = children.collect();
        let [vmm] = children.split_whitespace().collect::<Vec<_>>()[..] else {
            panic!("the tool's children: '{children}'");
        };
        Pid::from_raw(vmm.parse().expect("a number")).expect("not 0")
    }

    fn finish(self) -> Done {
        self.process.finish()
    }
}

fn print(text: &str) -> Step {
    Step::Print(text.into())
}

#[test]
fn the_log_is_data_and_the_status_is_the_guests() {
    let steps = [print("hello\n"), exit_record(7), Step::Reset];
    let Done {
        status,
        output,
        words,
    } = Run::start(&steps, &["-p", "0:80", "-p", "0:7/udp"]).finish();
    assert_eq!(status, Some(7), "{words}");
    assert_eq!(output, "hello\nukernel: exit status=7\n");
    assert!(words.contains("qemu with tcg (as asked)"), "{words}");
    assert!(
        words.contains("-> guest 80/tcp") && words.contains("-> guest 7/udp"),
        "{words}"
    );
    assert!(words.contains("the guest ended with status 7"), "{words}");
}

#[test]
fn ctrl_c_asks_the_guest_to_stop() {
    let steps = [
        print("up\n"),
        Step::AwaitKeyboard(4),
        exit_record(0),
        Step::Reset,
    ];
    let mut run = Run::start(&steps, &[]);
    run.process.wait_for("up");
    run.interrupt();
    run.finish().data();
}

#[test]
fn a_second_ctrl_c_kills_it() {
    let mut run = Run::start(&[print("up\n"), Step::Hang], &[]);
    run.process.wait_for("up");
    run.interrupt();
    run.process.wait_for_words("asking the guest to stop");
    run.interrupt();
    assert_eq!(run.finish().status, Some(130));
}

/// It cannot clean up then; the system does.
#[test]
fn a_killed_tool_takes_the_machine_along() {
    let mut run = Run::start(&[print("up\n"), Step::Hang], &[]);
    run.process.wait_for("up");
    let vmm = pidfd_open(run.vmm(), PidfdFlags::empty()).expect("it runs");
    run.process.signal(Signal::KILL);
    let mut ended = [PollFd::new(&vmm, PollFlags::IN)];
    let limit = Timespec::try_from(SOON).expect("seconds");
    // Another test's child may end meanwhile, which interrupts.
    let count = retry_on_intr(|| poll(&mut ended, Some(&limit)));
    let count = count.expect("a process can be waited for");
    if count == 0 {
        let _ = pidfd_send_signal(&vmm, Signal::KILL);
        panic!("the machine still runs {SOON:?} after the tool was killed");
    }
    assert_eq!(run.finish().status, None, "ended by a signal");
}

#[test]
fn a_guest_that_says_no_status_failed() {
    let Done { status, words, .. } = Run::start(&[Step::TripleFault], &[]).finish();
    assert_eq!(status, Some(125));
    assert!(words.contains("without saying a status"), "{words}");
}

#[test]
fn the_timeout_has_a_status_of_its_own() {
    let Done { status, words, .. } = Run::start(&[Step::Hang], &["--timeout", "1"]).finish();
    assert_eq!(status, Some(124), "{words}");
}

#[test]
fn a_taken_port_is_a_clear_error() {
    let holder = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = holder.local_addr().unwrap().port();
    let Done {
        status,
        output,
        words,
    } = Run::start(&[Step::Hang], &["-p", &format!("{port}:80")]).finish();
    assert_eq!((status, output.as_str()), (Some(125), ""));
    assert!(words.contains(&format!(
        "tcp port {port} of this machine is already in use"
    )));
    assert!(words.contains("hint: "), "{words}");
}
