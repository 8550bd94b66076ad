//! What calls from C cost, beside what a minimal Linux asks for the same things: `benches/calls` has a program for
//! each, which go through the same phases.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::time::Duration;

use bundle_tool::machine::{MachineType, VmConfig};
use serde::Serialize;
use system_tests::guest::repository;

use crate::counts::MARK;
use crate::fields::{number, text};
use crate::gauge::{Counts, Gauge, Run};
use crate::peers::candidate;

/// Under the plugin either guest takes a few seconds.
const DEADLINE: Duration = Duration::from_secs(120);
/// Room for 10,000 pipes.
const MEMORY_MIB: u32 = 256;
/// What both log when all phases are over.
const LAST: &str = "bench: counted";

/// A phase of either program.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Phase {
    pub(crate) name: String,
    pub(crate) repeats: u64,
    /// Of the round that was disturbed least.
    pub(crate) counts: Counts,
}

impl Phase {
    /// Instructions of one operation.
    fn instructions(&self) -> f64 {
        self.counts.instructions as f64 / self.repeats as f64
    }
}

/// Instructions of one operation, by who does it.
#[derive(Debug, Serialize)]
struct Costs {
    ukernel: Option<f64>,
    linux: Option<f64>,
}

/// Prints what every operation costs here and in Linux, if that has been built.
pub(crate) fn run() -> io::Result<bool> {
    let built = repository().join("build/peers");
    let files = ["vmlinux-tiny", "initrd-calls.cpio", "calls"];
    let missing = files.iter().find(|file| !built.join(file).exists());
    let linux = match missing {
        None => count_linux(&built)?,
        Some(file) => {
            println!(
                "no Linux: build/peers/{file} is not there; ./just bench-peers builds what it needs"
            );
            Vec::new()
        }
    };
    let rows = compare(&count()?, &linux);
    print(&rows);
    save(&rows)?;
    Ok(true)
}

/// The phases of this kernel's program, as `kernel/build/c.sh` built it.
pub(crate) fn count() -> io::Result<Vec<Phase>> {
    let program = repository().join("build/c/calls");
    let gauge = Gauge::new(VmConfig::new(program).memory_mib(MEMORY_MIB));
    Ok(phases(&gauge.mark(MARK).run(LAST, DEADLINE)?))
}

fn count_linux(built: &Path) -> io::Result<Vec<Phase>> {
    let config = VmConfig::new(built.join("vmlinux-tiny"))
        .memory_mib(MEMORY_MIB)
        .initrd(built.join("initrd-calls.cpio"))
        .options(&candidate::linux_options());
    let gauge = Gauge::new(config).machine(MachineType::MicrovmAcpi);
    let gauge = gauge.mark_in(built.join("calls"), MARK);
    Ok(phases(&gauge.run(LAST, DEADLINE)?))
}

/// The phases of a run, each with the best of its rounds, which follow each other.
fn phases(run: &Run) -> Vec<Phase> {
    let rounds = run.log.lines().filter_map(read);
    let marks = run.marks.chunks_exact(2);
    let mut phases: Vec<Phase> = Vec::new();
    for (round, marks) in rounds.zip(marks) {
        let counts = marks[1].since(&marks[0]);
        match phases.last_mut() {
            Some(phase) if phase.name == round.name => phase.counts = phase.counts.min(&counts),
            _ => phases.push(Phase { counts, ..round }),
        }
    }
    phases
}

/// Reads a line about a round of a phase.
fn read(line: &str) -> Option<Phase> {
    let (_, fields) = line.split_once("bench: ")?;
    Some(Phase {
        name: text(fields, "phase")?.to_string(),
        repeats: number(fields, "repeats")?,
        counts: Counts::default(),
    })
}

/// Pairs the phases of both by their names, which only one of them may have.
fn compare(ukernel: &[Phase], linux: &[Phase]) -> BTreeMap<String, Costs> {
    let find = |phases: &[Phase], name: &str| {
        let phase = phases.iter().find(|phase| phase.name == name);
        phase.map(Phase::instructions)
    };
    let names = ukernel.iter().chain(linux).map(|phase| phase.name.clone());
    let costs = |name: &str| Costs {
        ukernel: find(ukernel, name),
        linux: find(linux, name),
    };
    names.map(|name| (name.clone(), costs(&name))).collect()
}

fn print(rows: &BTreeMap<String, Costs>) {
    let shown = |cost: Option<f64>| cost.map_or(String::new(), |cost| format!("{cost:.1}"));
    println!("{:<24} {:>12} {:>12}", "instructions", "ukernel", "linux");
    for (name, Costs { ukernel, linux }) in rows {
        let lost = ukernel.zip(*linux).is_some_and(|(own, other)| own > other);
        let verdict = if lost { "  lost" } else { "" };
        println!(
            "{name:<24} {:>12} {:>12}{verdict}",
            shown(*ukernel),
            shown(*linux)
        );
    }
}

fn save(rows: &BTreeMap<String, Costs>) -> io::Result<()> {
    let folder = repository().join("build/bench");
    std::fs::create_dir_all(&folder)?;
    let text = serde_json::to_string_pretty(rows).map_err(io::Error::other)?;
    std::fs::write(folder.join("calls.json"), text + "\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn marks(instructions: &[u64]) -> Vec<Counts> {
        let marks = instructions.iter().map(|&instructions| Counts {
            instructions,
            ..Counts::default()
        });
        marks.collect()
    }

    #[test]
    fn the_best_round_of_each_phase_is_kept() {
        let log = "1 INFO program: task=1 cap=0x1 bench: phase=a repeats=2\n\
            bench: phase=a repeats=2\nbench: phase=b repeats=1\nbench: counted";
        let run = Run {
            log: log.into(),
            marks: marks(&[100, 140, 150, 180, 200, 207]),
        };
        let costs: Vec<_> = phases(&run)
            .iter()
            .map(|phase| (phase.name.clone(), phase.instructions()))
            .collect();
        assert_eq!(costs, [("a".into(), 15.0), ("b".into(), 7.0)]);
    }

    #[test]
    fn what_only_one_of_them_does_is_shown_for_that_one() {
        let phase = |name: &str| read(&format!("bench: phase={name} repeats=1")).unwrap();
        let rows = compare(
            &[phase("both"), phase("ours")],
            &[phase("theirs"), phase("both")],
        );
        let has = |name: &str| (rows[name].ukernel.is_some(), rows[name].linux.is_some());
        assert_eq!(has("both"), (true, true));
        assert_eq!(has("ours"), (true, false));
        assert_eq!(has("theirs"), (false, true));
    }
}
