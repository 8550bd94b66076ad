//! The rows of the comparison: a load each, on everybody in turn.

use std::io;
use std::time::Duration;

use bench_work::http::REQUEST;
use bench_work::services::{ECHO, SINK, SOURCE};
use bundle_tool::machine::{Disk, Launch};

use super::Effort;
use super::candidate::{Candidate, Network};
use super::report::{Report, Unit};
use super::rig::Rig;
use crate::load::bulk::{self, Direction};
use crate::load::exchange::{self, Exchange, HEALTH};
use crate::load::{Seen, churn, datagrams};
use crate::memory;

const HTTP_CONNECTIONS: [usize; 4] = [1, 10, 100, 1000];
/// QEMU's user-mode network lets few connections wait, so many at once measure it and not the guest.
const MAX_USER_CONNECTIONS: usize = 10;

/// The disk that is read and written, in MiB; it stays in the host's page cache.
const DISK_MIB: u64 = 256;
/// How long the disk's operations may take.
const DISK_PATIENCE: Duration = Duration::from_secs(300);

/// Rows of loads that come through a network.
pub(crate) fn through(network: Network, rigs: &[Rig<'_>], effort: Effort, report: &mut Report) {
    let span = Duration::from_secs_f64(effort.seconds);
    let via = match network {
        Network::Tap => "tap",
        Network::User => "user",
    };
    for round in 0..effort.rounds {
        println!("{via}: round {} of {}", round + 1, effort.rounds);
        for connections in HTTP_CONNECTIONS {
            if network == Network::User && connections > MAX_USER_CONNECTIONS {
                continue;
            }
            for rig in rigs {
                http(
                    rig,
                    &format!("{via}: HTTP, {connections} connections"),
                    connections,
                    span,
                    report,
                );
            }
        }
        for rig in full(rigs) {
            let row = format!("{via}: echo of 64 B");
            let run = |address| exchange::alone(address, Exchange::echo(), span);
            latency(rig, &row, || run(rig.tcp(ECHO)), report);
            let row = format!("{via}: UDP echo of 64 B");
            latency(rig, &row, || datagrams::run(rig.udp(ECHO), span), report);
        }
        for (way, port, direction) in [("in", SINK, Direction::In), ("out", SOURCE, Direction::Out)]
        {
            for rig in full(rigs) {
                let row = format!("{via}: bulk {way}");
                measured(
                    rig,
                    &row,
                    report,
                    || bulk::run(rig.tcp(port), direction, span),
                    |seen, add| {
                        let megabytes = seen.bytes as f64 / 1e6;
                        add(
                            "",
                            Unit::MegabytesPerSecond,
                            megabytes / seen.elapsed.as_secs_f64(),
                        );
                    },
                );
            }
        }
        if network == Network::Tap {
            for rig in full(rigs) {
                let row = format!("{via}: connections opened and closed");
                measured(
                    rig,
                    &row,
                    report,
                    || churn::run(rig.tcp(ECHO), span),
                    |seen, add| {
                        add("", Unit::PerSecond, seen.rate());
                    },
                );
            }
        }
    }
}

/// Those that serve more than HTTP.
fn full<'a, 'b>(rigs: &'a [Rig<'b>]) -> impl Iterator<Item = &'a Rig<'b>> {
    rigs.iter().filter(|rig| !rig.candidate.http_only)
}

fn http(rig: &Rig<'_>, row: &str, connections: usize, span: Duration, report: &mut Report) {
    let request = match rig.candidate.http_only {
        true => HEALTH,
        false => REQUEST,
    };
    let run = || {
        let exchange = Exchange::http(rig.http(), request)?;
        match connections {
            1 => exchange::alone(rig.http(), exchange, span),
            many => exchange::many(rig.http(), exchange, many, span),
        }
    };
    latency(rig, row, run, report);
}

/// A row about rates and latencies.
fn latency(rig: &Rig<'_>, row: &str, run: impl FnOnce() -> io::Result<Seen>, report: &mut Report) {
    measured(rig, row, report, run, |seen, add| {
        add("", Unit::PerSecond, seen.rate());
        add("p50", Unit::Micros, seen.micros(50.0));
        add("p99", Unit::Micros, seen.micros(99.0));
        add("p99.9", Unit::Micros, seen.micros(99.9));
    });
}

/// Runs a load, and adds what it saw and what processor time it cost the host.
fn measured(
    rig: &Rig<'_>,
    row: &str,
    report: &mut Report,
    run: impl FnOnce() -> io::Result<Seen>,
    describe: impl FnOnce(&Seen, &mut dyn FnMut(&str, Unit, f64)),
) {
    if !report.wants(row) {
        return;
    }
    let name = &rig.candidate.name;
    let before = rig.cpu_nanos();
    let seen = match run() {
        Ok(seen) => seen,
        Err(error) => return report.fail(row, name, &error.to_string()),
    };
    let cpu = (rig.cpu_nanos() - before) as f64 / 1000.0;
    let mut add = |what: &str, unit, value| {
        let row = [row, what].join(" ");
        report.add(row.trim_end(), name, unit, value);
    };
    describe(&seen, &mut add);
    match seen.operations() {
        0 if seen.bytes == 0 => {}
        0 => add("CPU per MB", Unit::Micros, cpu / (seen.bytes as f64 / 1e6)),
        operations => add("CPU each", Unit::Micros, cpu / operations as f64),
    }
    if seen.errors > 0 {
        report.fail(row, name, &format!("{} errors", seen.errors));
    }
}

/// Rows that need no network: disks, timers, memory, size.
pub(crate) fn without_network(candidates: &[Candidate], effort: Effort, report: &mut Report) {
    let full = || candidates.iter().filter(|candidate| !candidate.http_only);
    for round in 0..effort.rounds {
        println!("disk and timer: round {} of {}", round + 1, effort.rounds);
        for candidate in full() {
            let measured = disk(candidate, report).and_then(|()| sleep(candidate, report));
            if let Err(error) = measured {
                report.fail("disk and timer", &candidate.name, &error.to_string());
            }
        }
    }
    for candidate in candidates.iter().filter(|candidate| !candidate.native) {
        match candidate.image_bytes() {
            Ok(bytes) => report.add("image", &candidate.name, Unit::Kib, bytes as f64 / 1024.0),
            Err(error) => report.fail("image", &candidate.name, &error.to_string()),
        }
        match memory::least_for(candidate) {
            Ok(mib) => report.add(
                "least memory, 100 connections",
                &candidate.name,
                Unit::Mib,
                mib as f64,
            ),
            Err(error) => report.fail(
                "least memory, 100 connections",
                &candidate.name,
                &error.to_string(),
            ),
        }
    }
}

/// The lines that a candidate prints in a mode of its own.
fn lines(candidate: &Candidate, mode: &str, disk: Option<&std::path::Path>) -> io::Result<String> {
    if candidate.native {
        let mut command = std::process::Command::new(&candidate.kernel);
        command.arg(mode).args(disk);
        return Ok(String::from_utf8_lossy(&command.output()?.stdout).into_owned());
    }
    let config = candidate.config(mode, "10.0.2.15", "10.0.2.2");
    let config = match disk {
        Some(path) => config.disk(Disk::new(path)),
        None => config,
    };
    let launch = Launch::new(candidate.qemu(config)).deadline(DISK_PATIENCE);
    Ok(launch.start().map_err(io::Error::other)?.wait().log)
}

fn field<'a>(line: &'a str, name: &str) -> Option<&'a str> {
    line.split_whitespace()
        .find_map(|word| word.strip_prefix(name)?.strip_prefix('='))
}

/// Operations a second, of each way that the candidate has.
fn disk(candidate: &Candidate, report: &mut Report) -> io::Result<()> {
    let file = tempfile::NamedTempFile::new()?;
    fill(file.as_file())?;
    for line in lines(candidate, "disk", Some(file.path()))?.lines() {
        let number = |name| field(line, name)?.parse::<f64>().ok();
        let Some((kind, way)) = field(line, "disk").zip(field(line, "way")) else {
            continue;
        };
        if let (Some(operations), Some(nanos), Some(depth)) =
            (number("operations"), number("nanos"), number("depth"))
        {
            let size = if kind == "sequential" {
                "1 MiB"
            } else {
                "4 KiB"
            };
            let row = format!("disk: {kind} of {size}, {depth} at a time");
            let rate = operations * 1e9 / nanos;
            if way != "pool" {
                report.add(&row, &candidate.name, Unit::PerSecond, rate);
            }
            // What programs with `tokio::fs` get, beside what there is here.
            if way == "pool" || (way == "task" && depth > 1.0) {
                let row = format!("{row} (tokio's pool)");
                report.add(&row, &candidate.name, Unit::PerSecond, rate);
            }
        }
    }
    Ok(())
}

/// With something in each block, so that none is a hole.
fn fill(mut file: &std::fs::File) -> io::Result<()> {
    let mut pattern = system_tests::client::Pattern::new(1);
    let mut chunk = vec![0; 1 << 20];
    for _ in 0..DISK_MIB {
        pattern.fill(&mut chunk);
        io::Write::write_all(&mut file, &chunk)?;
    }
    Ok(())
}

/// How late a sleep of a millisecond is.
fn sleep(candidate: &Candidate, report: &mut Report) -> io::Result<()> {
    for line in lines(candidate, "sleep", None)?.lines() {
        for (percentile, name) in [("p50", "p50_nanos"), ("p99", "p99_nanos")] {
            if let Some(nanos) = field(line, name).and_then(|nanos| nanos.parse::<f64>().ok()) {
                let row = format!("lateness of a 1 ms sleep {percentile}");
                report.add(&row, &candidate.name, Unit::Micros, nanos / 1000.0);
            }
        }
    }
    Ok(())
}
