//! The functions of `ukernel_abi.h` that a loop needs, with Rust's types for C's pointers.
//!
//! Called by the poller. Each is the function that the library exports, with the checks that it has for everybody; which
//! kernel it means is the thread's business.
#![allow(
    unsafe_code,
    reason = "passes addresses to functions with C's calling convention"
)]

use abi::layout::IoEvent;
use abi::number::{IO_OPEN_READ, IO_OPEN_WRITE};
use abi::{Error, OK};
use calls::entry::{io, poll, program};
use pyo3::intern;
use pyo3::prelude::*;
use ukernel_abi::host;

/// What one wait can bring. More comes with the next wait, first.
const EVENTS_AT_A_TIME: usize = 1024;

/// A call that did not return `OK`.
#[derive(Clone, Copy)]
pub(crate) struct Failure {
    call: &'static str,
    code: u32,
}

impl Failure {
    /// Whether it is one of these.
    pub(crate) fn is(self, errors: &[Error]) -> bool {
        errors.iter().any(|error| error.code() == self.code)
    }
}

impl From<Failure> for PyErr {
    /// As `ukernel.abi` raises it.
    #[cold]
    fn from(failure: Failure) -> PyErr {
        Python::attach(|py| {
            let made = py
                .import(intern!(py, "ukernel.abi.errors"))
                .and_then(|errors| {
                    errors.call_method1(intern!(py, "error"), (failure.code, failure.call))
                });
            made.map_or_else(|error| error, PyErr::from_value)
        })
    }
}

fn check(call: &'static str, code: u32) -> Result<(), Failure> {
    match code {
        OK => Ok(()),
        code => Err(Failure { call, code }),
    }
}

fn address<T>(place: &mut T) -> u64 {
    (&raw mut *place).expose_provenance() as u64
}

/// A handle for a file descriptor, which stays the program's.
pub(crate) fn io_from_fd(descriptor: i32) -> Result<u64, Failure> {
    let mut handle = 0_u64;
    // SAFETY: the address is of a local of the right type.
    let code = unsafe {
        host::io_from_fd(
            descriptor,
            IO_OPEN_READ | IO_OPEN_WRITE,
            address(&mut handle),
        )
    };
    check("io_from_fd", code).map(|()| handle)
}

/// Closes a handle, which takes it out of every set.
pub(crate) fn handle_close(handle: u64) -> Result<(), Failure> {
    // SAFETY: it has no pointers.
    check("handle_close", unsafe { program::handle_close(handle) })
}

/// Makes an interest set.
pub(crate) fn interest_create() -> Result<u64, Failure> {
    let mut set = 0_u64;
    // SAFETY: the address is of a local of the right type.
    let code = unsafe { poll::interest_create(address(&mut set)) };
    check("interest_create", code).map(|()| set)
}

/// Adds a handle to a set.
pub(crate) fn interest_add(
    set: u64,
    handle: u64,
    interest: u32,
    token: u32,
) -> Result<(), Failure> {
    // SAFETY: it has no pointers.
    let code = unsafe { poll::interest_add(set, handle, interest, token) };
    check("interest_add", code)
}

/// Changes what a handle of a set is waited for.
pub(crate) fn interest_modify(
    set: u64,
    handle: u64,
    interest: u32,
    token: u32,
) -> Result<(), Failure> {
    // SAFETY: it has no pointers.
    let code = unsafe { poll::interest_modify(set, handle, interest, token) };
    check("interest_modify", code)
}

/// Takes a handle out of a set.
pub(crate) fn interest_remove(set: u64, handle: u64) -> Result<(), Failure> {
    // SAFETY: it has no pointers.
    check("interest_remove", unsafe {
        poll::interest_remove(set, handle)
    })
}

/// Waits until something of a set is ready, which is in `room` then, or the time is over: then nothing is.
pub(crate) fn interest_wait(set: u64, timeout: u64, room: &mut Events) -> Result<(), Failure> {
    room.count = 0;
    let capacity = room.events.len() as u32;
    let (events, count) = (address(&mut room.events), address(&mut room.count));
    // SAFETY: both addresses are of what lives until the call returns, with room for as much as is said.
    let code = unsafe { poll::interest_wait(set, events, capacity, timeout, count) };
    match check("interest_wait", code) {
        Err(failure) if !failure.is(&[Error::Timeout, Error::WouldBlock]) => Err(failure),
        _ => Ok(()),
    }
}

/// Room for what a wait brings.
pub(crate) struct Events {
    events: [IoEvent; EVENTS_AT_A_TIME],
    count: u32,
}

impl Events {
    /// With nothing in it. To be kept: it is large, and filled with zeros.
    pub(crate) fn new() -> Box<Events> {
        Box::new(Events {
            events: [IoEvent::default(); EVENTS_AT_A_TIME],
            count: 0,
        })
    }

    /// What the last wait brought.
    pub(crate) fn found(&self) -> &[IoEvent] {
        &self.events[..self.count as usize]
    }
}

/// A handle that becomes readable when its waker is signalled, and that waker.
pub(crate) fn wake_create() -> Result<(u64, u64), Failure> {
    let (mut handle, mut waker) = (0_u64, 0_u64);
    // SAFETY: both addresses are of locals of the right type.
    let code = unsafe { host::wake_create(address(&mut handle), address(&mut waker)) };
    check("wake_create", code).map(|()| (handle, waker))
}

/// Signals a waker, also one that is gone, which does nothing.
pub(crate) fn wake_signal(waker: u64) {
    host::wake_signal(waker);
}

/// Reads the count of a waker's handle that is readable, so that it is so no more.
pub(crate) fn wake_take(handle: u64) -> Result<(), Failure> {
    let (mut count, mut size) = (0_u64, 0_u64);
    let length = size_of::<u64>() as u64;
    // SAFETY: both addresses are of locals of the right sizes.
    let code = unsafe { io::io_read(handle, address(&mut count), length, address(&mut size)) };
    check("io_read", code)
}
