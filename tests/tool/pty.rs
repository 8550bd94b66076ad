//! A terminal for a command under test: a pseudo-terminal, and what its screen would show.

use std::fs::File;
use std::io::{Read, Write};
use std::num::NonZero;
use std::os::fd::OwnedFd;
use std::process::{Child, Command, Stdio};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{Mode, OFlags, open};
use rustix::io::retry_on_intr;
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};

/// How long a command may be silent.
const PATIENCE: Timespec = Timespec {
    tv_sec: 60,
    tv_nsec: 0,
};
/// The screen.
const ROWS: NonZero<u16> = NonZero::new(40).expect("not 0");
const COLUMNS: NonZero<u16> = NonZero::new(100).expect("not 0");

/// A command on a terminal.
pub(crate) struct Terminal {
    side: File,
    screen: vt100::Parser,
    raw: String,
    child: Child,
}

/// A new pseudo-terminal: this side, and the one for a command.
fn pair() -> (OwnedFd, OwnedFd) {
    let side = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("a terminal");
    grantpt(&side).expect("it is new");
    unlockpt(&side).expect("it is new");
    let size = Winsize {
        ws_row: ROWS.get(),
        ws_col: COLUMNS.get(),
        ws_xpixel: 0,
        ws_ypixel: 0,
    };
    tcsetwinsize(&side, size).expect("it is a terminal");
    let name = ptsname(&side, Vec::new()).expect("it has a name");
    let other = open(name, OFlags::RDWR | OFlags::NOCTTY, Mode::empty()).expect("it is unlocked");
    (side, other)
}

impl Terminal {
    /// Starts a command whose input and both outputs are a terminal's; with `redirect`, some of them may be put elsewhere again.
    pub(crate) fn start(mut command: Command, redirect: impl FnOnce(&mut Command)) -> Terminal {
        let (side, other) = pair();
        let copy = || Stdio::from(other.try_clone().expect("a descriptor"));
        command.stdin(copy()).stdout(copy()).stderr(copy());
        redirect(&mut command);
        let child = command.spawn().expect("it starts");
        // The last descriptor of the other side here goes with the command: its end is then the terminal's.
        drop(command);
        Terminal {
            side: side.into(),
            screen: vt100::Parser::new(ROWS, COLUMNS, 0),
            raw: String::new(),
            child,
        }
    }

    /// Types.
    pub(crate) fn write(&mut self, bytes: &[u8]) {
        self.side.write_all(bytes).expect("it is a terminal");
    }

    /// Reads on until the screen shows `text`.
    #[track_caller]
    pub(crate) fn wait_for(&mut self, text: &str) {
        while !self.shows(text) {
            assert!(
                self.read(),
                "the command ended without showing '{text}':\n{}",
                self.raw
            );
        }
    }

    /// Whether the screen shows `text`.
    pub(crate) fn shows(&self, text: &str) -> bool {
        self.screen.screen().contents().contains(text)
    }

    /// Reads to the end. Returns the command's status and all that it wrote to the terminal.
    pub(crate) fn finish(&mut self) -> (Option<i32>, String) {
        while self.read() {}
        let status = self.child.wait().expect("a child");
        (status.code(), self.raw.clone())
    }

    /// Reads what there is, or waits for more. `false`: the other side is closed.
    fn read(&mut self) -> bool {
        let mut ready = [PollFd::new(&self.side, PollFlags::IN)];
        let count = retry_on_intr(|| poll(&mut ready, Some(&PATIENCE)));
        let count = count.expect("it can be waited for");
        assert!(
            count > 0,
            "nothing was written for a minute; so far:\n{}",
            self.raw
        );
        let mut buffer = [0; 4096];
        // An error, as well as no bytes, means that the other side is closed (pty(7) says EIO).
        let count = self.side.read(&mut buffer).unwrap_or(0);
        self.screen.process(&buffer[..count]);
        self.raw
            .push_str(&String::from_utf8_lossy(&buffer[..count]));
        count > 0
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        if self.child.try_wait().is_ok_and(|status| status.is_none()) {
            // Only after a failure: nothing waits for it then.
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}
