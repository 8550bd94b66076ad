//! A datagram and its echo, over and over.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use super::Seen;
use super::exchange::MESSAGE;

/// A datagram that has not come back by then is lost.
const LOST: Duration = Duration::from_millis(200);

/// One under way at any time.
pub(crate) fn run(address: SocketAddr, span: Duration) -> io::Result<Seen> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
    socket.connect(address)?;
    socket.set_read_timeout(Some(LOST))?;
    let mut buffer = [0; MESSAGE.len()];
    let mut seen = Seen::new();
    let start = Instant::now();
    while start.elapsed() < span {
        let sent = Instant::now();
        socket.send(MESSAGE)?;
        match socket.recv(&mut buffer) {
            Ok(count) if count == MESSAGE.len() => seen.record(sent),
            _ => seen.errors += 1,
        }
    }
    seen.elapsed = start.elapsed();
    Ok(seen)
}
