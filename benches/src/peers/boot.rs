//! From the start of the VMM to the guest's first line, and to its first answer over HTTP.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use bench_work::http::REQUEST;
use bundle_tool::machine::{Launch, Qemu, VmConfig};
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
    let guests = || candidates.iter().filter(|candidate| !candidate.native);
    for round in 0..effort.rounds {
        println!("boot: round {} of {}", round + 1, effort.rounds);
        match floor() {
            Ok(took) => report.add(LINE, FLOOR, Unit::Millis, took.as_secs_f64() * 1e3),
            Err(error) => report.fail(LINE, FLOOR, &error.to_string()),
        }
        for candidate in guests() {
            match once(candidate) {
                Ok((line, answer)) => {
                    report.add(
                        LINE,
                        &candidate.name,
                        Unit::Millis,
                        line.as_secs_f64() * 1e3,
                    );
                    report.add(
                        ANSWER,
                        &candidate.name,
                        Unit::Millis,
                        answer.as_secs_f64() * 1e3,
                    );
                }
                Err(error) => report.fail(LINE, &candidate.name, &error.to_string()),
            }
        }
    }
}

fn floor() -> io::Result<Duration> {
    let kernel = repository().join("build/peers/floor");
    let (start, first) = (Instant::now(), Arc::new(OnceLock::new()));
    let noted = first.clone();
    let launch = Launch::new(Qemu::new(VmConfig::new(kernel).options("floor"))).deadline(PATIENCE);
    let launch = launch.on_line(move |_| {
        let _ = noted.set(start.elapsed()); // the first line's time stays
    });
    let machine = launch.start().map_err(io::Error::other)?;
    machine
        .wait_for_line("bench:", PATIENCE)
        .map_err(io::Error::other)?;
    Ok(*first.wait())
}

/// One boot, asked as soon as the guest says that it serves.
fn once(candidate: &Candidate) -> io::Result<(Duration, Duration)> {
    let (nic, guest, gateway) = interface(Network::User, 0, candidate.http)?;
    let config = candidate.config("serve", &guest.to_string(), &gateway.to_string());
    let (start, first) = (Instant::now(), Arc::new(OnceLock::new()));
    let noted = first.clone();
    let launch = Launch::new(candidate.qemu(config.nic(nic))).deadline(PATIENCE);
    let launch = launch.on_line(move |_| {
        let _ = noted.set(start.elapsed()); // the first line's time stays
    });
    let machine = launch.start().map_err(io::Error::other)?;
    machine
        .wait_for_line(serving(candidate), PATIENCE)
        .map_err(io::Error::other)?;
    let address = machine.forwarded(candidate.http).expect("it is forwarded");
    ask(address, if candidate.http_only { HEALTH } else { REQUEST })?;
    let answered = start.elapsed();
    Ok((*first.wait(), answered))
}

fn ask(address: SocketAddr, request: &[u8]) -> io::Result<()> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_nodelay(true)?;
    stream.write_all(request)?;
    match stream.read(&mut [0; 1024])? {
        0 => Err(io::Error::other("the guest closed")),
        _ => Ok(()),
    }
}
