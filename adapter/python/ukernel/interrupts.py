"""Signals while the library waits.

The library goes on waiting when a signal interrupts it, and Python's handlers run only between bytecodes. So somebody
has to end the wait: Python can write to a descriptor from its C handler (``signal.set_wakeup_fd``), and that
descriptor is watched like any other.
"""

from __future__ import annotations

import contextlib
import signal
import socket
import threading
from collections.abc import Iterator

NONE = -1


def in_main_thread() -> bool:
    """Whether signals concern this thread: Python runs their handlers in the main thread only."""
    return threading.current_thread() is threading.main_thread()


class Interrupts:
    """A pair of sockets for a selector that is used without a loop that has one."""

    def __init__(self) -> None:
        self._reader, self._writer = socket.socketpair()
        self._reader.setblocking(False)
        self._writer.setblocking(False)

    def fileno(self) -> int:
        """What has to be watched."""
        return self._reader.fileno()

    @contextlib.contextmanager
    def during(self) -> Iterator[None]:
        """Lets a signal end the wait inside, unless it does so already by what another has set."""
        before = signal.set_wakeup_fd(self._writer.fileno(), warn_on_full_buffer=False)
        if before != NONE:
            signal.set_wakeup_fd(before)
        try:
            yield
        finally:
            if before == NONE:
                signal.set_wakeup_fd(NONE)

    def drain(self) -> None:
        """Takes what signals have written."""
        with contextlib.suppress(BlockingIOError):
            while self._reader.recv(4096):
                pass

    def close(self) -> None:
        """Closes both sockets."""
        self._reader.close()
        self._writer.close()
