//! The command line of `ukernel`: what may be said, and which command it is for. Data goes to standard
//! output, words to standard error; the exit status is the guest's where a guest ran.

mod adapter;
mod attend;
mod build;
mod command;
mod completions;
mod debug;
mod disk_image;
mod doctor;
mod env;
mod failure;
mod init;
mod inspect;
mod keygen;
mod logs;
mod look;
mod machine_options;
mod named;
mod pack;
mod plan;
mod ps;
mod publish;
mod remote;
mod rm;
mod run;
mod stop;
mod supervise;
#[cfg(test)]
mod tests;
mod trace;
mod variables;
mod verify;
mod vmm_choice;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::Parser;

use crate::ui::{self, Ui};
use command::Command;
use failure::Failure;
use look::Look;

/// Build, run and look after asynchronous programs in microVMs
#[derive(Parser)]
#[command(
    name = "ukernel",
    version,
    styles = ui::STYLES,
    max_term_width = 100,
    after_help = "Exit status: the guest's where a guest ran; 2: wrong usage; 125: the tool failed."
)]
struct Cli {
    #[command(flatten)]
    look: Look,
    #[command(subcommand)]
    command: Command,
}

/// Runs the tool with `arguments`, its own name first. Returns the exit status; never ends the process.
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    look::colour_choice(&arguments).write_global();
    let cli = match Cli::try_parse_from(arguments) {
        Ok(cli) => cli,
        Err(error) => return told_by_clap(&error),
    };
    let ui = Ui::new(cli.look.verbosity());
    let result = cli.command.execute(&ui);
    result.unwrap_or_else(|failure| failure.report(&ui))
}

/// Wrong usage, and what was asked for by `--help` or `--version`.
fn told_by_clap(error: &clap::Error) -> ExitCode {
    // Nobody may be listening.
    let _ = error.print();
    if error.use_stderr() {
        ExitCode::from(failure::USAGE)
    } else {
        ExitCode::SUCCESS
    }
}
