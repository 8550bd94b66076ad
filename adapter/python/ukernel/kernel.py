"""A kernel as Python sees it: entering and leaving it, and the capabilities that are active in it.

Owned by a selector (one kernel a loop) or, for threads without a loop, by the thread (``ambient``). A thread has to be
in a kernel while it calls: a loop is in its own as long as it runs, everything else enters for one call.
"""

from __future__ import annotations

import contextlib
import os
import threading
from contextvars import ContextVar
from types import TracebackType
from typing import Final

from . import abi
from .abi import ForbiddenError, LoopAbi, UkernelError

BASE: Final = frozenset({abi.CAP_IO, abi.CAP_TIME})
"""What a loop needs for itself: waiting for handles, and the time."""

active: ContextVar[frozenset[int]] = ContextVar("ukernel.active", default=frozenset())
"""What the present context has entered with ``ukernel.Capability``, so that each asyncio task has a set of its own."""


class _Inside(threading.local):
    """The kernel that a thread is in: the last that it entered."""

    kernel: Kernel | None = None


_inside = _Inside()


class Kernel:
    """One kernel of the library, made when this is, destroyed by ``close``. A context manager that is in it.

    Entering counts: only the outermost ``with`` calls the library. One thread is in it at a time: ``BusyError``.
    """

    def __init__(self, interface: LoopAbi, number: int | None = None) -> None:
        self.abi = interface
        self._pid = os.getpid()
        self._depth = 0
        self._before: Kernel | None = None
        self._closed = False
        self._entered: frozenset[int] = frozenset()
        self._handles: dict[int, int] = {}
        self._number: int | None = interface.kernel_create() if number is None else number or None
        try:
            self.enter_capabilities(frozenset())
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Kernel:
        before = _inside.kernel
        if before is self:
            self._depth += 1
            return self
        if self._closed:
            raise RuntimeError("the kernel is closed")
        if self._number is not None:
            self.abi.kernel_enter(self._number)
        self._before, self._depth = before, 1
        _inside.kernel = self
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._depth -= 1
        if self._depth:
            return
        _inside.kernel, self._before = self._before, None
        if self._number is None:
            return
        try:
            self.abi.kernel_leave()
        except UkernelError:
            if not self.is_forked():
                raise

    def is_forked(self) -> bool:
        """Whether this is a kernel of the parent process, which a child cannot use."""
        return os.getpid() != self._pid

    def is_gone(self) -> bool:
        """Whether calls into it are in vain: closed, or the parent process's."""
        return self._closed or self.is_forked()

    # --- capabilities

    def acquire(self, kind: int) -> int:
        """The handle of a capability, acquired when first asked for. ``PermissionError`` if the policy forbids it."""
        with self:
            if kind not in self._handles:
                self._handles[kind] = self.abi.cap_acquire(kind)
            return self._handles[kind]

    def drop(self, kind: int) -> None:
        """Makes every handle of that capability stale."""
        with self:
            handle = self.acquire(kind)
            del self._handles[kind]
            self._entered -= {kind}
            self.abi.cap_drop(handle)

    def enter_capabilities(self, wanted: frozenset[int]) -> None:
        """Makes ``wanted``, and what a loop needs, the active set."""
        with self:
            kinds = wanted | BASE
            handles = [self.acquire(kind) for kind in sorted(kinds)]
            try:
                self.abi.cap_enter(handles)
            except ForbiddenError:
                # Somebody may have dropped one, which makes the handles here stale, not the permission.
                self._handles.clear()
                self.abi.cap_enter([self.acquire(kind) for kind in sorted(kinds)])
            self._entered = kinds

    def sync(self) -> None:
        """Makes active what the present context has entered. Whoever makes a call that needs more calls this."""
        if active.get() | BASE != self._entered:
            self.enter_capabilities(active.get())

    def __del__(self) -> None:
        # A loop that nobody closed; asyncio has warned of it. At the interpreter's end there may be nothing to call.
        if getattr(self, "_number", None) is not None and not self._depth:
            with contextlib.suppress(Exception):
                self.close()

    def close(self) -> None:
        """Destroys the kernel with everything in it. A second call does nothing."""
        self._closed = True
        number, self._number = self._number, None
        if number is None:
            return
        try:
            self.abi.kernel_destroy(number)
        except UkernelError:
            if not self.is_forked():
                raise


class _Ambient(threading.local):
    """The kernel that the library makes for a thread at its first call."""

    kernel: Kernel | None = None


_ambient = _Ambient()


def ambient(interface: LoopAbi) -> Kernel:
    """The calling thread's own kernel, for what is called without a loop."""
    kernel = _ambient.kernel
    if kernel is None or kernel.is_forked() or kernel.abi is not interface:
        kernel = _ambient.kernel = Kernel(interface, number=0)
    return kernel
