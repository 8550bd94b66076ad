//! The functions that wait for handles: `io_poll`, `io_wait` and `interest_*`.
#![allow(
    unsafe_code,
    reason = "functions with C's calling convention and names"
)]

use abi::Error;
use abi::capability::Kind;

use super::{call, handle, list, optional, place, put, room, wait};
use crate::failure::Failure;

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
