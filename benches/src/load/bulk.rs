//! As many bytes as one connection takes or gives.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use super::{PATIENCE, Seen};

const CHUNK: usize = 128 << 10;

/// Which way the bytes go.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Direction {
    In,
    Out,
}

/// Seen from the guest.
pub(crate) fn run(address: SocketAddr, direction: Direction, span: Duration) -> io::Result<Seen> {
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let mut buffer = vec![0; CHUNK];
    let mut seen = Seen::new();
    let start = Instant::now();
    while start.elapsed() < span {
        let count = match direction {
            Direction::In => stream.write(&buffer)?,
            Direction::Out => stream.read(&mut buffer)?,
        };
        if count == 0 {
            return Err(io::Error::other("the guest closed"));
        }
        seen.bytes += count as u64;
    }
    seen.elapsed = start.elapsed();
    Ok(seen)
}
