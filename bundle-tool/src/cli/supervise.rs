//! `ukernel supervise`, which no person types: the process that `ukernel run --detach` leaves behind.

use std::process::ExitCode;

use clap::Args;

use super::Failure;
use super::attend::stop_on_ctrl_c;
use crate::machines;
use crate::ui::Ui;

/// What the command is called.
pub(super) const NAME: &str = "supervise";

/// Run a machine for `ukernel run --detach`, which says on standard input which
#[derive(Args)]
pub(super) struct Supervise {}

impl Supervise {
    pub(super) fn execute(self, ui: &Ui) -> Result<ExitCode, Failure> {
        machines::supervise_detached(|supervised| {
            // SIGTERM, as when the host goes down. Without a handler it would kill the machine.
            if let Err(failure) = stop_on_ctrl_c(supervised.machine(), ui) {
                failure.report(ui);
            }
        })?;
        Ok(ExitCode::SUCCESS)
    }
}
