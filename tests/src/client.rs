//! TCP and UDP clients for tests: deterministic data, deadlines on every wait.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpStream, UdpSocket};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Duration;

/// How long a read or write may wait.
pub const IO_TIMEOUT: Duration = Duration::from_secs(20);

/// How much is written or read at once.
const CHUNK: usize = 64 * 1024;

/// Connects, with deadlines on every later read and write.
pub fn connect(address: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect_timeout(&address, IO_TIMEOUT)?;
    stream.set_read_timeout(Some(IO_TIMEOUT))?;
    stream.set_write_timeout(Some(IO_TIMEOUT))?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// Opens a connection to a guest's echo server, and uses it once.
///
/// QEMU's user-mode network lets two connections wait to be taken up and may lose the next; so they are
/// opened one at a time here, and one that has carried a byte waits no more.
///
/// # Errors
/// The connection failed, or something else came back.
pub fn open_echo(address: SocketAddr) -> io::Result<TcpStream> {
    static OPENING: Mutex<()> = Mutex::new(());
    let _one_at_a_time = OPENING.lock().unwrap_or_else(PoisonError::into_inner);
    let mut stream = connect(address)?;
    stream.write_all(b"?")?;
    let mut answer = [0];
    stream.read_exact(&mut answer)?;
    if answer != *b"?" {
        return Err(io::Error::other("another byte came back"));
    }
    Ok(stream)
}

/// Bytes that repeat only after 2^64 steps, the same for the same seed (xorshift64).
pub struct Pattern(u64);

impl Pattern {
    /// The pattern of a seed, which may be anything but zero.
    pub fn new(seed: u64) -> Pattern {
        assert_ne!(seed, 0, "xorshift stays at zero");
        Pattern(seed)
    }

    /// Fills a buffer with what comes next. Buffers of a multiple of eight bytes join without gaps.
    pub fn fill(&mut self, buffer: &mut [u8]) {
        for chunk in buffer.chunks_mut(8) {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            chunk.copy_from_slice(&self.0.to_le_bytes()[..chunk.len()]);
        }
    }
}

/// Sends `length` bytes to an echo server, ends the sending side, and checks that exactly they come
/// back before the server ends its own. `length` must be a multiple of 64 KiB.
///
/// # Errors
/// The connection failed, or other bytes came back; the error says at which offset.
pub fn echo_tcp(address: SocketAddr, length: u64, seed: u64) -> io::Result<()> {
    echo_over(open_echo(address)?, length, seed)
}

/// The same over a connection that is open already.
///
/// # Errors
/// As [`echo_tcp`].
pub fn echo_over(stream: TcpStream, length: u64, seed: u64) -> io::Result<()> {
    assert_eq!(length % CHUNK as u64, 0, "whole chunks");
    let mut sender = stream.try_clone()?;
    thread::scope(|scope| {
        let sending = scope.spawn(move || send_pattern(&mut sender, length, seed));
        let received = receive_pattern(&stream, length, seed);
        sending.join().expect("sending does not panic")?;
        received
    })
}

fn send_pattern(stream: &mut TcpStream, length: u64, seed: u64) -> io::Result<()> {
    let mut pattern = Pattern::new(seed);
    let mut buffer = vec![0; CHUNK];
    for _ in 0..length / CHUNK as u64 {
        pattern.fill(&mut buffer);
        stream.write_all(&buffer)?;
    }
    stream.shutdown(Shutdown::Write)
}

fn receive_pattern(mut stream: &TcpStream, length: u64, seed: u64) -> io::Result<()> {
    let mut pattern = Pattern::new(seed);
    let (mut expected, mut actual) = (vec![0; CHUNK], vec![0; CHUNK]);
    for chunk in 0..length / CHUNK as u64 {
        pattern.fill(&mut expected);
        stream.read_exact(&mut actual)?;
        if let Some(at) = (0..CHUNK).find(|&at| expected[at] != actual[at]) {
            let offset = chunk * CHUNK as u64 + at as u64;
            return Err(io::Error::other(format!(
                "a wrong byte came back at offset {offset}"
            )));
        }
    }
    match stream.read(&mut actual)? {
        0 => Ok(()),
        more => Err(io::Error::other(format!(
            "{more} bytes more than were sent came back"
        ))),
    }
}

/// Sends one datagram and returns the answer. UDP may lose either: tries `attempts` times, one second
/// each.
///
/// # Errors
/// No answer came.
pub fn ask_udp(address: SocketAddr, datagram: &[u8], attempts: usize) -> io::Result<Vec<u8>> {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
    socket.connect(address)?;
    socket.set_read_timeout(Some(Duration::from_secs(1)))?;
    let mut buffer = vec![0; 65_536];
    let mut result = Err(io::ErrorKind::TimedOut.into());
    for _ in 0..attempts {
        socket.send(datagram)?;
        match socket.recv(&mut buffer) {
            Ok(length) => return Ok(buffer[..length].to_vec()),
            Err(error) => result = Err(error),
        }
    }
    result
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    /// An echo server that changes the byte at `wrong`, if any.
    fn server(wrong: Option<usize>) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut content = Vec::new();
            stream.read_to_end(&mut content).unwrap();
            if let Some(at) = wrong {
                content[at] ^= 1;
            }
            let _ = stream.write_all(&content);
        });
        address
    }

    #[test]
    fn an_exact_echo_passes_and_one_wrong_byte_is_found() {
        let length = 2 * CHUNK as u64;
        echo_over(connect(server(None)).unwrap(), length, 1).unwrap();
        let stream = connect(server(Some(CHUNK + 5))).unwrap();
        let error = echo_over(stream, length, 1).unwrap_err();
        assert!(
            error.to_string().contains(&format!("offset {}", CHUNK + 5)),
            "{error}"
        );
    }
}
