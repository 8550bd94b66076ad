//! Counts what one operation costs in a guest, phase by phase: the worker's log names the phases, the
//! gauge's marks count them.

use std::io;
use std::time::Duration;

use bundle_tool::machine::Nic;
use system_tests::vm::config;

use crate::fields::{number, text};
use crate::gauge::{Counts, Gauge, Run};

/// The function that the worker calls at the start and at the end of each phase.
pub(crate) const MARK: &str = "bench_mark";

/// Under the plugin all phases take a few seconds.
const DEADLINE: Duration = Duration::from_secs(120);

/// A disk of zeroes that takes its time: a file's would answer before the guest looks, or after,
/// depending on the host.
const DISK: &str = "null-co,node-name=zeroes,size=16777216,read-zeroes=on,latency-ns=100000";

/// One phase of the worker's.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Phase {
    pub(crate) name: String,
    pub(crate) repeats: u64,
    pub(crate) allocations: u64,
    pub(crate) polls: u64,
    pub(crate) counts: Counts,
}

/// Boots the worker and counts every phase.
pub(crate) fn count() -> io::Result<Vec<Phase>> {
    let config = config("bench-worker")
        .argument("counts")
        .options("net=10.1.0.1/24 net1=10.1.0.2/24")
        .nic(Nic::hub())
        .nic(Nic::hub());
    let gauge = Gauge::new(config).extra([
        "-blockdev",
        DISK,
        "-device",
        "virtio-blk-device,drive=zeroes",
    ]);
    let run = gauge.mark(MARK).run("bench: counted", DEADLINE)?;
    Ok(phases(&run))
}

/// The phases of a run in which [`MARK`] was the mark.
pub(crate) fn phases(run: &Run) -> Vec<Phase> {
    let rounds = run.log.lines().filter_map(read);
    let marks = run.marks.chunks_exact(2);
    best(rounds.zip(marks).map(|(round, marks)| Phase {
        counts: marks[1].since(&marks[0]),
        ..round
    }))
}

/// Of the rounds of a phase, which follow each other, each counter's smallest value.
fn best(rounds: impl Iterator<Item = Phase>) -> Vec<Phase> {
    let mut phases: Vec<Phase> = Vec::new();
    for round in rounds {
        match phases.last_mut() {
            Some(phase) if phase.name == round.name => phase.improve(&round),
            _ => phases.push(round),
        }
    }
    phases
}

impl Phase {
    fn improve(&mut self, round: &Phase) {
        self.allocations = self.allocations.min(round.allocations);
        self.polls = self.polls.min(round.polls);
        self.counts = self.counts.min(&round.counts);
    }
}

/// Reads a line of the worker's about a phase.
fn read(line: &str) -> Option<Phase> {
    let (_, fields) = line.split_once("bench: ")?;
    Some(Phase {
        name: text(fields, "phase")?.to_string(),
        repeats: number(fields, "repeats")?,
        allocations: number(fields, "allocations")?,
        polls: number(fields, "polls")?,
        counts: Counts::default(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn round(name: &str, allocations: u64, instructions: u64) -> Phase {
        let line = format!("bench: phase={name} repeats=10 allocations={allocations} polls=20");
        let mut round = read(&line).unwrap();
        round.counts.instructions = instructions;
        round
    }

    #[test]
    fn the_best_of_each_phase_is_kept() {
        let rounds = [round("a", 3, 500), round("a", 4, 400), round("b", 1, 70)];
        let phases = best(rounds.into_iter());
        let seen: Vec<_> = phases
            .iter()
            .map(|phase| {
                (
                    phase.name.as_str(),
                    phase.allocations,
                    phase.counts.instructions,
                )
            })
            .collect();
        assert_eq!(seen, [("a", 3, 400), ("b", 1, 70)]);
    }

    #[test]
    fn other_lines_are_no_phases() {
        assert!(read("1.0 INFO bench: serving").is_none());
        assert!(read("bench: phase=a repeats=x allocations=1 polls=2").is_none());
    }
}
