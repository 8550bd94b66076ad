//! What this machine can do, and the command that would fix what it cannot: `ukernel doctor`. [`Facts`] are gathered by
//! looking (nothing is installed or changed); what they mean is decided here, without looking again.
//!
//! ```no_run
//! use bundle_tool::doctor::{Facts, Report};
//!
//! let report = Report::of(&Facts::gather());
//! for check in &report.checks {
//!     println!("{}: {}", check.name, check.detail);
//! }
//! assert!(report.run.possible, "{}", report.run.how);
//! ```

mod facts;
mod kvm;
mod packages;
mod program;
mod tap;
mod tools;

use serde::{Deserialize, Serialize};

pub use facts::{Disk, Facts, Kvm, Rust, Tap};
pub use packages::PackageManager;
pub use program::Program;

/// How it stands with one thing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// As it should be.
    Good,
    /// Not there or not right, and something works less well or not at all; most things work.
    Limited,
    /// Without it nothing is built, or nothing runs.
    Missing,
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct Check {
    /// What was looked at, such as `kvm`; stays the same from version to version.
    pub name: String,
    /// How it stands.
    pub status: Status,
    /// What was found, for a person to read.
    pub detail: String,
    /// What makes it good.
    pub fix: Option<Fix>,
}

/// What makes something good.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Fix {
    /// A command for a shell of this machine. It asks nothing but, where root is needed, sudo's password.
    Command(String),
    /// What a person has to do.
    Advice(String),
}

impl Check {
    fn good(name: &str, detail: impl Into<String>) -> Check {
        Check {
            name: name.into(),
            status: Status::Good,
            detail: detail.into(),
            fix: None,
        }
    }

    /// Not as it should be, and the command that fixes it.
    fn limited(name: &str, detail: impl Into<String>, command: impl Into<String>) -> Check {
        Check {
            name: name.into(),
            status: Status::Limited,
            detail: detail.into(),
            fix: Some(Fix::Command(command.into())),
        }
    }

    /// Not as it should be, and no command fixes it.
    fn helpless(name: &str, detail: impl Into<String>, advice: impl Into<String>) -> Check {
        Check {
            name: name.into(),
            status: Status::Limited,
            detail: detail.into(),
            fix: Some(Fix::Advice(advice.into())),
        }
    }

    /// The same, but nothing works without.
    fn fatal(self) -> Check {
        Check {
            status: Status::Missing,
            ..self
        }
    }
}

/// Whether one of the two things that matter works here.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct Verdict {
    /// It does.
    pub possible: bool,
    /// With what; or what is missing for it.
    pub how: String,
}

/// What this machine can do.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct Report {
    /// Building projects.
    pub build: Verdict,
    /// Running machines.
    pub run: Verdict,
    /// All that was looked at, in a fixed order.
    pub checks: Vec<Check>,
}

/// What building cannot do without.
const FOR_BUILDING: [&str; 4] = ["rust", "target", "compiler", "cache"];

impl Report {
    /// Decides what `facts` mean.
    pub fn of(facts: &Facts) -> Report {
        let run = run_verdict(facts);
        let mut checks = vec![
            kvm::check(facts),
            tools::firecracker(facts),
            tools::qemu(facts),
            tap::check(facts),
            tools::rust(facts),
            tools::target(facts),
            tools::compiler(facts),
            tools::python(facts),
            tools::rsync(facts),
            tools::cache(facts),
        ];
        if !run.possible {
            // Either would do; the one that needs nothing else of the machine is the one to install.
            let qemu = checks.iter_mut().find(|check| check.name == "qemu");
            qemu.expect("it is in the list above").status = Status::Missing;
        }
        Report {
            build: build_verdict(&checks),
            run,
            checks,
        }
    }

    /// What a command would fix, in order: the check's name and the command.
    pub fn commands(&self) -> impl Iterator<Item = (&str, &str)> {
        self.checks.iter().filter_map(|check| match &check.fix {
            Some(Fix::Command(command)) => Some((check.name.as_str(), command.as_str())),
            _ => None,
        })
    }
}

fn build_verdict(checks: &[Check]) -> Verdict {
    let needed = checks
        .iter()
        .filter(|check| FOR_BUILDING.contains(&check.name.as_str()));
    let missing: Vec<&str> = needed
        .filter(|check| check.status == Status::Missing)
        .map(|check| check.name.as_str())
        .collect();
    Verdict {
        possible: missing.is_empty(),
        how: if missing.is_empty() {
            "Rust, C".into()
        } else {
            format!("needs: {}", missing.join(", "))
        },
    }
}

fn run_verdict(facts: &Facts) -> Verdict {
    let firecracker = matches!(facts.firecracker, Program::Found { .. });
    let qemu = matches!(facts.qemu, Program::Found { .. });
    let how = match (facts.kvm.is_fast(), firecracker, qemu) {
        (true, true, true) => "Firecracker",
        (true, true, false) => {
            "Firecracker, with a tap device or no network; forwarded ports need qemu"
        }
        (true, false, true) => "QEMU with KVM",
        (false, _, true) => "QEMU with TCG, which needs no rights and is slower than KVM",
        (true, false, false) => "needs: firecracker or qemu",
        (false, _, false) => "needs: qemu (Firecracker would need KVM)",
    };
    Verdict {
        possible: qemu || (facts.kvm.is_fast() && firecracker),
        how: how.into(),
    }
}

#[cfg(test)]
mod tests;
