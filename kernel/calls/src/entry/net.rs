//! The functions `net_*`.
#![allow(
    unsafe_code,
    reason = "functions with C's calling convention and names"
)]

use core::net::SocketAddr;

use abi::capability::Kind;

use crate::failure::{Failure, Outcome};
use crate::task::Task;
use crate::user::{Place, UserOut};

use super::{alleged, call, handle, input, optional, output, place, put, room, wait};

/// `net_socket` of the header.
///
/// # Safety
/// The header's contract: memory that the program passes stays what it is until the call returns.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn net_socket(domain: u32, kind: u32, protocol: u32, out: u64) -> u32 {
    call("net_socket", Some(Kind::Net), |task| {
        let out = place::<u64>(task, 4, out)?;
        out.put(task.net_socket(domain, kind, protocol)?.to_bits());
        Ok(())
    })
}

/// `net_bind` of the header.
///
/// # Safety
/// The header's contract: memory that the program passes stays what it is until the call returns.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn net_bind(socket: u64, address: u64, address_len: u32) -> u32 {
    call("net_bind", Some(Kind::Net), |task| {
        task.net_bind(handle(socket), alleged(2, address, address_len.into()))
    })
}

/// `net_connect` of the header.
///
/// # Safety
/// The header's contract: memory that the program passes stays what it is until the call returns.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn net_connect(socket: u64, address: u64, address_len: u32) -> u32 {
    wait("net_connect", Some(Kind::Net), |task| async move {
        task.net_connect(handle(socket), alleged(2, address, address_len.into()))
            .await
    })
}

/// `net_listen` of the header.
///
/// # Safety
/// The header's contract: memory that the program passes stays what it is until the call returns.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn net_listen(socket: u64, backlog: u32) -> u32 {
    call("net_listen", Some(Kind::Net), |task| {
        task.net_listen(handle(socket), backlog)
    })
}

/// `net_accept` of the header.
///
/// # Safety
/// The header's contract: memory that the program passes stays what it is until the call returns.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn net_accept(
    socket: u64,
    flags: u32,
    out: u64,
    address_out: u64,
    address_len: u64,
) -> u32 {
    wait("net_accept", Some(Kind::Net), |task| async move {
        let out = place::<u64>(&task, 3, out)?;
        let address = AddressRoom::optional(&task, socket, (4, address_out), (5, address_len))?;
        let (accepted, peer) = task.net_accept(handle(socket), flags).await?;
        out.put(accepted.to_bits());
        if let Some(address) = address {
            address.put(peer);
        }
        Ok(())
    })
}

/// `net_shutdown` of the header.
///
/// # Safety
/// The header's contract: memory that the program passes stays what it is until the call returns.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn net_shutdown(socket: u64, how: u32) -> u32 {
    call("net_shutdown", Some(Kind::Net), |task| {
        task.net_shutdown(handle(socket), how)
    })
}

/// `net_send` of the header.
///
/// # Safety
/// The header's contract: memory that the program passes stays what it is until the call returns.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn net_send(
    socket: u64,
    buffer: u64,
    len: u64,
    flags: u32,
    wrote_out: u64,
) -> u32 {
    wait("net_send", Some(Kind::Net), |task| async move {
        let wrote_out = optional::<u64>(&task, 5, wrote_out)?;
        let from = input(&task, 2, buffer, len)?;
        put(
            wrote_out,
            task.net_send(handle(socket), from, flags).await? as u64,
        );
        Ok(())
    })
}

/// `net_recv` of the header.
///
/// # Safety
/// The header's contract: memory that the program passes stays what it is until the call returns.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn net_recv(
    socket: u64,
    buffer: u64,
    len: u64,
    flags: u32,
    read_out: u64,
) -> u32 {
    wait("net_recv", Some(Kind::Net), |task| async move {
        let read_out = place::<u64>(&task, 5, read_out)?;
        let into = output(&task, 2, buffer, len)?;
        read_out.put(task.net_recv(handle(socket), into, flags).await? as u64);
        Ok(())
    })
}

/// `net_send_to` of the header.
///
/// # Safety
/// The header's contract: memory that the program passes stays what it is until the call returns.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn net_send_to(
    socket: u64,
    buffer: u64,
    len: u64,
    flags: u32,
    address: u64,
    address_len: u32,
) -> u32 {
    wait("net_send_to", Some(Kind::Net), |task| async move {
        let from = input(&task, 2, buffer, len)?;
        let to = alleged(5, address, address_len.into());
        task.net_send_to(handle(socket), from, flags, to).await
    })
}

/// `net_recv_from` of the header.
///
/// # Safety
/// The header's contract: memory that the program passes stays what it is until the call returns.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn net_recv_from(
    socket: u64,
    buffer: u64,
    len: u64,
    flags: u32,
    read_out: u64,
    address_out: u64,
    address_len: u64,
) -> u32 {
    wait("net_recv_from", Some(Kind::Net), |task| async move {
        let read_out = place::<u64>(&task, 5, read_out)?;
        let into = output(&task, 2, buffer, len)?;
        let address = AddressRoom::optional(&task, socket, (6, address_out), (7, address_len))?;
        let (read, peer) = task.net_recv_from(handle(socket), into, flags).await?;
        read_out.put(read as u64);
        if let Some(address) = address {
            address.put(peer);
        }
        Ok(())
    })
}

/// `net_set_option` of the header.
///
/// # Safety
/// The header's contract: memory that the program passes stays what it is until the call returns.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn net_set_option(socket: u64, option: u32, value: u64) -> u32 {
    call("net_set_option", Some(Kind::Net), |task| {
        task.net_set_option(handle(socket), option, value)
    })
}

/// `net_get_option` of the header.
///
/// # Safety
/// The header's contract: memory that the program passes stays what it is until the call returns.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn net_get_option(socket: u64, option: u32, out: u64) -> u32 {
    call("net_get_option", Some(Kind::Net), |task| {
        let out = place::<u64>(task, 3, out)?;
        out.put(task.net_get_option(handle(socket), option)?);
        Ok(())
    })
}

/// `net_local_address` of the header.
///
/// # Safety
/// The header's contract: memory that the program passes stays what it is until the call returns.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn net_local_address(socket: u64, address_out: u64, address_len: u64) -> u32 {
    call("net_local_address", Some(Kind::Net), |task| {
        let address = AddressRoom::new(task, socket, (2, address_out), (3, address_len))?;
        address.put(task.net_local_address(handle(socket))?);
        Ok(())
    })
}

/// `net_peer_address` of the header.
///
/// # Safety
/// The header's contract: memory that the program passes stays what it is until the call returns.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn net_peer_address(socket: u64, address_out: u64, address_len: u64) -> u32 {
    call("net_peer_address", Some(Kind::Net), |task| {
        let address = AddressRoom::new(task, socket, (2, address_out), (3, address_len))?;
        address.put(task.net_peer_address(handle(socket))?);
        Ok(())
    })
}

/// `net_resolve` of the header.
///
/// # Safety
/// The header's contract: memory that the program passes stays what it is until the call returns.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn net_resolve(
    name: u64,
    name_len: u64,
    addresses: u64,
    capacity: u32,
    count_out: u64,
) -> u32 {
    wait("net_resolve", Some(Kind::Net), |task| async move {
        let count_out = place::<u32>(&task, 5, count_out)?;
        let name = input(&task, 1, name, name_len)?;
        let addresses = room(&task, 3, addresses, capacity)?;
        count_out.put(task.net_resolve(name, &addresses).await?);
        Ok(())
    })
}

/// `net_close` of the header.
///
/// # Safety
/// The header's contract: memory that the program passes stays what it is until the call returns.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn net_close(socket: u64) -> u32 {
    call("net_close", Some(Kind::Net), |task| {
        task.net_close(handle(socket))
    })
}

/// Where a program wants an address of a socket, and how long the room for it is. It is enough: a call that finds too
/// little says so before it takes anything, with the length that is needed.
struct AddressRoom {
    room: UserOut,
    len: Place<u32>,
}

impl AddressRoom {
    fn new(task: &Task, socket: u64, address: (u32, u64), len: (u32, u64)) -> Outcome<AddressRoom> {
        let needed = task.address_size(handle(socket))?;
        let place = place::<u32>(task, len.0, len.1)?;
        let given = place.get();
        if given < needed {
            place.put(needed);
            return Err(Failure::invalid(len.0, given.into()));
        }
        let room = output(task, address.0, address.1, needed.into())?;
        Ok(AddressRoom { room, len: place })
    }

    /// The same, where both may be left out.
    fn optional(
        task: &Task,
        socket: u64,
        address: (u32, u64),
        len: (u32, u64),
    ) -> Outcome<Option<AddressRoom>> {
        if address.1 == 0 && len.1 == 0 {
            return Ok(None);
        }
        AddressRoom::new(task, socket, address, len).map(Some)
    }

    fn put(&self, address: SocketAddr) {
        crate::sockets::write_address(address, &self.room, &self.len);
    }
}
