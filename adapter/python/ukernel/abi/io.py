"""Calls about input and output: files, disks, waiting, and what Linux adds."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from contextlib import ExitStack

from . import constants as c
from .base import Calls, handles
from .buffers import ReadBuffer, WriteBuffer, readable, writable
from .structures import Events, IoInfo, IoVec


class IoCalls(Calls):
    """Reading, writing and waiting. Nothing is copied: buffers are read and filled in place."""

    def io_open(self, path: str | bytes, flags: int = 0) -> int:
        """Opens what a path names: ``serial``, ``disk:N``."""
        name = path.encode() if isinstance(path, str) else path
        if b"\0" in name:
            raise ValueError("a path has no zero byte")
        return self._u64(self._quick.io_open, name, flags)

    def io_read(self, handle: int, buffer: WriteBuffer) -> int:
        """Reads at least one byte into a buffer, and says how many; 0: the end. Waits."""
        with writable(buffer) as (address, size):
            return self._size(self._waiting.io_read, handle, address, size)

    def io_write(self, handle: int, data: ReadBuffer) -> int:
        """Writes at least one byte, and says how many. Waits."""
        with readable(data) as (address, size):
            return self._size(self._waiting.io_write, handle, address, size)

    def io_readv(self, handle: int, buffers: Sequence[WriteBuffer]) -> int:
        """Fills up to 64 buffers one after the other."""
        with ExitStack() as stack:
            ranges = [stack.enter_context(writable(buffer)) for buffer in buffers]
            return self._size(self._waiting.io_readv, handle, _vector(ranges), len(ranges))

    def io_writev(self, handle: int, pieces: Sequence[ReadBuffer]) -> int:
        """Writes up to 64 pieces one after the other."""
        with ExitStack() as stack:
            ranges = [stack.enter_context(readable(piece)) for piece in pieces]
            return self._size(self._waiting.io_writev, handle, _vector(ranges), len(ranges))

    def io_close(self, handle: int) -> None:
        """Closes a file, a deadline or an interest set."""
        self._call(self._quick.io_close, handle)

    def io_seek(self, handle: int, offset: int, whence: int = c.IO_SEEK_SET) -> int:
        """Moves where a disk's handle stands, and says where that is."""
        return self._u64(self._quick.io_seek, handle, offset, whence)

    def io_sync(self, handle: int) -> None:
        """Waits until everything that was written is on the medium."""
        self._call(self._waiting.io_sync, handle)

    def io_info(self, handle: int) -> IoInfo:
        """What a handle is."""
        info = IoInfo()
        self._call(self._quick.io_info, handle, ctypes.byref(info))
        return info

    # --- waiting

    def io_wait(self, handle: int, interest: int, timeout_ns: int = c.FOREVER) -> int:
        """Waits for one handle, and says what it is ready for."""
        return self._u32(self._waiting.io_wait, handle, interest, timeout_ns)

    def io_poll(self, watched: Sequence[int], events: Events, timeout_ns: int = c.FOREVER) -> int:
        """Waits for any of many handles, and says how many events there are."""
        room = events if events.capacity >= len(watched) else None
        if room is None:
            raise ValueError(f"no room for {len(watched)} events: {events.capacity}")
        given = handles(tuple(watched))
        return self._u32(self._waiting.io_poll, given, len(watched), timeout_ns, room.array)

    def interest_create(self) -> int:
        """An interest set: handles that are waited for again and again."""
        return self._u64(self._quick.interest_create)

    def interest_add(self, interest_set: int, handle: int, interest: int, token: int) -> None:
        """Adds a handle; the token comes back in its events."""
        self._call(self._quick.interest_add, interest_set, handle, interest, token)

    def interest_modify(self, interest_set: int, handle: int, interest: int, token: int) -> None:
        """Changes what a handle in the set is waited for."""
        self._call(self._quick.interest_modify, interest_set, handle, interest, token)

    def interest_remove(self, interest_set: int, handle: int) -> None:
        """Takes a handle out."""
        self._call(self._quick.interest_remove, interest_set, handle)

    def interest_wait(self, interest_set: int, events: Events, timeout_ns: int = c.FOREVER) -> int:
        """Waits until a handle of the set is ready, and says how many events there are."""
        return self._u32(self._waiting.interest_wait, interest_set, events.array, events.capacity, timeout_ns)

    def interest_ready(self, interest_set: int, events: Events, timeout_ns: int) -> int:
        """As ``interest_wait``, but 0 instead of an exception when nothing is ready in time: for loops."""
        count = ctypes.c_uint32()
        result = self._waiting.interest_wait(
            interest_set, events.array, events.capacity, timeout_ns, ctypes.byref(count)
        )
        if result == c.OK:
            return count.value
        if result in (c.ERR_TIMEOUT, c.ERR_WOULD_BLOCK):
            return 0
        raise self._error("interest_wait", result)

    # --- on Linux only

    def io_from_fd(self, descriptor: int, flags: int = 0) -> int:
        """A handle for a file descriptor, which stays the caller's unless ``IO_FD_OWNED`` is given."""
        return self._u64(self._quick.io_from_fd, descriptor, flags)

    def wake_create(self) -> tuple[int, int]:
        """A handle that becomes readable when somebody signals its waker, and that waker."""
        handle, waker = ctypes.c_uint64(), ctypes.c_uint64()
        self._call(self._quick.wake_create, ctypes.byref(handle), ctypes.byref(waker))
        return handle.value, waker.value

    def wake_signal(self, waker: int) -> None:
        """Signals a waker, from any thread and any signal handler."""
        self._call(self._quick.wake_signal, waker)

    def wake_take(self, handle: int) -> int:
        """Reads the count of a waker's handle that is readable, so that it is so no more."""
        count = ctypes.c_uint64()
        self._size(self._quick.io_read, handle, ctypes.addressof(count), ctypes.sizeof(count))
        return count.value


def _vector(ranges: Sequence[tuple[int, int]]) -> ctypes.Array[IoVec]:
    return (IoVec * len(ranges))(*(IoVec(address, size) for address, size in ranges))
