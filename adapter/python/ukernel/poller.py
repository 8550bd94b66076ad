"""Readiness of file descriptors and kernel handles through one interest set.

``Poller`` is the seam between the selector and the kernel: six operations on numbers, and no policy. The extension
module ``ukernel._native``, where it is there, has a class of the same name and methods; this one does it with ctypes.
"""

from __future__ import annotations

from typing import Final

from . import abi
from .abi import Events, InvalidError, NotFoundError, UkernelError
from .kernel import Kernel

EVENTS_AT_A_TIME: Final = 1024
"""What one wait can bring. More comes with the next wait, first."""

WAKE_TOKEN: Final = 0xFFFF_FFFF
"""The token of the poller's own waker; file descriptors are below 2**31."""


class Poller:
    """An interest set with a waker, in a kernel. All methods but ``wake`` want to be called within that kernel."""

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel
        self._abi = kernel.abi
        self._handles: dict[int, int] = {}
        self._events = Events(EVENTS_AT_A_TIME)
        with kernel:
            self._set = self._abi.interest_create()
            self._wake_handle, self._waker = self._abi.wake_create()
            self._abi.interest_add(self._set, self._wake_handle, abi.IO_READABLE, WAKE_TOKEN)

    def add(self, descriptor: int, interest: int) -> None:
        """Watches a file descriptor; its number is the token."""
        handle = self._abi.io_from_fd(descriptor, abi.IO_OPEN_READ | abi.IO_OPEN_WRITE)
        try:
            self._abi.interest_add(self._set, handle, interest, descriptor)
        except UkernelError:
            self._abi.handle_close(handle)
            raise
        self._handles[descriptor] = handle

    def modify(self, descriptor: int, interest: int) -> None:
        """Changes what is waited for. A descriptor that was closed and is open again is watched anew."""
        try:
            self._abi.interest_modify(self._set, self._handles[descriptor], interest, descriptor)
        except (InvalidError, NotFoundError):
            self.remove(descriptor)
            self.add(descriptor, interest)

    def remove(self, descriptor: int) -> None:
        """Watches a descriptor no more, whether it is still open or not."""
        handle = self._handles.pop(descriptor)
        try:
            self._abi.handle_close(handle)  # which takes it out of the set
        except InvalidError:
            pass  # somebody has closed the handle already

    def handle(self, descriptor: int) -> int:
        """The handle of a descriptor that is watched."""
        return self._handles[descriptor]

    def add_handle(self, handle: int, interest: int, token: int) -> None:
        """Watches a handle of the kernel's own: a channel, a deadline. It stays the caller's."""
        self._abi.interest_add(self._set, handle, interest, token)

    def modify_handle(self, handle: int, interest: int, token: int) -> None:
        """Changes what such a handle is waited for."""
        self._abi.interest_modify(self._set, handle, interest, token)

    def remove_handle(self, handle: int) -> None:
        """Watches such a handle no more. If it is closed it has left by itself."""
        try:
            self._abi.interest_remove(self._set, handle)
        except (InvalidError, NotFoundError):
            pass

    def wait(self, timeout_ns: int) -> list[tuple[int, int]]:
        """Token and events of everything that is ready, once something is or the time is over."""
        count = self._abi.interest_ready(self._set, self._events, timeout_ns)
        ready = []
        for _, events, token in self._events.first(count):
            if token == WAKE_TOKEN:
                self._abi.wake_take(self._wake_handle)
            else:
                ready.append((token, events))
        return ready

    def wake(self) -> None:
        """Ends the present wait, or the next. From any thread, also when the kernel is gone."""
        try:
            self._abi.wake_signal(self._waker)
        except UkernelError:
            pass  # the waker went with its kernel
