//! Instructions of the reactor's operations beside other executors', counted by callgrind on the host.
//! They repeat, whatever else the machine is doing; times are `cargo bench -p micro`'s.

use std::io;
use std::process::{Command, Stdio};

use system_tests::guest::host_program;

const SYSTEMS: [&str; 4] = ["reactor", "tokio", "async-executor", "LocalPool"];

/// Each case, and two counts: the difference leaves out what happens once.
const CASES: [(&str, u64, u64); 9] = [
    ("yield_1", 10_000, 110_000),
    ("yield_100", 10_000, 110_000),
    ("yield_10000", 10_000, 110_000),
    ("spawn_join", 1_000, 11_000),
    ("round_trip", 1_000, 11_000),
    ("readiness_10000", 1_000, 11_000),
    ("timer_100", 1_000, 11_000),
    ("timer_100000", 1_000, 11_000),
    ("expiry", 1_000, 11_000),
];

/// Prints a table; rows in which somebody needs fewer instructions are marked.
pub(crate) fn run() -> io::Result<bool> {
    if Command::new("valgrind")
        .arg("--version")
        .stdout(Stdio::null())
        .status()
        .is_err()
    {
        println!("skipped: there is no valgrind to count instructions with");
        return Ok(true);
    }
    print!("{:<32}", "instructions per operation, host");
    for system in SYSTEMS {
        print!("{system:>16}");
    }
    println!();
    for (case, few, many) in CASES {
        print!("{case:<32}");
        let mut counts = Vec::new();
        for system in SYSTEMS {
            let each = match (
                instructions(case, system, few)?,
                instructions(case, system, many)?,
            ) {
                (Some(few_cost), Some(many_cost)) => {
                    Some(many_cost.saturating_sub(few_cost) as f64 / (many - few) as f64)
                }
                _ => None,
            };
            match each {
                Some(each) => print!("{each:>16.1}"),
                None => print!("{:>16}", "-"),
            }
            counts.push(each);
        }
        let (ours, others) = (counts[0], counts[1..].iter().flatten());
        let won = ours.is_some_and(|ours| others.into_iter().all(|other| ours < *other));
        println!("{}", if won { "" } else { "   LOST" });
    }
    Ok(true)
}

/// Of one run; none if the system does not have what the case needs.
fn instructions(case: &str, system: &str, count: u64) -> io::Result<Option<u64>> {
    let mut command = Command::new("valgrind");
    command.args(["--tool=callgrind", "--callgrind-out-file=/dev/null"]);
    command
        .arg(host_program("micro"))
        .args([case, system, &count.to_string()]);
    let output = command.stdout(Stdio::null()).output()?;
    let words = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() {
        return Err(io::Error::other(words.into_owned()));
    }
    if words.contains("it has no timers") {
        return Ok(None);
    }
    let total = words
        .lines()
        .find_map(|line| line.split("Collected : ").nth(1));
    Ok(total.and_then(|total| total.trim().parse().ok()))
}
