"""The kernel's interface for programs in C, bound with ctypes.

``Abi`` has a method for every function of ``ukernel_abi.h``, under its name. What C writes through pointers is
returned, and what is not ``OK`` is raised (see ``ukernel.abi.errors``). Numbers have the header's names::

    from ukernel import abi

    kernel = abi.Abi(abi.load())
    time = kernel.cap_acquire(abi.CAP_TIME)
    kernel.cap_enter([time])
    print(kernel.time_now())

Calls belong to the thread that makes them: its kernel, its active capabilities. Methods that take buffers check
lengths; the few that take addresses (``mem_*``, ``task_spawn``) are for those who know what is there, as in C.
"""

from __future__ import annotations

from .constants import *  # noqa: F403
from .core import CoreCalls
from .errors import (
    BusyError,
    ClosedError,
    DeviceError,
    ForbiddenError,
    InvalidError,
    LibraryError,
    NoMemoryError,
    NotFoundError,
    TimedOutError,
    UkernelError,
    UnsupportedError,
    WouldBlockError,
)
from .io import IoCalls
from .library import VERSION, Library, find, load
from .messages import MessageCalls
from .net import NetCalls
from .original import UkernelAbi
from .protocol import LoopAbi
from .structures import (
    ErrInfo,
    Events,
    IoEvent,
    IoInfo,
    IoVec,
    MemUsage,
    NetAddrV4,
    NetAddrV4Packed,
    NetAddrV6,
    TaskStats,
)


class Abi(CoreCalls, IoCalls, MessageCalls, NetCalls):
    """Every function of the interface."""


__all__ = [
    "VERSION",
    "Abi",
    "BusyError",
    "ClosedError",
    "DeviceError",
    "ErrInfo",
    "Events",
    "ForbiddenError",
    "InvalidError",
    "IoEvent",
    "IoInfo",
    "IoVec",
    "Library",
    "LibraryError",
    "LoopAbi",
    "MemUsage",
    "NetAddrV4",
    "NetAddrV4Packed",
    "NetAddrV6",
    "NoMemoryError",
    "NotFoundError",
    "TaskStats",
    "TimedOutError",
    "UkernelAbi",
    "UkernelError",
    "UnsupportedError",
    "WouldBlockError",
    "find",
    "load",
]
