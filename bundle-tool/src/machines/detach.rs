//! A machine without a terminal: a process of the same program, in a session of its own, supervises it. The one that was
//! started by a person tells it what to run through a pipe, hears whether that started, and ends.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::process::{Command, Stdio};

use serde::{Deserialize, Serialize};

use super::{Entry, Machines, Order, State, SuperviseError, Supervised};

/// The longest answer of a supervisor, in bytes.
const MAX_ANSWER: u64 = 64 * 1024;

/// What a supervisor says once.
#[derive(Serialize, Deserialize)]
enum Answer {
    Started(Box<State>),
    Failed(DetachError),
}

/// What a supervisor is told.
#[derive(Serialize, Deserialize)]
struct Task {
    machines: std::path::PathBuf,
    order: Order,
}

/// A detached machine did not start.
#[derive(Debug, thiserror::Error, Serialize, Deserialize)]
#[error("{message}")]
pub struct DetachError {
    message: String,
    /// What a person can do about it.
    pub hint: Option<String>,
}

impl From<io::Error> for DetachError {
    fn from(error: io::Error) -> DetachError {
        DetachError {
            message: format!("cannot start a supervisor: {error}"),
            hint: None,
        }
    }
}

impl From<SuperviseError> for DetachError {
    fn from(error: SuperviseError) -> DetachError {
        DetachError {
            message: error.to_string(),
            hint: error.hint(),
        }
    }
}

/// Starts a machine that outlives this process, and returns when the first line of its log is there to be read (or 10 s later).
/// `supervisor` is this program with the arguments that lead it to
/// [`supervise_detached`].
///
/// # Errors
/// It does not start; nothing is left of it then.
pub fn start_detached(
    machines: &Machines,
    order: Order,
    mut supervisor: Command,
) -> Result<Entry, DetachError> {
    let task = Task {
        machines: machines.folder().into(),
        order,
    };
    let task = serde_json::to_vec(&task).map_err(io::Error::other)?;
    let mut child = supervisor
        .current_dir("/")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()?;
    let mut input = child.stdin.take().expect("it is piped");
    // A supervisor that does not listen has failed, which its silence tells below.
    let _ = input.write_all(&task);
    drop(input);
    let output = child.stdout.take().expect("it is piped");
    let mut answer = String::new();
    BufReader::new(output.take(MAX_ANSWER)).read_line(&mut answer)?;
    match serde_json::from_str(&answer) {
        Ok(Answer::Started(state)) => Ok(Entry {
            folder: machines.folder().join(&state.name),
            state: *state,
        }),
        Ok(Answer::Failed(error)) => Err(error),
        Err(_) => Err(io::Error::other("it ended without an answer").into()),
    }
}

/// Supervises a machine for [`start_detached`]: is told on standard input what to run, answers on standard output, and
/// returns when the machine has ended. `on_start` is called with the machine that runs.
///
/// # Errors
/// Its end cannot be written down. That it does not start, or that what to run cannot be read, is an answer.
pub fn supervise_detached(on_start: impl FnOnce(&Supervised)) -> io::Result<()> {
    let Task { machines, order } = match hear() {
        Ok(task) => task,
        // Nobody hears what is written elsewhere.
        Err(error) => return answer(&Answer::Failed(error.into())),
    };
    let machines = Machines::at(machines);
    match order.start(&machines, |_| {}) {
        Ok(supervised) => {
            on_start(&supervised);
            supervised.wait_until_up();
            answer(&Answer::Started(Box::new(supervised.state().clone())))?;
            let (_, recorded) = supervised.wait();
            recorded.map_err(io::Error::other)
        }
        Err(error) => answer(&Answer::Failed(error.into())),
    }
}

/// Leaves the terminal, and hears what to run.
fn hear() -> io::Result<Task> {
    // Before anything else: a Ctrl-C in the terminal is not for this process.
    rustix::process::setsid()?;
    let mut task = Vec::new();
    io::stdin().read_to_end(&mut task)?;
    Ok(serde_json::from_slice(&task)?)
}

/// Whoever asked may be gone; the machine runs all the same.
fn answer(answer: &Answer) -> io::Result<()> {
    let mut line = serde_json::to_string(answer)?;
    line.push('\n');
    let _ = io::stdout().write_all(line.as_bytes());
    let _ = io::stdout().flush();
    Ok(())
}
