//! The command line of `ukernel`: what may be said, and which command it is for. Data goes to standard
//! output, words to standard error; the exit status is the guest's where a guest ran.

mod disk_image;
mod publish;
mod run;
mod trace;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// The status of a run that failed before or beside the guest.
const TOOL_FAILED: u8 = 125;

#[derive(Parser)]
#[command(
    name = "ukernel",
    version,
    about = "Runs asynchronous programs in microVMs"
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Run(run::Run),
    DiskImage(disk_image::DiskImage),
    Trace(trace::Trace),
}

/// A command that failed: a sentence, and what to do about it.
struct Failure {
    message: String,
    hint: Option<String>,
}

impl Failure {
    fn new(error: impl std::fmt::Display) -> Failure {
        Failure {
            message: error.to_string(),
            hint: None,
        }
    }
}

/// Runs the tool with `arguments`, its own name first. Returns the exit status; never ends the process,
/// except for `--help` and for wrong usage, where clap does.
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let result = match Cli::parse_from(arguments).command {
        Command::Run(run) => run.execute(),
        Command::DiskImage(disk_image) => disk_image.execute(),
        Command::Trace(trace) => trace.execute(),
    };
    result.unwrap_or_else(|failure| {
        eprintln!("error: {}", failure.message);
        if let Some(hint) = failure.hint {
            eprintln!("hint: {hint}");
        }
        ExitCode::from(TOOL_FAILED)
    })
}
