//! The smallest memory with which a guest serves a hundred connections at a time.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use bundle_tool::machine::{Forward, Launch, Nic, Qemu, VmConfig};
use system_tests::client::{Pattern, open_echo};
use system_tests::load::get_over_many;
use system_tests::vm::config;

use crate::peers::candidate::Candidate;
use crate::peers::rig::serving;

/// QEMU's microvm hangs with less than 2 MiB, guest or no guest.
const LEAST_MIB: u32 = 2;
const MOST_MIB: u32 = 17;

const CONNECTIONS: usize = 100;

/// What each echo connection carries: more than a segment.
const MESSAGE: usize = 4096;

/// A guest that has run out of memory may answer late rather than not at all.
const DEADLINE: Duration = Duration::from_secs(30);

/// In MiB, of one of this repository's guests.
pub(crate) fn least(name: &str) -> io::Result<u64> {
    let (port, load): (u16, Load) = match name {
        "demo" => (8080, pages),
        _ => (7, echoes),
    };
    let up = "net: address assigned addr=10.0.2.15";
    search(MOST_MIB, |mib| {
        serves(
            Qemu::new(with_port(config(name).memory_mib(mib), port)),
            up,
            port,
            load,
        )
    })
}

/// In MiB, of any guest that serves HTTP.
pub(crate) fn least_for(candidate: &Candidate) -> io::Result<u64> {
    let config = candidate.config("serve", "10.0.2.15", "10.0.2.2");
    let most = config.memory_mib;
    let load: Load = if candidate.http_only { health } else { pages };
    search(most, |mib| {
        let config = config.clone().memory_mib(mib);
        serves(
            candidate.qemu(with_port(config, candidate.http)),
            serving(candidate),
            candidate.http,
            load,
        )
    })
}

/// What is done to a port.
type Load = fn(SocketAddr) -> io::Result<()>;

/// Halves the range, as a guest that has too little may make its clients wait for long.
fn search(most: u32, serves: impl Fn(u32) -> io::Result<()>) -> io::Result<u64> {
    serves(most)?;
    let (mut too_little, mut enough) = (LEAST_MIB - 1, most);
    while enough - too_little > 1 {
        let middle = (too_little + enough) / 2;
        match serves(middle) {
            Ok(()) => enough = middle,
            Err(_) => too_little = middle,
        }
    }
    Ok(enough.into())
}

fn with_port(config: VmConfig, port: u16) -> VmConfig {
    config.nic(Nic::user([Forward::tcp(0, port)]))
}

fn serves(qemu: Qemu, up: &str, port: u16, load: Load) -> io::Result<()> {
    let launch = Launch::new(qemu).deadline(DEADLINE);
    let machine = launch.start().map_err(io::Error::other)?;
    let found = machine.wait_for_line(up, DEADLINE);
    found.map_err(io::Error::other)?;
    load(machine.forwarded(port).expect("forwarded above"))?;
    match machine.has_ended() {
        false => Ok(()),
        true => Err(io::Error::other("the guest ended")),
    }
}

fn health(address: SocketAddr) -> io::Result<()> {
    get_over_many(address, "/healthz", CONNECTIONS, 2).map(drop)
}

fn pages(address: SocketAddr) -> io::Result<()> {
    get_over_many(address, "/", CONNECTIONS, 2).map(drop)
}

/// All connections are open while each of them is used, one after the other.
fn echoes(address: SocketAddr) -> io::Result<()> {
    let open = (0..CONNECTIONS).map(|_| open_echo(address));
    let streams = open.collect::<io::Result<Vec<_>>>()?;
    for (stream, seed) in streams.iter().zip(1..) {
        echo_message(stream, seed)?;
    }
    Ok(())
}

fn echo_message(mut stream: &TcpStream, seed: u64) -> io::Result<()> {
    let (mut sent, mut received) = ([0; MESSAGE], [0; MESSAGE]);
    Pattern::new(seed).fill(&mut sent);
    stream.write_all(&sent)?;
    stream.read_exact(&mut received)?;
    match sent == received {
        true => Ok(()),
        false => Err(io::Error::other("something else came back")),
    }
}
