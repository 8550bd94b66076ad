//! What a request costs the guest while a load from outside is on: through QEMU's user-mode network, with
//! the gauge's marks set by datagrams.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::time::Duration;

use bench_work::http::REQUEST;
use bench_work::services::{ECHO, HTTP, MARK, SERVING};
use bundle_tool::machine::{Forward, Machine, Nic};

use crate::gauge::Counts;
use crate::load::exchange::{self, Exchange};
use crate::peers::candidate::Candidate;

/// How long each load lasts.
const SPAN: Duration = Duration::from_secs(2);
const DEADLINE: Duration = Duration::from_secs(60);
/// How long an answer to a mark may take.
const SOON: Duration = Duration::from_secs(5);

/// The most that an operation should cost: instructions, exits.
struct Target {
    name: &'static str,
    instructions: f64,
    exits: Option<f64>,
}

const TARGETS: [Target; 3] = [
    Target {
        name: "HTTP request, 1 connection",
        instructions: 5_500.0,
        exits: None,
    },
    Target {
        name: "HTTP request, 100 connections",
        instructions: 5_500.0,
        exits: Some(0.5),
    },
    Target {
        name: "echo of 64 B, 1 connection",
        instructions: 4_000.0,
        exits: None,
    },
];

/// Prints what an operation costs beside what it should cost: in this kernel's guest, or in that of a peer.
pub(crate) fn run(peer: &str) -> io::Result<bool> {
    let candidates = Candidate::all()?;
    let mut candidates = candidates.iter().filter(|candidate| !candidate.native);
    let candidate = candidates.find(|candidate| candidate.name == peer);
    let candidate =
        candidate.ok_or_else(|| io::Error::other(format!("there is no guest {peer:?}")))?;
    let forwards = [
        Forward::tcp(0, HTTP),
        Forward::tcp(0, ECHO),
        Forward::udp(0, MARK),
    ];
    let config = candidate.config("serve", "10.0.2.15", "10.0.2.2");
    let gauge = candidate.gauge(config.nic(Nic::user(forwards)));
    let mut operations = Vec::new();
    let run = gauge.run_under(SERVING, DEADLINE, |machine| {
        operations = loads(machine)?;
        Ok(())
    })?;
    let pairs = run.marks.chunks_exact(2);
    for ((target, operations), marks) in TARGETS.iter().zip(operations).zip(pairs) {
        print(target, &marks[1].since(&marks[0]), operations as f64);
    }
    Ok(true)
}

/// Puts each load on, between two marks, and answers how many operations each was.
fn loads(machine: &Machine) -> io::Result<Vec<u64>> {
    let http = machine.forwarded(HTTP).expect("forwarded above");
    let echo = machine.forwarded(ECHO).expect("forwarded above");
    let request = Exchange::http(http, REQUEST)?;
    let mark = || mark(machine.forwarded_udp(MARK).expect("forwarded above"));
    let mut operations = Vec::new();
    for load in [
        &(|| exchange::alone(http, request, SPAN)) as &dyn Fn() -> _,
        &|| exchange::many(http, request, 100, SPAN),
        &|| exchange::alone(echo, Exchange::echo(), SPAN),
    ] {
        mark()?;
        let seen = load()?;
        mark()?;
        operations.push(seen.operations());
    }
    Ok(operations)
}

/// A datagram there and back: the guest has marked.
fn mark(address: SocketAddr) -> io::Result<()> {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
    socket.set_read_timeout(Some(SOON))?;
    socket.send_to(b"?", address)?;
    socket.recv(&mut [0; 1]).map(drop)
}

fn print(target: &Target, counts: &Counts, operations: f64) {
    let instructions = counts.instructions as f64 / operations;
    let exits = counts.exits() as f64 / operations;
    let Target {
        name,
        instructions: most,
        ..
    } = target;
    print!("{name:<32} {instructions:>8.0} instructions (target {most:.0})  {exits:>6.2} exits");
    match target.exits {
        Some(most) => println!(" (target {most})"),
        None => println!(),
    }
}
