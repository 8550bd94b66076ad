//! `ukernel adapter`: a program in Python on this machine.

use std::ffi::OsString;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use super::{Failure, build};
use crate::adapter;
use crate::project::Project;
use crate::ui::Ui;

/// Run the project's program in Python on this machine
///
/// It waits by the kernel's calls, as it would in a machine, and finds the project's variables, arguments and policy. The
/// package `ukernel` is the interpreter's, if it has one; else this tool's own, which is compiled at first use. The
/// interpreter is .venv/bin/python of the project, $UKERNEL_PYTHON, or python3. The exit status is the program's.
#[derive(Args)]
pub(super) struct Adapter {
    /// The project's folder [default: $UKERNEL_ROOT, or the one that the current folder lies in]
    #[arg(long, value_name = "DIR")]
    root: Option<PathBuf>,
    /// The file to run, from the project's folder [default: $UKERNEL_ENTRY, or the manifest's entry]
    #[arg(long, value_name = "FILE")]
    entry: Option<PathBuf>,
    /// Arguments of the program [default: those of the manifest]
    #[arg(
        value_name = "ARGUMENT",
        trailing_var_arg = true,
        allow_hyphen_values = true
    )]
    arguments: Vec<OsString>,
}

impl Adapter {
    pub(super) fn execute(self, ui: &Ui) -> Result<ExitCode, Failure> {
        let set = |name| std::env::var_os(name).filter(|value| !value.is_empty());
        let root = self.root.or_else(|| set("UKERNEL_ROOT").map(PathBuf::from));
        let project = match root {
            Some(root) => Project::open(&root)?,
            None => build::project()?,
        };
        // The package itself reads UKERNEL_ENTRY.
        let entry = self.entry.as_deref();
        let mut command =
            adapter::command::<Failure>(&project, entry, &self.arguments, build::sources, ui)?;
        ui.detail(format_args!("{command:?}"));
        // This process becomes the program: signals, terminal and exit status are the program's.
        let error = command.exec();
        Err(Failure::from(error).context("cannot run the interpreter"))
    }
}
