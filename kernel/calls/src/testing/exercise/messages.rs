//! Calls about channels, those to Rust among them. None of them waits.
#![allow(
    unsafe_code,
    clippy::undocumented_unsafe_blocks,
    reason = "calls functions as a C program does; one note holds for all calls"
)]

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use abi::capability::Kind;
use abi::handle::{Handle, Tag};
use abi::number::{IPC_OPEN_RECEIVE, IPC_OPEN_SEND};
use abi::{Error, OK};

use super::Run;
use crate::channel::{Receiver, Sender};
use crate::entry::ipc::*;
use crate::testing::Host;

/// Names that are tried; the last one is nobody's.
const NAMES: [&str; 3] = ["one", "two", "three"];

/// Rust's ends of the channels that the program may open.
pub(super) struct Native {
    receivers: Vec<Receiver>,
    senders: Vec<Sender>,
    /// Whether the program has opened its end: by name and direction.
    opened: BTreeMap<(&'static str, u32), bool>,
}

impl Native {
    pub(super) fn offered_by(host: &Host) -> Native {
        let mut native = Native {
            receivers: Vec::new(),
            senders: Vec::new(),
            opened: BTreeMap::new(),
        };
        for name in &NAMES[..2] {
            let receiver = host.program.channel_from(name, 2);
            let sender = host.program.channel_to(name, 2);
            native.receivers.extend(receiver);
            native.senders.extend(sender);
            native.opened.insert((name, IPC_OPEN_SEND), false);
            native.opened.insert((name, IPC_OPEN_RECEIVE), false);
        }
        native
    }
}

impl Run<'_> {
    pub(super) fn messages(&mut self) {
        let (place, second) = (self.out.address(), self.out.address() + 64);
        let channel = self.handle(Tag::Ipc);
        let (address, len) = self.range();
        let nonblocking = abi::number::IPC_NONBLOCK;
        match self.byte() % 8 {
            0 => {
                let flags = self.flags();
                let code = unsafe { ipc_channel_create(flags, place) };
                self.made(Some(Kind::Ipc), code, place, Tag::Ipc);
            }
            1 => {
                let code = unsafe { ipc_channel_pair(0, place, second) };
                if code == OK {
                    self.live.insert(self.written(second), Tag::Ipc);
                }
                self.made(Some(Kind::Ipc), code, place, Tag::Ipc);
            }
            2 => {
                let code = unsafe { ipc_send(channel, address, len, nonblocking) };
                self.checked(Some(Kind::Ipc), code);
            }
            4 => self.send_handles(channel, address, len),
            5 => {
                let code = unsafe { ipc_recv(channel, address, len, place, nonblocking) };
                self.checked(Some(Kind::Ipc), code);
            }
            6 => self.receive_handles(channel, address, len),
            3 if self.byte().is_multiple_of(2) => self.open_end(place),
            3 => self.native_side(),
            _ => {
                let code = unsafe { ipc_close(channel) };
                self.closed(Some(Kind::Ipc), code, channel, &[Tag::Ipc]);
            }
        }
    }

    /// Opens an end of a channel to Rust: each once, whatever becomes of it.
    fn open_end(&mut self, place: u64) {
        let name = NAMES[usize::from(self.byte()) % NAMES.len()];
        let flags = match self.byte() % 4 {
            0 => self.flags(),
            1 => IPC_OPEN_SEND,
            _ => IPC_OPEN_RECEIVE,
        };
        let memory = self.host.memory.bytes(name.as_bytes());
        let code = unsafe { ipc_open(memory.address(), memory.len() as u64, flags, place) };
        if self.active().contains(Kind::Ipc) {
            let is_direction = flags == IPC_OPEN_SEND || flags == IPC_OPEN_RECEIVE;
            let opened = self.native.opened.get_mut(&(name, flags));
            let expected = match opened {
                _ if !is_direction => Error::Invalid.code(),
                None => Error::NoEntry.code(),
                Some(true) => Error::Busy.code(),
                Some(opened) => {
                    *opened = true;
                    OK
                }
            };
            assert_eq!(code, expected, "opening {name} with {flags:#x}");
        }
        self.made(Some(Kind::Ipc), code, place, Tag::Ipc);
    }

    /// Rust sends, receives, or drops an end for good.
    fn native_side(&mut self) {
        let which = self.byte();
        let bytes = [which; 50];
        let len = usize::from(self.byte()) % bytes.len();
        let native = &mut self.native;
        match which % 16 {
            0 => drop(native.senders.pop()),
            1 => drop(native.receivers.pop()),
            2..9 => {
                for sender in &native.senders {
                    let sent = sender.try_send(&bytes[..len]);
                    let errors = [Error::WouldBlock, Error::Closed];
                    assert!(sent.err().is_none_or(|error| errors.contains(&error)));
                }
            }
            _ => {
                for receiver in &native.receivers {
                    let received = receiver.try_recv();
                    let errors = [Error::WouldBlock, Error::Closed];
                    assert!(received.err().is_none_or(|error| errors.contains(&error)));
                }
            }
        }
    }

    fn send_handles(&mut self, channel: u64, address: u64, len: u64) {
        let count = usize::from(self.byte() % 10);
        let list: Vec<u64> = (0..count).map(|_| self.handle(Tag::Io)).collect();
        let numbers = self.host.memory.numbers(&list);
        let code =
            unsafe { ipc_send_handles(channel, address, len, numbers.address(), count as u32, 1) };
        if code == OK {
            for handle in list {
                self.live.remove(&handle);
                self.stale.push(handle);
            }
        }
        self.checked(Some(Kind::Ipc), code);
    }

    fn receive_handles(&mut self, channel: u64, address: u64, len: u64) {
        let start = self.out.address();
        let (read, handles, count) = (start, start + 64, start + 256);
        let capacity = u32::from(self.byte() % 10);
        let code =
            unsafe { ipc_recv_handles(channel, address, len, read, handles, capacity, count, 1) };
        if code == OK {
            for index in 0..self.written(count) as u32 {
                let handle = self.written(handles + u64::from(index) * 8);
                let tag = Handle::from_bits(handle).tag().expect("a good handle");
                self.live.insert(handle, tag);
            }
        }
        self.checked(Some(Kind::Ipc), code);
    }
}
