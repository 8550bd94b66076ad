//! A terminal for a command under test: a pseudo-terminal, and what its screen would show.

use std::fs::File;
use std::io::Write;
use std::num::NonZero;
use std::os::fd::OwnedFd;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rustix::fs::{Mode, OFlags, open};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};
use system_tests::process::{Process, Stream};

/// How long a command may take, whatever it shows meanwhile.
const PATIENCE: Duration = Duration::from_secs(60);
/// The screen.
const ROWS: NonZero<u16> = NonZero::new(40).expect("not 0");
const COLUMNS: NonZero<u16> = NonZero::new(100).expect("not 0");

/// A command on a terminal.
pub(crate) struct Terminal {
    side: File,
    shown: Stream,
    screen: vt100::Parser,
    raw: String,
    process: Process,
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
        let process = Process::start_as_it_is(&mut command);
        // The last descriptor of the other side here goes with the command: its end is then the terminal's.
        drop((command, other));
        let side = File::from(side);
        Terminal {
            shown: Stream::of(side.try_clone().expect("a descriptor")),
            side,
            screen: vt100::Parser::new(ROWS, COLUMNS, 0),
            raw: String::new(),
            process,
        }
    }

    /// Types.
    pub(crate) fn write(&mut self, bytes: &[u8]) {
        self.side.write_all(bytes).expect("it is a terminal");
    }

    /// Reads on until the screen shows `text`.
    #[track_caller]
    pub(crate) fn wait_for(&mut self, text: &str) {
        let deadline = Instant::now() + PATIENCE;
        while !self.shows(text) {
            assert!(
                self.read(deadline),
                "the command ended without showing '{text}':\n{}",
                self.raw
            );
        }
    }

    /// Whether the screen shows `text`.
    pub(crate) fn shows(&self, text: &str) -> bool {
        self.screen.screen().contents().contains(text)
    }

    /// Waits for the command's end, which may not come.
    pub(crate) fn ends_within(&self, patience: Duration) -> bool {
        self.process.ends_within(patience)
    }

    /// Reads to the end. Returns the command's status and all that it wrote to the terminal.
    pub(crate) fn finish(&mut self) -> (Option<i32>, String) {
        let deadline = Instant::now() + PATIENCE;
        while self.read(deadline) {}
        (self.process.wait().code(), self.raw.clone())
    }

    /// Waits for more. `false`: the other side is closed.
    fn read(&mut self, deadline: Instant) -> bool {
        let Some(piece) = self.shown.piece(deadline, self.raw.as_bytes()) else {
            return false;
        };
        self.screen.process(&piece);
        self.raw.push_str(&String::from_utf8_lossy(&piece));
        true
    }
}
