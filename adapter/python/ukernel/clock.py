"""The time of a loop: the kernel's ``time_now``, in seconds."""

from __future__ import annotations

import time
from collections.abc import Callable

from .abi import Abi, LoopAbi
from .kernel import Kernel


class KernelClock:
    """Reads ``time_now``. Never goes back, whatever it is told."""

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel
        self._last = 0

    def __call__(self) -> float:
        with self._kernel:
            self._last = max(self._last, self._kernel.abi.time_now())
        return self._last / 1e9


def is_monotonic_clock(kernel: Kernel) -> bool:
    """Whether ``time_now`` is the clock that Python's ``time.monotonic`` reads too."""
    with kernel:
        before = time.monotonic_ns()
        now = kernel.abi.time_now()
        return before <= now <= time.monotonic_ns()


def clock(kernel: Kernel) -> Callable[[], float]:
    """The kernel's time; where it is the system's monotonic clock, read without the detour by the library."""
    interface: LoopAbi = kernel.abi
    if isinstance(interface, Abi) and is_monotonic_clock(kernel):
        return time.monotonic
    return KernelClock(kernel)
