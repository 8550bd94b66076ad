"""The kernel's log as a handler of Python's ``logging``."""

from __future__ import annotations

import logging

from . import abi
from .current import current_kernel
from .kernel import Kernel, active

_LEVELS = ((logging.ERROR, abi.LOG_ERROR), (logging.WARNING, abi.LOG_WARN), (logging.INFO, abi.LOG_INFO))


class LogHandler(logging.Handler):
    """Writes records by ``log_write``: ``logging.basicConfig(handlers=[ukernel.LogHandler()])``.

    It is its own authority: it acquires the capability ``log``, whatever the code that logs has entered. A record of
    many lines, such as one with a traceback, is as many lines of the log; the kernel cuts each at 400 bytes.
    """

    def __init__(self, level: int = logging.NOTSET) -> None:
        super().__init__(level)
        current_kernel().acquire(abi.CAP_LOG)

    def emit(self, record: logging.LogRecord) -> None:
        """Writes one record. What goes wrong is reported as ``logging`` does, never raised."""
        try:
            write(current_kernel(), _level(record.levelno), self.format(record))
        except Exception:
            self.handleError(record)


def _level(number: int) -> int:
    """The kernel's level: the highest that is not above."""
    return next((level for least, level in _LEVELS if number >= least), abi.LOG_DEBUG)


def write(kernel: Kernel, level: int, text: str) -> None:
    """Writes each line of a text, with the capability for as long as that takes."""
    with kernel:
        kernel.enter_capabilities(active.get() | {abi.CAP_LOG})
        try:
            for line in text.splitlines() or [""]:
                kernel.abi.log_write(level, line.encode(errors="replace"))
        finally:
            kernel.sync()
