//! Processes that are named in a file and may be gone, or be somebody else's, when it is read: a number alone says
//! nothing, as the system gives it again.

use std::fs;
use std::thread;
use std::time::{Duration, Instant};

#[cfg(target_os = "linux")]
use rustix::event::{PollFd, PollFlags, Timespec, poll};
#[cfg(target_os = "linux")]
use rustix::io::retry_on_intr;
use rustix::process::{Pid, Signal};
use serde::{Deserialize, Serialize};

/// How often a process is looked at whose end the system does not announce.
const LOOK_INTERVAL: Duration = Duration::from_millis(50);

/// A process for good: its number, when it was started, and since which boot of the host that counts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessId {
    /// The number.
    pub pid: u32,
    /// When it was started, in clock ticks after the boot; `None` where the system does not tell.
    pub start: Option<u64>,
    /// The boot.
    pub boot: Option<String>,
}

impl ProcessId {
    /// This process.
    pub fn current() -> ProcessId {
        ProcessId::of(std::process::id())
    }

    /// The process that has the number `pid` now.
    pub fn of(pid: u32) -> ProcessId {
        ProcessId {
            pid,
            start: start_of(pid),
            boot: boot(),
        }
    }

    /// Whether this very process still runs. One that has ended but was not waited for does not.
    pub fn is_alive(&self) -> bool {
        if boot() != self.boot {
            return false;
        }
        match (self.start, start_of(self.pid)) {
            (Some(then), Some(now)) => then == now,
            // Where the system does not tell, a number has to do: nobody is signalled for it.
            (None, None) => exists(self.pid),
            _ => false,
        }
    }

    /// Kills this very process, if it still runs. Whether it was killed.
    pub fn kill(&self) -> bool {
        self.signal(Signal::KILL)
    }

    /// Sends this very process SIGTERM, if it still runs. Whether it was sent.
    pub fn terminate(&self) -> bool {
        self.signal(Signal::TERM)
    }

    #[cfg(target_os = "linux")]
    fn signal(&self, signal: Signal) -> bool {
        self.open()
            .is_some_and(|process| rustix::process::pidfd_send_signal(process, signal).is_ok())
    }

    /// Where a process cannot be held on to, none is signalled.
    #[cfg(not(target_os = "linux"))]
    fn signal(&self, _: Signal) -> bool {
        false
    }

    /// Waits for the end of this very process for a while. Whether it has ended.
    pub fn ended_within(&self, span: Duration) -> bool {
        #[cfg(target_os = "linux")]
        if let (Some(process), Ok(limit)) = (self.open(), Timespec::try_from(span)) {
            let mut ended = [PollFd::new(&process, PollFlags::IN)];
            let count = retry_on_intr(|| poll(&mut ended, Some(&limit)));
            return count.is_ok_and(|count| count > 0);
        }
        let deadline = Instant::now() + span;
        while self.is_alive() {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            thread::park_timeout(left.min(LOOK_INTERVAL));
        }
        true
    }

    /// Holds on to this very process: what was opened stays the same one, whoever gets the number later. Then it is
    /// compared.
    #[cfg(target_os = "linux")]
    fn open(&self) -> Option<std::os::fd::OwnedFd> {
        use rustix::process::{PidfdFlags, pidfd_open};
        let process = pidfd_open(raw(self.pid)?, PidfdFlags::empty()).ok()?;
        (self.start.is_some() && self.is_alive()).then_some(process)
    }
}

fn raw(pid: u32) -> Option<Pid> {
    Pid::from_raw(i32::try_from(pid).ok()?)
}

fn exists(pid: u32) -> bool {
    raw(pid).is_some_and(|pid| rustix::process::test_kill_process(pid).is_ok())
}

/// Linux tells it in `/proc/PID/stat` (proc(5)).
fn start_of(pid: u32) -> Option<u64> {
    parse_start(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

/// The 22nd field; `None` for a process that has ended. The second, a name in parentheses, may contain anything.
fn parse_start(stat: &str) -> Option<u64> {
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
    let state = fields.next()?;
    if matches!(state, "Z" | "X") {
        return None;
    }
    fields.nth(18)?.parse().ok()
}

fn boot() -> Option<String> {
    let id = fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    Some(id.trim().into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    #[test]
    fn the_start_is_found_behind_any_name() {
        let stat = "7 (a) b) (c) S 1 7 7 0 -1 4 1 0 0 0 0 0 0 0 20 0 1 0 4711 99 88\n";
        assert_eq!(parse_start(stat), Some(4711));
        assert_eq!(parse_start(&stat.replace(") S", ") Z")), None);
        assert_eq!(parse_start("7 (a) S 1"), None);
        assert_eq!(parse_start(""), None);
    }

    #[test]
    fn a_number_that_is_somebody_elses_is_not_killed() {
        let mut child = Command::new("sleep").arg("60").spawn().unwrap();
        let now = ProcessId::of(child.id());
        assert!(now.is_alive());
        let mut before = now.clone();
        before.start = before.start.map(|start| start - 1);
        let mut other_boot = now.clone();
        other_boot.boot = Some("another".into());
        for stale in [before, other_boot] {
            assert!(!stale.is_alive());
            assert!(!stale.kill() && !stale.terminate());
            assert!(stale.ended_within(Duration::from_secs(10)), "it has");
        }
        assert!(child.try_wait().unwrap().is_none(), "it still runs");
        assert!(!now.ended_within(Duration::ZERO));
        assert!(now.kill());
        assert!(now.ended_within(Duration::from_secs(10)));
        child.wait().unwrap();
        assert!(!now.is_alive() && !now.kill());
    }

    /// Its number is still taken.
    #[test]
    fn a_process_that_was_not_waited_for_has_ended() {
        let mut child = Command::new("cat")
            .stdin(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        let process = ProcessId::of(child.id());
        let pid = raw(child.id()).unwrap();
        drop(child.stdin.take());
        let ended = rustix::process::WaitIdOptions::EXITED | rustix::process::WaitIdOptions::NOWAIT;
        rustix::process::waitid(rustix::process::WaitId::Pid(pid), ended).unwrap();
        assert!(!process.is_alive());
        child.wait().unwrap();
    }
}
