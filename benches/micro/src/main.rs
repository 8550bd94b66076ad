//! `micro CASE SYSTEM COUNT`: does one thing a given number of times, for a tool that counts its
//! instructions. Prints nothing.

use std::process::ExitCode;
use std::time::Duration;

use micro::{System, systems};

/// Each case, done as often as is said.
const CASES: &[(&str, Case)] = &[
    ("yield_1", |system, count| system.yields(1, count)),
    ("yield_100", |system, count| system.yields(100, count / 100)),
    ("yield_10000", yield_many),
    ("wake_1", |system, count| system.readiness(1, 1, count)),
    ("wake_100", |system, count| {
        system.readiness(100, 1, count / 100);
    }),
    ("wake_10000", wake_all_of_many),
    ("spawn", |system, count| system.starts(count)),
    ("spawn_join", |system, count| system.spawns(count)),
    ("round_trip", |system, count| system.round_trips(count)),
    ("readiness_10000", readiness_of_many),
    ("look_10000", looks_at_many),
    ("timer_100", |system, count| timers(system, 100, count)),
    ("timer_100000", |system, count| {
        timers(system, 100_000, count);
    }),
    ("expiry", expiries),
];

type Case = fn(&mut dyn System, u64);

fn yield_many(system: &mut dyn System, count: u64) {
    system.yields(10_000, count / 10_000);
}

fn wake_all_of_many(system: &mut dyn System, count: u64) {
    system.readiness(10_000, 1, count / 10_000);
}

/// One in a hundred.
fn readiness_of_many(system: &mut dyn System, count: u64) {
    system.readiness(10_000, 100, count / 100);
}

/// Counted is each of the sources that are ready.
fn looks_at_many(system: &mut dyn System, count: u64) {
    system.looks(10_000, count / 100);
}

fn timers(system: &mut dyn System, live: usize, count: u64) {
    say_without_timers(system.timers(live, count));
}

/// Not before all timers are armed, even where a tool counts every instruction.
const NEAR: Duration = Duration::from_secs(2);

fn expiries(system: &mut dyn System, count: u64) {
    say_without_timers(system.expiries(count as usize, NEAR));
}

/// There is nothing to count then.
fn say_without_timers(had_timers: bool) {
    if !had_timers {
        eprintln!("micro: it has no timers");
    }
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [case, name, count] = &arguments[..] else {
        eprintln!("usage: micro CASE SYSTEM COUNT");
        return ExitCode::FAILURE;
    };
    let case = CASES.iter().find(|(known, _)| known == case);
    let system = systems().into_iter().find(|system| system.name() == name);
    let (Some((_, run)), Some(mut system), Ok(count)) = (case, system, count.parse()) else {
        eprintln!("micro: no such case, system or count");
        return ExitCode::FAILURE;
    };
    run(system.as_mut(), count);
    ExitCode::SUCCESS
}
