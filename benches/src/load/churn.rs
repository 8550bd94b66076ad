//! Connections that are opened, used once and closed, one after the other.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use super::exchange::MESSAGE;
use super::{PATIENCE, Seen};

/// At an echo server.
pub(crate) fn run(address: SocketAddr, span: Duration) -> io::Result<Seen> {
    let mut seen = Seen::new();
    let start = Instant::now();
    while start.elapsed() < span {
        let opened = Instant::now();
        match once(address) {
            Ok(()) => seen.record(opened),
            Err(_) => seen.errors += 1,
        }
    }
    seen.elapsed = start.elapsed();
    Ok(seen)
}

fn once(address: SocketAddr) -> io::Result<()> {
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_nodelay(true)?;
    stream.write_all(MESSAGE)?;
    let mut answer = [0; MESSAGE.len()];
    stream.read_exact(&mut answer)
}
