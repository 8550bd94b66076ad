//! The functions `task_*` and `time_*`.
#![allow(
    unsafe_code,
    reason = "functions with C's calling convention and names"
)]

use crate::tasks::Spawn;
use abi::Error;
use abi::capability::Kind;
use abi::handle::Handle;
use abi::layout;
use abi::number::TASK_CANCELLED;

use super::{call, capabilities, door, handle, optional, place, put, wait};

/// `task_spawn` of the header.
///
/// # Safety
/// The header's contract: memory that the program passes stays what it is until the call returns.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn task_spawn(
    entry: u64,
    argument: u64,
    caps: u64,
    count: u32,
    flags: u32,
    out: u64,
) -> u32 {
    call("task_spawn", Some(Kind::Task), |task| {
        let out = match abi::number::TASK_DETACHED & flags {
            0 => Some(place::<u64>(task, 6, out)?),
            _ => optional(task, 6, out)?,
        };
        let capabilities = capabilities(task, 3, caps, count)?;
        let spawn = Spawn {
            entry,
            argument,
            capabilities,
            flags,
        };
        let spawned = task.task_spawn(&spawn)?;
        put(out, spawned.unwrap_or(Handle::NONE).to_bits());
        Ok(())
    })
}

/// `task_yield` of the header.
///
/// # Safety
/// The header's contract: memory that the program passes stays what it is until the call returns.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn task_yield() -> u32 {
    wait("task_yield", Some(Kind::Task), |task| async move {
        task.task_yield().await
    })
}

/// `task_sleep` of the header.
///
/// # Safety
/// The header's contract: memory that the program passes stays what it is until the call returns.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn task_sleep(duration: u64) -> u32 {
    wait("task_sleep", Some(Kind::Task), |task| async move {
        task.task_sleep(duration).await
    })
}

/// `task_set_priority` of the header.
///
/// # Safety
/// The header's contract: memory that the program passes stays what it is until the call returns.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn task_set_priority(target: u64, priority: u32) -> u32 {
    call("task_set_priority", Some(Kind::Task), |task| {
        task.task_set_priority(handle(target), priority)
    })
}

/// `task_get_stats` of the header.
///
/// # Safety
/// The header's contract: memory that the program passes stays what it is until the call returns.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn task_get_stats(target: u64, out: u64) -> u32 {
    call("task_get_stats", Some(Kind::Task), |task| {
        let out = place::<layout::TaskStats>(task, 2, out)?;
        out.put(task.task_get_stats(handle(target))?);
        Ok(())
    })
}

/// `task_self` of the header.
///
/// # Safety
/// The header's contract: memory that the program passes stays what it is until the call returns.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn task_self(out: u64) -> u32 {
    call("task_self", None, |task| {
        let out = place::<u64>(task, 1, out)?;
        out.put(task.task_self()?.to_bits());
        Ok(())
    })
}

/// `task_join` of the header.
///
/// # Safety
/// The header's contract: memory that the program passes stays what it is until the call returns.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn task_join(target: u64, timeout: u64, out: u64) -> u32 {
    wait("task_join", Some(Kind::Task), |task| async move {
        let out = optional::<i32>(&task, 3, out)?;
        put(out, task.task_join(handle(target), timeout).await?);
        Ok(())
    })
}

/// `time_now` of the header.
///
/// # Safety
/// The header's contract: memory that the program passes stays what it is until the call returns.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn time_now(out: u64) -> u32 {
    call("time_now", Some(Kind::Time), |task| {
        let out = place::<u64>(task, 1, out)?;
        out.put(task.time_now()?);
        Ok(())
    })
}

/// `time_deadline` of the header.
///
/// # Safety
/// The header's contract: memory that the program passes stays what it is until the call returns.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn time_deadline(at: u64, out: u64) -> u32 {
    call("time_deadline", Some(Kind::Time), |task| {
        let out = place::<u64>(task, 2, out)?;
        out.put(task.time_deadline(at)?.to_bits());
        Ok(())
    })
}

/// `time_wall` of the header.
///
/// # Safety
/// The header's contract: memory that the program passes stays what it is until the call returns.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn time_wall(out: u64) -> u32 {
    call("time_wall", Some(Kind::Time), |task| {
        let out = place::<u64>(task, 1, out)?;
        out.put(task.time_wall()?);
        Ok(())
    })
}

/// `task_exit` of the header.
#[unsafe(no_mangle)]
pub extern "C" fn task_exit(status: i32) -> u32 {
    let Some(door) = door() else {
        return Error::Invalid.code();
    };
    let Some(task) = door.enter() else {
        return Error::Invalid.code();
    };
    drop(task);
    door.exit(status)
}

/// `task_cancel` of the header.
#[unsafe(no_mangle)]
pub extern "C" fn task_cancel(target: u64) -> u32 {
    let mut own = false;
    let code = call("task_cancel", Some(Kind::Task), |task| {
        own = task.task_cancel(handle(target))?;
        Ok(())
    });
    if own {
        task_exit(TASK_CANCELLED);
    }
    code
}
