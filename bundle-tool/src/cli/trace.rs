//! `ukernel trace`: the trace of a machine, or in a serial log, into a file for a trace viewer.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use abi::trace::{Record, Request};
use clap::Args;

use super::Failure;
use super::named::{is_running, latest, machines, running};
use crate::machines::{Command, Connection, Entry, Line, Reader};
use crate::trace::Recording;
use crate::ui::Ui;
use crate::whole_file::{self, FOR_ALL};

/// How long a guest may take to write its trace: two thousand lines at most.
const TRACE_TIMEOUT: Duration = Duration::from_secs(10);
/// How often its log is looked at meanwhile.
const LOOK_INTERVAL: Duration = Duration::from_millis(20);

/// Make a file for a trace viewer (such as ui.perfetto.dev) out of a machine's trace
///
/// A machine that runs is asked for what it has recorded since it was asked last. Of one that has ended, what it wrote then is
/// taken, as it is of the serial log LOG. What a guest records is in memory of its own until it ends or is asked, and
/// only while tracing is on: by `trace = true` under `[run]` in ukernel.toml, by --append trace=on of `ukernel run`, or by
/// --on here.
#[derive(Args)]
pub(super) struct Trace {
    /// A file with the serial log of a guest
    #[arg(value_name = "LOG", conflicts_with = "name")]
    log: Option<PathBuf>,
    /// The machine [default: the only one that is running, or the one that was started last]
    #[arg(long, value_name = "MACHINE")]
    name: Option<String>,
    /// The file to write [default: standard output]
    #[arg(long, short, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Switch tracing on in a running machine, and write nothing
    #[arg(long, conflicts_with_all = ["log", "out", "off"])]
    on: bool,
    /// Switch tracing off in a running machine, and write nothing
    #[arg(long, conflicts_with_all = ["log", "out"])]
    off: bool,
}

impl Trace {
    pub(super) fn execute(self, ui: &Ui) -> Result<ExitCode, Failure> {
        if self.on || self.off {
            let request = if self.on { Request::On } else { Request::Off };
            let entry = running(&machines()?, self.name.as_deref(), ui)?;
            connect(&entry)?.ask(Command::Trace(request))?;
            return Ok(ExitCode::SUCCESS);
        }
        let (log, place) = match &self.log {
            Some(file) => (read(file)?, file.display().to_string()),
            None => {
                let entry = self.machine(ui)?;
                if is_running(&entry) {
                    ask(&entry)?;
                }
                (log_of(&entry)?, format!("the log of {}", entry.state.name))
            }
        };
        self.write(&Recording::of(&log), &place, ui)
    }

    fn machine(&self, ui: &Ui) -> Result<Entry, Failure> {
        let machines = machines()?;
        running(&machines, self.name.as_deref(), ui)
            .or_else(|_| latest(&machines, self.name.as_deref(), ui))
    }

    fn write(&self, recording: &Recording, place: &str, ui: &Ui) -> Result<ExitCode, Failure> {
        if recording.spans() + recording.events() == 0 {
            return Err(Failure::new(format_args!("no trace in {place}")).hint(
                "tracing has to be on (see `ukernel help trace`), and the program to end or be asked",
            ));
        }
        let mut json = recording.to_chrome().to_string();
        json.push('\n');
        match &self.out {
            Some(out) => whole_file::write(out, FOR_ALL, |file| file.write_all(json.as_bytes()))
                .map_err(|error| cannot("write", out, error))?,
            None => ui.print(json)?,
        }
        ui.say(format_args!(
            "{} spans, {} events, {} lost, {} unreadable",
            recording.spans(),
            recording.events(),
            recording.lost(),
            recording.unreadable()
        ));
        Ok(ExitCode::SUCCESS)
    }
}

fn connect(entry: &Entry) -> Result<Connection, Failure> {
    Ok(Connection::open(&entry.state)?)
}

/// Asks a running machine for its trace, and waits until it is in its log: a second answer begins where the first has
/// ended.
fn ask(entry: &Entry) -> Result<(), Failure> {
    let mut reader = Reader::open_at_end(&entry.folder)?;
    let mut connection = connect(entry)?;
    connection.ask(Command::Trace(Request::Write))?;
    connection.ask(Command::Trace(Request::Write))?;
    let deadline = Instant::now() + TRACE_TIMEOUT;
    let mut answers = 0;
    loop {
        while let Some(line) = reader.next_line()? {
            answers += usize::from(matches!(
                Record::parse(&line.text),
                Some(Record::Head { .. })
            ));
        }
        // One that ends meanwhile writes the rest by itself.
        if answers >= 2 || connection.ended_within(LOOK_INTERVAL) {
            return Ok(());
        }
        if Instant::now() >= deadline {
            let name = &entry.state.name;
            let failure = Failure::new(format_args!("{name} does not answer"));
            return Err(failure.hint("only a program that has asked for its trace writes one"));
        }
    }
}

fn log_of(entry: &Entry) -> Result<String, Failure> {
    let mut reader = Reader::open(&entry.folder)?;
    let mut text = String::new();
    while let Some(line) = reader.next_line()? {
        text.push_str(&line.text);
        text.push('\n');
    }
    Ok(text)
}

/// A serial log as it is, or a machine's file, whose lines begin with times.
fn read(file: &Path) -> Result<String, Failure> {
    let log = fs::read(file).map_err(|error| cannot("read", file, error))?;
    let log = String::from_utf8_lossy(&log);
    let lines = log.lines().map(|line| Line::parse(line).text);
    Ok(lines.collect::<Vec<_>>().join("\n"))
}

fn cannot(what: &str, path: &Path, error: std::io::Error) -> Failure {
    Failure::from(error).context(format_args!("cannot {what} {}", path.display()))
}
