//! What lies behind sockets and files: smoltcp and virtio in the guest, file descriptors on Linux.
//!
//! The traits are what the calls need and no more. Objects are shared (`Rc`), because several tasks may wait for one;
//! none of them is used again after its last `Rc` is gone. Errors are the interface's own.

use alloc::boxed::Box;
use alloc::rc::Rc;
use alloc::vec::Vec;
use core::future::Future;
use core::net::{IpAddr, SocketAddr};
use core::pin::Pin;
use core::task::{Context, Poll};
use core::time::Duration;

use abi::Error;
use reactor::readiness::Pollable;
use reactor::task::JoinHandle;

/// A future that is made behind a trait.
pub type Waiting<'a, T> = Pin<Box<dyn Future<Output = Result<T, Error>> + 'a>>;

/// Bytes of a stream's buffers where the program does not say.
pub const DEFAULT_BUFFER: usize = 16 << 10;

/// How a stream is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StreamOptions {
    /// Connections that may wait to be accepted, at least 1.
    pub backlog: usize,
    /// Bytes that can be received before somebody reads.
    pub receive_buffer: usize,
    /// Bytes that can be written before they are sent.
    pub send_buffer: usize,
}

/// The network, as far as the program's policy lets it be reached.
///
/// Of the unspecified addresses `0.0.0.0` is every IPv4 address of the machine, and `[::]` every address of both
/// families. IPv4 addresses are never given as IPv6 ones.
pub trait Network {
    /// Waits until the network has an address of its own, or has looked for one for long enough.
    fn ready(&self) -> Pin<Box<dyn Future<Output = ()> + '_>>;

    /// Takes a port for a stream; port 0 takes a free one. Nobody is listening there yet.
    ///
    /// # Errors
    /// [`Error::Busy`]: the port is taken; [`Error::Invalid`]: not the machine's address; [`Error::Permission`];
    /// [`Error::NoMemory`].
    fn reserve(&self, local: SocketAddr) -> Result<Rc<dyn Port>, Error>;

    /// Begins to connect from a free port; [`Stream::poll_connected`] tells how it went.
    ///
    /// # Errors
    /// [`Error::Invalid`]: no address to connect to; [`Error::Io`]: no way there; [`Error::Permission`];
    /// [`Error::NoMemory`].
    fn connect(&self, remote: SocketAddr, options: StreamOptions) -> Result<Rc<dyn Stream>, Error>;

    /// Binds a datagram socket; port 0 takes a free one.
    ///
    /// # Errors
    /// As [`Network::reserve`].
    fn bind(&self, local: SocketAddr) -> Result<Rc<dyn Datagram>, Error>;

    /// The addresses of a name, in the order to try them.
    fn resolve<'a>(&'a self, name: &'a str) -> Waiting<'a, Vec<IpAddr>>;
}

/// A port taken for a stream, and its address.
pub trait Port {
    /// The address.
    fn local(&self) -> SocketAddr;

    /// Accepts connections there from now on. To be called once.
    ///
    /// # Errors
    /// [`Error::Permission`], [`Error::NoMemory`]. The port stays taken.
    fn listen(&self, options: StreamOptions) -> Result<Rc<dyn Listener>, Error>;

    /// Begins to connect from there. The port is to be kept as long as the stream.
    ///
    /// # Errors
    /// As [`Network::connect`]; [`Error::Busy`]: a connection between these two addresses is there already, or its
    /// last segments may be.
    fn connect(&self, remote: SocketAddr, options: StreamOptions) -> Result<Rc<dyn Stream>, Error>;
}

/// A connection. What is asked of it before it is there waits until it is.
pub trait Stream: Pollable {
    /// Whether it is there, or why not.
    fn poll_connected(&self, cx: &mut Context<'_>) -> Poll<Result<(), Error>>;
    /// At least one byte; 0 at the end, or for an empty buffer.
    fn poll_read(&self, cx: &mut Context<'_>, into: &mut [u8]) -> Poll<Result<usize, Error>>;
    /// At least one byte; 0 for none.
    fn poll_write(&self, cx: &mut Context<'_>, from: &[u8]) -> Poll<Result<usize, Error>>;
    /// Ends sending.
    ///
    /// # Errors
    /// How the connection failed before.
    fn shutdown_write(&self) -> Result<(), Error>;
    /// Our end.
    fn local(&self) -> SocketAddr;
    /// The peer's end.
    fn remote(&self) -> SocketAddr;
    /// Small writes are sent at once, or not.
    fn set_nodelay(&self, nodelay: bool);
    /// Asks an idle peer after that time, or never.
    fn set_keep_alive(&self, interval: Option<Duration>);
    /// How long the peer may leave data unacknowledged.
    fn set_timeout(&self, limit: Duration);
    /// How it failed, if it did.
    fn error(&self) -> Option<Error>;
}

/// A port that accepts connections.
pub trait Listener: Pollable {
    /// The next connection.
    fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<Result<Rc<dyn Stream>, Error>>;
    /// The address listened on.
    fn local(&self) -> SocketAddr;
}

/// A datagram socket.
pub trait Datagram: Pollable {
    /// Hears from this peer only, from now on.
    ///
    /// # Errors
    /// [`Error::Invalid`]: no address of a peer; [`Error::Io`]: no way there; [`Error::Permission`].
    fn connect(&self, peer: SocketAddr) -> Result<(), Error>;
    /// Sends one. [`Error::Invalid`]: it is too long, or that is no address.
    fn poll_send_to(
        &self,
        cx: &mut Context<'_>,
        bytes: &[u8],
        to: SocketAddr,
    ) -> Poll<Result<(), Error>>;
    /// Receives one; what does not fit is lost.
    fn poll_recv_from(
        &self,
        cx: &mut Context<'_>,
        into: &mut [u8],
    ) -> Poll<Result<(usize, SocketAddr), Error>>;
    /// The address bound to.
    fn local(&self) -> SocketAddr;
}

/// What `io_open` opens.
pub trait Storage {
    /// Opens what `path` names; `read` and `write` are what was asked for, or neither for whatever there is.
    ///
    /// # Errors
    /// [`Error::NoEntry`], [`Error::Permission`], [`Error::Invalid`].
    fn open(&self, path: &str, read: bool, write: bool) -> Result<Rc<dyn File>, Error>;
}

/// The number in `disk:N`. As it is written: digits, and no zero before others, so that a disk has one name.
pub fn disk_number(path: &str) -> Option<usize> {
    let text = path.strip_prefix("disk:")?;
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    let shortest = text == "0" || !text.starts_with('0');
    (digits && shortest).then(|| text.parse().ok())?
}

/// Something to read from and write to, at positions. Ready when a transfer would not have to wait for somebody else to
/// make room or send something; a disk always is.
pub trait File: Pollable {
    /// Bytes it has; `None` where there is no end, and positions mean nothing.
    fn size(&self) -> Option<u64>;
    /// Where writes have to end, if anywhere.
    fn limit(&self) -> Option<u64> {
        self.size()
    }
    /// What writes must be multiples of.
    fn block(&self) -> u32;
    /// Whether it may be read, and written.
    fn access(&self) -> (bool, bool);
    /// Reads at least one byte, at most `most`, which is not 0. None at the end.
    fn read(&self, position: u64, most: usize) -> Waiting<'_, Vec<u8>>;
    /// Writes at least one byte, from the first on. Whole blocks at a block's edge, inside what it has.
    fn write(&self, position: u64, bytes: Vec<u8>) -> Waiting<'_, usize>;
    /// Waits until what was written is on the medium.
    fn sync(&self) -> Waiting<'_, ()>;
}

/// What the program is told about where it runs.
pub trait Environment {
    /// An argument, counted from 0, without the program's name.
    fn argument(&self, index: usize) -> Option<&str>;
    /// A variable.
    fn variable(&self, name: &str) -> Option<&str>;
    /// The time since 1970, where somebody tells it.
    fn wall_clock(&self) -> Option<Duration>;
    /// Fills memory from a cryptographic generator.
    fn random(&self, into: &mut [u8]);
    /// Ends once the machine is asked to stop.
    fn shutdown(&self) -> Pin<Box<dyn Future<Output = ()>>>;
    /// The bits of what there is here beside the calls of this crate.
    fn features(&self) -> u64 {
        0
    }
}

/// Runs the program's tasks, each on a stack of its own.
pub trait Runner {
    /// Spawns a reactor task that runs `start` on a new stack, makes its calls those of `task`, and calls
    /// [`Task::end`](crate::Task::end) when it is over, in whatever way.
    ///
    /// # Errors
    /// [`Error::NoMemory`]: no stack; [`Error::Invalid`]: the entry cannot be code.
    fn start(&self, task: &Rc<crate::Task>, start: Start) -> Result<JoinHandle<()>, Error>;
}

/// What a task begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Start {
    /// The address of its function, `i32 entry(u64 argument)` in C.
    pub entry: u64,
    /// What the function is given.
    pub argument: u64,
    /// Bytes of its stack, a multiple of 1024.
    pub stack: usize,
}
