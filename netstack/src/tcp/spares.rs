//! Sockets of connections that are over, kept for the next ones.
//!
//! The table puts them here and takes them out, so that connections that come and go neither allocate
//! nor zero their buffers each time. What is kept lies within the bytes that connections may take, and
//! is let go of where a connection needs them. What an old connection left in a buffer never shows: a
//! ring hands out only what was put into it since it was cleared.

use alloc::vec::Vec;
use smoltcp::iface::{SocketHandle, SocketSet, SocketStorage};
use smoltcp::socket::tcp::{Socket, SocketBuffer};

use super::connection::Options;

/// Sockets kept at most; the oldest goes when another one comes.
const MAX_SPARES: usize = 32;
/// Bytes that they have at most. One that does not fit is not kept.
const MAX_BYTES: usize = 2 << 20;
/// They have at most one part in this many of what connections could still take.
const SHARE: usize = 16;

/// A socket in a set of its own.
#[derive(Debug)]
pub(super) struct Single {
    pub(super) set: SocketSet<'static>,
    pub(super) handle: SocketHandle,
    options: Options,
}

impl Single {
    /// `None` where there is no memory for it.
    pub(super) fn new(options: Options) -> Option<Single> {
        let receive = buffer(options.receive_buffer)?;
        let send = buffer(options.send_buffer)?;
        let mut storage = Vec::new();
        storage.try_reserve_exact(1).ok()?;
        let mut set = SocketSet::new(storage);
        let handle = set.add(Socket::new(receive, send));
        Some(Single {
            set,
            handle,
            options,
        })
    }

    /// A socket that is closed, whatever became of its connection. It is reset when it is opened.
    pub(super) fn of(mut set: SocketSet<'static>, handle: SocketHandle) -> Single {
        let socket = set.get_mut::<Socket<'_>>(handle);
        socket.abort();
        let options = Options {
            receive_buffer: socket.recv_capacity(),
            send_buffer: socket.send_capacity(),
        };
        Single {
            set,
            handle,
            options,
        }
    }

    fn bytes(&self) -> usize {
        self.options.bytes() + size_of::<SocketStorage<'static>>()
    }
}

/// The sockets that wait for another connection, oldest first.
#[derive(Debug, Default)]
pub(super) struct Spares {
    sockets: Vec<Single>,
    bytes: usize,
}

impl Spares {
    /// A socket with just these buffers: one that is kept, or a new one. `left` is what connections
    /// may take once it is taken. `None` where there is no memory for it.
    pub(super) fn take(&mut self, wanted: Options, left: usize) -> Option<Single> {
        let fits = |spare: &Single| spare.options == wanted;
        let found = self.sockets.iter().rposition(fits);
        let spare = found.map(|index| self.remove(index));
        self.limit(left);
        spare.or_else(|| Single::new(wanted)).or_else(|| {
            // The heap may have been used up by others.
            self.limit(0);
            Single::new(wanted)
        })
    }

    /// Keeps a socket where there is room. `left` is what connections may take without it.
    pub(super) fn keep(&mut self, spare: Single, left: usize) {
        if self.sockets.len() >= MAX_SPARES {
            self.remove(0);
        }
        let bytes = self.bytes + spare.bytes();
        if bytes <= most(left) && self.sockets.try_reserve(1).is_ok() {
            self.bytes = bytes;
            self.sockets.push(spare);
        }
    }

    fn limit(&mut self, left: usize) {
        while self.bytes > most(left) {
            self.remove(0);
        }
    }

    fn remove(&mut self, index: usize) -> Single {
        let spare = self.sockets.remove(index);
        self.bytes -= spare.bytes();
        spare
    }
}

fn most(left: usize) -> usize {
    MAX_BYTES.min(left / SHARE)
}

/// A zeroed ring, or `None` where the heap cannot give it.
fn buffer(len: usize) -> Option<SocketBuffer<'static>> {
    let mut bytes = Vec::new();
    bytes.try_reserve_exact(len).ok()?;
    bytes.resize(len, 0);
    Some(SocketBuffer::new(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLENTY: usize = 64 << 20;

    fn options(bytes: usize) -> Options {
        Options {
            receive_buffer: bytes,
            send_buffer: bytes / 2,
        }
    }

    fn kept(sizes: impl IntoIterator<Item = usize>, left: usize) -> Spares {
        let mut spares = Spares::default();
        for size in sizes {
            spares.keep(Single::new(options(size)).unwrap(), left);
        }
        spares
    }

    #[test]
    fn a_socket_is_kept_for_who_wants_the_same_buffers() {
        let mut spares = kept([1000, 2000], PLENTY);
        assert_eq!(spares.take(options(1500), PLENTY).unwrap().bytes(), {
            Single::new(options(1500)).unwrap().bytes()
        });
        assert_eq!(spares.sockets.len(), 2);
        let found = spares.take(options(1000), PLENTY).unwrap();
        assert_eq!(found.options, options(1000));
        assert_eq!(spares.sockets.len(), 1);
        assert_eq!(spares.bytes, spares.sockets[0].bytes());
    }

    #[test]
    #[cfg_attr(miri, ignore = "fills megabytes, byte by byte")]
    fn neither_many_nor_large_ones_nor_more_than_their_share_are_kept() {
        let many = kept(1..=2 * MAX_SPARES, PLENTY);
        assert_eq!(many.sockets.len(), MAX_SPARES);
        let newest = many.sockets.last().unwrap();
        assert_eq!(newest.options, options(2 * MAX_SPARES));
        assert!(kept([MAX_BYTES], PLENTY).sockets.is_empty());
        let large = kept([MAX_BYTES / 4; 8], PLENTY);
        assert!((1..8).contains(&large.sockets.len()));
        assert!(large.bytes <= MAX_BYTES);
        assert!(kept([1000], 1000 * SHARE).sockets.is_empty());
    }

    #[test]
    fn they_give_way_to_a_connection_that_needs_the_bytes() {
        let mut spares = kept([1000; 8], PLENTY);
        let each = spares.sockets[0].bytes();
        assert!(spares.take(options(4000), 3 * each * SHARE).is_some());
        assert_eq!((spares.sockets.len(), spares.bytes), (3, 3 * each));
        assert!(spares.take(options(4000), 0).is_some());
        assert_eq!((spares.sockets.len(), spares.bytes), (0, 0));
    }
}
