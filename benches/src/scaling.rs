//! How what an operation costs grows with what is there already: tasks, timers, connections. The worker's
//! phases are named after what they do and how many there were, such as `task_wake@1000`.

use std::collections::BTreeMap;
use std::io;
use std::time::Duration;

use bundle_tool::machine::Nic;
use serde::Serialize;
use system_tests::guest::repository;
use system_tests::vm::config;

use crate::counts::{MARK, Phase, phases};
use crate::fields::{number, text};
use crate::gauge::Gauge;
use crate::plot::curves::{self, Curve};

/// Under the plugin it takes some forty seconds.
const DEADLINE: Duration = Duration::from_secs(600);
/// Room for 10,000 connections, both ends of each, and for 100,000 tasks.
const MEMORY_MIB: u32 = 2048;

/// How many times more an operation may cost where most is there than where least is, before that is a
/// defect: what is there is 1,000 or 10,000 times as much.
const TOLERANCE: f64 = 2.0;

/// What is drawn: of a curve's name on the left, what it is called in the picture.
const DRAWN: [(&str, &str); 8] = [
    ("accept", "connection opened, used, closed"),
    ("http_alone", "HTTP request, others idle"),
    ("http_busy", "HTTP request, all busy"),
    ("idle", "connection idle for 200 ms"),
    ("task_spawn_join", "task spawned and joined"),
    ("timer_fire", "timer fires"),
    ("task_wake", "task woken and polled"),
    ("timer_arm_cancel", "timer armed and cancelled"),
];

/// Instructions an operation, or bytes a thing, by how many there were.
type Costs = BTreeMap<u64, f64>;

/// Everything that was measured, for tools.
#[derive(Default, Serialize)]
struct Measured {
    instructions: BTreeMap<String, Costs>,
    allocations: BTreeMap<String, Costs>,
    bytes: BTreeMap<String, Costs>,
    /// Sent by either end.
    frames: BTreeMap<String, Costs>,
}

/// Prints the costs, draws them, and answers whether none of them grows.
pub(crate) fn run() -> io::Result<bool> {
    let config = config("bench-worker")
        .argument("scaling")
        .memory_mib(MEMORY_MIB)
        .options("net=10.1.0.1/24 net1=10.1.0.2/24")
        .nic(Nic::hub())
        .nic(Nic::hub());
    let run = Gauge::new(config)
        .mark(MARK)
        .run("bench: measured", DEADLINE)?;
    let measured = Measured::of(&phases(&run), &run.log);
    print("instructions", &measured.instructions);
    print("allocations", &measured.allocations);
    print("bytes", &measured.bytes);
    print("frames", &measured.frames);
    measured.save()?;
    Ok(measured.instructions.values().all(|costs| !grows(costs)))
}

impl Measured {
    fn of(phases: &[Phase], log: &str) -> Measured {
        let mut measured = Measured::default();
        for phase in phases {
            let each = |count| count as f64 / phase.repeats as f64;
            let (instructions, allocations) = (phase.counts.instructions, phase.allocations);
            insert(&mut measured.instructions, &phase.name, each(instructions));
            insert(&mut measured.allocations, &phase.name, each(allocations));
        }
        for line in log.lines() {
            if let Some((name, bytes)) = text(line, "memory").zip(number(line, "bytes")) {
                insert(&mut measured.bytes, name, bytes);
            }
            let sent = number::<f64>(line, "sent").zip(number::<f64>(line, "repeats"));
            if let Some((name, (sent, repeats))) = text(line, "frames").zip(sent) {
                insert(&mut measured.frames, name, sent / repeats);
            }
        }
        measured
    }

    fn save(&self) -> io::Result<()> {
        let folder = repository().join("build/bench");
        std::fs::create_dir_all(&folder)?;
        let text = serde_json::to_string_pretty(self).map_err(io::Error::other)?;
        std::fs::write(folder.join("scaling.json"), text + "\n")?;
        let drawn = DRAWN.iter().filter_map(|(name, title)| {
            let costs = self.instructions.get(*name)?;
            Some((
                *title,
                costs.iter().map(|(live, cost)| (*live, *cost)).collect(),
            ))
        });
        let drawn: Vec<(&str, Vec<(u64, f64)>)> = drawn.collect();
        let curves: Vec<_> = drawn
            .iter()
            .map(|(name, points)| Curve { name, points })
            .collect();
        let title = "instructions in the guest, by how many tasks, timers or connections there are";
        curves::draw(&folder.join("scaling.svg"), title, &curves)
    }
}

/// Adds a point to a curve: `wake@100` is of the curve `wake`, with 100 there. Other names are not of any.
fn insert(table: &mut BTreeMap<String, Costs>, name: &str, cost: f64) {
    if let Some((name, live)) = name.split_once('@')
        && let Ok(live) = live.parse()
    {
        let curve = table.entry(name.to_string()).or_default();
        curve.insert(live, cost);
    }
}

/// Whether an operation costs much more where there is most than where there is least.
fn grows(costs: &Costs) -> bool {
    let ends = costs.values().next().zip(costs.values().next_back());
    ends.is_some_and(|(least, most)| *most > least * TOLERANCE)
}

/// A line a curve, a column a number.
fn print(what: &str, table: &BTreeMap<String, Costs>) {
    let mut numbers: Vec<u64> = table
        .values()
        .flat_map(|costs| costs.keys().copied())
        .collect();
    numbers.sort_unstable();
    numbers.dedup();
    print!("{what:<20}");
    for number in &numbers {
        print!("{number:>12}");
    }
    println!();
    for (name, costs) in table {
        print!("{name:<20}");
        for number in &numbers {
            match costs.get(number) {
                Some(cost) => print!("{cost:>12.2}"),
                None => print!("{:>12}", ""),
            }
        }
        println!("{}", if grows(costs) { "   GROWS" } else { "" });
    }
    println!();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn growth_is_between_the_ends() {
        let costs = |most| Costs::from([(10, 100.0), (100, 500.0), (1000, most)]);
        assert!(!grows(&costs(199.0)));
        assert!(grows(&costs(201.0)));
        assert!(!grows(&Costs::new()));
    }

    #[test]
    fn phases_and_memory_become_curves() {
        let phase = |name: &str, repeats, instructions| Phase {
            name: name.into(),
            repeats,
            allocations: 2 * repeats,
            polls: 0,
            counts: crate::gauge::Counts {
                instructions,
                ..Default::default()
            },
        };
        let phases = [
            phase("wake@10", 5, 500),
            phase("wake@100", 5, 1000),
            phase("other", 1, 1),
        ];
        let log = "1 INFO bench: memory=task@10 bytes=64\n\
            2 INFO bench: frames=http@10 repeats=4 sent=10\n3 INFO bench: measured";
        let measured = Measured::of(&phases, log);
        let wake = Costs::from([(10, 100.0), (100, 200.0)]);
        assert_eq!(
            measured.instructions,
            BTreeMap::from([("wake".into(), wake)])
        );
        assert_eq!(
            measured.allocations["wake"],
            Costs::from([(10, 2.0), (100, 2.0)])
        );
        assert_eq!(measured.bytes["task"], Costs::from([(10, 64.0)]));
        assert_eq!(measured.frames["http"], Costs::from([(10, 2.5)]));
    }
}
