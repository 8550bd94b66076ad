//! Programs that a test starts and waits for. Each wait has a deadline: what never answers fails its test, and holds nobody up.

use std::io::{Read, Write};
use std::process::{ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use shared_child::SharedChild;

use crate::vm::SOON;

/// How long to wait for a line of a program or for its end, unless the test says otherwise.
const PATIENCE: Duration = Duration::from_secs(120);

/// How long what compiles the kernel may take.
const COMPILING: Duration = Duration::from_secs(30 * 60);

/// A program that runs; it is killed when it is dropped.
pub struct Process {
    child: SharedChild,
    input: Option<ChildStdin>,
    output: Stream,
    words: Stream,
    patience: Duration,
}

/// What a program writes, kept as it comes, so that it never waits for its reader.
pub struct Stream {
    pieces: Receiver<Vec<u8>>,
    /// What has come and was not taken.
    heard: Vec<u8>,
}

/// What a program did.
#[derive(Debug)]
pub struct Done {
    /// Its status; `None` if a signal ended it.
    pub status: Option<i32>,
    /// What it wrote to standard output.
    pub output: String,
    /// What it wrote to standard error.
    pub words: String,
}

/// Does what waits for somebody else, such as the opening of a pipe, in a thread of its own.
///
/// # Panics
/// It takes longer than what takes milliseconds should, or it panics.
#[track_caller]
pub fn soon<T: Send + 'static>(what: &str, work: impl FnOnce() -> T + Send + 'static) -> T {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || sender.send(work()));
    let done = receiver.recv_timeout(SOON);
    done.unwrap_or_else(|error| panic!("{what}: {error}"))
}

/// Looks until something is so.
///
/// # Panics
/// It is not so for longer than what takes milliseconds should take.
#[track_caller]
pub fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + SOON;
    while !is_so() {
        assert!(Instant::now() < deadline, "not within {SOON:?}: {what}");
        thread::yield_now();
    }
}

impl Process {
    /// Starts a program whose outputs are read here.
    ///
    /// # Panics
    /// It does not start.
    #[track_caller]
    pub fn start(command: &mut Command) -> Process {
        Process::start_as_it_is(command.stdout(Stdio::piped()).stderr(Stdio::piped()))
    }

    /// Starts a program; only those outputs are read here that are pipes already.
    ///
    /// # Panics
    /// It does not start.
    #[track_caller]
    pub fn start_as_it_is(command: &mut Command) -> Process {
        let child = SharedChild::spawn(command).expect("it starts");
        Process {
            input: child.take_stdin(),
            output: child.take_stdout().map_or_else(Stream::none, Stream::of),
            words: child.take_stderr().map_or_else(Stream::none, Stream::of),
            child,
            patience: PATIENCE,
        }
    }

    /// Waits as long as for compilers.
    #[must_use]
    pub fn which_compiles(mut self) -> Process {
        self.patience = COMPILING;
        self
    }

    /// Its number.
    ///
    /// # Panics
    /// No process has such a number.
    pub fn id(&self) -> Pid {
        Pid::from_raw(self.child.id().cast_signed()).expect("not 0")
    }

    /// Writes to its standard input, which was piped.
    ///
    /// # Panics
    /// It does not read.
    pub fn write(&mut self, text: &str) {
        let input = self.input.as_mut().expect("piped");
        input.write_all(text.as_bytes()).expect("it reads");
    }

    /// Waits for a line on standard output that has `text`. Returns all that was written up to its end.
    ///
    /// # Panics
    /// It does not come.
    #[track_caller]
    pub fn wait_for(&mut self, text: &str) -> String {
        self.output.wait_for(text, self.patience)
    }

    /// The same of standard error.
    ///
    /// # Panics
    /// It does not come.
    #[track_caller]
    pub fn wait_for_words(&mut self, text: &str) -> String {
        self.words.wait_for(text, self.patience)
    }

    /// Waits for a line on standard error that has `text`. `false`: it has closed that without such a line.
    ///
    /// # Panics
    /// Neither comes.
    #[track_caller]
    pub fn finds_words(&mut self, text: &str) -> bool {
        self.words.find(text, self.patience).is_some()
    }

    /// What one that has ended wrote to standard error and was not waited for; for a failed test to show.
    pub fn last_words(&mut self) -> String {
        let deadline = Instant::now() + SOON;
        while let Ok(piece) = self.words.pieces.recv_timeout(left(deadline)) {
            self.words.heard.extend(piece);
        }
        String::from_utf8_lossy(&self.words.heard).into_owned()
    }

    /// Sends it a signal.
    ///
    /// # Panics
    /// It has ended.
    pub fn signal(&self, signal: Signal) {
        kill_process(self.id(), signal).expect("it still runs");
    }

    /// Whether it has not ended yet.
    ///
    /// # Panics
    /// The system does not know it.
    pub fn is_running(&self) -> bool {
        self.child.try_wait().expect("a child").is_none()
    }

    /// Waits for its end, which may not come.
    ///
    /// # Panics
    /// The system does not know it.
    pub fn ends_within(&self, patience: Duration) -> bool {
        self.child
            .wait_timeout(patience)
            .expect("a child")
            .is_some()
    }

    /// Waits for its end and for that of its outputs. What it wrote is what was not waited for yet.
    ///
    /// # Panics
    /// It does not end, somebody else goes on to hold its outputs, or they are no text.
    #[track_caller]
    pub fn finish(mut self) -> Done {
        drop(self.input.take());
        let (output, words) = (
            self.output.rest(self.patience),
            self.words.rest(self.patience),
        );
        Done {
            status: self.wait().code(),
            output,
            words,
        }
    }

    /// Waits for its end.
    ///
    /// # Panics
    /// It does not come.
    #[track_caller]
    pub fn wait(&self) -> ExitStatus {
        let ended = self.child.wait_timeout(self.patience).expect("a child");
        ended.expect("it ends, having closed its outputs")
    }

    /// Kills it, as `kill -9` does, and waits until it is gone.
    ///
    /// # Panics
    /// The system does not know it.
    pub fn kill(&self) {
        self.child.kill().expect("a child");
        self.child.wait().expect("a child");
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

impl Stream {
    /// Reads all from `source`, in a thread of its own.
    pub fn of(mut source: impl Read + Send + 'static) -> Stream {
        let (sender, pieces) = mpsc::channel();
        thread::spawn(move || {
            let mut buffer = [0; 4096];
            // The end of a terminal is an error (pty(7) says EIO).
            while let count @ 1.. = source.read(&mut buffer).unwrap_or(0) {
                // Who does not listen any more still has it read.
                let _ = sender.send(buffer[..count].to_vec());
            }
        });
        Stream {
            pieces,
            heard: Vec::new(),
        }
    }

    fn none() -> Stream {
        Stream::of(std::io::empty())
    }

    /// The next piece, which is nobody else's then. `None`: that was all. Who waits too long shows what was `heard` before.
    ///
    /// # Panics
    /// Nothing comes until the deadline.
    #[track_caller]
    pub fn piece(&self, deadline: Instant, heard: &[u8]) -> Option<Vec<u8>> {
        let left = left(deadline);
        match self.pieces.recv_timeout(left) {
            Ok(piece) if !left.is_zero() => Some(piece),
            Err(RecvTimeoutError::Disconnected) => None,
            // Or there is always more.
            Ok(_) | Err(RecvTimeoutError::Timeout) => {
                let heard = String::from_utf8_lossy(heard);
                panic!("it took too long; so far:\n{heard}");
            }
        }
    }

    /// Hears the next piece. `false`: there is none.
    #[track_caller]
    fn hear(&mut self, deadline: Instant) -> bool {
        let piece = self.piece(deadline, &self.heard);
        self.heard.extend(piece.iter().flatten());
        piece.is_some()
    }

    #[track_caller]
    fn wait_for(&mut self, text: &str, patience: Duration) -> String {
        let found = self.find(text, patience);
        found.unwrap_or_else(|| {
            let heard = String::from_utf8_lossy(&self.heard);
            panic!("no line with '{text}' in:\n{heard}");
        })
    }

    /// All up to the end of the line with `text`, if it comes.
    #[track_caller]
    fn find(&mut self, text: &str, patience: Duration) -> Option<String> {
        let deadline = Instant::now() + patience;
        let mut looked_at = 0;
        loop {
            let lines = self.heard[looked_at..].split_inclusive(|byte| *byte == b'\n');
            for line in lines.filter(|line| line.ends_with(b"\n")) {
                looked_at += line.len();
                if String::from_utf8_lossy(line).contains(text) {
                    let behind = self.heard.split_off(looked_at);
                    return Some(to_text(std::mem::replace(&mut self.heard, behind)));
                }
            }
            if !self.hear(deadline) {
                return None;
            }
        }
    }

    #[track_caller]
    fn rest(&mut self, patience: Duration) -> String {
        let deadline = Instant::now() + patience;
        while self.hear(deadline) {}
        to_text(std::mem::take(&mut self.heard))
    }
}

fn left(deadline: Instant) -> Duration {
    deadline.saturating_duration_since(Instant::now())
}

fn to_text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).expect("text")
}

impl Done {
    /// Runs a program to its end.
    ///
    /// # Panics
    /// As [`Process::start`] and [`Process::finish`].
    #[track_caller]
    pub fn of(command: &mut Command) -> Done {
        Process::start(command).finish()
    }

    /// The same of what compiles the kernel.
    ///
    /// # Panics
    /// As [`Done::of`].
    #[track_caller]
    pub fn of_compiling(command: &mut Command) -> Done {
        Process::start(command).which_compiles().finish()
    }

    /// What it wrote to standard output, if it succeeded.
    ///
    /// # Panics
    /// It did not.
    #[track_caller]
    pub fn data(self) -> String {
        assert_eq!(self.status, Some(0), "{}", self.words);
        self.output
    }
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};

    use super::*;

    const SHORT: Duration = Duration::from_millis(50);

    fn shell(words: &str) -> Process {
        let mut shell = Command::new("sh");
        let mut process = Process::start(shell.args(["-c", words]).stdin(Stdio::piped()));
        process.patience = SHORT;
        process
    }

    fn why<T>(work: impl FnOnce() -> T) -> String {
        let panic = catch_unwind(AssertUnwindSafe(work))
            .err()
            .expect("it fails");
        *panic.downcast().expect("a text")
    }

    #[test]
    fn lines_are_waited_for_and_the_rest_is_kept() {
        let mut process =
            shell("echo one; echo two; read -r word; echo \"$word\"; echo bad >&2; exit 3");
        process.patience = SOON;
        assert_eq!(process.wait_for("two"), "one\ntwo\n");
        process.write("three\n");
        let done = process.finish();
        assert_eq!((done.status, done.output.as_str()), (Some(3), "three\n"));
        assert_eq!(done.words, "bad\n");
    }

    #[test]
    fn whatever_is_waited_for_comes_or_the_test_fails() {
        let mut silent = shell("echo half; printf 'no end of a line'; exec sleep 60");
        let said = why(|| silent.wait_for("no end"));
        assert!(said.ends_with("half\nno end of a line"), "{said}");
        // It goes on to write what nobody waits for.
        let mut busy = shell("while echo word; do :; done");
        why(|| busy.wait_for("another"));
        why(|| shell("exec sleep 60").finish());
        let said = why(|| shell("exec sleep 60 >&- 2>&-").finish());
        assert!(said.contains("closed its outputs"), "{said}");
        // Its child has its outputs, and no end.
        let said = why(|| shell("sleep 60 & echo $!").finish());
        let child = said.lines().last().and_then(|number| number.parse().ok());
        let child = child.and_then(Pid::from_raw).expect("it was said");
        kill_process(child, Signal::KILL).unwrap();
        let said = why(|| shell("echo one").wait_for("two"));
        assert_eq!(said, "no line with 'two' in:\none\n");
    }

    #[test]
    fn a_process_ends_with_its_test() {
        let process = shell("exec sleep 60");
        let id = process.id();
        assert!(process.is_running());
        drop(process);
        assert!(rustix::process::test_kill_process(id).is_err());
    }
}
