//! Random calls through the functions that C links to, against a model of what they must answer.
//!
//! Bytes choose the calls and their arguments: good, stale and forged handles; null, wild, misaligned and huge
//! ranges; every number of an enumeration and others. A fuzzer gives the bytes, or a property test. Nothing that
//! would wait for ever is called.
#![allow(
    unsafe_code,
    clippy::undocumented_unsafe_blocks,
    reason = "calls functions as a C program does; one note holds for all calls"
)]

mod messages;
mod traffic;

use alloc::collections::BTreeMap;
use alloc::rc::Rc;
use alloc::vec::Vec;

use abi::capability::{Kind, Kinds};
use abi::handle::{Handle, Tag};
use abi::{Error, OK};

use super::door::{Current, be_a_task};
use super::{Buffer, Drawer, Host, Loopback};
use crate::entry::{io::*, memory::*, net::*, poll::*, program::*, tasks::*, trace::*};

/// The most calls of one run.
pub const MAX_CALLS: usize = 256;
/// Bytes of the memory that the calls are given.
const ROOM: usize = 1024;
/// Bytes that the program may allocate.
const MEMORY: u64 = 16 << 20;
/// What outputs hold before a call.
const UNTOUCHED: u8 = 0xa5;

/// Makes the calls that `bytes` describe; answers how many there were.
///
/// # Panics
/// Where an answer is not what the model has.
pub fn exercise(bytes: &[u8]) -> usize {
    let host = Rc::new(Host::with(|machine| {
        machine.network = Some(Rc::new(Loopback::default()));
        machine.storage = Rc::new(Drawer::new(4));
    }));
    let idle = host.functions.add(async |_, argument| argument as i32);
    let sleeper = host.functions.add(async |task, argument| {
        let slept = task.task_sleep(argument % 1000).await;
        slept.map_or_else(|failure| failure.error.code() as i32, |()| 0)
    });
    let (first, bytes) = bytes.split_first().unwrap_or((&0, bytes));
    // Mostly everything may be had; at times a kind is missing.
    let ceiling = match Kind::from_number(u32::from(*first)) {
        Some(missing) => Kinds::ALL.without(missing),
        None => Kinds::ALL,
    };
    let mut run = Run {
        bytes,
        memory: host.memory.bytes(&[UNTOUCHED; ROOM]),
        out: host.memory.bytes(&[UNTOUCHED; ROOM]),
        entries: [idle, sleeper, 0, u64::MAX],
        live: BTreeMap::new(),
        stale: Vec::new(),
        capabilities: Vec::new(),
        allocations: Vec::new(),
        native: messages::Native::offered_by(&host),
        task: be_a_task(&host, ceiling),
        ceiling,
        good: BTreeMap::new(),
        host: Rc::clone(&host),
    };
    run.task.0.limit_memory(MEMORY);
    let calls = (0..MAX_CALLS).take_while(|_| run.step()).count();
    drop(run);
    assert_eq!(
        host.program.handle_count(),
        0,
        "the task's handles went with it"
    );
    calls
}

struct Run<'a> {
    bytes: &'a [u8],
    host: Rc<Host>,
    task: Current,
    memory: Buffer,
    out: Buffer,
    entries: [u64; 4],
    /// Objects' handles that are good.
    live: BTreeMap<u64, Tag>,
    /// Handles that were good.
    stale: Vec<u64>,
    ceiling: Kinds,
    /// The good capability of each kind, as far as one was given.
    good: BTreeMap<u8, u64>,
    /// Capabilities that were given, good or not.
    capabilities: Vec<u64>,
    allocations: Vec<u64>,
    /// Rust's ends of channels.
    native: messages::Native,
}

impl Run<'_> {
    // --- arguments -------------------------------------------------------------------------------

    fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.bytes.split_first() else {
            return 0;
        };
        self.bytes = rest;
        *first
    }

    fn number(&mut self) -> u64 {
        (0..8).fold(0, |number, _| number << 8 | u64::from(self.byte()))
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> Option<T> {
        let index = usize::from(self.byte());
        (!from.is_empty()).then(|| from[index % from.len()])
    }

    /// A handle of some kind, or something like one.
    fn handle(&mut self, tag: Tag) -> u64 {
        let of_kind: Vec<u64> = self
            .live
            .iter()
            .filter(|live| *live.1 == tag)
            .map(|live| *live.0)
            .collect();
        let any: Vec<u64> = self.live.keys().copied().collect();
        let stale = self.stale.clone();
        let capabilities = self.capabilities.clone();
        let chosen = match self.byte() % 8 {
            0..4 => self.pick(&of_kind),
            4 => self.pick(&any),
            5 => self.pick(&stale),
            6 => self.pick(&capabilities),
            // A good one's place and generation, under another tag.
            _ if self.byte().is_multiple_of(2) => self
                .pick(&any)
                .map(|good| good & !(0xff << 56) | u64::from(self.byte() % 10) << 56),
            _ => Some(self.number()),
        };
        chosen.unwrap_or(0)
    }

    /// A range: mostly good memory, at times anything.
    fn range(&mut self) -> (u64, u64) {
        let (start, room) = (self.memory.address(), ROOM as u64);
        let offset = u64::from(self.byte());
        match self.byte() % 8 {
            0..5 => (start + offset, u64::from(self.byte()) * 3),
            5 => (0, u64::from(self.byte())),
            6 => (start + room - offset.min(room), self.number()),
            _ => (self.number(), self.number()),
        }
    }

    /// A place for what a call gives: nearly always a good one, at any alignment.
    fn place(&mut self) -> u64 {
        match self.byte() {
            0 => 0,
            1 => self.number(),
            byte => self.out.address() + u64::from(byte),
        }
    }

    fn flags(&mut self) -> u32 {
        match self.byte() % 4 {
            0 => 0,
            1 => 1 << (self.byte() % 32),
            2 => u32::from(self.byte()),
            _ => self.number() as u32,
        }
    }

    /// What was written at a place.
    fn written(&self, place: u64) -> u64 {
        let bytes = self.out.to_vec();
        let offset = (place - self.out.address()) as usize;
        let mut value = [0; 8];
        value.copy_from_slice(&bytes[offset..offset + 8]);
        u64::from_ne_bytes(value)
    }

    // --- the model -------------------------------------------------------------------------------

    fn active(&self) -> Kinds {
        self.task.0.active()
    }

    /// What holds for every call: a code that there is, `Permission` without the capability, and nothing written then.
    fn checked(&self, kind: Option<Kind>, code: u32) -> u32 {
        assert!(
            code == OK || Error::from_code(code).is_some(),
            "code {code}"
        );
        if kind.is_some_and(|kind| !self.active().contains(kind)) {
            assert_eq!(code, Error::Permission.code());
            let untouched = self.out.to_vec().iter().all(|byte| *byte == UNTOUCHED);
            assert!(untouched, "written without permission");
        }
        assert_eq!(self.host.program.handle_count(), self.live.len(), "handles");
        code
    }

    /// A call on a handle that is not good, or of another kind, is invalid.
    fn on_handle(&self, kind: Kind, handle: u64, tags: &[Tag], code: u32) -> u32 {
        let good = self.live.get(&handle).is_some_and(|tag| tags.contains(tag));
        if !good && self.active().contains(kind) {
            assert_eq!(code, Error::Invalid.code(), "handle {handle:#x}");
        }
        self.checked(Some(kind), code)
    }

    /// A call that makes a handle.
    fn made(&mut self, kind: Option<Kind>, code: u32, place: u64, tag: Tag) {
        if code == OK {
            let handle = self.written(place);
            assert_eq!(Handle::from_bits(handle).tag(), Some(tag));
            assert!(!self.stale.contains(&handle), "came back: {handle:#x}");
            self.live.insert(handle, tag);
        }
        self.checked(kind, code);
    }

    fn closed(&mut self, kind: Option<Kind>, code: u32, handle: u64, tags: &[Tag]) {
        let good = self.live.get(&handle).is_some_and(|tag| tags.contains(tag));
        let allowed = kind.is_none_or(|kind| self.active().contains(kind));
        assert_eq!(
            code == OK,
            good && allowed,
            "closing {handle:#x} gave {code}"
        );
        if code == OK {
            self.live.remove(&handle);
            self.stale.push(handle);
        }
        self.checked(kind, code);
    }

    // --- the calls -------------------------------------------------------------------------------

    fn step(&mut self) -> bool {
        if self.bytes.is_empty() {
            return false;
        }
        self.out.output().with(|out| out.fill(UNTOUCHED));
        match self.byte() % 8 {
            0 => self.authority(),
            1 => self.tasks(),
            2 => self.memory(),
            3 => self.waiting(),
            4 => self.messages(),
            5 => self.sets(),
            6 => self.other(),
            _ => self.elsewhere(),
        }
        true
    }

    fn authority(&mut self) {
        let place = self.place();
        let capability = self.handle(Tag::Capability);
        // SAFETY of all calls here: the ranges are buffers that outlive the call, or not memory of the program.
        match self.byte() % 6 {
            0 | 1 => {
                let kind = u32::from(self.byte() % 10);
                let code = unsafe { cap_acquire(kind, place) };
                let known = Kind::from_number(kind);
                if code == OK {
                    self.acquired(kind, self.written(place));
                }
                if known.is_some_and(|kind| !self.ceiling.contains(kind)) {
                    assert!(code == Error::Permission.code() || code == Error::Invalid.code());
                }
                assert!(code != OK || known.is_some());
                self.checked(None, code);
            }
            2 => {
                let before = self.active();
                let code = unsafe { cap_drop(capability) };
                let known = self.good.values().any(|good| *good == capability);
                assert_eq!(code == OK, known, "dropping {capability:#x} gave {code}");
                self.good.retain(|_, good| *good != capability);
                if code != OK {
                    assert_eq!(self.active(), before);
                }
                self.checked(None, code);
            }
            3 => {
                assert_eq!(unsafe { cap_exit() }, OK);
                assert_eq!(self.active(), Kinds::EMPTY);
            }
            4 => self.enter_some(),
            // Most of the time everything should be active, or nothing else is seen.
            _ => self.enter_all(),
        }
    }

    /// A capability was given: the one that is good already, if there is one, and else none that ever was.
    fn acquired(&mut self, kind: u32, capability: u64) {
        match self.good.insert(kind as u8, capability) {
            Some(before) => assert_eq!(before, capability),
            None => assert!(!self.capabilities.contains(&capability), "came back"),
        }
        self.capabilities.push(capability);
    }

    fn enter_some(&mut self) {
        let count = usize::from(self.byte() % 10);
        let good: Vec<u64> = self.good.values().copied().collect();
        let list: Vec<u64> = (0..count)
            .map(|_| match self.byte() % 4 {
                0 => self.handle(Tag::Capability),
                _ => self.pick(&good).unwrap_or(0),
            })
            .collect();
        let list = self.host.memory.numbers(&list);
        let before = self.active();
        let numbers = list.values::<u64>();
        let code = unsafe { cap_enter(list.address(), count as u32) };
        let all_good = numbers
            .iter()
            .all(|number| self.good.values().any(|good| good == number));
        assert_eq!(
            code == OK,
            all_good && count <= 8,
            "entering {numbers:x?} gave {code}"
        );
        if code != OK {
            assert_eq!(self.active(), before, "a refused entry changes nothing");
        }
        self.checked(None, code);
    }

    fn enter_all(&mut self) {
        let place = self.out.address();
        let mut all = Vec::new();
        for kind in Kind::ALL {
            if unsafe { cap_acquire(kind as u32, place) } == OK {
                self.acquired(kind as u32, self.written(place));
                all.push(self.written(place));
            }
        }
        let list = self.host.memory.numbers(&all);
        assert_eq!(unsafe { cap_enter(list.address(), all.len() as u32) }, OK);
        self.out.output().with(|out| out.fill(UNTOUCHED));
    }

    fn tasks(&mut self) {
        let (place, target) = (self.place(), self.handle(Tag::Task));
        match self.byte() % 8 {
            0 | 1 => self.spawn(place),
            2 => {
                let code = unsafe { task_self(place) };
                if code == OK && !self.live.contains_key(&self.written(place)) {
                    self.live.insert(self.written(place), Tag::Task);
                }
                self.checked(None, code);
            }
            3 => {
                let timeout = self.number() % 5000;
                let code = unsafe { task_join(target, timeout, place) };
                if code == OK {
                    self.live.remove(&target);
                    self.stale.push(target);
                }
                self.checked(Some(Kind::Task), code);
            }
            4 => {
                let priority = u32::from(self.byte() % 5);
                let code = unsafe { task_set_priority(target, priority) };
                self.on_handle(Kind::Task, target, &[Tag::Task], code);
            }
            5 => {
                let code = unsafe { task_get_stats(target, place) };
                self.on_handle(Kind::Task, target, &[Tag::Task], code);
            }
            6 => {
                let nanos = self.number() % 5000;
                let before = self.host.reactor.clock().now();
                let code = unsafe { task_sleep(nanos) };
                if code == OK {
                    let after = self.host.reactor.clock().now();
                    assert!(after.as_nanos() - before.as_nanos() >= nanos, "early");
                }
                self.checked(Some(Kind::Task), code);
            }
            _ => {
                let code = unsafe { task_yield() };
                self.checked(Some(Kind::Task), code);
            }
        }
    }

    fn spawn(&mut self, place: u64) {
        let entry = self.entries[usize::from(self.byte() % 4)];
        let (argument, flags) = (self.number(), self.flags());
        let count = usize::from(self.byte() % 4);
        let capabilities: Vec<u64> = (0..count).map(|_| self.handle(Tag::Capability)).collect();
        let list = self.host.memory.numbers(&capabilities);
        let code =
            unsafe { task_spawn(entry, argument, list.address(), count as u32, flags, place) };
        if flags & abi::number::TASK_DETACHED != 0 {
            self.checked(Some(Kind::Task), code);
        } else {
            self.made(Some(Kind::Task), code, place, Tag::Task);
        }
    }

    fn memory(&mut self) {
        let (place, flags) = (self.place(), self.flags());
        let known = self.allocations.clone();
        let address = match self.byte() % 4 {
            0 => self.number(),
            1 => self.memory.address(),
            _ => self
                .pick(&known)
                .unwrap_or(0)
                .wrapping_add(u64::from(self.byte() % 3)),
        };
        let bytes = match self.byte() % 4 {
            0 => self.number(),
            _ => u64::from(self.byte()),
        };
        let handle = self.handle(Tag::Memory);
        match self.byte() % 10 {
            0..2 => {
                let code = unsafe { mem_alloc(bytes, flags, place) };
                if code == OK {
                    self.allocations.push(self.written(place));
                }
                self.checked(Some(Kind::Memory), code);
            }
            2 => {
                let code = unsafe { mem_free(address) };
                let good =
                    self.allocations.contains(&address) && self.active().contains(Kind::Memory);
                assert_eq!(code == OK, good, "freeing {address:#x} gave {code}");
                self.allocations
                    .retain(|known| code != OK || *known != address);
                self.checked(Some(Kind::Memory), code);
            }
            3 => {
                let code = unsafe { mem_map(address, bytes, flags) };
                self.checked(Some(Kind::Memory), code);
            }
            4 => {
                let code = unsafe { mem_share(address, bytes, place) };
                self.made(Some(Kind::Memory), code, place, Tag::Memory);
            }
            5 => {
                let code = unsafe { mem_arena_create(bytes, place) };
                self.made(Some(Kind::Memory), code, place, Tag::Memory);
            }
            6 => {
                let code = unsafe { mem_arena_alloc(handle, bytes, flags, place) };
                self.on_handle(Kind::Memory, handle, &[Tag::Memory], code);
            }
            7 => {
                let code = unsafe { mem_arena_reset(handle) };
                self.on_handle(Kind::Memory, handle, &[Tag::Memory], code);
            }
            8 => {
                let code = unsafe { mem_shared(handle, place, place) };
                self.on_handle(Kind::Memory, handle, &[Tag::Memory], code);
            }
            _ => {
                let code = unsafe { mem_usage(0, place) };
                self.checked(Some(Kind::Memory), code);
            }
        }
    }

    fn waiting(&mut self) {
        let (place, timeout) = (self.place(), self.number() % 5000);
        let (io, whence) = (self.handle(Tag::Io), u32::from(self.byte() % 4));
        match self.byte() % 8 {
            0 | 1 => {
                let code = unsafe { time_deadline(timeout, place) };
                self.made(Some(Kind::Time), code, place, Tag::Io);
            }
            2 | 3 => self.poll(timeout),
            4 => {
                let interest = u32::from(self.byte() % 6);
                let code = unsafe { io_wait(io, interest, timeout, place) };
                self.checked(Some(Kind::Io), code);
            }
            5 => {
                let code = unsafe { io_close(io) };
                self.closed(Some(Kind::Io), code, io, &[Tag::Io, Tag::Set]);
            }
            6 => {
                let offset = self.number() as i64;
                let code = unsafe { io_seek(io, offset, whence, place) };
                self.on_handle(Kind::Io, io, &[Tag::Io], code);
            }
            _ => {
                let code = unsafe { io_info(io, place) };
                self.on_handle(Kind::Io, io, &[Tag::Io], code);
            }
        }
    }

    fn poll(&mut self, timeout: u64) {
        let count = usize::from(self.byte() % 6);
        let list: Vec<u64> = (0..count).map(|_| self.handle(Tag::Io)).collect();
        let known = list.iter().all(|handle| self.live.contains_key(handle));
        let numbers = self.host.memory.numbers(&list);
        let room = self.host.memory.buffer(16 * count);
        let place = self.out.address();
        let code = unsafe {
            io_poll(
                numbers.address(),
                count as u32,
                timeout,
                room.address(),
                place,
            )
        };
        if !known && self.active().contains(Kind::Io) {
            assert_eq!(code, Error::Invalid.code());
        }
        if code == OK {
            let ready = self.written(place) as u32;
            assert!(ready >= 1 && ready as usize <= count);
            for event in &room.values::<abi::layout::IoEvent>()[..ready as usize] {
                assert!(list.contains(&event.handle) && event.events != 0);
            }
        }
        self.checked(Some(Kind::Io), code);
    }

    fn sets(&mut self) {
        let place = self.place();
        let (set, member) = (self.handle(Tag::Set), self.handle(Tag::Io));
        let (interest, token) = (u32::from(self.byte() % 6), self.flags());
        match self.byte() % 8 {
            0 | 1 => {
                let code = unsafe { interest_create(place) };
                self.made(Some(Kind::Io), code, place, Tag::Set);
            }
            2 | 3 => {
                let code = unsafe { interest_add(set, member, interest, token) };
                self.on_handle(Kind::Io, set, &[Tag::Set], code);
            }
            4 => {
                let code = unsafe { interest_modify(set, member, interest, token) };
                self.on_handle(Kind::Io, set, &[Tag::Set], code);
            }
            5 => {
                let code = unsafe { interest_remove(set, member) };
                self.on_handle(Kind::Io, set, &[Tag::Set], code);
            }
            _ => {
                let (room, timeout) = (u32::from(self.byte() % 8), self.number() % 5000);
                let count = self.out.address() + 512;
                let code = unsafe { interest_wait(set, self.out.address(), room, timeout, count) };
                self.on_handle(Kind::Io, set, &[Tag::Set], code);
            }
        }
    }

    fn other(&mut self) {
        let place = self.place();
        let (address, len) = self.range();
        match self.byte() % 8 {
            0 => {
                let any = self.handle(Tag::Span);
                let code = unsafe { handle_close(any) };
                let tags = [
                    Tag::Task,
                    Tag::Io,
                    Tag::Ipc,
                    Tag::Net,
                    Tag::Set,
                    Tag::Memory,
                ];
                if Handle::from_bits(any).tag() != Some(Tag::Span) {
                    self.closed(None, code, any, &tags);
                }
            }
            1 => {
                let level = u32::from(self.byte() % 6);
                let code = unsafe { log_write(level, address, len) };
                self.checked(Some(Kind::Log), code);
            }
            2 => {
                let code = unsafe { random_bytes(address, len) };
                self.checked(None, code);
            }
            3 => {
                let code = unsafe { err_get_last(place) };
                self.checked(None, code);
            }
            4 => {
                let code = unsafe { time_now(place) };
                self.checked(Some(Kind::Time), code);
            }
            5 => {
                let (id, name) = (self.flags(), self.range());
                let code = unsafe { abi_feature_enabled(id, place) };
                self.checked(None, code);
                let code = unsafe { sys_environment(name.0, name.1, address, len, place) };
                self.checked(None, code);
            }
            6 => {
                let index = self.flags();
                let code = unsafe { sys_argument(index, address, len, place) };
                self.checked(None, code);
            }
            _ => self.traces(address, len),
        }
    }

    fn traces(&mut self, address: u64, len: u64) {
        let (place, span) = (self.out.address(), self.number());
        let on = u32::from(self.byte() % 3);
        for code in [
            unsafe { trace_enable(on) },
            unsafe { trace_event(span, address, len, address, len) },
            unsafe { trace_span_end(span) },
        ] {
            self.checked(Some(Kind::Trace), code);
        }
        let code = unsafe { trace_span_begin(address, len, place) };
        self.checked(Some(Kind::Trace), code);
    }

    /// Sockets and files.
    fn elsewhere(&mut self) {
        let place = self.place();
        let (address, len) = self.range();
        let (socket, io) = (self.handle(Tag::Net), self.handle(Tag::Io));
        let (domain, kind) = (u32::from(self.byte() % 12), u32::from(self.byte() % 4));
        match self.byte() % 16 {
            0 | 1 => {
                let code = unsafe { net_socket(domain, kind, 0, place) };
                self.made(Some(Kind::Net), code, place, Tag::Net);
            }
            2 => {
                let code = unsafe { net_bind(socket, address, len as u32) };
                self.on_handle(Kind::Net, socket, &[Tag::Net], code);
            }
            3 => {
                let code = unsafe { net_listen(socket, domain) };
                self.on_handle(Kind::Net, socket, &[Tag::Net], code);
            }
            4 => {
                let (option, value) = (u32::from(self.byte() % 9), self.number());
                let code = unsafe { net_set_option(socket, option, value) };
                self.on_handle(Kind::Net, socket, &[Tag::Net], code);
                let code = unsafe { net_get_option(socket, option, place) };
                self.on_handle(Kind::Net, socket, &[Tag::Net], code);
            }
            5 => {
                let code = unsafe { net_local_address(socket, address, place) };
                self.on_handle(Kind::Net, socket, &[Tag::Net], code);
            }
            6 => {
                let flags = self.flags();
                let code = unsafe { io_open(address, flags, place) };
                self.made(Some(Kind::Io), code, place, Tag::Io);
            }
            8.. => self.traffic(),
            _ => {
                let code = unsafe { net_close(socket) };
                self.closed(Some(Kind::Net), code, socket, &[Tag::Net]);
                let code = unsafe { io_sync(io) };
                self.checked(Some(Kind::Io), code);
            }
        }
    }
}
