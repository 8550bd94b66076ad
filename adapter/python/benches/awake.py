"""Keeps processors from going to sleep while something is measured.

A virtual processor that has nothing to do is given back to its host, and is away for tens of microseconds once there is
something again: as long as a turn of an event loop takes. One process a processor, which runs only where nobody else
wants to (``SCHED_IDLE``), spares all loops the same.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

_SPIN = "import os\nos.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))\nwhile os.getppid() == {parent}: pass"


@contextmanager
def processors_awake() -> Iterator[None]:
    """Keeps all processors busy with nothing meanwhile."""
    words = [sys.executable, "-c", _SPIN.format(parent=os.getpid())]
    spinning = [subprocess.Popen(words) for _ in os.sched_getaffinity(0)]
    try:
        yield
    finally:
        for process in spinning:
            process.kill()
            process.wait()
