//! The functions `io_*` but those that wait for several handles.
#![allow(
    unsafe_code,
    reason = "functions with C's calling convention and names"
)]

use alloc::vec::Vec;

use abi::capability::Kind;
use abi::layout::{self, IoVec};

use crate::failure::{Failure, Outcome};
use crate::task::Task;
use crate::user::{UserIn, UserOut};

use super::{alleged, call, handle, input, list, optional, output, place, put, wait};

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

/// The most pieces of a vectored call.
const MAX_PIECES: u32 = 64;

/// The pieces of a vectored call, each made by `piece`.
fn pieces<T>(
    task: &Task,
    address: u64,
    count: u32,
    piece: impl Fn(IoVec) -> Outcome<T>,
) -> Outcome<Vec<T>> {
    if count > MAX_PIECES {
        return Err(Failure::invalid(3, count.into()));
    }
    list::<IoVec>(task, 2, address, count)?
        .iter()
        .map(piece)
        .collect()
}

fn inputs(task: &Task, address: u64, count: u32) -> Outcome<Vec<UserIn>> {
    pieces(task, address, count, |piece| {
        input(task, 2, piece.ptr, piece.len)
    })
}

fn outputs(task: &Task, address: u64, count: u32) -> Outcome<Vec<UserOut>> {
    pieces(task, address, count, |piece| {
        output(task, 2, piece.ptr, piece.len)
    })
}
