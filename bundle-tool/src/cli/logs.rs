//! `ukernel logs`: a machine's serial log, past and to come.

use std::collections::VecDeque;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, ValueEnum};
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use super::Failure;
use super::attend::{Explainer, below_frame};
use super::named::{is_running, latest, machines};
use crate::machine::Symbols;
use crate::machines::{Entry, Line, Reader};
use crate::manifest::LogLevel;
use crate::ui::Ui;

/// How often a log is looked at for more.
const LOOK_INTERVAL: Duration = Duration::from_millis(100);

/// Show a machine's log, a backtrace with its functions
///
/// A machine's log is kept when it has ended, until `ukernel rm`, or until another one of that name is started.
#[derive(Args)]
pub(super) struct Logs {
    /// The machine [default: the one that was started last]
    name: Option<String>,
    /// Go on until the machine has ended
    #[arg(long, short)]
    follow: bool,
    /// Leave out what is older: a time such as 2026-11-20T16:00:00Z, or a span such as 10m
    #[arg(long, value_name = "TIME", value_parser = since)]
    since: Option<Timestamp>,
    /// Leave out lines of lower levels: error, warn, info, debug or trace. Lines without a level, such as those of a crash,
    /// are shown
    #[arg(long, value_enum, value_name = "LEVEL", hide_possible_values = true)]
    level: Option<Level>,
    /// Show the last COUNT lines only
    #[arg(long, short = 'n', value_name = "COUNT")]
    tail: Option<usize>,
    /// Show when each line came
    #[arg(long, short)]
    timestamps: bool,
    /// Write JSON: an object a line
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum Level {
    Error,
    Warn,
    Info,
    Debug,
    Trace,
}

/// A line, for programs.
#[derive(Serialize)]
struct Record<'a> {
    time: Option<Timestamp>,
    /// Seconds since the guest's boot; nothing for lines that are none of its log.
    #[serde(skip_serializing_if = "Option::is_none")]
    uptime: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    level: Option<&'static str>,
    message: &'a str,
    /// For a frame of a backtrace: the functions that it stands for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    functions: Vec<String>,
}

impl Logs {
    pub(super) fn execute(self, ui: &Ui) -> Result<ExitCode, Failure> {
        let entry = latest(&machines()?, self.name.as_deref(), ui)?;
        let unreadable = |error| Failure::from(error).context(cannot_read(&entry.folder));
        let mut reader = Reader::open(&entry.folder).map_err(unreadable)?;
        let mut view = View {
            options: &self,
            explainer: Explainer::new(symbols(&entry, ui), ui),
            ui,
        };
        // Whoever is asked about before the log is read to its end cannot write more unseen.
        let mut runs = is_running(&entry);
        let mut last = VecDeque::new();
        while let Some(line) = reader.next_line().map_err(unreadable)? {
            match self.tail {
                _ if !view.wants(&line) => {}
                None => view.show(&line)?,
                Some(count) => {
                    last.push_back(line);
                    last.drain(..last.len().saturating_sub(count));
                }
            }
        }
        last.iter().try_for_each(|line| view.show(line))?;
        while self.follow && runs {
            // Whoever runs it ends behind the last line.
            runs = !entry.state.supervisor.ended_within(LOOK_INTERVAL);
            while let Some(line) = reader.next_line().map_err(unreadable)? {
                if view.wants(&line) {
                    view.show(&line)?;
                }
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// The symbols of the ELF that the machine was started with; `None`: they are not there any more.
fn symbols(entry: &Entry, ui: &Ui) -> Option<Symbols> {
    if entry.state.symbols_fit() {
        return Some(Symbols::new(&entry.state.symbols));
    }
    ui.detail(format_args!(
        "{} has changed since: backtraces are shown as they are",
        entry.state.symbols.display()
    ));
    None
}

fn cannot_read(folder: &Path) -> String {
    format!("cannot read the log in {}", folder.display())
}

/// How lines are shown.
struct View<'a> {
    options: &'a Logs,
    explainer: Explainer,
    ui: &'a Ui,
}

impl View<'_> {
    fn wants(&self, line: &Line) -> bool {
        let new_enough = match (self.options.since, line.time) {
            (Some(since), Some(time)) => time >= since,
            _ => true,
        };
        new_enough && self.options.level.is_none_or(|least| reaches(line, least))
    }

    fn show(&mut self, line: &Line) -> Result<(), Failure> {
        let functions = self.explainer.functions(&line.text);
        if self.options.json {
            let record = record(line, functions);
            let text = serde_json::to_string(&record)?;
            return Ok(self.ui.print(format_args!("{text}\n"))?);
        }
        let time = line.time.filter(|_| self.options.timestamps);
        let time = time.map_or(String::new(), |time| format!("{time:.6} "));
        self.ui.print(format_args!("{time}{}\n", line.text))?;
        for function in functions {
            self.ui.print(below_frame(&function))?;
        }
        Ok(())
    }
}

/// Whether a line is at least that important.
fn reaches(line: &Line, least: Level) -> bool {
    match line.parts() {
        Some((_, level, _)) => rank(level) <= least as u8,
        None => !line.text.starts_with(abi::trace::PREFIX),
    }
}

fn rank(level: LogLevel) -> u8 {
    match level {
        LogLevel::Off | LogLevel::Error => Level::Error as u8,
        LogLevel::Warn => Level::Warn as u8,
        LogLevel::Info => Level::Info as u8,
        LogLevel::Debug => Level::Debug as u8,
        LogLevel::Trace => Level::Trace as u8,
    }
}

fn record(line: &Line, functions: Vec<String>) -> Record<'_> {
    let parts = line.parts();
    Record {
        time: line.time,
        uptime: parts.map(|(uptime, ..)| uptime),
        level: parts.map(|(_, level, _)| level.as_str()),
        message: parts.map_or(&line.text, |(.., message)| message),
        functions,
    }
}

/// Reads a time, or how long ago it was.
fn since(text: &str) -> Result<Timestamp, String> {
    if let Ok(time) = text.parse() {
        return Ok(time);
    }
    let span: SignedDuration = text
        .parse()
        .map_err(|_| "neither a time such as 2026-11-20T16:00:00Z nor a span such as 10m")?;
    let then = Timestamp::now().checked_sub(span);
    then.map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(text: &str) -> Line {
        Line {
            time: "2026-11-20T16:00:00Z".parse().ok(),
            text: text.into(),
        }
    }

    #[test]
    fn levels_are_filtered_and_crashes_are_not() {
        let warn = line("[    0.000001] WARN  low memory");
        assert!(reaches(&warn, Level::Info) && reaches(&warn, Level::Warn));
        assert!(!reaches(&warn, Level::Error));
        for always in ["panic: at src/main.rs:1", "  at 0x0000000000101234", ""] {
            assert!(reaches(&line(always), Level::Error), "{always}");
        }
        assert!(!reaches(&line("#trace h 1 0"), Level::Trace));
    }

    #[test]
    fn a_line_becomes_an_object() {
        let text = serde_json::to_string(&record(&line("[    1.500000] INFO  up"), vec![]));
        let expected =
            r#"{"time":"2026-11-20T16:00:00Z","uptime":1.5,"level":"info","message":"up"}"#;
        assert_eq!(text.unwrap(), expected);
        let text = serde_json::to_string(&record(&line("  at 0x1"), vec!["f at a:1".into()]));
        let expected =
            r#"{"time":"2026-11-20T16:00:00Z","message":"  at 0x1","functions":["f at a:1"]}"#;
        assert_eq!(text.unwrap(), expected);
    }

    #[test]
    fn since_is_a_time_or_a_span() {
        assert_eq!(
            since("2026-11-20T16:00:00Z"),
            Ok("2026-11-20T16:00:00Z".parse().unwrap())
        );
        let before = Timestamp::now() - SignedDuration::from_mins(11);
        assert!(since("10m").unwrap() > before && since("1h 30m").unwrap() < before);
        for bad in ["", "yesterday", "10"] {
            assert!(since(bad).is_err(), "{bad}");
        }
    }
}
