//! From the start of the VMM to the guest's first line, and to its first answer over HTTP.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use bench_work::http::REQUEST;
use bundle_tool::machine::{Launch, Machine, Qemu, VmConfig};
use system_tests::guest::repository;

use super::Effort;
use super::candidate::{Candidate, Network};
use super::report::{Report, Unit};
use super::rig::{PATIENCE, interface, serving};
use crate::load::exchange::HEALTH;

/// The row with which the others are compared: a guest that prints one line.
const FLOOR: &str = "floor";
const LINE: &str = "VMM start to the first line";
const ANSWER: &str = "VMM start to the first HTTP answer";

pub(crate) fn measure(candidates: &[Candidate], effort: Effort, report: &mut Report) {
    for round in 0..effort.rounds {
        println!("boot: round {} of {}", round + 1, effort.rounds);
        match floor() {
            Ok(line) => report.add(LINE, FLOOR, Unit::Millis, millis(line)),
            Err(error) => report.fail(LINE, FLOOR, &error.to_string()),
        }
        for candidate in candidates.iter().filter(|candidate| !candidate.native) {
            match once(candidate) {
                Ok((line, answer)) => {
                    report.add(LINE, &candidate.name, Unit::Millis, millis(line));
                    report.add(ANSWER, &candidate.name, Unit::Millis, millis(answer));
                }
                Err(error) => report.fail(LINE, &candidate.name, &error.to_string()),
            }
        }
        report.keep();
    }
}

fn millis(took: Duration) -> f64 {
    took.as_secs_f64() * 1e3
}

/// A machine that has said what it was waited for, when it was started, and how long after that its first
/// line came.
struct Started {
    machine: Machine,
    start: Instant,
    line: Duration,
}

/// Starts a machine, and waits until it says `up`.
fn start(qemu: Qemu, up: &str) -> io::Result<Started> {
    let (start, first) = (Instant::now(), Arc::new(OnceLock::new()));
    let noted = first.clone();
    let launch = Launch::new(qemu).deadline(PATIENCE).on_line(move |_| {
        let _ = noted.set(start.elapsed()); // the first line's time stays
    });
    let machine = launch.start().map_err(io::Error::other)?;
    let found = machine.wait_for_line(up, PATIENCE);
    found.map_err(io::Error::other)?;
    Ok(Started {
        machine,
        start,
        line: *first.wait(),
    })
}

/// How long the smallest guest takes to its line.
fn floor() -> io::Result<Duration> {
    let kernel = repository().join("build/peers/floor");
    let config = VmConfig::new(kernel).options("floor");
    Ok(start(Qemu::new(config), "bench:")?.line)
}

/// One boot, asked as soon as the guest says that it serves.
pub(crate) fn once(candidate: &Candidate) -> io::Result<(Duration, Duration)> {
    let (nic, guest, gateway) = interface(Network::User, 0, candidate.http)?;
    let config = candidate.config("serve", &guest.to_string(), &gateway.to_string());
    let started = start(candidate.qemu(config.nic(nic)), serving(candidate))?;
    let address = started.machine.forwarded(candidate.http);
    let request = if candidate.http_only { HEALTH } else { REQUEST };
    ask(address.expect("it is forwarded"), request)?;
    Ok((started.line, started.start.elapsed()))
}

/// One request, and the beginning of its answer.
pub(crate) fn ask(address: SocketAddr, request: &[u8]) -> io::Result<()> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_nodelay(true)?;
    stream.write_all(request)?;
    match stream.read(&mut [0; 1024])? {
        0 => Err(io::Error::other("the guest closed")),
        _ => Ok(()),
    }
}
