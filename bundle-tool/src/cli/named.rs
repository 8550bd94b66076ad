//! Which machines a command is about: those that were named, or the only one there can be meant. Shared by `logs`, `stop`
//! and `trace`.

use std::process::ExitCode;

use super::Failure;
use crate::machines::{Entry, Machines, Phase};
use crate::ui::Ui;

/// The machines of the project or the user.
pub(super) fn machines() -> Result<Machines, Failure> {
    Machines::current()
        .map_err(|error| Failure::from(error).context("cannot tell where machines are kept"))
}

/// Every machine; says which states cannot be read.
pub(super) fn all(machines: &Machines, ui: &Ui) -> Result<Vec<Entry>, Failure> {
    let (entries, problems) = machines.list()?;
    for problem in problems {
        let hint = problem.hint().map(|hint| format!(" ({hint})"));
        ui.warn(format_args!("{problem}{}", hint.unwrap_or_default()));
    }
    Ok(entries)
}

/// Does something about each of several machines, also after it did not work with one; every failure is told.
pub(super) fn each<T>(
    machines: impl IntoIterator<Item = T>,
    ui: &Ui,
    mut act: impl FnMut(T) -> Result<(), Failure>,
) -> Result<ExitCode, Failure> {
    let mut failed: Option<Failure> = None;
    for machine in machines {
        if let Err(failure) = act(machine)
            && let Some(before) = failed.replace(failure)
        {
            before.report(ui);
        }
    }
    failed.map_or(Ok(ExitCode::SUCCESS), Err)
}

/// The machine called `name`.
pub(super) fn one(machines: &Machines, name: &str) -> Result<Entry, Failure> {
    Ok(machines.find(name)?)
}

/// The named machine, or without a name the only one that runs.
pub(super) fn running(machines: &Machines, name: Option<&str>, ui: &Ui) -> Result<Entry, Failure> {
    if let Some(name) = name {
        return one(machines, name);
    }
    let mut running = all(machines, ui)?;
    running.retain(is_running);
    match running.len() {
        0 => Err(Failure::new("no machine is running")),
        1 => Ok(running.remove(0)),
        _ => Err(which(&running)),
    }
}

/// The named machine, or without a name the one that was started last.
pub(super) fn latest(machines: &Machines, name: Option<&str>, ui: &Ui) -> Result<Entry, Failure> {
    match name {
        Some(name) => one(machines, name),
        None => all(machines, ui)?
            .pop()
            .ok_or_else(|| Failure::new("there is no machine yet")),
    }
}

pub(super) fn is_running(entry: &Entry) -> bool {
    matches!(entry.state.phase(), Phase::Starting | Phase::Running)
}

fn which(running: &[Entry]) -> Failure {
    let names: Vec<&str> = running
        .iter()
        .map(|entry| entry.state.name.as_str())
        .collect();
    Failure::new("several machines are running")
        .hint(format_args!("name one: {}", names.join(", ")))
}
