//! `ukernel stop`: asks machines to end, and sees to it that they do.

use std::fmt::Display;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;

use super::Failure;
use super::named::{each, is_running, machines, one, running};
use crate::machines::{Command, Connection, ConnectionError, Entry};
use crate::ui::Ui;

/// How long a killed machine may take to be gone.
const KILL_TIMEOUT: Duration = Duration::from_secs(10);

/// Ask machines to stop, as Ctrl-C does, and kill those that do not
#[derive(Args)]
pub(super) struct Stop {
    /// The machines [default: the only one that is running]
    names: Vec<String>,
    /// Kill a machine that has not ended after so many seconds
    #[arg(long, short, value_name = "SECONDS", default_value_t = 10)]
    timeout: u32,
}

impl Stop {
    pub(super) fn execute(self, ui: &Ui) -> Result<ExitCode, Failure> {
        let machines = machines()?;
        let names = match self.names.is_empty() {
            true => vec![running(&machines, None, ui)?.state.name],
            false => self.names,
        };
        let patience = Duration::from_secs(self.timeout.into());
        each(names, ui, |name| {
            stop(&one(&machines, &name)?, patience, ui)?;
            Ok(ui.print(format_args!("{name}\n"))?)
        })
    }
}

fn stop(entry: &Entry, patience: Duration, ui: &Ui) -> Result<(), Failure> {
    let name = &entry.state.name;
    if !is_running(entry) {
        ui.say(format_args!("{name} is not running"));
        return Ok(());
    }
    let mut connection = match Connection::open(&entry.state) {
        Ok(connection) => connection,
        Err(error) => return stop_supervisor(entry, patience, &error),
    };
    match connection.ask(Command::Stop) {
        Ok(()) => {}
        Err(ConnectionError::Ended) => return Ok(()),
        // A VMM without Ctrl-Alt-Del, or one that hangs, can still be killed.
        Err(error) => ui.warn(format_args!("{name} cannot be asked to stop: {error}")),
    }
    if connection.ended_within(patience) {
        return Ok(());
    }
    ui.warn(format_args!(
        "{name} has not ended after {} s: it is killed",
        patience.as_secs()
    ));
    kill(entry)
}

/// Kills a machine that runs, and waits for its end.
pub(super) fn kill(entry: &Entry) -> Result<(), Failure> {
    let mut connection = match Connection::open(&entry.state) {
        Ok(connection) => connection,
        Err(error) => return kill_supervisor(entry, &error),
    };
    match connection.ask(Command::Kill) {
        Ok(()) if connection.ended_within(KILL_TIMEOUT) => Ok(()),
        Err(ConnectionError::Ended) => Ok(()),
        Ok(()) => kill_supervisor(entry, &"it does not end"),
        Err(error) => kill_supervisor(entry, &error),
    }
}

/// A machine that is just being started, or whose socket somebody has removed, is asked by a signal.
fn stop_supervisor(entry: &Entry, patience: Duration, reason: &dyn Display) -> Result<(), Failure> {
    let supervisor = &entry.state.supervisor;
    if supervisor.terminate() && supervisor.ended_within(patience) {
        return Ok(());
    }
    kill_supervisor(entry, reason)
}

/// The last resort: the VMM dies with its supervisor. Only this very process is ever signalled.
fn kill_supervisor(entry: &Entry, reason: &dyn Display) -> Result<(), Failure> {
    let supervisor = &entry.state.supervisor;
    // Whatever became of the signal: its name is free when it is gone.
    supervisor.kill();
    if supervisor.ended_within(KILL_TIMEOUT) {
        return Ok(());
    }
    Err(Failure::new(format_args!(
        "{} cannot be ended: {reason}",
        entry.state.name
    )))
}
