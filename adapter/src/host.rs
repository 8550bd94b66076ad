//! The functions that only a process has: several kernels, descriptors of the program's own, wakes from elsewhere.
//!
//! As `calls::entry`: numbers in, numbers out, and no panic out of here.
#![allow(
    unsafe_code,
    reason = "functions with C's calling convention and names"
)]

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;

use abi::capability::Kind;
use abi::number::{IO_FD_OWNED, IO_NONBLOCK, IO_OPEN_READ, IO_OPEN_WRITE};
use abi::{Error, OK};
use calls::Failure;
use calls::backend::File;
use calls::entry::{call, place};
use rustix::io::Errno;

use crate::descriptor::Owner;
use crate::files::{self, Adopted};
use crate::kernel::Kernel;
use crate::wake::{self, WakeFile};
use crate::{registry, space, thread};

/// The code of what `body` gives; of a panic, too.
fn guarded(name: &str, body: impl FnOnce() -> Result<(), Error>) -> u32 {
    let result = catch_unwind(AssertUnwindSafe(body)).unwrap_or_else(|_| {
        log::error!("call: panicked call={name}");
        Err(Error::Io)
    });
    result.map_or_else(Error::code, |()| OK)
}

/// `kernel_create` of the header.
///
/// # Safety
/// The header's contract: memory that the program passes stays what it is until the call returns.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kernel_create(out: u64) -> u32 {
    guarded("kernel_create", || {
        // SAFETY: as the header says; whoever calls is in no kernel yet, so that no task has an address space.
        let out = unsafe { space::place::<u64>(out) }.ok_or(Error::Invalid)?;
        out.put(registry::create()? as u64);
        Ok(())
    })
}

/// `kernel_enter` of the header.
#[unsafe(no_mangle)]
pub extern "C" fn kernel_enter(kernel: u64) -> u32 {
    guarded("kernel_enter", || registry::enter(kernel as usize))
}

/// `kernel_leave` of the header.
#[unsafe(no_mangle)]
pub extern "C" fn kernel_leave() -> u32 {
    guarded("kernel_leave", registry::leave)
}

/// `kernel_destroy` of the header.
#[unsafe(no_mangle)]
pub extern "C" fn kernel_destroy(kernel: u64) -> u32 {
    guarded("kernel_destroy", || registry::destroy(kernel as usize))
}

/// The kernel that a call is in.
fn current() -> Result<Rc<Kernel>, Error> {
    thread::current().ok_or(Error::Invalid)
}

/// `io_from_fd` of the header.
///
/// # Safety
/// The header's contract: memory that the program passes stays what it is until the call returns.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn io_from_fd(fd: i32, flags: u32, out: u64) -> u32 {
    const KNOWN: u32 = IO_OPEN_READ | IO_OPEN_WRITE | IO_NONBLOCK | IO_FD_OWNED;
    call("io_from_fd", Some(Kind::Io), |task| {
        let out = place::<u64>(task, 3, out)?;
        if fd < 0 {
            return Err(Failure::invalid(1, fd as u64));
        }
        if flags & !KNOWN != 0 {
            return Err(Failure::invalid(2, flags.into()));
        }
        let kernel = current()?;
        let adopted = kernel.descriptors().adopt(Owner::Program(fd));
        let descriptor = adopted.map_err(|error| {
            let error = match error {
                Errno::EXIST => Error::Busy,
                error => files::error(error),
            };
            Failure::of(error, 1, fd as u64)
        })?;
        let file: Rc<dyn File> = Rc::new(Adopted::new(&descriptor));
        let handle = task.adopt_file(file, flags & !IO_FD_OWNED)?;
        if flags & IO_FD_OWNED != 0 {
            descriptor.give();
        }
        out.put(handle.to_bits());
        Ok(())
    })
}

/// `wake_create` of the header.
///
/// # Safety
/// The header's contract: memory that the program passes stays what it is until the call returns.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wake_create(handle_out: u64, waker_out: u64) -> u32 {
    call("wake_create", Some(Kind::Io), |task| {
        let places = (
            place::<u64>(task, 1, handle_out)?,
            place::<u64>(task, 2, waker_out)?,
        );
        let wake = current()?.wakes().create()?;
        let number = wake.number();
        let handle = task.adopt_file(Rc::new(WakeFile(wake)), 0)?;
        places.0.put(handle.to_bits());
        places.1.put(number);
        Ok(())
    })
}

/// `wake_signal` of the header. From any thread, and from signal handlers: no lock, no allocation, no thread-local.
#[unsafe(no_mangle)]
pub extern "C" fn wake_signal(waker: u64) -> u32 {
    wake::signal(waker).map_or_else(Error::code, |()| OK)
}
