//! `ukernel doctor`: what this machine can do.

use std::fmt::Write as _;
use std::process::ExitCode;

use clap::Args;

use super::Failure;
use crate::doctor::{Check, Facts, Fix, Report, Status, Verdict};
use crate::ui::{Amount, ERROR, FAINT, GOOD, Ui, WARNING};

/// Say what this machine can build and run, and what would fix the rest
///
/// Looks at KVM, Firecracker, QEMU, tap devices, Rust with the guests' target, a C compiler, Python, rsync and the disk;
/// installs and changes nothing, and names the command that would fix what is not as it should be. Ends with 0 when
/// projects can be built and run here, otherwise with 1.
#[derive(Args)]
pub(super) struct Doctor {
    /// Print one JSON document instead
    #[arg(long)]
    json: bool,
}

/// The status where something is missing that nothing works without.
const NOT_POSSIBLE: u8 = 1;

impl Doctor {
    pub(super) fn execute(self, ui: &Ui) -> Result<ExitCode, Failure> {
        let looking = ui.progress("Looking", "at this machine", Amount::Unknown);
        let report = Report::of(&Facts::gather());
        drop(looking);
        show(&report, self.json, ui)
    }
}

/// Prints a report, of this machine or another. Returns the exit status.
pub(super) fn show(report: &Report, json: bool, ui: &Ui) -> Result<ExitCode, Failure> {
    if json {
        ui.json(report)?;
    } else {
        ui.print(page(report))?;
    }
    let possible = report.build.possible && report.run.possible;
    Ok(ExitCode::from(if possible { 0 } else { NOT_POSSIBLE }))
}

/// The report for a person.
fn page(report: &Report) -> String {
    let mut page = String::new();
    for check in &report.checks {
        push(&mut page, check);
    }
    page.push('\n');
    for (what, verdict) in [("build", &report.build), ("run", &report.run)] {
        conclude(&mut page, what, verdict);
    }
    page
}

fn push(page: &mut String, check: &Check) {
    let (style, word) = match check.status {
        Status::Good => (GOOD, "good"),
        Status::Limited => (WARNING, "limited"),
        Status::Missing => (ERROR, "missing"),
    };
    let (name, detail) = (&check.name, &check.detail);
    writeln!(page, "{style}{word:>8}{style:#}  {name:<11}  {detail}").expect("a String takes all");
    let (label, text) = match &check.fix {
        Some(Fix::Command(command)) => ("fix:", command),
        Some(Fix::Advice(advice)) => ("advice:", advice),
        None => return,
    };
    writeln!(page, "{:>21}  {FAINT}{label}{FAINT:#} {text}", "").expect("a String takes all");
}

fn conclude(page: &mut String, what: &str, verdict: &Verdict) {
    let (style, word) = if verdict.possible {
        (GOOD, "can")
    } else {
        (ERROR, "cannot")
    };
    writeln!(
        page,
        "{style}{word:>8}{style:#}  {what:<11}  {}",
        verdict.how
    )
    .expect("a String takes all");
}
