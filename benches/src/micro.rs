//! Instructions of the reactor's operations beside other executors', counted by callgrind on the host.
//! They repeat, whatever else the machine is doing; times are `cargo bench -p micro`'s.

use std::io;
use std::process::{Command, Stdio};

use system_tests::guest::host_program;

const SYSTEMS: [&str; 5] = ["reactor", "tokio", "async-executor", "embassy", "LocalPool"];

/// A case, and two counts: the difference leaves out what happens once.
type Case = (&'static str, u64, u64);

const CASES: [Case; 14] = [
    ("yield_1", 10_000, 110_000),
    ("yield_100", 10_000, 110_000),
    ("yield_10000", 10_000, 110_000),
    ("wake_1", 10_000, 110_000),
    ("wake_100", 10_000, 110_000),
    ("wake_10000", 10_000, 110_000),
    ("spawn", 1_000, 11_000),
    ("spawn_join", 1_000, 11_000),
    ("round_trip", 1_000, 11_000),
    ("readiness_10000", 1_000, 11_000),
    ("look_10000", 1_000, 11_000),
    ("timer_100", 1_000, 11_000),
    ("timer_100000", 1_000, 21_000),
    ("expiry", 1_000, 11_000),
];

/// Prints a table; rows in which somebody needs fewer instructions are marked.
pub(crate) fn run() -> io::Result<bool> {
    let valgrind = Command::new("valgrind")
        .arg("--version")
        .stdout(Stdio::null())
        .status();
    if valgrind.is_err() {
        println!("skipped: there is no valgrind to count instructions with");
        return Ok(true);
    }
    print!("{:<32}", "instructions per operation, host");
    for system in SYSTEMS {
        print!("{system:>16}");
    }
    println!();
    for case in &CASES {
        print!("{:<32}", case.0);
        let counts = SYSTEMS.map(|system| each(case, system));
        let counts: Vec<Option<f64>> = counts.into_iter().collect::<io::Result<_>>()?;
        for count in &counts {
            match count {
                Some(count) => print!("{count:>16.1}"),
                None => print!("{:>16}", "-"),
            }
        }
        let (ours, others) = (counts[0], counts[1..].iter().flatten());
        let won = ours.is_some_and(|ours| others.into_iter().all(|other| ours < *other));
        println!("{}", if won { "" } else { "   LOST" });
    }
    Ok(true)
}

/// Per operation; none if the system does not have what the case needs.
fn each(&(case, few, many): &Case, system: &str) -> io::Result<Option<f64>> {
    let Some(of_few) = instructions(case, system, few)? else {
        return Ok(None);
    };
    let of_many = instructions(case, system, many)?;
    Ok(of_many.map(|of_many| of_many.saturating_sub(of_few) as f64 / (many - few) as f64))
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
