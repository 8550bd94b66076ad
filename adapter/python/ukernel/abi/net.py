"""Calls about sockets. Addresses are pairs of a text and a port, as in Python's ``socket``."""

from __future__ import annotations

import ctypes
import socket

from .base import Calls
from .buffers import ReadBuffer, WriteBuffer, readable, writable
from .structures import NetAddrV4, NetAddrV6

Address = tuple[str, int]
_ROOM = 24  # sizeof(net_addr_v6_t), the longest form


def _pack(address: Address) -> NetAddrV4 | NetAddrV6:
    host, port = address
    if not 0 <= port <= 0xFFFF:
        raise ValueError(f"no port: {port}")
    if ":" in host:
        return NetAddrV6(ip=(ctypes.c_uint8 * 16)(*socket.inet_pton(socket.AF_INET6, host)), port=port)
    return NetAddrV4(ip4=int.from_bytes(socket.inet_pton(socket.AF_INET, host), "big"), port=port)


def _unpack(room: ctypes.Array[ctypes.c_char], length: int) -> Address:
    if length == ctypes.sizeof(NetAddrV4):
        v4 = NetAddrV4.from_buffer(room)
        return socket.inet_ntop(socket.AF_INET, v4.ip4.to_bytes(4, "big")), v4.port
    v6 = NetAddrV6.from_buffer(room)
    return socket.inet_ntop(socket.AF_INET6, bytes(v6.ip)), v6.port


class NetCalls(Calls):
    """The kernel's own sockets. asyncio's streams use Linux' sockets, by way of ``io_from_fd``."""

    def net_socket(self, domain: int, kind: int, protocol: int = 0) -> int:
        """A socket: ``NET_INET`` or ``NET_INET6``, ``NET_STREAM`` or ``NET_DGRAM``."""
        return self._u64(self._quick.net_socket, domain, kind, protocol)

    def net_bind(self, sock: int, address: Address) -> None:
        """Gives a socket its address."""
        packed = _pack(address)
        self._call(self._quick.net_bind, sock, ctypes.addressof(packed), ctypes.sizeof(packed))

    def net_listen(self, sock: int, backlog: int = 0) -> None:
        """Makes a bound stream socket accept connections."""
        self._call(self._quick.net_listen, sock, backlog)

    def net_accept(self, sock: int, flags: int = 0) -> tuple[int, Address]:
        """Waits for a connection: its socket, and the peer's address."""
        handle, length = ctypes.c_uint64(), ctypes.c_uint32(_ROOM)
        room = ctypes.create_string_buffer(_ROOM)
        outputs = ctypes.byref(handle), ctypes.addressof(room), ctypes.byref(length)
        self._call(self._waiting.net_accept, sock, flags, *outputs)
        return handle.value, _unpack(room, length.value)

    def net_connect(self, sock: int, address: Address) -> None:
        """Connects a stream, or gives a datagram socket its one peer. Waits."""
        packed = _pack(address)
        self._call(self._waiting.net_connect, sock, ctypes.addressof(packed), ctypes.sizeof(packed))

    def net_send(self, sock: int, data: ReadBuffer, flags: int = 0) -> int:
        """Sends at least one byte or one datagram, and says how many bytes. Waits."""
        with readable(data) as (address, size):
            return self._size(self._waiting.net_send, sock, address, size, flags)

    def net_recv(self, sock: int, buffer: WriteBuffer, flags: int = 0) -> int:
        """Receives at least one byte or one datagram; 0: the end. Waits."""
        with writable(buffer) as (address, size):
            return self._size(self._waiting.net_recv, sock, address, size, flags)

    def net_send_to(self, sock: int, data: ReadBuffer, to: Address, flags: int = 0) -> None:
        """Sends a datagram to one address. Waits."""
        packed = _pack(to)
        where = ctypes.addressof(packed), ctypes.sizeof(packed)
        with readable(data) as (address, size):
            self._call(self._waiting.net_send_to, sock, address, size, flags, *where)

    def net_recv_from(self, sock: int, buffer: WriteBuffer, flags: int = 0) -> tuple[int, Address]:
        """Receives a datagram: its length, and where it came from. Waits."""
        received, length = ctypes.c_size_t(), ctypes.c_uint32(_ROOM)
        room = ctypes.create_string_buffer(_ROOM)
        outputs = ctypes.byref(received), ctypes.addressof(room), ctypes.byref(length)
        with writable(buffer) as (address, size):
            self._call(self._waiting.net_recv_from, sock, address, size, flags, *outputs)
        return received.value, _unpack(room, length.value)

    def net_shutdown(self, sock: int, how: int) -> None:
        """Ends sending, receiving, or both."""
        self._call(self._quick.net_shutdown, sock, how)

    def net_set_option(self, sock: int, option: int, value: int) -> None:
        """Sets ``NET_OPT_...``."""
        self._call(self._quick.net_set_option, sock, option, value)

    def net_get_option(self, sock: int, option: int) -> int:
        """Reads ``NET_OPT_...``."""
        return self._u64(self._quick.net_get_option, sock, option)

    def net_local_address(self, sock: int) -> Address:
        """The socket's own address."""
        return self._address(self._quick.net_local_address, sock)

    def net_peer_address(self, sock: int) -> Address:
        """Its peer's address."""
        return self._address(self._quick.net_peer_address, sock)

    def _address(self, function: ctypes._NamedFuncPointer, sock: int) -> Address:
        room, length = ctypes.create_string_buffer(_ROOM), ctypes.c_uint32(_ROOM)
        self._call(function, sock, ctypes.addressof(room), ctypes.byref(length))
        return _unpack(room, length.value)

    def net_resolve(self, name: str, capacity: int = 16) -> list[str]:
        """The addresses of a name, in the order to try them. Waits."""
        room, text = (NetAddrV6 * capacity)(), name.encode("idna")
        count = self._u32(self._waiting.net_resolve, text, len(text), room, capacity)
        return [_text(address) for address in room[:count]]

    def net_close(self, sock: int) -> None:
        """Closes a socket; what was sent is still delivered."""
        self._call(self._quick.net_close, sock)


def _text(address: NetAddrV6) -> str:
    """An address as a text; those of IPv4, which come as ``::ffff:a.b.c.d``, in their own form."""
    packed = bytes(address.ip)
    if packed.startswith(bytes(10) + b"\xff\xff"):
        return socket.inet_ntop(socket.AF_INET, packed[12:])
    return socket.inet_ntop(socket.AF_INET6, packed)
