//! The functions `abi_*`, `err_*`, `handle_close`, `cap_*`, `log_*`, `sys_*` and `random_bytes`.
#![allow(
    unsafe_code,
    reason = "functions with C's calling convention and names"
)]

use abi::capability::Kind;
use abi::layout;

use super::{call, capabilities, handle, input, output, place};

/// `abi_version` of the header.
///
/// # Safety
/// The header's contract: memory that the program passes stays what it is until the call returns.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn abi_version(major: u64, minor: u64, patch: u64) -> u32 {
    call("abi_version", None, |task| {
        let places = [
            place::<u32>(task, 1, major)?,
            place(task, 2, minor)?,
            place(task, 3, patch)?,
        ];
        let (major, minor, patch) = abi::number::VERSION;
        for (place, part) in places.into_iter().zip([major, minor, patch]) {
            place.put(part);
        }
        Ok(())
    })
}

/// `abi_features` of the header.
///
/// # Safety
/// The header's contract: memory that the program passes stays what it is until the call returns.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn abi_features(out: u64) -> u32 {
    call("abi_features", None, |task| {
        place::<u64>(task, 1, out)?.put(task.features());
        Ok(())
    })
}

/// `abi_feature_enabled` of the header.
///
/// # Safety
/// The header's contract: memory that the program passes stays what it is until the call returns.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn abi_feature_enabled(id: u32, out: u64) -> u32 {
    call("abi_feature_enabled", None, |task| {
        place::<u32>(task, 2, out)?.put(task.has_feature(id).into());
        Ok(())
    })
}

/// `err_get_last` of the header.
///
/// # Safety
/// The header's contract: memory that the program passes stays what it is until the call returns.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn err_get_last(out: u64) -> u32 {
    call("err_get_last", None, |task| {
        place::<layout::ErrorInfo>(task, 1, out)?.put(task.last_error());
        Ok(())
    })
}

/// `handle_close` of the header.
///
/// # Safety
/// The header's contract: memory that the program passes stays what it is until the call returns.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn handle_close(closed: u64) -> u32 {
    call("handle_close", None, |task| {
        task.handle_close(handle(closed))
    })
}

/// `cap_acquire` of the header.
///
/// # Safety
/// The header's contract: memory that the program passes stays what it is until the call returns.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cap_acquire(kind: u32, out: u64) -> u32 {
    call("cap_acquire", None, |task| {
        let out = place::<u64>(task, 2, out)?;
        out.put(task.cap_acquire(kind)?.to_bits());
        Ok(())
    })
}

/// `cap_drop` of the header.
///
/// # Safety
/// The header's contract: memory that the program passes stays what it is until the call returns.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cap_drop(cap: u64) -> u32 {
    call("cap_drop", None, |task| task.cap_drop(handle(cap)))
}

/// `cap_enter` of the header.
///
/// # Safety
/// The header's contract: memory that the program passes stays what it is until the call returns.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cap_enter(caps: u64, count: u32) -> u32 {
    call("cap_enter", None, |task| {
        task.cap_enter(&capabilities(task, 1, caps, count)?)
    })
}

/// `cap_exit` of the header.
///
/// # Safety
/// The header's contract: memory that the program passes stays what it is until the call returns.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cap_exit() -> u32 {
    call("cap_exit", None, |task| {
        task.cap_exit();
        Ok(())
    })
}

/// `cap_active` of the header.
///
/// # Safety
/// The header's contract: memory that the program passes stays what it is until the call returns.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cap_active(out: u64) -> u32 {
    call("cap_active", None, |task| {
        place::<u32>(task, 1, out)?.put(task.active().bits());
        Ok(())
    })
}

/// `random_bytes` of the header.
///
/// # Safety
/// The header's contract: memory that the program passes stays what it is until the call returns.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn random_bytes(buffer: u64, len: u64) -> u32 {
    call("random_bytes", None, |task| {
        task.random_bytes(output(task, 1, buffer, len)?)
    })
}

/// `log_write` of the header.
///
/// # Safety
/// The header's contract: memory that the program passes stays what it is until the call returns.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn log_write(level: u32, text: u64, len: u64) -> u32 {
    call("log_write", Some(Kind::Log), |task| {
        task.log_write(level, input(task, 2, text, len)?)
    })
}

/// `sys_shutdown` of the header.
///
/// # Safety
/// The header's contract: memory that the program passes stays what it is until the call returns.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sys_shutdown(out: u64) -> u32 {
    call("sys_shutdown", None, |task| {
        let out = place::<u64>(task, 1, out)?;
        out.put(task.shutdown_handle()?.to_bits());
        Ok(())
    })
}

/// `sys_argument_count` of the header.
///
/// # Safety
/// The header's contract: memory that the program passes stays what it is until the call returns.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sys_argument_count(out: u64) -> u32 {
    call("sys_argument_count", None, |task| {
        place::<u32>(task, 1, out)?.put(task.argument_count());
        Ok(())
    })
}

/// `sys_argument` of the header.
///
/// # Safety
/// The header's contract: memory that the program passes stays what it is until the call returns.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sys_argument(index: u32, buffer: u64, capacity: u64, len_out: u64) -> u32 {
    call("sys_argument", None, |task| {
        let len_out = place::<u64>(task, 4, len_out)?;
        let (len, outcome) = task.argument(index, output(task, 2, buffer, capacity)?);
        len_out.put(len as u64);
        outcome
    })
}

/// `sys_environment` of the header.
///
/// # Safety
/// The header's contract: memory that the program passes stays what it is until the call returns.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sys_environment(
    name: u64,
    name_len: u64,
    buffer: u64,
    capacity: u64,
    len_out: u64,
) -> u32 {
    call("sys_environment", None, |task| {
        let len_out = place::<u64>(task, 5, len_out)?;
        let name = input(task, 1, name, name_len)?;
        let (len, outcome) = task.variable(name, output(task, 3, buffer, capacity)?);
        len_out.put(len as u64);
        outcome
    })
}
