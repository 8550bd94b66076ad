"""The structures of ``ukernel_abi.h`` as ctypes. A test compares their fields and sizes with the header."""

from __future__ import annotations

import ctypes
import struct
from collections.abc import Iterator


class ErrInfo(ctypes.Structure):
    """``err_info_t``: what the last call that failed says of it."""

    _fields_ = [
        ("code", ctypes.c_uint32),
        ("detail", ctypes.c_uint32),
        ("arg0", ctypes.c_uint64),
        ("arg1", ctypes.c_uint64),
    ]


class TaskStats(ctypes.Structure):
    """``task_stats_t``: how long and how often a task has run."""

    _fields_ = [
        ("cpu_time_ns", ctypes.c_uint64),
        ("sched_ticks", ctypes.c_uint64),
        ("context_switches", ctypes.c_uint64),
    ]


class NetAddrV4(ctypes.Structure):
    """``net_addr_v4_t``: an IPv4 address in numbers of this machine."""

    _fields_ = [("ip4", ctypes.c_uint32), ("port", ctypes.c_uint16), ("reserved", ctypes.c_uint16)]


class NetAddrV4Packed(ctypes.Structure):
    """``net_addr_v4_packed_t``: the same in the bytes of a packet."""

    _fields_ = [("ip", ctypes.c_uint8 * 4), ("port", ctypes.c_uint8 * 2)]


class NetAddrV6(ctypes.Structure):
    """``net_addr_v6_t``: an IPv6 address."""

    _fields_ = [
        ("ip", ctypes.c_uint8 * 16),
        ("port", ctypes.c_uint16),
        ("reserved", ctypes.c_uint16),
        ("scope", ctypes.c_uint32),
    ]


class IoEvent(ctypes.Structure):
    """``io_event_t``: a handle that is ready; ``reserved`` is its token in an interest set."""

    _fields_ = [("handle", ctypes.c_uint64), ("events", ctypes.c_uint32), ("reserved", ctypes.c_uint32)]


class IoVec(ctypes.Structure):
    """``io_vec_t``: a piece of memory of ``io_readv`` and ``io_writev``."""

    _fields_ = [("ptr", ctypes.c_uint64), ("len", ctypes.c_size_t)]


class IoInfo(ctypes.Structure):
    """``io_info_t``: size, block and access of what a handle is."""

    _fields_ = [("size", ctypes.c_uint64), ("block", ctypes.c_uint32), ("flags", ctypes.c_uint32)]


class MemUsage(ctypes.Structure):
    """``mem_usage_t``: what a task has allocated."""

    _fields_ = [
        ("bytes", ctypes.c_uint64),
        ("allocations", ctypes.c_uint64),
        ("limit", ctypes.c_uint64),
    ]


class Events:
    """Room for the events of ``io_poll`` and ``interest_wait``, to be used for many calls."""

    _EVENT = struct.Struct("=QII")

    def __init__(self, capacity: int) -> None:
        if capacity < 1:
            raise ValueError(f"capacity must be at least 1, not {capacity}")
        self.capacity = capacity
        self.array = (IoEvent * capacity)()
        self._bytes = memoryview(self.array).cast("B")

    def first(self, count: int) -> Iterator[tuple[int, int, int]]:
        """The first ``count`` events: handle, events, token."""
        return self._EVENT.iter_unpack(self._bytes[: count * self._EVENT.size])
