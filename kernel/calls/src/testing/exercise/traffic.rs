//! Calls that move bytes: between sockets of the program, and to and from its files. None of them waits for ever.
#![allow(
    unsafe_code,
    clippy::undocumented_unsafe_blocks,
    reason = "calls functions as a C program does; one note holds for all calls"
)]

use abi::capability::Kind;
use abi::handle::Tag;
use abi::number::{NET_NONBLOCK, NET_OPT_NONBLOCK};

use super::Run;
use crate::entry::{io::*, net::*};

/// Ports that are tried, so that sockets find each other.
const PORTS: u8 = 4;

impl Run<'_> {
    pub(super) fn traffic(&mut self) {
        let socket = self.handle(Tag::Net);
        // SAFETY of all calls here: as in `exercise`.
        let code = unsafe { net_set_option(socket, NET_OPT_NONBLOCK, 1) };
        self.on_handle(Kind::Net, socket, &[Tag::Net], code);
        match self.byte() % 6 {
            0 => self.connect(socket),
            1 => self.accept(socket),
            2 => self.stream(socket),
            3 => self.datagram(socket),
            4 => self.open(),
            _ => self.file(),
        }
    }

    /// An address of a socket that may be there, in one of its forms.
    fn address(&mut self) -> super::Buffer {
        let port = u16::from(self.byte() % PORTS);
        let mut bytes = alloc::vec![0; 24];
        let len = match self.byte() % 4 {
            0 => {
                bytes[..4].copy_from_slice(&0x7f00_0001_u32.to_ne_bytes());
                bytes[4..6].copy_from_slice(&port.to_ne_bytes());
                8
            }
            1 => {
                bytes[..6].copy_from_slice(&[127, 0, 0, 1, 0, port as u8]);
                6
            }
            2 => {
                bytes[15] = 1;
                bytes[16..18].copy_from_slice(&port.to_ne_bytes());
                24
            }
            // Every address.
            _ => {
                bytes[4..6].copy_from_slice(&port.to_ne_bytes());
                8
            }
        };
        self.host.memory.bytes(&bytes[..len])
    }

    fn connect(&mut self, socket: u64) {
        let address = self.address();
        let (at, len) = (address.address(), address.len() as u32);
        let code = match self.byte() % 3 {
            0 => unsafe { net_bind(socket, at, len) },
            1 => unsafe { net_connect(socket, at, len) },
            _ => unsafe { net_listen(socket, len) },
        };
        self.on_handle(Kind::Net, socket, &[Tag::Net], code);
    }

    fn accept(&mut self, socket: u64) {
        let place = self.place();
        let (room, len) = (self.host.memory.buffer(24), self.host.memory.buffer(4));
        let given = u32::from(self.byte() % 30);
        len.place().put(given);
        let (at, len) = match self.byte() % 3 {
            0 => (0, 0),
            _ => (room.address(), len.address()),
        };
        let code = unsafe { net_accept(socket, NET_NONBLOCK, place, at, len) };
        self.made(Some(Kind::Net), code, place, Tag::Net);
        self.on_handle(Kind::Net, socket, &[Tag::Net], code);
    }

    fn stream(&mut self, socket: u64) {
        let (address, len) = self.range();
        let (place, how) = (self.place(), u32::from(self.byte() % 5));
        let code = match self.byte() % 5 {
            0 | 1 => unsafe { net_send(socket, address, len, 0, place) },
            2 | 3 => unsafe { net_recv(socket, address, len, 0, place) },
            _ => unsafe { net_shutdown(socket, how) },
        };
        self.on_handle(Kind::Net, socket, &[Tag::Net], code);
    }

    fn datagram(&mut self, socket: u64) {
        let (data, len) = self.range();
        let (place, peer) = (self.place(), self.address());
        let (at, at_len) = (peer.address(), peer.len() as u32);
        let code = match self.byte() % 3 {
            0 => unsafe { net_send_to(socket, data, len, 0, at, at_len) },
            1 => unsafe { net_recv_from(socket, data, len, 0, place, 0, 0) },
            _ => {
                let room = self.host.memory.buffer(4);
                room.place().put(at_len);
                unsafe { net_recv_from(socket, data, len, 0, place, at, room.address()) }
            }
        };
        self.on_handle(Kind::Net, socket, &[Tag::Net], code);
    }

    fn open(&mut self) {
        let paths: [&[u8]; 4] = [b"disk:0\0", b"serial\0", b"disk:1\0", b"disk:0"];
        let path = paths[usize::from(self.byte() % 4)];
        let (path, flags) = (self.host.memory.read_only(path), self.flags());
        let place = self.place();
        let code = unsafe { io_open(path.address(), flags, place) };
        self.made(Some(Kind::Io), code, place, Tag::Io);
    }

    /// Streams have no say here: one that is not told to never waits could wait for ever.
    fn file(&mut self) {
        let io = self.handle(Tag::Io);
        if self.live.get(&io) == Some(&Tag::Net) {
            return;
        }
        let (address, len) = self.range();
        let (place, count) = (self.place(), u32::from(self.byte()));
        let code = match self.byte() % 5 {
            0 => unsafe { io_read(io, address, len, place) },
            1 => unsafe { io_write(io, address, len, place) },
            2 => unsafe { io_readv(io, address, count, place) },
            3 => unsafe { io_writev(io, address, count, place) },
            _ => unsafe { io_sync(io) },
        };
        self.on_handle(Kind::Io, io, &[Tag::Io], code);
    }
}
