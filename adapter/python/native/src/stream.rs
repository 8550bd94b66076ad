//! Reading and writing of the package's transport: `_read_ready` and `write` of asyncio's `_SelectorSocketTransport`,
//! natively, for the usual case.
//!
//! State stays in the transport's attributes, where asyncio's methods have it. What is not usual goes back to them: an end
//! of file, a full socket, a transport that is closing.
#![allow(
    unsafe_code,
    reason = "reads and writes sockets by their numbers, into and from Python's memory"
)]

use std::cell::RefCell;
use std::io;
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};

use pyo3::buffer::PyBuffer;
use pyo3::exceptions::{PyOSError, PyRuntimeError};
use pyo3::ffi;
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyString};

use crate::python::{call_method, ends_program};

/// The most that one read takes. Room for it is there once a thread: what was read is copied, and is as large as it is.
const MAX_READ: usize = 256 * 1024;
/// Beyond this, other threads run while a write copies.
const LONG_WRITE: usize = 64 * 1024;

thread_local! {
    static ROOM: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// From here on a read goes straight into an object as large as the last one.
const LARGE_READ: usize = 4 * 1024;
/// After so many reads that gave as much as the one before, the next is expected to, and asks for no more, which is cheaper.
const STEADY: u32 = 8;
/// So often one asks all the same, because there may be more by now.
const LOOK_FOR_MORE: u32 = 16;

/// What a transport gives the loop to call when its socket is readable.
#[pyclass(frozen, module = "ukernel._native")]
pub(crate) struct Reader {
    transport: Py<PyAny>,
    descriptor: i32,
    /// The protocol is an `asyncio.BufferedProtocol`.
    buffered: AtomicBool,
    /// What the last read gave, in bytes.
    last: AtomicUsize,
    /// How many before it gave as much.
    repeated: AtomicU32,
}

#[pymethods]
impl Reader {
    #[new]
    fn new(transport: Py<PyAny>, descriptor: i32) -> Reader {
        Reader {
            transport,
            descriptor,
            buffered: AtomicBool::new(false),
            last: AtomicUsize::new(0),
            repeated: AtomicU32::new(0),
        }
    }

    /// Says which kind of protocol the transport has from now on.
    fn serve_buffered(&self, buffered: bool) {
        self.buffered.store(buffered, Ordering::Relaxed);
    }

    fn __call__(&self, py: Python<'_>) -> PyResult<()> {
        let transport = self.transport.bind(py);
        if transport.getattr(intern!(py, "_conn_lost"))?.is_truthy()? {
            return Ok(());
        }
        let protocol = transport.getattr(intern!(py, "_protocol"))?;
        let read = match self.buffered.load(Ordering::Relaxed) {
            true => self.read_into_its_buffer(transport, &protocol),
            false => self.read(transport, &protocol),
        };
        match read {
            Err(Failed { error, .. }) if ends_program(py, &error) => Err(error),
            Err(Failed { doing, error }) => fatal(transport, doing, error),
            Ok(Read::Data | Read::Nothing) => Ok(()),
            Ok(Read::End) => transport
                .call_method0(intern!(py, "_read_ready__on_eof"))
                .map(drop),
        }
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        Ok(format!("<reader of {}>", self.transport.bind(py).repr()?))
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.transport)
    }
}

/// What came of reading.
enum Read {
    Data,
    End,
    Nothing,
}

/// What went wrong, in asyncio's words, and how.
struct Failed {
    doing: &'static str,
    error: PyErr,
}

fn failed(doing: &'static str) -> impl Fn(PyErr) -> Failed {
    move |error| Failed { doing, error }
}

const READING: &str = "Fatal read error on socket transport";
const RECEIVED: &str = "Fatal error: protocol.data_received() call failed.";
const GETTING: &str = "Fatal error: protocol.get_buffer() call failed.";
const UPDATED: &str = "Fatal error: protocol.buffer_updated() call failed.";
const WRITING: &str = "Fatal write error on socket transport";

impl Reader {
    fn note(&self, count: usize) {
        if self.last.swap(count, Ordering::Relaxed) == count {
            self.repeated.fetch_add(1, Ordering::Relaxed);
        } else {
            self.repeated.store(0, Ordering::Relaxed);
        }
    }

    fn is_steady(&self) -> bool {
        let repeated = self.repeated.load(Ordering::Relaxed);
        repeated >= STEADY && !repeated.is_multiple_of(LOOK_FOR_MORE)
    }

    /// For `data_received`.
    fn read(
        &self,
        transport: &Bound<'_, PyAny>,
        protocol: &Bound<'_, PyAny>,
    ) -> Result<Read, Failed> {
        let py = transport.py();
        let most = transport
            .getattr(intern!(py, "max_size"))
            .and_then(|size| size.extract::<usize>())
            .map_err(failed(READING))?;
        let data = ROOM.with_borrow_mut(|room| {
            room.resize(MAX_READ, 0);
            let room = &mut room[..most.min(MAX_READ)];
            match self.last.load(Ordering::Relaxed) {
                last if (LARGE_READ..=room.len()).contains(&last) => {
                    let most = if self.is_steady() { last } else { room.len() };
                    receive_large(py, self.descriptor, last, &mut room[..most])
                }
                _ => receive_small(py, self.descriptor, room),
            }
        });
        let data = match data {
            Ok(data) if data.as_bytes().is_empty() => return Ok(Read::End),
            Ok(data) => data,
            Err(error) => return later_or(py, error),
        };
        self.note(data.as_bytes().len());
        call_method(protocol, intern!(py, "data_received"), &data)
            .map(|_| Read::Data)
            .map_err(failed(RECEIVED))
    }

    /// For `get_buffer` and `buffer_updated`.
    fn read_into_its_buffer(
        &self,
        transport: &Bound<'_, PyAny>,
        protocol: &Bound<'_, PyAny>,
    ) -> Result<Read, Failed> {
        let py = transport.py();
        let buffer = protocol
            .call_method1(intern!(py, "get_buffer"), (-1,))
            .and_then(|buffer| match buffer.len()? {
                0 => Err(PyRuntimeError::new_err(
                    "get_buffer() returned an empty buffer",
                )),
                _ => Ok(buffer),
            })
            .map_err(failed(GETTING))?;
        let count = receive_into(self.descriptor, &buffer).map_err(failed(READING))?;
        let count = match count {
            Ok(0) => return Ok(Read::End),
            Ok(count) => count,
            Err(error) => return later_or(py, error),
        };
        protocol
            .call_method1(intern!(py, "buffer_updated"), (count,))
            .map(|_| Read::Data)
            .map_err(failed(UPDATED))
    }
}

/// The `write` of a transport while it has its socket.
#[pyclass(frozen, module = "ukernel._native")]
pub(crate) struct Writer {
    transport: Py<PyAny>,
    descriptor: i32,
}

#[pymethods]
impl Writer {
    #[new]
    fn new(transport: Py<PyAny>, descriptor: i32) -> Writer {
        Writer {
            transport,
            descriptor,
        }
    }

    fn __call__(&self, data: &Bound<'_, PyAny>) -> PyResult<()> {
        let py = data.py();
        let transport = self.transport.bind(py);
        match send(transport, self.descriptor, data)? {
            None => Ok(()),
            Some(rest) => transport
                .call_method1(intern!(py, "_write_later"), (data, rest))
                .map(drop),
        }
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        Ok(format!("<writer of {}>", self.transport.bind(py).repr()?))
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.transport)
    }
}

/// Sends data at once if nothing waits before it. What it gives is still to be written, by asyncio's `write`, from that
/// byte on; nothing if `None`.
fn send(
    transport: &Bound<'_, PyAny>,
    descriptor: i32,
    data: &Bound<'_, PyAny>,
) -> PyResult<Option<usize>> {
    const ALL: Option<usize> = Some(0);
    let py = transport.py();
    let is_set = |name: &Bound<'_, PyString>| transport.getattr(name)?.is_truthy();
    if is_set(intern!(py, "_eof"))?
        || is_set(intern!(py, "_conn_lost"))?
        || !transport.getattr(intern!(py, "_empty_waiter"))?.is_none()
        || is_set(intern!(py, "_buffer"))?
    {
        return Ok(ALL);
    }
    let sent = if let Ok(bytes) = data.cast_exact::<PyBytes>() {
        let bytes = bytes.as_bytes();
        transmit(py, descriptor, bytes.as_ptr(), bytes.len())
    } else {
        match PyBuffer::<u8>::get(data) {
            Ok(buffer) if buffer.is_c_contiguous() => {
                let sent = transmit(py, descriptor, buffer.buf_ptr().cast(), buffer.len_bytes());
                drop(buffer);
                sent
            }
            _ => return Ok(ALL),
        }
    };
    match sent {
        Ok(count) if count == data.len()? => Ok(None),
        Ok(count) => Ok(Some(count)),
        Err(error) if is_for_later(&error) => Ok(ALL),
        Err(error) => fatal(transport, WRITING, os_error(py, &error)).map(|()| None),
    }
}

// --- sockets ---------------------------------------------------------------------------------------------------------

/// # Safety
/// There is room for that many bytes.
unsafe fn receive(descriptor: i32, room: *mut u8, most: usize) -> io::Result<usize> {
    // SAFETY: as promised; a number that is no socket's is an error.
    let count = unsafe { libc::recv(descriptor, room.cast(), most, 0) };
    usize::try_from(count).map_err(|_| io::Error::last_os_error())
}

/// Reads into the room, and copies from there.
fn receive_small<'py>(
    py: Python<'py>,
    descriptor: i32,
    room: &mut [u8],
) -> io::Result<Bound<'py, PyBytes>> {
    // SAFETY: the room is as large as is said.
    let count = unsafe { receive(descriptor, room.as_mut_ptr(), room.len()) }?;
    Ok(PyBytes::new(py, &room[..count]))
}

/// Reads into a new object of `expected` bytes, and into the room only what is more than that: who sends pieces of one
/// size has nothing copied. No more than the room's size together.
fn receive_large<'py>(
    py: Python<'py>,
    descriptor: i32,
    expected: usize,
    room: &mut [u8],
) -> io::Result<Bound<'py, PyBytes>> {
    // SAFETY: without a source the object's bytes are not initialised yet; nobody else has it before this function ends,
    // and `new` fails where there is no memory for it.
    let object = unsafe {
        let new = ffi::PyBytes_FromStringAndSize(ptr::null(), expected as ffi::Py_ssize_t);
        Bound::from_owned_ptr_or_err(py, new)
    };
    let Ok(object) = object else {
        return receive_small(py, descriptor, room); // which needs no more than has come
    };
    // SAFETY: it is a bytes object, whose memory stays where it is.
    let first = unsafe { ffi::PyBytes_AsString(object.as_ptr()) };
    let count = if room.len() == expected {
        // SAFETY: the object has room for so many bytes.
        unsafe { receive(descriptor, first.cast(), expected) }?
    } else {
        let parts = [
            (first.cast(), expected),
            (room.as_mut_ptr().cast(), room.len() - expected),
        ]
        .map(|(iov_base, iov_len)| libc::iovec { iov_base, iov_len });
        // SAFETY: both parts have room for as many bytes as they say, and live until the call returns.
        let count = unsafe { libc::readv(descriptor, parts.as_ptr(), parts.len() as libc::c_int) };
        usize::try_from(count).map_err(|_| io::Error::last_os_error())?
    };
    if count == expected {
        // SAFETY: made as one above, and filled now.
        return Ok(unsafe { object.cast_into_unchecked() });
    }
    // SAFETY: so many bytes of it have been read.
    let first = unsafe { std::slice::from_raw_parts(first.cast(), count.min(expected)) };
    let rest = &room[..count.saturating_sub(expected)];
    PyBytes::new_with(py, count, |all| {
        all[..first.len()].copy_from_slice(first);
        all[first.len()..].copy_from_slice(rest);
        Ok(())
    })
    .map_err(|_| io::Error::from_raw_os_error(libc::ENOMEM))
}

/// The same into an object that lends its memory.
fn receive_into(descriptor: i32, object: &Bound<'_, PyAny>) -> PyResult<io::Result<usize>> {
    let buffer = PyBuffer::<u8>::get(object)?;
    if buffer.readonly() || !buffer.is_c_contiguous() {
        return Err(PyRuntimeError::new_err(
            "get_buffer() returned a buffer that cannot be written",
        ));
    }
    // SAFETY: the buffer says how large it is, and may be written; as long as it is held it stays.
    let count = unsafe { receive(descriptor, buffer.buf_ptr().cast(), buffer.len_bytes()) };
    drop(buffer);
    Ok(count)
}

/// Sends what lies there until the caller lets it go.
fn transmit(py: Python<'_>, descriptor: i32, data: *const u8, length: usize) -> io::Result<usize> {
    let address = data.expose_provenance();
    let send = || {
        let data = std::ptr::with_exposed_provenance(address);
        // SAFETY: the caller holds a reference to the object whose memory it is.
        let count = unsafe { libc::send(descriptor, data, length, libc::MSG_NOSIGNAL) };
        usize::try_from(count).map_err(|_| io::Error::last_os_error())
    };
    if length > LONG_WRITE {
        py.detach(send)
    } else {
        send()
    }
}

fn is_for_later(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted
    )
}

/// A socket that has nothing is asked again when it is told to have something.
fn later_or(py: Python<'_>, error: io::Error) -> Result<Read, Failed> {
    match is_for_later(&error) {
        true => Ok(Read::Nothing),
        false => Err(failed(READING)(os_error(py, &error))),
    }
}

/// The exception that Python makes of it.
#[cold]
fn os_error(py: Python<'_>, error: &io::Error) -> PyErr {
    let number = error.raw_os_error().unwrap_or_default();
    let words = py
        .import(intern!(py, "os"))
        .and_then(|os| os.call_method1(intern!(py, "strerror"), (number,)));
    match words {
        Ok(words) => PyOSError::new_err((number, words.unbind())),
        Err(error) => error,
    }
}

/// Ends the connection because of an error.
#[cold]
fn fatal(transport: &Bound<'_, PyAny>, doing: &str, error: PyErr) -> PyResult<()> {
    let py = transport.py();
    let arguments = (error.into_value(py), doing);
    transport
        .call_method1(intern!(py, "_fatal_error"), arguments)
        .map(drop)
}
