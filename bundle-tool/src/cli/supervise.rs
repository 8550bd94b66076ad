//! `ukernel supervise`, which no person types: the process that `ukernel run --detach` leaves behind.

use std::process::ExitCode;

use clap::Args;

use super::Failure;
use super::attend::CtrlC;
use crate::machines;
use crate::ui::Ui;

/// What the command is called.
pub(super) const NAME: &str = "supervise";

/// Run a machine for `ukernel run --detach`, which says on standard input which
#[derive(Args)]
pub(super) struct Supervise {}

impl Supervise {
    pub(super) fn execute(self, ui: &Ui) -> Result<ExitCode, Failure> {
        // SIGTERM, as when the host goes down.
        let ctrl_c = CtrlC::take_over(ui)?;
        machines::supervise_detached(|supervised| ctrl_c.attach(supervised.machine(), ui))?;
        Ok(ExitCode::SUCCESS)
    }
}
