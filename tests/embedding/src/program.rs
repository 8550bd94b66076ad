//! The program. Its functions are Rust's, which is as good as C: they know nothing but the interface.
#![allow(unsafe_code, reason = "names the interface's functions")]

use core::ffi::{c_char, c_int};
use core::sync::atomic::{AtomicBool, AtomicU32, Ordering::Relaxed};

/// Where the program listens.
pub(crate) const PORT: u16 = 9100;

const OK: u32 = 0;
const FOREVER: u64 = u64::MAX;
const MILLISECOND: u64 = 1_000_000;
const KINDS: usize = 8;
const INET: u32 = 2;
const STREAM: u32 = 1;
const READABLE: u32 = 1;
const DETACHED: u32 = 1;
/// Ticks after which the others have begun to wait.
const ENOUGH: u32 = 5;

static TICKS: AtomicU32 = AtomicU32::new(0);
static GIVE_UP: AtomicBool = AtomicBool::new(false);
static LATE: AtomicBool = AtomicBool::new(false);

pub(crate) fn reset() {
    TICKS.store(0, Relaxed);
    GIVE_UP.store(false, Relaxed);
}

pub(crate) fn ticks() -> u32 {
    TICKS.load(Relaxed)
}

pub(crate) fn is_to_be_given_up() -> bool {
    GIVE_UP.load(Relaxed)
}

/// Whether the task has run that was spawned when it was too late.
pub(crate) fn has_begun_late() -> bool {
    LATE.load(Relaxed)
}

/// `net_addr_v4_t`.
#[repr(C)]
struct Address {
    ip: u32,
    port: u16,
    reserved: u16,
}

/// `io_event_t`.
#[repr(C)]
#[derive(Default)]
struct Event {
    handle: u64,
    events: u32,
    token: u32,
}

// As the header has them; pointers are references where nobody else has them.
unsafe extern "C" {
    safe fn cap_acquire(kind: u32, out: &mut u64) -> u32;
    safe fn cap_enter(caps: &[u64; KINDS], count: u32) -> u32;
    safe fn task_spawn(
        entry: extern "C" fn(u64) -> i32,
        argument: u64,
        caps: &[u64; KINDS],
        count: u32,
        flags: u32,
        out: Option<&mut u64>,
    ) -> u32;
    safe fn task_sleep(nanos: u64) -> u32;
    safe fn task_join(task: u64, timeout: u64, status: Option<&mut i32>) -> u32;
    safe fn time_deadline(at: u64, out: &mut u64) -> u32;
    safe fn mem_alloc(bytes: usize, flags: u32, out: &mut u64) -> u32;
    safe fn ipc_channel_create(flags: u32, out: &mut u64) -> u32;
    safe fn ipc_recv(
        channel: u64,
        into: &mut [u8; 8],
        len: usize,
        read: &mut usize,
        flags: u32,
    ) -> u32;
    safe fn io_poll(
        handles: &[u64; 2],
        count: u32,
        timeout: u64,
        events: &mut [Event; 2],
        ready: Option<&mut u32>,
    ) -> u32;
    safe fn interest_create(out: &mut u64) -> u32;
    safe fn interest_add(set: u64, handle: u64, interest: u32, token: u32) -> u32;
    safe fn interest_wait(
        set: u64,
        events: &mut [Event; 2],
        capacity: u32,
        timeout: u64,
        count: &mut u32,
    ) -> u32;
    safe fn net_socket(domain: u32, kind: u32, protocol: u32, out: &mut u64) -> u32;
    safe fn net_bind(socket: u64, address: &Address, len: u32) -> u32;
    safe fn net_listen(socket: u64, backlog: u32) -> u32;
    safe fn net_accept(
        socket: u64,
        flags: u32,
        out: &mut u64,
        address: Option<&mut Address>,
        len: Option<&mut u32>,
    ) -> u32;
}

/// The first task: makes everything active, starts the others, and waits for one of them.
pub(crate) extern "C" fn main(_count: c_int, _texts: *const *const c_char) -> c_int {
    let caps = all_capabilities();
    assert_eq!(cap_enter(&caps, KINDS as u32), OK);
    let mut socket = 0;
    assert_eq!(net_socket(INET, STREAM, 0, &mut socket), OK);
    let any = Address {
        ip: 0,
        port: PORT,
        reserved: 0,
    };
    assert_eq!(net_bind(socket, &any, size_of::<Address>() as u32), OK);
    assert_eq!(net_listen(socket, 0), OK);
    let receiving = spawn(receives, 0);
    for entry in [polls, waits_for_a_set, ticks_and_spawns] {
        spawn(entry, 0);
    }
    spawn(accepts, socket);
    task_join(receiving, FOREVER, None);
    unreachable!("nobody sends")
}

fn all_capabilities() -> [u64; KINDS] {
    let mut caps = [0; KINDS];
    for (kind, cap) in (1..).zip(&mut caps) {
        assert_eq!(cap_acquire(kind, cap), OK);
    }
    caps
}

fn spawn(entry: extern "C" fn(u64) -> i32, argument: u64) -> u64 {
    let mut task = 0;
    let caps = all_capabilities();
    let spawned = task_spawn(entry, argument, &caps, KINDS as u32, 0, Some(&mut task));
    assert_eq!(spawned, OK);
    task
}

fn channel() -> u64 {
    let mut channel = 0;
    assert_eq!(ipc_channel_create(0, &mut channel), OK);
    channel
}

extern "C" fn receives(_: u64) -> i32 {
    ipc_recv(channel(), &mut [0; 8], 8, &mut 0, 0);
    unreachable!("nobody sends")
}

extern "C" fn polls(_: u64) -> i32 {
    let mut deadline = 0;
    assert_eq!(time_deadline(FOREVER, &mut deadline), OK);
    let mut socket = 0;
    assert_eq!(net_socket(INET, STREAM, 0, &mut socket), OK);
    assert_eq!(net_listen(socket, 0), OK);
    let mut events = [Event::default(), Event::default()];
    io_poll(&[deadline, socket], 2, FOREVER, &mut events, None);
    unreachable!("nobody connects")
}

extern "C" fn waits_for_a_set(_: u64) -> i32 {
    let mut set = 0;
    assert_eq!(interest_create(&mut set), OK);
    assert_eq!(interest_add(set, channel(), READABLE, 0), OK);
    let mut events = [Event::default(), Event::default()];
    interest_wait(set, &mut events, 2, FOREVER, &mut 0);
    unreachable!("nobody sends")
}

extern "C" fn accepts(socket: u64) -> i32 {
    net_accept(socket, 0, &mut 0, None, None);
    unreachable!("nobody connects")
}

/// Has memory, and wakes now and then. In the end it spawns a task in the very turn in which it says that it is time.
extern "C" fn ticks_and_spawns(_: u64) -> i32 {
    let mut memory = 0;
    assert_eq!(mem_alloc(100_000, 0, &mut memory), OK);
    loop {
        if TICKS.fetch_add(1, Relaxed) == ENOUGH {
            let caps = all_capabilities();
            let spawned = task_spawn(begins_late, 0, &caps, KINDS as u32, DETACHED, None);
            assert_eq!(spawned, OK);
            GIVE_UP.store(true, Relaxed);
        }
        task_sleep(MILLISECOND);
    }
}

extern "C" fn begins_late(_: u64) -> i32 {
    LATE.store(true, Relaxed);
    0
}
