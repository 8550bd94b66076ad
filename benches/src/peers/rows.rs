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
use crate::fields::{number, text};
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

const IMAGE: &str = "image";
const LEAST_MEMORY: &str = "least memory, 100 connections";

/// What the rows through a network have in common.
struct Loads<'a> {
    network: Network,
    rigs: &'a [Rig<'a>],
    span: Duration,
    report: &'a mut Report,
}

/// Rows of loads that come through a network.
pub(crate) fn through(network: Network, rigs: &[Rig<'_>], effort: Effort, report: &mut Report) {
    let mut loads = Loads {
        network,
        rigs,
        span: Duration::from_secs_f64(effort.seconds),
        report,
    };
    for round in 0..effort.rounds {
        println!("{}: round {} of {}", loads.via(), round + 1, effort.rounds);
        loads.round();
    }
}

impl Loads<'_> {
    fn via(&self) -> &'static str {
        match self.network {
            Network::Tap => "tap",
            Network::User => "user",
        }
    }

    /// Every row once, on everybody in turn.
    fn round(&mut self) {
        for connections in HTTP_CONNECTIONS {
            if self.network == Network::Tap || connections <= MAX_USER_CONNECTIONS {
                self.http(connections);
            }
        }
        self.echo();
        self.datagrams();
        self.bulk("in", SINK, Direction::In);
        self.bulk("out", SOURCE, Direction::Out);
        if self.network == Network::Tap {
            self.churn();
        }
    }

    /// Runs a row on every rig that it is for, says so, and keeps what it gave.
    fn row(&mut self, row: &str, on_all: bool, run: impl Fn(&Rig<'_>, &str, &mut Report)) {
        let row = format!("{}: {row}", self.via());
        if !self.report.wants(&row) {
            return;
        }
        println!("  {row}");
        for rig in self.rigs {
            if on_all || !rig.candidate.http_only {
                run(rig, &row, self.report);
            }
        }
        self.report.keep();
    }

    fn http(&mut self, connections: usize) {
        let span = self.span;
        let row = format!("HTTP, {connections} connections");
        self.row(&row, true, |rig, row, report| {
            latency(rig, row, || http(rig, connections, span), report);
        });
    }

    fn echo(&mut self) {
        let span = self.span;
        self.row("echo of 64 B", false, |rig, row, report| {
            let run = || exchange::alone(rig.tcp(ECHO), Exchange::echo(), span);
            latency(rig, row, run, report);
        });
    }

    fn datagrams(&mut self) {
        let span = self.span;
        self.row("UDP echo of 64 B", false, |rig, row, report| {
            latency(rig, row, || datagrams::run(rig.udp(ECHO), span), report);
        });
    }

    fn bulk(&mut self, way: &str, port: u16, direction: Direction) {
        let span = self.span;
        self.row(&format!("bulk {way}"), false, |rig, row, report| {
            let run = || bulk::run(rig.tcp(port), direction, span);
            measured(rig, row, report, run, |seen, add| {
                let rate = seen.bytes as f64 / 1e6 / seen.elapsed.as_secs_f64();
                add("", Unit::MegabytesPerSecond, rate);
            });
        });
    }

    fn churn(&mut self) {
        let span = self.span;
        self.row(
            "connections opened and closed",
            false,
            |rig, row, report| {
                let run = || churn::run(rig.tcp(ECHO), span);
                measured(rig, row, report, run, |seen, add| {
                    add("", Unit::PerSecond, seen.rate());
                });
            },
        );
    }
}

/// Requests on so many connections.
fn http(rig: &Rig<'_>, connections: usize, span: Duration) -> io::Result<Seen> {
    let request = match rig.candidate.http_only {
        true => HEALTH,
        false => REQUEST,
    };
    let exchange = Exchange::http(rig.http(), request)?;
    match connections {
        1 => exchange::alone(rig.http(), exchange, span),
        many => exchange::many(rig.http(), exchange, many, span),
    }
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
    let name = &rig.candidate.name;
    let before = rig.cpu_nanos();
    let seen = match run() {
        Ok(seen) => seen,
        Err(error) => {
            println!("    {name}: {error}; {}", rig.last_words());
            return report.fail(row, name, &error.to_string());
        }
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
        println!("    {name}: {} errors; {}", seen.errors, rig.last_words());
        report.fail(row, name, &format!("{} errors", seen.errors));
    }
}

/// Rows that need no network: disks, timers, memory, size.
pub(crate) fn without_network(candidates: &[Candidate], effort: Effort, report: &mut Report) {
    for round in 0..effort.rounds {
        println!("disk and timer: round {} of {}", round + 1, effort.rounds);
        for candidate in candidates.iter().filter(|candidate| !candidate.http_only) {
            println!("  {}", candidate.name);
            let measured = disk(candidate, report).and_then(|()| sleep(candidate, report));
            if let Err(error) = measured {
                report.fail("disk and timer", &candidate.name, &error.to_string());
            }
            report.keep();
        }
    }
    println!("image and memory");
    for candidate in candidates.iter().filter(|candidate| !candidate.native) {
        println!("  {}", candidate.name);
        let kib = candidate.image_bytes().map(|bytes| bytes as f64 / 1024.0);
        figure(IMAGE, candidate, Unit::Kib, kib, report);
        let mib = memory::least_for(candidate).map(|mib| mib as f64);
        figure(LEAST_MEMORY, candidate, Unit::Mib, mib, report);
        report.keep();
    }
}

fn figure(
    row: &str,
    candidate: &Candidate,
    unit: Unit,
    value: io::Result<f64>,
    report: &mut Report,
) {
    match value {
        Ok(value) => report.add(row, &candidate.name, unit, value),
        Err(error) => report.fail(row, &candidate.name, &error.to_string()),
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

/// Operations a second, of each way that the candidate has.
fn disk(candidate: &Candidate, report: &mut Report) -> io::Result<()> {
    let file = tempfile::NamedTempFile::new()?;
    fill(file.as_file())?;
    for line in lines(candidate, "disk", Some(file.path()))?.lines() {
        for (row, rate) in disk_rates(line).into_iter().flatten() {
            report.add(&row, &candidate.name, Unit::PerSecond, rate);
        }
    }
    Ok(())
}

/// The rows to which a line of a worker's adds, and what.
fn disk_rates(line: &str) -> Option<Vec<(String, f64)>> {
    let (kind, way) = (text(line, "disk")?, text(line, "way")?);
    let depth: u64 = number(line, "depth")?;
    let operations: f64 = number(line, "operations")?;
    let rate = operations * 1e9 / number::<f64>(line, "nanos")?;
    let size = match kind {
        "sequential" => "1 MiB",
        _ => "4 KiB",
    };
    let row = format!("disk: {kind} of {size}, {depth} at a time");
    // What programs with `tokio::fs` get, beside what there is here.
    let pool = (format!("{row} (tokio's pool)"), rate);
    Some(match way {
        "pool" => vec![pool],
        "task" if depth > 1 => vec![(row, rate), pool],
        _ => vec![(row, rate)],
    })
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
            if let Some(nanos) = number::<f64>(line, name) {
                let row = format!("lateness of a 1 ms sleep {percentile}");
                report.add(&row, &candidate.name, Unit::Micros, nanos / 1000.0);
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(line: &str) -> Vec<(String, f64)> {
        disk_rates(line).unwrap_or_default()
    }

    #[test]
    fn a_task_stands_beside_both_ways_that_a_peer_has() {
        let line =
            |way| format!("bench: disk=read way={way} depth=32 operations=4000 nanos=2000000000");
        let plain = ("disk: read of 4 KiB, 32 at a time".to_string(), 2000.0);
        let pool = (format!("{} (tokio's pool)", plain.0), 2000.0);
        assert_eq!(rows(&line("task")), [plain.clone(), pool.clone()]);
        assert_eq!(rows(&line("uring")), [plain]);
        assert_eq!(rows(&line("pool")), [pool]);
    }

    #[test]
    fn one_at_a_time_is_nobodys_pool() {
        let line = "bench: disk=sequential way=task depth=1 operations=256 nanos=256000000";
        let row = "disk: sequential of 1 MiB, 1 at a time".to_string();
        assert_eq!(rows(line), [(row, 1000.0)]);
        assert_eq!(rows("bench: measured"), []);
    }
}
