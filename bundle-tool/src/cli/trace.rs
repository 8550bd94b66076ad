//! `ukernel trace`: a serial log into a file for a trace viewer.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;

use super::Failure;
use crate::trace::Recording;
use crate::ui::Ui;

/// Make a file for a trace viewer (such as ui.perfetto.dev) out of the trace in a serial log
///
/// A guest that traces writes what it has recorded into its log when it ends, and whenever the line "#trace"
/// comes in on its serial port (see `ukernel run --input`). "#trace on" and "#trace off" there switch tracing on
/// and off, and so does trace=on on the kernel's command line (`ukernel run --append trace=on`).
#[derive(Args)]
pub(super) struct Trace {
    /// The serial log of a guest
    #[arg(value_name = "FILE")]
    log: PathBuf,
    /// The file to write [default: standard output]
    #[arg(long, short, value_name = "FILE")]
    out: Option<PathBuf>,
}

impl Trace {
    pub(super) fn execute(self, ui: &Ui) -> Result<ExitCode, Failure> {
        let log = fs::read(&self.log).map_err(|error| cannot("read", &self.log, error))?;
        let recording = Recording::of(&String::from_utf8_lossy(&log));
        if recording.spans() + recording.events() == 0 {
            let failure = Failure::new(format_args!("no trace in {}", self.log.display()));
            return Err(failure.hint(
                "tracing has to be on (--append trace=on), and the program to end or be asked (#trace)",
            ));
        }
        let mut json = recording.to_chrome().to_string();
        json.push('\n');
        match &self.out {
            Some(out) => fs::write(out, json).map_err(|error| cannot("write", out, error))?,
            None => ui.print(json)?,
        }
        ui.say(format_args!(
            "{} spans, {} events, {} lost, {} unreadable",
            recording.spans(),
            recording.events(),
            recording.lost(),
            recording.unreadable()
        ));
        Ok(ExitCode::SUCCESS)
    }
}

fn cannot(what: &str, path: &Path, error: std::io::Error) -> Failure {
    Failure::from(error).context(format_args!("cannot {what} {}", path.display()))
}
