"""A kernel in Python, in virtual time: for tests of what waits.

``FakeAbi`` is what a selector and a loop call instead of the library. Its clock stands still while anything is ready
and jumps to the end of the timeout when nothing is, so that a day passes in milliseconds and every run is the same.
File descriptors are real, and looked at without waiting. A wait that nothing can end raises ``NothingCanWake``.

It is stricter than the library where that finds mistakes: it knows which thread is in which kernel, which handles were
never closed, and how often each call was made::

    fake = FakeAbi()
    with asyncio.Runner(loop_factory=fake.loop) as runner:
        runner.run(asyncio.sleep(90_000))
    assert fake.now == 90_000 * 10**9
"""

from __future__ import annotations

import collections
import os
import select
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

from . import abi
from .abi import Events
from .abi.buffers import ReadBuffer, WriteBuffer
from .abi.errors import error

if TYPE_CHECKING:
    from .loop import EventLoop

Kind = TypeVar("Kind", bound="Source")


class NothingCanWake(AssertionError):
    """A wait without an end: nothing is ready, no time-out runs, and no other thread is there to change that."""


class Source:
    """Whatever a handle can name."""

    def readiness(self) -> int:
        """What it is ready for now, as ``IO_`` bits."""
        return 0

    def close(self) -> None:
        """Called when its handle is closed."""


@dataclass
class Descriptor(Source):
    """A file descriptor of the process, and what was open there when the handle was made."""

    number: int
    identity: tuple[int, int]

    def readiness(self) -> int:
        if identity(self.number) != self.identity:
            return abi.IO_ERROR | abi.IO_HANGUP
        poll = select.poll()
        try:
            poll.register(self.number, select.POLLIN | select.POLLOUT)
            bits = poll.poll(0)
        except OSError:
            return abi.IO_READABLE | abi.IO_WRITABLE
        return sum(to for seen, to in _POLL_BITS if bits and bits[0][1] & seen)


_POLL_BITS = (
    (select.POLLIN, abi.IO_READABLE),
    (select.POLLOUT, abi.IO_WRITABLE),
    (select.POLLHUP, abi.IO_HANGUP),
    (select.POLLERR, abi.IO_ERROR),
)


def identity(descriptor: int) -> tuple[int, int] | None:
    """What is open at a descriptor; ``None`` if nothing is."""
    try:
        status = os.fstat(descriptor)
    except OSError:
        return None
    return status.st_dev, status.st_ino


@dataclass
class Waker(Source):
    """What ``wake_signal`` counts in."""

    number: int
    count: int = 0

    def readiness(self) -> int:
        return abi.IO_READABLE if self.count else 0


@dataclass
class Queue:
    """The messages of a channel, for both of its ends."""

    capacity: int
    messages: collections.deque[tuple[bytes, list[Source]]] = field(default_factory=collections.deque)
    sender_closed: bool = False
    receiver_closed: bool = False


@dataclass
class End(Source):
    """An end of a channel, or both in one."""

    queue: Queue
    sends: bool
    receives: bool

    def readiness(self) -> int:
        queue, bits = self.queue, 0
        if self.receives and (queue.messages or queue.sender_closed):
            bits |= abi.IO_READABLE
        if self.sends and (len(queue.messages) < queue.capacity or queue.receiver_closed):
            bits |= abi.IO_WRITABLE
        return bits

    def close(self) -> None:
        self.queue.sender_closed |= self.sends
        self.queue.receiver_closed |= self.receives


@dataclass
class InterestSet(Source):
    """Handles with what they are waited for and their tokens."""

    members: dict[int, tuple[int, int]] = field(default_factory=dict)


@dataclass
class FakeKernel:
    """The handles, capabilities and occupants of one kernel."""

    handles: dict[int, Source] = field(default_factory=dict)
    generations: dict[int, int] = field(default_factory=lambda: collections.defaultdict(int))
    active: frozenset[int] = frozenset()
    thread: int | None = None
    spans: list[tuple[int, str]] = field(default_factory=list)


class FakeAbi:
    """The part of the interface that loops and native modules use (``ukernel.abi.LoopAbi``)."""

    def __init__(self, now: int = 0) -> None:
        self.now = now
        """The virtual time in nanoseconds. Tests may set it, backwards too."""
        self.kernels: dict[int, FakeKernel] = {}
        self.calls: collections.Counter[str] = collections.Counter()
        """How often each call was made."""
        self.fail: dict[str, list[int]] = collections.defaultdict(list)
        """Result codes that the next calls of a name give, instead of doing anything."""
        self.forbidden: set[int] = set()
        """Capabilities that the policy forbids."""
        self.log: list[tuple[int, str]] = []
        """What was written, with levels."""
        self.trace: list[str] = []
        """What was traced: ``begin NAME``, ``end NAME``, ``event NAME VALUES``."""
        self.is_tracing = False
        self._next = 1
        self._stacks: dict[int, list[int]] = collections.defaultdict(list)
        self._wakers: dict[int, Waker] = {}

    def loop(self) -> EventLoop:
        """A loop in a kernel of this fake: a ``loop_factory``."""
        from .loop import EventLoop
        from .selector import UkernelSelector

        return EventLoop(UkernelSelector(self))

    def open_handles(self) -> int:
        """How many handles are open, in all kernels."""
        return sum(len(kernel.handles) for kernel in self.kernels.values())

    # --- inside

    def _begin(self, name: str, capability: int | None = None) -> FakeKernel:
        """What every call does first: count, fail if told to, find the kernel, check the capability."""
        self._count(name)
        stack = self._stacks[threading.get_ident()]
        if not stack:
            raise AssertionError(f"{name} was called outside of any kernel")
        kernel = self.kernels[stack[-1]]
        if capability is not None and capability not in kernel.active:
            raise error(abi.ERR_PERMISSION, name)
        return kernel

    def _count(self, name: str) -> None:
        self.calls[name] += 1
        if self.fail[name]:
            raise error(self.fail[name].pop(0), name)

    def _number(self, tag: int = 0) -> int:
        self._next += 1
        return tag << 56 | self._next

    def _open(self, kernel: FakeKernel, source: Source, tag: int) -> int:
        handle = self._number(tag)
        kernel.handles[handle] = source
        return handle

    def _find(self, kernel: FakeKernel, name: str, handle: int, kind: type[Kind]) -> Kind:
        source = kernel.handles.get(handle)
        if not isinstance(source, kind):
            raise error(abi.ERR_INVALID, name, 1, handle)
        return source

    # --- kernels

    def kernel_create(self) -> int:
        self._count("kernel_create")
        number = self._number()
        self.kernels[number] = FakeKernel()
        return number

    def kernel_enter(self, kernel: int, /) -> None:
        self._count("kernel_enter")
        entered, thread = self.kernels.get(kernel), threading.get_ident()
        if entered is None:
            raise error(abi.ERR_INVALID, "kernel_enter", 1, kernel)
        if entered.thread is not None:
            raise error(abi.ERR_BUSY, "kernel_enter", 1, kernel)
        entered.thread = thread
        self._stacks[thread].append(kernel)

    def kernel_leave(self) -> None:
        self._count("kernel_leave")
        stack = self._stacks[threading.get_ident()]
        self.kernels[stack.pop()].thread = None

    def kernel_destroy(self, kernel: int, /) -> None:
        self._count("kernel_destroy")
        if self.kernels[kernel].thread is not None:
            raise error(abi.ERR_BUSY, "kernel_destroy", 1, kernel)
        for source in self.kernels.pop(kernel).handles.values():
            if isinstance(source, Waker):
                del self._wakers[source.number]

    # --- capabilities

    def cap_acquire(self, kind: int, /) -> int:
        kernel = self._begin("cap_acquire")
        if not abi.CAP_LOG <= kind <= abi.CAP_TRACE:
            raise error(abi.ERR_INVALID, "cap_acquire", 1, kind)
        if kind in self.forbidden:
            raise error(abi.ERR_PERMISSION, "cap_acquire", 1, kind)
        return abi.HANDLE_CAP << 56 | kind << 48 | kernel.generations[kind]

    def cap_drop(self, capability: int, /) -> None:
        kernel = self._begin("cap_drop")
        kind = self._kind(kernel, "cap_drop", capability)
        kernel.generations[kind] += 1
        kernel.active -= {kind}

    def cap_enter(self, capabilities: Sequence[int], /) -> None:
        kernel = self._begin("cap_enter")
        kernel.active = frozenset(self._kind(kernel, "cap_enter", handle) for handle in capabilities)

    def cap_active(self) -> int:
        return sum(1 << kind - 1 for kind in self._begin("cap_active").active)

    def _kind(self, kernel: FakeKernel, name: str, handle: int) -> int:
        kind = handle >> 48 & 0xFF
        if handle >> 56 != abi.HANDLE_CAP:
            raise error(abi.ERR_INVALID, name, 1, handle)
        if handle & 0xFFFF != kernel.generations[kind]:
            raise error(abi.ERR_PERMISSION, name, 1, handle)
        return kind

    # --- time and handles

    def time_now(self) -> int:
        self._begin("time_now", abi.CAP_TIME)
        return self.now

    def handle_close(self, handle: int, /) -> None:
        kernel = self._begin("handle_close")
        source = self._find(kernel, "handle_close", handle, Source)
        del kernel.handles[handle]
        source.close()
        for other in kernel.handles.values():
            if isinstance(other, InterestSet):
                other.members.pop(handle, None)

    def io_from_fd(self, descriptor: int, flags: int = 0, /) -> int:
        kernel, is_open = self._begin("io_from_fd", abi.CAP_IO), identity(descriptor)
        if is_open is None:
            raise error(abi.ERR_INVALID, "io_from_fd", 1, descriptor)
        source = Descriptor(descriptor, is_open)
        if source in kernel.handles.values():
            raise error(abi.ERR_BUSY, "io_from_fd", 1, descriptor)
        return self._open(kernel, source, abi.HANDLE_IO)

    # --- waiting

    def interest_create(self) -> int:
        kernel = self._begin("interest_create", abi.CAP_IO)
        return self._open(kernel, InterestSet(), abi.HANDLE_SET)

    def interest_add(self, interest_set: int, handle: int, interest: int, token: int, /) -> None:
        kernel = self._begin("interest_add", abi.CAP_IO)
        members = self._find(kernel, "interest_add", interest_set, InterestSet).members
        self._find(kernel, "interest_add", handle, Source)
        if handle in members:
            raise error(abi.ERR_BUSY, "interest_add", 2, handle)
        members[handle] = (interest, token)

    def interest_modify(self, interest_set: int, handle: int, interest: int, token: int, /) -> None:
        members = self._members("interest_modify", interest_set, handle)
        members[handle] = (interest, token)

    def interest_remove(self, interest_set: int, handle: int, /) -> None:
        del self._members("interest_remove", interest_set, handle)[handle]

    def _members(self, name: str, interest_set: int, handle: int) -> dict[int, tuple[int, int]]:
        kernel = self._begin(name, abi.CAP_IO)
        members = self._find(kernel, name, interest_set, InterestSet).members
        self._find(kernel, name, handle, Source)
        if handle not in members:
            raise error(abi.ERR_NOENT, name, 2, handle)
        return members

    def interest_ready(self, interest_set: int, events: Events, timeout_ns: int, /) -> int:
        kernel = self._begin("interest_wait", abi.CAP_IO)
        members = self._find(kernel, "interest_wait", interest_set, InterestSet).members
        ready = self._ready(kernel, members)
        while not ready and timeout_ns == abi.FOREVER:
            if threading.active_count() == 1:
                raise NothingCanWake(f"{len(members)} handles are watched, none is ready")
            threading.Event().wait(0.0005)  # until one of the other threads does something, or ends
            ready = self._ready(kernel, members)
        if not ready:
            self.now += timeout_ns
        for at, (handle, bits, token) in enumerate(ready[: events.capacity]):
            events.array[at] = abi.IoEvent(handle, bits, token)
        return min(len(ready), events.capacity)

    def _ready(self, kernel: FakeKernel, members: dict[int, tuple[int, int]]) -> list[tuple[int, int, int]]:
        always = abi.IO_HANGUP | abi.IO_ERROR
        looked = (
            (handle, kernel.handles[handle].readiness() & (interest | always), token)
            for handle, (interest, token) in members.items()
        )
        return [event for event in looked if event[1]]

    # --- waking

    def wake_create(self) -> tuple[int, int]:
        kernel = self._begin("wake_create", abi.CAP_IO)
        waker = Waker(self._number())
        self._wakers[waker.number] = waker
        return self._open(kernel, waker, abi.HANDLE_IO), waker.number

    def wake_signal(self, waker: int, /) -> None:
        self._count("wake_signal")
        if waker not in self._wakers:
            raise error(abi.ERR_INVALID, "wake_signal", 1, waker)
        self._wakers[waker].count += 1

    def wake_take(self, handle: int, /) -> int:
        waker = self._find(self._begin("io_read", abi.CAP_IO), "io_read", handle, Waker)
        count, waker.count = waker.count, 0
        return count

    # --- messages

    def ipc_channel_create(self, flags: int = 0, /) -> int:
        kernel = self._begin("ipc_channel_create", abi.CAP_IPC)
        return self._open(kernel, End(Queue(flags >> 16 or 16), True, True), abi.HANDLE_IPC)

    def ipc_channel_pair(self, flags: int = 0, /) -> tuple[int, int]:
        kernel, queue = self._begin("ipc_channel_pair", abi.CAP_IPC), Queue(flags >> 16 or 16)
        sender = self._open(kernel, End(queue, True, False), abi.HANDLE_IPC)
        return sender, self._open(kernel, End(queue, False, True), abi.HANDLE_IPC)

    def ipc_send_handles(self, channel: int, data: ReadBuffer, sent: Sequence[int], flags: int = 0, /) -> None:
        kernel = self._begin("ipc_send_handles", abi.CAP_IPC)
        end = self._find(kernel, "ipc_send_handles", channel, End)
        if not end.sends:
            raise error(abi.ERR_PERMISSION, "ipc_send_handles", 1, channel)
        if len(data) > 65536 or len(sent) > 8:
            raise error(abi.ERR_INVALID, "ipc_send_handles", 3, len(data))
        if end.queue.receiver_closed:
            raise error(abi.ERR_CLOSED, "ipc_send_handles")
        if len(end.queue.messages) >= end.queue.capacity:
            raise error(abi.ERR_WOULD_BLOCK, "ipc_send_handles")
        sources = [self._find(kernel, "ipc_send_handles", handle, Source) for handle in sent]
        for handle in sent:
            del kernel.handles[handle]
        end.queue.messages.append((bytes(data), sources))

    def ipc_recv_handles(self, channel: int, buffer: WriteBuffer, flags: int = 0, /) -> tuple[int, list[int]]:
        kernel = self._begin("ipc_recv_handles", abi.CAP_IPC)
        end = self._find(kernel, "ipc_recv_handles", channel, End)
        if not end.receives:
            raise error(abi.ERR_PERMISSION, "ipc_recv_handles", 1, channel)
        if not end.queue.messages:
            closed = end.queue.sender_closed
            raise error(abi.ERR_CLOSED if closed else abi.ERR_WOULD_BLOCK, "ipc_recv_handles")
        message, sources = end.queue.messages.popleft()
        buffer[: len(message)] = message
        return len(message), [self._open(kernel, source, abi.HANDLE_IPC) for source in sources]

    # --- logs and traces

    def log_write(self, level: int, text: ReadBuffer, /) -> None:
        self._begin("log_write", abi.CAP_LOG)
        self.log.append((level, bytes(text).decode()))

    def trace_enable(self, on: bool, /) -> None:
        self._begin("trace_enable", abi.CAP_TRACE)
        self.is_tracing = on

    def trace_span_begin(self, name: bytes, /) -> int:
        kernel = self._begin("trace_span_begin", abi.CAP_TRACE)
        if not self.is_tracing:
            return 0
        kernel.spans.append((self._number(abi.HANDLE_SPAN), name.decode()))
        self.trace.append(f"begin {name.decode()}")
        return kernel.spans[-1][0]

    def trace_span_end(self, span: int, /) -> None:
        kernel = self._begin("trace_span_end", abi.CAP_TRACE)
        if span:
            name = self._span(kernel, "trace_span_end", span)
            kernel.spans.remove((span, name))
            self.trace.append(f"end {name}")

    def trace_event(self, span: int, name: bytes, values: bytes = b"", /) -> None:
        kernel = self._begin("trace_event", abi.CAP_TRACE)
        if span:
            self._span(kernel, "trace_event", span)
            self.trace.append(f"event {name.decode()} {values.decode()}")

    def _span(self, kernel: FakeKernel, call: str, span: int) -> str:
        names = dict(kernel.spans)
        if span not in names:
            raise error(abi.ERR_INVALID, call, 1, span)
        return names[span]
