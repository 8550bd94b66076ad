//! The functions `mem_*`.
#![allow(
    unsafe_code,
    reason = "functions with C's calling convention and names"
)]

use abi::capability::Kind;
use abi::layout;

use super::{call, handle, place};

/// `mem_alloc` of the header.
///
/// # Safety
/// The header's contract: memory that the program passes stays what it is until the call returns.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mem_alloc(bytes: u64, flags: u32, out: u64) -> u32 {
    call("mem_alloc", Some(Kind::Memory), |task| {
        let out = place::<u64>(task, 3, out)?;
        out.put(task.mem_alloc(bytes, flags)?);
        Ok(())
    })
}

/// `mem_free` of the header.
///
/// # Safety
/// The header's contract: memory that the program passes stays what it is until the call returns.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mem_free(address: u64) -> u32 {
    call("mem_free", Some(Kind::Memory), |task| {
        task.mem_free(address)
    })
}

/// `mem_map` of the header.
///
/// # Safety
/// The header's contract: memory that the program passes stays what it is until the call returns.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mem_map(address: u64, bytes: u64, flags: u32) -> u32 {
    call("mem_map", Some(Kind::Memory), |task| {
        task.mem_map(address, bytes, flags)
    })
}

/// `mem_share` of the header.
///
/// # Safety
/// The header's contract: memory that the program passes stays what it is until the call returns.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mem_share(address: u64, bytes: u64, out: u64) -> u32 {
    call("mem_share", Some(Kind::Memory), |task| {
        let out = place::<u64>(task, 3, out)?;
        out.put(task.mem_share(address, bytes)?.to_bits());
        Ok(())
    })
}

/// `mem_unshare` of the header.
///
/// # Safety
/// The header's contract: memory that the program passes stays what it is until the call returns.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mem_unshare(shared: u64) -> u32 {
    call("mem_unshare", Some(Kind::Memory), |task| {
        task.mem_unshare(handle(shared))
    })
}

/// `mem_shared` of the header.
///
/// # Safety
/// The header's contract: memory that the program passes stays what it is until the call returns.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mem_shared(shared: u64, address_out: u64, len_out: u64) -> u32 {
    call("mem_shared", Some(Kind::Memory), |task| {
        let places = (
            place::<u64>(task, 2, address_out)?,
            place::<u64>(task, 3, len_out)?,
        );
        let (address, len) = task.mem_shared(handle(shared))?;
        places.0.put(address);
        places.1.put(len);
        Ok(())
    })
}

/// `mem_usage` of the header.
///
/// # Safety
/// The header's contract: memory that the program passes stays what it is until the call returns.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mem_usage(target: u64, out: u64) -> u32 {
    call("mem_usage", Some(Kind::Memory), |task| {
        let out = place::<layout::MemoryUsage>(task, 2, out)?;
        out.put(task.mem_usage(handle(target))?);
        Ok(())
    })
}

/// `mem_set_limit` of the header.
///
/// # Safety
/// The header's contract: memory that the program passes stays what it is until the call returns.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mem_set_limit(target: u64, bytes: u64) -> u32 {
    call("mem_set_limit", Some(Kind::Memory), |task| {
        task.mem_set_limit(handle(target), bytes)
    })
}

/// `mem_arena_create` of the header.
///
/// # Safety
/// The header's contract: memory that the program passes stays what it is until the call returns.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mem_arena_create(limit: u64, out: u64) -> u32 {
    call("mem_arena_create", Some(Kind::Memory), |task| {
        let out = place::<u64>(task, 2, out)?;
        out.put(task.mem_arena_create(limit)?.to_bits());
        Ok(())
    })
}

/// `mem_arena_alloc` of the header.
///
/// # Safety
/// The header's contract: memory that the program passes stays what it is until the call returns.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mem_arena_alloc(arena: u64, bytes: u64, flags: u32, out: u64) -> u32 {
    call("mem_arena_alloc", Some(Kind::Memory), |task| {
        let out = place::<u64>(task, 4, out)?;
        out.put(task.mem_arena_alloc(handle(arena), bytes, flags)?);
        Ok(())
    })
}

/// `mem_arena_reset` of the header.
///
/// # Safety
/// The header's contract: memory that the program passes stays what it is until the call returns.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mem_arena_reset(arena: u64) -> u32 {
    call("mem_arena_reset", Some(Kind::Memory), |task| {
        task.mem_arena_reset(handle(arena))
    })
}
