//! `ukernel ps`: which machines there are.

use std::fmt::Write;
use std::process::ExitCode;

use clap::Args;
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use super::Failure;
use super::named::{all, is_running, machines};
use crate::machine::Forward;
use crate::machines::{End, EndKind, Entry, Phase};
use crate::ui::Ui;

/// List the machines of the project, or the user's own outside of one
#[derive(Args)]
pub(super) struct Ps {
    /// List those that have ended, too
    #[arg(long, short)]
    all: bool,
    /// Write JSON: a list of objects
    #[arg(long)]
    json: bool,
}

/// A machine, for programs; docs/json.md has the keys.
#[derive(Serialize)]
pub(super) struct Row<'a> {
    name: &'a str,
    phase: Phase,
    vmm: &'a str,
    reason: &'a str,
    kernel: &'a std::path::Path,
    memory_mib: u32,
    vcpus: u32,
    ports: &'a [Forward],
    started: Timestamp,
    /// The process that `ukernel` runs the machine in, and the VMM's.
    supervisor_pid: u32,
    vmm_pid: Option<u32>,
    end: Option<&'a End>,
    folder: &'a std::path::Path,
}

impl Ps {
    pub(super) fn execute(self, ui: &Ui) -> Result<ExitCode, Failure> {
        let mut entries = all(&machines()?, ui)?;
        entries.retain(|entry| self.all || is_running(entry));
        if self.json {
            let rows: Vec<Row<'_>> = entries.iter().map(row).collect();
            ui.json(&rows)?;
        } else {
            ui.print(table(&entries, Timestamp::now()))?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

pub(super) fn row(entry: &Entry) -> Row<'_> {
    let state = &entry.state;
    Row {
        name: &state.name,
        phase: state.phase(),
        vmm: &state.vmm,
        reason: &state.reason,
        kernel: &state.kernel,
        memory_mib: state.memory_mib,
        vcpus: state.vcpus,
        ports: &state.ports,
        started: state.started,
        supervisor_pid: state.supervisor.pid,
        vmm_pid: state.vmm_process.as_ref().map(|process| process.pid),
        end: state.end.as_ref(),
        folder: &entry.folder,
    }
}

/// A line a machine, in columns as wide as what is in them.
fn table(entries: &[Entry], now: Timestamp) -> String {
    let head = ["NAME", "STATUS", "VMM", "MEMORY", "PORTS"].map(String::from);
    let rows = entries.iter().map(|entry| cells(entry, now));
    let rows: Vec<[String; 5]> = std::iter::once(head).chain(rows).collect();
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max();
    let widths: Vec<usize> = (0..5).map(|column| width(column).unwrap_or(0)).collect();
    let mut text = String::new();
    for row in &rows {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(&widths) {
            write!(line, "{cell:width$}  ").expect("a String takes all");
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

fn cells(entry: &Entry, now: Timestamp) -> [String; 5] {
    let state = &entry.state;
    let status = match (&state.end, state.phase()) {
        (Some(end), _) => format!("{} {} ago", ended(end), span(now.duration_since(end.at))),
        (None, Phase::Starting) => "starting".into(),
        (None, Phase::Running) => format!("up {}", span(now.duration_since(state.started))),
        (None, _) => "died".into(),
    };
    let ports: Vec<String> = state.ports.iter().map(port).collect();
    [
        state.name.clone(),
        status,
        state.vmm.clone(),
        format!("{}M", state.memory_mib),
        ports.join(", "),
    ]
}

fn ended(end: &End) -> String {
    match end.kind {
        EndKind::Exited => format!("exited ({})", end.status),
        EndKind::NoStatus => "ended without a status".into(),
        EndKind::VmmFailed => "failed".into(),
        EndKind::TimedOut => "timed out".into(),
        EndKind::Killed => "killed".into(),
        EndKind::Died => "died".into(),
    }
}

fn port(forward: &Forward) -> String {
    let Forward {
        protocol,
        host_port,
        guest_port,
    } = forward;
    format!("{host_port}->{guest_port}/{protocol}")
}

/// The largest unit is enough.
fn span(duration: SignedDuration) -> String {
    let seconds = duration.as_secs().max(0);
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3600 => format!("{} min", seconds / 60),
        3600..86400 => format!("{} h", seconds / 3600),
        _ => format!("{} d", seconds / 86400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_has_one_unit() {
        for (seconds, text) in [
            (-5, "0 s"),
            (59, "59 s"),
            (60, "1 min"),
            (7199, "1 h"),
            (90_000, "1 d"),
        ] {
            assert_eq!(span(SignedDuration::from_secs(seconds)), text);
        }
    }

    #[test]
    fn nothing_is_a_heading() {
        let text = table(&[], Timestamp::UNIX_EPOCH);
        assert_eq!(text, "NAME  STATUS  VMM  MEMORY  PORTS\n");
    }
}
