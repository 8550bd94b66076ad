//! Readiness of file descriptors and kernel handles through one interest set: `Poller` of `ukernel/poller.py`, natively.
//!
//! Belongs to a selector, which says what is watched; it decides nothing.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use abi::Error;
use pyo3::exceptions::PyKeyError;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyTuple};

use crate::interface::{self, Events};

/// The token of the poller's own waker; file descriptors are below 2^31.
const WAKE_TOKEN: u32 = u32::MAX;
/// No end, as a time-out.
const FOREVER: u64 = u64::MAX;
const NANOSECONDS: f64 = 1e9;

/// Of `interest_wait`: readable, writable, and what whoever waits is told in any case, hang-up and error.
const READABLE: u32 = 1;
const WRITABLE: u32 = 2;
const OVER: u32 = 4 | 8;
/// Of Python's `selectors`.
pub(crate) const EVENT_READ: u32 = 1;
pub(crate) const EVENT_WRITE: u32 = 2;
/// Where a `selectors.SelectorKey` has its events.
const KEY_EVENTS: usize = 2;

/// An interest set with a waker, in a kernel. All methods but `wake` want to be called within that kernel.
#[pyclass(frozen, module = "ukernel._native")]
pub(crate) struct Poller {
    set: u64,
    wake_handle: u64,
    waker: u64,
    /// By file descriptor.
    handles: Mutex<HashMap<i32, u64>>,
    /// Kept between waits.
    room: Mutex<Option<Box<Events>>>,
}

#[pymethods]
impl Poller {
    /// Made within the kernel that it is to wait in.
    #[new]
    fn new() -> PyResult<Poller> {
        let set = interface::interest_create()?;
        let (wake_handle, waker) = interface::wake_create()?;
        interface::interest_add(set, wake_handle, READABLE, WAKE_TOKEN)?;
        Ok(Poller {
            set,
            wake_handle,
            waker,
            handles: Mutex::default(),
            room: Mutex::default(),
        })
    }

    /// Watches a file descriptor; its number is the token.
    fn add(&self, descriptor: i32, interest: u32) -> PyResult<()> {
        let handle = interface::io_from_fd(descriptor)?;
        let added = interface::interest_add(self.set, handle, interest, descriptor as u32);
        if let Err(failure) = added {
            interface::handle_close(handle)?;
            return Err(failure.into());
        }
        self.handles().insert(descriptor, handle);
        Ok(())
    }

    /// Changes what is waited for. A descriptor that was closed and is open again is watched anew.
    fn modify(&self, descriptor: i32, interest: u32) -> PyResult<()> {
        match interface::interest_modify(
            self.set,
            self.handle(descriptor)?,
            interest,
            descriptor as u32,
        ) {
            Err(failure) if failure.is(&[Error::Invalid, Error::NoEntry]) => {
                self.remove(descriptor)?;
                self.add(descriptor, interest)
            }
            modified => Ok(modified?),
        }
    }

    /// Watches a descriptor no more, whether it is still open or not.
    fn remove(&self, descriptor: i32) -> PyResult<()> {
        let handle = self.handle(descriptor)?;
        self.handles().remove(&descriptor);
        match interface::handle_close(handle) {
            Err(failure) if failure.is(&[Error::Invalid]) => Ok(()), // somebody has closed the handle already
            closed => Ok(closed?),
        }
    }

    /// The handle of a descriptor that is watched.
    fn handle(&self, descriptor: i32) -> PyResult<u64> {
        let handle = self.handles().get(&descriptor).copied();
        handle.ok_or_else(|| PyKeyError::new_err(descriptor))
    }

    /// Watches a handle of the kernel's own: a channel, a deadline. It stays the caller's.
    fn add_handle(&self, handle: u64, interest: u32, token: u32) -> PyResult<()> {
        Ok(interface::interest_add(self.set, handle, interest, token)?)
    }

    /// Changes what such a handle is waited for.
    fn modify_handle(&self, handle: u64, interest: u32, token: u32) -> PyResult<()> {
        Ok(interface::interest_modify(
            self.set, handle, interest, token,
        )?)
    }

    /// Watches such a handle no more. If it is closed it has left by itself.
    fn remove_handle(&self, handle: u64) -> PyResult<()> {
        match interface::interest_remove(self.set, handle) {
            Err(failure) if failure.is(&[Error::Invalid, Error::NoEntry]) => Ok(()),
            removed => Ok(removed?),
        }
    }

    /// Token and events of everything that is ready, once something is or the time is over.
    fn wait(&self, py: Python<'_>, timeout_ns: u64) -> PyResult<Vec<(u32, u32)>> {
        let mut ready = Vec::new();
        self.each(py, timeout_ns, |token, events| {
            ready.push((token, events));
            Ok(())
        })?;
        Ok(ready)
    }

    /// What `selectors.BaseSelector.select` gives, of `keys`, which has the keys by their tokens.
    fn select<'py>(
        &self,
        py: Python<'py>,
        keys: &Bound<'py, PyDict>,
        timeout: Option<f64>,
    ) -> PyResult<Bound<'py, PyList>> {
        let ready = PyList::empty(py);
        self.each(py, nanoseconds(timeout), |token, events| {
            let Some(key) = keys.get_item(token)? else {
                return Ok(());
            };
            let mut mask = mask(events);
            if events & OVER != 0 {
                // Told whatever is waited for; all else only to who waits for it.
                let key = key.cast::<PyTuple>()?;
                mask &= key.get_borrowed_item(KEY_EVENTS)?.extract::<u32>()?;
            }
            match mask {
                0 => Ok(()),
                mask => ready.append((key, mask)),
            }
        })?;
        Ok(ready)
    }

    /// Ends the present wait, or the next. From any thread, also when the kernel is gone.
    fn wake(&self) {
        interface::wake_signal(self.waker);
    }
}

impl Poller {
    fn handles(&self) -> MutexGuard<'_, HashMap<i32, u64>> {
        lock(&self.handles)
    }

    /// Waits, and calls `tell` with token and events of each that is ready.
    fn each(
        &self,
        py: Python<'_>,
        timeout: u64,
        mut tell: impl FnMut(u32, u32) -> PyResult<()>,
    ) -> PyResult<()> {
        let mut room = lock(&self.room).take().unwrap_or_else(Events::new);
        // A look returns at once: no other thread has to have its turn meanwhile.
        if timeout == 0 {
            interface::interest_wait(self.set, timeout, &mut room)?;
        } else {
            py.detach(|| interface::interest_wait(self.set, timeout, &mut room))?;
        }
        for event in room.found() {
            match event.reserved {
                WAKE_TOKEN => interface::wake_take(self.wake_handle)?,
                token => tell(token, event.events)?,
            }
        }
        *lock(&self.room) = Some(room);
        Ok(())
    }
}

/// What these locks guard is whole at any time.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// As the standard selectors: who waits for anything is told of hang-ups and errors, by reading or writing.
fn mask(events: u32) -> u32 {
    let is = |bits, event| if events & bits == 0 { 0 } else { event };
    is(READABLE | OVER, EVENT_READ) | is(WRITABLE | OVER, EVENT_WRITE)
}

/// A time-out in seconds as the interface has it: rounded up, so that no wait is early.
fn nanoseconds(timeout: Option<f64>) -> u64 {
    match timeout {
        None => FOREVER,
        // What is too large, or no number, is brought into the range by `as`.
        Some(seconds) => ((seconds * NANOSECONDS).ceil() as u64).min(FOREVER - 1),
    }
}
