//! How other processes talk to a machine's supervisor: a Unix socket in a folder that only its user may enter. A command is a
//! line, its answer too. A connection ends when the machine has ended, which is what somebody who waits for that waits for.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Weak;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use abi::trace::Request;

use super::State;
use crate::machine::Machine;

/// The socket, in the folder for sockets.
const SOCKET: &str = "control";
/// The longest line either side reads, in bytes.
const MAX_LINE: u64 = 1024;
/// The most connections at a time. Further ones are closed at once.
const MAX_CONNECTIONS: usize = 64;
/// How long a supervisor may take to answer. It asks the VMM, which is given 30 s.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(40);

/// What a supervisor can be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command {
    /// To ask the guest to stop.
    Stop,
    /// To kill the machine.
    Kill,
    /// To ask the guest for its trace, or to switch tracing.
    Trace(Request),
}

impl Command {
    const ALL: [Command; 5] = [
        Command::Stop,
        Command::Kill,
        Command::Trace(Request::Write),
        Command::Trace(Request::On),
        Command::Trace(Request::Off),
    ];

    fn line(self) -> &'static str {
        match self {
            Command::Stop => "stop\n",
            Command::Kill => "kill\n",
            Command::Trace(request) => request.line(),
        }
    }

    fn perform(self, machine: &Machine) -> Result<(), String> {
        match self {
            Command::Stop => machine.stop().map_err(|error| error.to_string()),
            Command::Kill => {
                machine.kill();
                Ok(())
            }
            Command::Trace(request) => machine
                .write_serial(request.line().as_bytes())
                .map_err(|error| error.to_string()),
        }
    }
}

/// Answers at a socket in `scratch`. Threads do it, which end with the process; they do not keep the machine.
pub(super) fn serve(scratch: &Path, machine: Weak<Machine>) -> io::Result<()> {
    let listener = UnixListener::bind(scratch.join(SOCKET))?;
    thread::spawn(move || {
        static OPEN: AtomicUsize = AtomicUsize::new(0);
        for stream in listener.incoming().flatten() {
            if OPEN.fetch_add(1, Ordering::Relaxed) >= MAX_CONNECTIONS {
                OPEN.fetch_sub(1, Ordering::Relaxed);
                continue;
            }
            let machine = machine.clone();
            thread::spawn(move || {
                // Whoever hangs up has what he wanted.
                let _ = converse(&stream, &machine);
                OPEN.fetch_sub(1, Ordering::Relaxed);
            });
        }
    });
    Ok(())
}

fn converse(stream: &UnixStream, machine: &Weak<Machine>) -> io::Result<()> {
    let mut reader = BufReader::new(stream);
    let mut writer = stream;
    loop {
        let mut line = String::new();
        if reader.by_ref().take(MAX_LINE).read_line(&mut line)? == 0 {
            return Ok(());
        }
        let command = Command::ALL.into_iter().find(|known| known.line() == line);
        let result = match (command, machine.upgrade()) {
            (None, _) => Err("unknown command".to_string()),
            (_, None) => Err("the machine has ended".into()),
            (Some(command), Some(machine)) => command.perform(&machine),
        };
        let answer = match result {
            Ok(()) => "ok\n".to_string(),
            Err(reason) => format!("error {}\n", reason.replace('\n', " ")),
        };
        writer.write_all(answer.as_bytes())?;
    }
}

/// A connection to the supervisor of a running machine.
#[derive(Debug)]
pub struct Connection {
    reader: BufReader<UnixStream>,
}

/// A machine could not be told something.
#[derive(Debug, thiserror::Error)]
pub enum ConnectionError {
    /// Nobody answers.
    #[error("the machine's supervisor does not answer: {0}")]
    Silent(#[from] io::Error),
    /// The machine ended meanwhile.
    #[error("the machine has ended")]
    Ended,
    /// It was refused.
    #[error("{0}")]
    Refused(String),
}

impl Connection {
    /// Connects to the supervisor of the machine with this state.
    ///
    /// # Errors
    /// [`ConnectionError::Silent`]: nobody listens, as when the machine is just being started or has ended.
    pub fn open(state: &State) -> Result<Connection, ConnectionError> {
        let socket: PathBuf = match &state.scratch {
            Some(scratch) => scratch.join(SOCKET),
            None => return Err(ConnectionError::Ended),
        };
        let stream = UnixStream::connect(socket)?;
        stream.set_write_timeout(Some(ANSWER_TIMEOUT))?;
        Ok(Connection {
            reader: BufReader::new(stream),
        })
    }

    /// Asks for something, and waits for the answer, at most 40 s.
    ///
    /// # Errors
    /// It was refused, or the machine has ended.
    pub fn ask(&mut self, command: Command) -> Result<(), ConnectionError> {
        self.reader
            .get_mut()
            .write_all(command.line().as_bytes())
            .map_err(ended)?;
        self.set_timeout(ANSWER_TIMEOUT)?;
        let mut answer = String::new();
        let count = self.reader.by_ref().take(MAX_LINE).read_line(&mut answer);
        match (count.map_err(ended)?, answer.trim_end()) {
            (0, _) => Err(ConnectionError::Ended),
            (_, "ok") => Ok(()),
            (_, answer) => {
                let reason = answer.strip_prefix("error ").unwrap_or(answer);
                Err(ConnectionError::Refused(reason.into()))
            }
        }
    }

    /// Waits for the machine's end, at most for `span`. Whether it has ended.
    pub fn ended_within(&mut self, span: Duration) -> bool {
        let deadline = Instant::now() + span;
        let mut byte = [0];
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() || self.set_timeout(left).is_err() {
                return false;
            }
            match self.reader.read(&mut byte) {
                Ok(0) => return true,
                Ok(_) => {} // nothing is said unasked
                Err(error) if is_timeout(&error) => {}
                Err(_) => return true,
            }
        }
    }

    fn set_timeout(&self, span: Duration) -> io::Result<()> {
        self.reader.get_ref().set_read_timeout(Some(span))
    }
}

fn is_timeout(error: &io::Error) -> bool {
    use io::ErrorKind::{Interrupted, TimedOut, WouldBlock};
    matches!(error.kind(), Interrupted | TimedOut | WouldBlock)
}

fn ended(error: io::Error) -> ConnectionError {
    match error.kind() {
        io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset => ConnectionError::Ended,
        _ => ConnectionError::Silent(error),
    }
}
