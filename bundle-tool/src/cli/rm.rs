//! `ukernel rm`: forgets machines.

use std::process::ExitCode;

use clap::Args;

use super::Failure;
use super::named::{each, is_running, machines};
use super::stop::kill;
use crate::machines::{Machines, MachinesError};
use crate::ui::Ui;

/// Remove machines that have ended, with their logs
#[derive(Args)]
pub(super) struct Rm {
    /// The machines
    #[arg(required_unless_present = "ended")]
    names: Vec<String>,
    /// Remove all that have ended
    #[arg(long, conflicts_with = "names")]
    ended: bool,
    /// Kill those that are running
    #[arg(long, short)]
    force: bool,
}

impl Rm {
    pub(super) fn execute(self, ui: &Ui) -> Result<ExitCode, Failure> {
        let machines = machines()?;
        let names = match self.ended {
            true => ended(&machines, ui)?,
            false => self.names,
        };
        each(names, ui, |name| {
            remove(&machines, &name, self.force)?;
            Ok(ui.print(format_args!("{name}\n"))?)
        })
    }
}

fn ended(machines: &Machines, ui: &Ui) -> Result<Vec<String>, Failure> {
    let mut entries = super::named::all(machines, ui)?;
    entries.retain(|entry| !is_running(entry));
    Ok(entries.into_iter().map(|entry| entry.state.name).collect())
}

fn remove(machines: &Machines, name: &str, force: bool) -> Result<(), Failure> {
    match machines.find(name) {
        Ok(entry) if is_running(&entry) && force => kill(&entry)?,
        Ok(entry) if is_running(&entry) => {
            let failure = Failure::new(format_args!("machine '{name}' is running"));
            return Err(failure.hint(format_args!(
                "ukernel stop {name}, or ukernel rm --force {name}"
            )));
        }
        // One whose state cannot be read can be removed all the same, unless somebody holds it.
        _ => {}
    }
    machines.remove(name).map_err(|error| match error {
        MachinesError::Taken(_) => held(machines, name),
        error => error.into(),
    })
}

/// There is no state that would say by whom.
fn held(machines: &Machines, name: &str) -> Failure {
    let lock = machines.folder().join(name).join("lock");
    let what = format_args!("machine '{name}' is running, or just being started or removed");
    Failure::new(what).hint(format_args!("`fuser {}` names the process", lock.display()))
}
