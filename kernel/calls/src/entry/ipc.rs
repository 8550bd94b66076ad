//! The functions `ipc_*`.
#![allow(
    unsafe_code,
    reason = "functions with C's calling convention and names"
)]

use abi::capability::Kind;

use super::{call, handle, input, list, output, place, room, wait_if_needed};

/// `ipc_channel_create` of the header.
///
/// # Safety
/// The header's contract: memory that the program passes stays what it is until the call returns.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ipc_channel_create(flags: u32, out: u64) -> u32 {
    call("ipc_channel_create", Some(Kind::Ipc), |task| {
        let out = place::<u64>(task, 2, out)?;
        out.put(task.ipc_channel_create(flags)?.to_bits());
        Ok(())
    })
}

/// `ipc_channel_pair` of the header.
///
/// # Safety
/// The header's contract: memory that the program passes stays what it is until the call returns.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ipc_channel_pair(flags: u32, sender_out: u64, receiver_out: u64) -> u32 {
    call("ipc_channel_pair", Some(Kind::Ipc), |task| {
        let places = [
            place::<u64>(task, 2, sender_out)?,
            place(task, 3, receiver_out)?,
        ];
        let (sender, receiver) = task.ipc_channel_pair(flags)?;
        places[0].put(sender.to_bits());
        places[1].put(receiver.to_bits());
        Ok(())
    })
}

/// `ipc_send` of the header.
///
/// # Safety
/// The header's contract: memory that the program passes stays what it is until the call returns.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ipc_send(channel: u64, buffer: u64, len: u64, flags: u32) -> u32 {
    wait_if_needed("ipc_send", Some(Kind::Ipc), |task| {
        let from = input(task, 2, buffer, len)?;
        task.begin_send(handle(channel), from, None, flags)
    })
}

/// `ipc_send_handles` of the header.
///
/// # Safety
/// The header's contract: memory that the program passes stays what it is until the call returns.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ipc_send_handles(
    channel: u64,
    buffer: u64,
    len: u64,
    handles: u64,
    count: u32,
    flags: u32,
) -> u32 {
    wait_if_needed("ipc_send_handles", Some(Kind::Ipc), |task| {
        let from = input(task, 2, buffer, len)?;
        let handles = list::<u64>(task, 4, handles, count)?;
        task.begin_send(handle(channel), from, Some(handles), flags)
    })
}

/// `ipc_recv` of the header.
///
/// # Safety
/// The header's contract: memory that the program passes stays what it is until the call returns.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ipc_recv(
    channel: u64,
    buffer: u64,
    len: u64,
    read_out: u64,
    flags: u32,
) -> u32 {
    wait_if_needed("ipc_recv", Some(Kind::Ipc), |task| {
        let read_out = place::<u64>(task, 4, read_out)?;
        let into = output(task, 2, buffer, len)?;
        task.begin_recv(handle(channel), into, read_out, None, flags)
    })
}

/// `ipc_recv_handles` of the header.
///
/// # Safety
/// The header's contract: memory that the program passes stays what it is until the call returns.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ipc_recv_handles(
    channel: u64,
    buffer: u64,
    len: u64,
    read_out: u64,
    handles: u64,
    capacity: u32,
    count_out: u64,
    flags: u32,
) -> u32 {
    wait_if_needed("ipc_recv_handles", Some(Kind::Ipc), |task| {
        let read_out = place::<u64>(task, 4, read_out)?;
        let count_out = place::<u32>(task, 7, count_out)?;
        let into = output(task, 2, buffer, len)?;
        let handles = room::<u64>(task, 5, handles, capacity)?;
        let handles = Some((handles, count_out));
        task.begin_recv(handle(channel), into, read_out, handles, flags)
    })
}

/// `ipc_close` of the header.
///
/// # Safety
/// The header's contract: memory that the program passes stays what it is until the call returns.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ipc_close(channel: u64) -> u32 {
    call("ipc_close", Some(Kind::Ipc), |task| {
        task.ipc_close(handle(channel))
    })
}

/// `ipc_open` of the header.
///
/// # Safety
/// The header's contract: memory that the program passes stays what it is until the call returns.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ipc_open(name: u64, name_len: u64, flags: u32, out: u64) -> u32 {
    call("ipc_open", Some(Kind::Ipc), |task| {
        let name = input(task, 1, name, name_len)?;
        let out = place::<u64>(task, 4, out)?;
        out.put(task.ipc_open(name, flags)?.to_bits());
        Ok(())
    })
}
