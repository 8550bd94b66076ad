//! An echo on each of many connections, one message under way on each, with blocking calls and no waiting for readiness: two
//! system calls an echo, the least that a client can do, so that a server of any kind is what limits.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use super::{Seen, exchange};

/// Echoes `size` bytes on each of so many connections, one after the other and over and over. What was answered during
/// `warm_up`, at first, is not counted. `idle` more connections have had their echo before that, and stay silent.
pub(crate) fn echo(
    address: SocketAddr,
    connections: usize,
    size: usize,
    idle: usize,
    warm_up: Duration,
    span: Duration,
) -> io::Result<Seen> {
    let message = vec![0x5a; size];
    let mut answer = vec![0; size];
    // A server that is still accepting is not measured.
    let mut once = || -> io::Result<TcpStream> {
        let mut stream = exchange::connect(address)?;
        stream.write_all(&message)?;
        stream.read_exact(&mut answer)?;
        Ok(stream)
    };
    let _idle = (0..idle).map(|_| once()).collect::<io::Result<Vec<_>>>()?;
    let mut streams = Vec::new();
    for _ in 0..connections {
        streams.push((exchange::connect(address)?, Instant::now()));
    }
    for (stream, sent) in &mut streams {
        *sent = Instant::now();
        stream.write_all(&message)?;
    }
    let mut seen = Seen::new();
    let start = Instant::now() + warm_up;
    let end = start + span;
    for turn in (0..connections).cycle() {
        let (stream, sent) = &mut streams[turn];
        stream.read_exact(&mut answer)?;
        let now = Instant::now();
        if now >= end {
            break;
        }
        if now >= start {
            seen.record(*sent);
        }
        *sent = now;
        stream.write_all(&message)?;
    }
    seen.elapsed = span;
    match answer == message {
        true => Ok(seen),
        false => Err(io::Error::other("what came back is not what was sent")),
    }
}
