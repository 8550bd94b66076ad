//! The functions `io_*` and `interest_*`.
#![allow(
    unsafe_code,
    reason = "functions with C's calling convention and names"
)]

use crate::failure::Failure;
use abi::Error;
use abi::capability::Kind;
use abi::layout;

use super::{
    alleged, call, handle, input, inputs, list, optional, output, outputs, place, put, room, wait,
};

/// `io_open` of the header.
///
/// # Safety
/// The header's contract: memory that the program passes stays what it is until the call returns.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn io_open(path: u64, flags: u32, out: u64) -> u32 {
    call("io_open", Some(Kind::Io), |task| {
        let out = place::<u64>(task, 3, out)?;
        out.put(task.io_open(alleged(1, path, 0), flags)?.to_bits());
        Ok(())
    })
}

/// `io_read` of the header.
///
/// # Safety
/// The header's contract: memory that the program passes stays what it is until the call returns.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn io_read(io: u64, buffer: u64, len: u64, read_out: u64) -> u32 {
    wait("io_read", Some(Kind::Io), |task| async move {
        let read_out = place::<u64>(&task, 4, read_out)?;
        let into = output(&task, 2, buffer, len)?;
        read_out.put(task.io_read(handle(io), into).await? as u64);
        Ok(())
    })
}

/// `io_write` of the header.
///
/// # Safety
/// The header's contract: memory that the program passes stays what it is until the call returns.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn io_write(io: u64, buffer: u64, len: u64, wrote_out: u64) -> u32 {
    wait("io_write", Some(Kind::Io), |task| async move {
        let wrote_out = optional::<u64>(&task, 4, wrote_out)?;
        let from = input(&task, 2, buffer, len)?;
        put(wrote_out, task.io_write(handle(io), from).await? as u64);
        Ok(())
    })
}

/// `io_readv` of the header.
///
/// # Safety
/// The header's contract: memory that the program passes stays what it is until the call returns.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn io_readv(io: u64, pieces: u64, count: u32, read_out: u64) -> u32 {
    wait("io_readv", Some(Kind::Io), |task| async move {
        let read_out = place::<u64>(&task, 4, read_out)?;
        let pieces = outputs(&task, pieces, count)?;
        read_out.put(task.io_readv(handle(io), &pieces).await? as u64);
        Ok(())
    })
}

/// `io_writev` of the header.
///
/// # Safety
/// The header's contract: memory that the program passes stays what it is until the call returns.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn io_writev(io: u64, pieces: u64, count: u32, wrote_out: u64) -> u32 {
    wait("io_writev", Some(Kind::Io), |task| async move {
        let wrote_out = optional::<u64>(&task, 4, wrote_out)?;
        let pieces = inputs(&task, pieces, count)?;
        put(wrote_out, task.io_writev(handle(io), &pieces).await? as u64);
        Ok(())
    })
}

/// `io_close` of the header.
///
/// # Safety
/// The header's contract: memory that the program passes stays what it is until the call returns.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn io_close(io: u64) -> u32 {
    call("io_close", Some(Kind::Io), |task| task.io_close(handle(io)))
}

/// `io_seek` of the header.
///
/// # Safety
/// The header's contract: memory that the program passes stays what it is until the call returns.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn io_seek(io: u64, offset: i64, whence: u32, out: u64) -> u32 {
    call("io_seek", Some(Kind::Io), |task| {
        let out = optional::<u64>(task, 4, out)?;
        put(out, task.io_seek(handle(io), offset, whence)?);
        Ok(())
    })
}

/// `io_sync` of the header.
///
/// # Safety
/// The header's contract: memory that the program passes stays what it is until the call returns.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn io_sync(io: u64) -> u32 {
    wait("io_sync", Some(Kind::Io), |task| async move {
        task.io_sync(handle(io)).await
    })
}

/// `io_info` of the header.
///
/// # Safety
/// The header's contract: memory that the program passes stays what it is until the call returns.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn io_info(io: u64, out: u64) -> u32 {
    call("io_info", Some(Kind::Io), |task| {
        let out = place::<layout::IoInfo>(task, 2, out)?;
        out.put(task.io_info(handle(io))?);
        Ok(())
    })
}

/// `io_poll` of the header.
///
/// # Safety
/// The header's contract: memory that the program passes stays what it is until the call returns.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn io_poll(
    handles: u64,
    count: u32,
    timeout: u64,
    events: u64,
    count_out: u64,
) -> u32 {
    wait("io_poll", Some(Kind::Io), |task| async move {
        let count_out = optional::<u32>(&task, 5, count_out)?;
        let handles = list::<u64>(&task, 1, handles, count)?;
        let events = room(&task, 4, events, count)?;
        let ready = task.io_poll(&handles, timeout, &events).await;
        if let Err(Failure {
            error: Error::Timeout | Error::WouldBlock,
            ..
        }) = ready
        {
            put(count_out, 0);
        }
        put(count_out, ready?);
        Ok(())
    })
}

/// `io_wait` of the header.
///
/// # Safety
/// The header's contract: memory that the program passes stays what it is until the call returns.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn io_wait(io: u64, interest: u32, timeout: u64, out: u64) -> u32 {
    wait("io_wait", Some(Kind::Io), |task| async move {
        let out = place::<u32>(&task, 4, out)?;
        out.put(task.io_wait(handle(io), interest, timeout).await?);
        Ok(())
    })
}

/// `interest_create` of the header.
///
/// # Safety
/// The header's contract: memory that the program passes stays what it is until the call returns.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interest_create(out: u64) -> u32 {
    call("interest_create", Some(Kind::Io), |task| {
        let out = place::<u64>(task, 1, out)?;
        out.put(task.interest_create()?.to_bits());
        Ok(())
    })
}

/// `interest_add` of the header.
///
/// # Safety
/// The header's contract: memory that the program passes stays what it is until the call returns.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interest_add(set: u64, member: u64, interest: u32, token: u32) -> u32 {
    call("interest_add", Some(Kind::Io), |task| {
        task.interest_add(handle(set), handle(member), interest, token)
    })
}

/// `interest_modify` of the header.
///
/// # Safety
/// The header's contract: memory that the program passes stays what it is until the call returns.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interest_modify(set: u64, member: u64, interest: u32, token: u32) -> u32 {
    call("interest_modify", Some(Kind::Io), |task| {
        task.interest_modify(handle(set), handle(member), interest, token)
    })
}

/// `interest_remove` of the header.
///
/// # Safety
/// The header's contract: memory that the program passes stays what it is until the call returns.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interest_remove(set: u64, member: u64) -> u32 {
    call("interest_remove", Some(Kind::Io), |task| {
        task.interest_remove(handle(set), handle(member))
    })
}

/// `interest_wait` of the header.
///
/// # Safety
/// The header's contract: memory that the program passes stays what it is until the call returns.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interest_wait(
    set: u64,
    events: u64,
    capacity: u32,
    timeout: u64,
    count_out: u64,
) -> u32 {
    wait("interest_wait", Some(Kind::Io), |task| async move {
        let count_out = place::<u32>(&task, 5, count_out)?;
        let events = room(&task, 2, events, capacity)?;
        let ready = task.interest_wait(handle(set), &events, timeout).await;
        if let Err(Failure {
            error: Error::Timeout | Error::WouldBlock,
            ..
        }) = ready
        {
            count_out.put(0);
        }
        count_out.put(ready?);
        Ok(())
    })
}
