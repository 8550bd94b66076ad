//! `ukernel completions`: what a shell needs to complete this command line.

use std::process::ExitCode;

use clap::{Args, CommandFactory};
use clap_complete::Shell;

use super::{Cli, Failure};
use crate::ui::Ui;

/// Print completions for a shell
///
/// Where they go depends on the shell, for instance:
///
///   ukernel completions bash > ~/.local/share/bash-completion/completions/ukernel
///   ukernel completions zsh > ~/.zfunc/_ukernel
///   ukernel completions fish > ~/.config/fish/completions/ukernel.fish
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub(super) struct Completions {
    /// The shell
    #[arg(value_enum)]
    shell: Shell,
}

impl Completions {
    pub(super) fn execute(self, ui: &Ui) -> Result<ExitCode, Failure> {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut Cli::command(), "ukernel", &mut script);
        ui.print(String::from_utf8_lossy(&script))?;
        Ok(ExitCode::SUCCESS)
    }
}
