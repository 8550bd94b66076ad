"""Calls about the interface, capabilities, kernels, tasks, time, memory and surroundings."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence

from . import constants as c
from .base import Calls, handles
from .buffers import WriteBuffer, writable
from .errors import InvalidError
from .structures import ErrInfo, MemUsage, TaskStats


class CoreCalls(Calls):
    """What a program needs to know where it is and what it may do."""

    # --- the interface itself

    def abi_version(self) -> tuple[int, int, int]:
        """The version of the library's interface."""
        return self.library.version

    def abi_features(self) -> int:
        """The features of this kernel, a bit each: ``FEAT_BIT(FEAT_NUMBER_...)``."""
        return self._u64(self._quick.abi_features)

    def abi_feature_enabled(self, feature: int) -> bool:
        """Whether a feature is there."""
        return bool(self._u32(self._quick.abi_feature_enabled, feature))

    def err_get_last(self) -> ErrInfo:
        """What the calling task's last call that failed says of it."""
        info = ErrInfo()
        self._call(self._quick.err_get_last, ctypes.byref(info))
        return info

    def handle_close(self, handle: int) -> None:
        """Closes a handle of any kind but a capability's."""
        self._call(self._quick.handle_close, handle)

    # --- capabilities

    def cap_acquire(self, kind: int) -> int:
        """A handle of a capability, which is not active yet."""
        return self._u64(self._quick.cap_acquire, kind)

    def cap_drop(self, capability: int) -> None:
        """Makes every handle of that kind stale."""
        self._call(self._quick.cap_drop, capability)

    def cap_enter(self, capabilities: Sequence[int]) -> None:
        """Replaces the active set of this task."""
        self._call(self._quick.cap_enter, handles(tuple(capabilities)), len(capabilities))

    def cap_exit(self) -> None:
        """Empties the active set."""
        self._call(self._quick.cap_exit)

    def cap_active(self) -> int:
        """The active set: bit ``kind - 1`` for each."""
        return self._u32(self._quick.cap_active)

    # --- kernels of their own, on Linux only

    def kernel_create(self) -> int:
        """A kernel of its own: handles, tasks, readiness."""
        return self._u64(self._quick.kernel_create)

    def kernel_enter(self, kernel: int) -> None:
        """Makes the calling thread that kernel's outermost task, until ``kernel_leave``. Nests."""
        self._call(self._quick.kernel_enter, kernel)

    def kernel_leave(self) -> None:
        """Goes back to the kernel that the thread was in before."""
        self._call(self._quick.kernel_leave)

    def kernel_destroy(self, kernel: int) -> None:
        """Closes everything of a kernel that nobody is in."""
        self._call(self._quick.kernel_destroy, kernel)

    # --- tasks

    def task_spawn(self, entry: int, argument: int, capabilities: Sequence[int] = (), flags: int = 0) -> int:
        """Starts ``i32 entry(ptr_t)``, compiled code at an address, as a task. Not for functions in Python."""
        given = handles(tuple(capabilities))
        return self._u64(self._quick.task_spawn, entry, argument, given, len(capabilities), flags)

    def task_yield(self) -> None:
        """Waits until every other task that is ready has had its turn."""
        self._call(self._waiting.task_yield)

    def task_sleep(self, duration_ns: int) -> None:
        """Waits for a time."""
        self._call(self._waiting.task_sleep, duration_ns)

    def task_set_priority(self, task: int, priority: int) -> None:
        """The class that a task is queued in from its next wake on."""
        self._call(self._quick.task_set_priority, task, priority)

    def task_get_stats(self, task: int) -> TaskStats:
        """How long and how often a task has run."""
        stats = TaskStats()
        self._call(self._quick.task_get_stats, task, ctypes.addressof(stats))
        return stats

    def task_exit(self, code: int) -> None:
        """Ends this task. In the outermost one it ends the program, without Python's own end."""
        self._call(self._quick.task_exit, code)

    def task_self(self) -> int:
        """The handle of this task."""
        return self._u64(self._quick.task_self)

    def task_join(self, task: int, timeout_ns: int = c.FOREVER) -> int:
        """Waits until a task has ended, and gives its status."""
        return self._i32(self._waiting.task_join, task, timeout_ns)

    def task_cancel(self, task: int) -> None:
        """Ends another task in its present or next wait. The calling task: as ``task_exit``."""
        self._call(self._quick.task_cancel, task)

    # --- time

    def time_now(self) -> int:
        """Nanoseconds since the machine started; never goes back."""
        return self._u64(self._quick.time_now)

    def time_wall(self) -> int:
        """Nanoseconds since 1970, UTC; may jump."""
        return self._u64(self._quick.time_wall)

    def time_deadline(self, at_ns: int) -> int:
        """A handle that becomes readable at that time of ``time_now``."""
        return self._u64(self._quick.time_deadline, at_ns)

    # --- memory: addresses are numbers, and using them is ctypes' business

    def mem_alloc(self, size: int, flags: int = 0) -> int:
        """Memory on this task's account."""
        return self._u64(self._quick.mem_alloc, size, flags)

    def mem_free(self, address: int) -> None:
        """Gives back what ``mem_alloc`` gave."""
        self._call(self._quick.mem_free, address)

    def mem_map(self, address: int, size: int, flags: int) -> None:
        """Whether a range lies within one allocation and may be used so."""
        self._call(self._quick.mem_map, address, size, flags)

    def mem_share(self, address: int, size: int) -> int:
        """A handle to a part of an allocation, which keeps all of it alive."""
        return self._u64(self._quick.mem_share, address, size)

    def mem_unshare(self, shared: int) -> None:
        """Closes such a handle."""
        self._call(self._quick.mem_unshare, shared)

    def mem_shared(self, shared: int) -> tuple[int, int]:
        """Address and length of the memory behind a handle."""
        address, size = ctypes.c_uint64(), ctypes.c_size_t()
        self._call(self._quick.mem_shared, shared, ctypes.byref(address), ctypes.byref(size))
        return address.value, size.value

    def mem_usage(self, task: int = 0) -> MemUsage:
        """What a task has allocated; 0: this one."""
        usage = MemUsage()
        self._call(self._quick.mem_usage, task, ctypes.byref(usage))
        return usage

    def mem_set_limit(self, task: int, size: int) -> None:
        """What a task may have allocated from now on."""
        self._call(self._quick.mem_set_limit, task, size)

    def mem_arena_create(self, limit: int = 0) -> int:
        """An arena: allocations that are freed together."""
        return self._u64(self._quick.mem_arena_create, limit)

    def mem_arena_alloc(self, arena: int, size: int, flags: int = 0) -> int:
        """Memory from an arena."""
        return self._u64(self._quick.mem_arena_alloc, arena, size, flags)

    def mem_arena_reset(self, arena: int) -> None:
        """Frees all of an arena's allocations."""
        self._call(self._quick.mem_arena_reset, arena)

    # --- surroundings

    def random_bytes(self, buffer: WriteBuffer) -> None:
        """Fills a buffer of at most 1 MiB from the kernel's cryptographic generator."""
        with writable(buffer) as (address, size):
            self._call(self._quick.random_bytes, address, size)

    def sys_shutdown(self) -> int:
        """A handle that is readable once the machine is asked to stop."""
        return self._u64(self._quick.sys_shutdown)

    def sys_argument_count(self) -> int:
        """How many arguments there are, without the program's name."""
        return self._u32(self._quick.sys_argument_count)

    def sys_argument(self, index: int) -> bytes:
        """An argument, from 0."""
        return self._text(self._quick.sys_argument, index)

    def sys_environment(self, name: bytes) -> bytes:
        """The value of a variable."""
        return self._text(self._quick.sys_environment, name, len(name))

    def _text(self, function: ctypes._NamedFuncPointer, *arguments: object) -> bytes:
        """A text of any length: what does not fit says how long it is."""
        room, size = bytearray(256), ctypes.c_size_t()
        while True:
            with writable(room) as (address, capacity):
                try:
                    self._call(function, *arguments, address, capacity, ctypes.byref(size))
                    return bytes(room[: size.value])
                except InvalidError:
                    if size.value <= capacity:
                        raise
            room = bytearray(size.value)
