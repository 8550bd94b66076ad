//! The smallest memory with which a guest serves a hundred connections at a time.

use std::io;
use std::net::SocketAddr;
use std::thread;
use std::time::Duration;

use bundle_tool::machine::{Forward, Launch, Nic, Qemu};
use system_tests::client::{echo_over, open_echo};
use system_tests::load::get_over_many;
use system_tests::vm::config;

/// QEMU's microvm hangs with less than 2 MiB, guest or no guest.
const LEAST_MIB: u32 = 2;
const MOST_MIB: u32 = 64;

const CONNECTIONS: usize = 100;

/// A guest that has run out of memory may answer late rather than not at all.
const DEADLINE: Duration = Duration::from_secs(30);

/// In MiB, tried from below.
pub(crate) fn least(name: &str) -> io::Result<u64> {
    let mut reason = String::new();
    for mib in LEAST_MIB..=MOST_MIB {
        match serves(name, mib) {
            Ok(()) => return Ok(mib.into()),
            Err(error) => reason = error.to_string(),
        }
    }
    Err(io::Error::other(format!(
        "{name} does not serve even with {MOST_MIB} MiB: {reason}"
    )))
}

fn serves(name: &str, mib: u32) -> io::Result<()> {
    let (port, load): (u16, fn(SocketAddr) -> io::Result<()>) = match name {
        "demo" => (8080, pages),
        _ => (7, echoes),
    };
    let config = config(name)
        .memory_mib(mib)
        .nic(Nic::user([Forward::tcp(0, port)]));
    let launch = Launch::new(Qemu::new(config)).deadline(DEADLINE);
    let machine = launch.start().map_err(io::Error::other)?;
    machine
        .wait_for_line("net: address assigned addr=10.0.2.15", DEADLINE)
        .map_err(io::Error::other)?;
    load(machine.forwarded(port).expect("forwarded above"))?;
    match machine.has_ended() {
        false => Ok(()),
        true => Err(io::Error::other("the guest ended")),
    }
}

fn pages(address: SocketAddr) -> io::Result<()> {
    get_over_many(address, "/", CONNECTIONS, 2).map(drop)
}

/// All connections are open before the first is used.
fn echoes(address: SocketAddr) -> io::Result<()> {
    let streams = (0..CONNECTIONS)
        .map(|_| open_echo(address))
        .collect::<io::Result<Vec<_>>>()?;
    thread::scope(|scope| {
        let running: Vec<_> = streams
            .into_iter()
            .zip(1..)
            .map(|(stream, seed)| scope.spawn(move || echo_over(stream, 64 * 1024, seed)))
            .collect();
        running
            .into_iter()
            .try_for_each(|thread| thread.join().expect("no panic"))
    })
}
