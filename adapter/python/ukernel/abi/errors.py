"""What goes wrong, as exceptions: one class a result code, derived from the ``OSError`` that fits.

``except TimeoutError``, ``except BlockingIOError``, ``except BrokenPipeError`` and the like work as they do with
sockets. ``code`` has the number of the header, ``argument`` which argument was at fault, counted from 1.
"""

from __future__ import annotations

import errno
from typing import ClassVar

from . import constants as c


class LibraryError(ImportError):
    """The library was not found, is none, or has another version than this package was written for."""


class UkernelError(OSError):
    """A call that did not return ``OK``."""

    code: ClassVar[int] = 0
    name: ClassVar[str] = "ERR_?"
    _errno: ClassVar[int] = errno.EIO
    _words: ClassVar[str] = "unknown result"

    def __init__(self, call: str, argument: int = 0, value: int = 0) -> None:
        where = f": argument {argument} ({value:#x})" if argument else ""
        super().__init__(self._errno, f"{call}: {self._words} [{self.name}]{where}")
        self.call = call
        self.argument = argument
        self.value = value

    # What OSError does by default takes its arguments for an errno and a text.
    def __reduce__(self) -> tuple[type[UkernelError], tuple[str, int, int]]:
        return type(self), (self.call, self.argument, self.value)


class InvalidError(UkernelError, ValueError):
    """An argument makes no sense, or names nothing that is there."""

    code, name, _errno = c.ERR_INVALID, "ERR_INVALID", errno.EINVAL
    _words = "an argument makes no sense, or names nothing that is there"


class NotFoundError(UkernelError, FileNotFoundError):
    """There is no such file, disk, name or variable."""

    code, name, _errno = c.ERR_NOENT, "ERR_NOENT", errno.ENOENT
    _words = "there is no such thing"


class NoMemoryError(UkernelError):
    """Memory is short, or a table is full. Nothing has changed."""

    code, name, _errno = c.ERR_NOMEM, "ERR_NOMEM", errno.ENOMEM
    _words = "memory is short, or a table is full"


class BusyError(UkernelError):
    """Somebody else is at it: the same direction of the same handle, the same port."""

    code, name, _errno = c.ERR_BUSY, "ERR_BUSY", errno.EBUSY
    _words = "somebody else is at it"


class TimedOutError(UkernelError, TimeoutError):
    """The time is over."""

    code, name, _errno = c.ERR_TIMEOUT, "ERR_TIMEOUT", errno.ETIMEDOUT
    _words = "the time is over"


class DeviceError(UkernelError):
    """The device or the network failed."""

    code, name, _errno = c.ERR_IO, "ERR_IO", errno.EIO
    _words = "the device or the network failed"


class UnsupportedError(UkernelError):
    """The object, or this kernel, cannot do that."""

    code, name, _errno = c.ERR_UNSUPPORTED, "ERR_UNSUPPORTED", errno.EOPNOTSUPP
    _words = "the object, or this kernel, cannot do that"


class ForbiddenError(UkernelError, PermissionError):
    """The capability is not active, or the policy forbids it."""

    code, name, _errno = c.ERR_PERMISSION, "ERR_PERMISSION", errno.EPERM
    _words = "the capability is not active, or the policy forbids it"


class WouldBlockError(UkernelError, BlockingIOError):
    """It would have to wait, and was told not to."""

    code, name, _errno = c.ERR_WOULD_BLOCK, "ERR_WOULD_BLOCK", errno.EAGAIN
    _words = "it would have to wait"


class ClosedError(UkernelError, BrokenPipeError):
    """The other side, or another task, has closed it."""

    code, name, _errno = c.ERR_CLOSED, "ERR_CLOSED", errno.EPIPE
    _words = "the other side has closed it"


ERRORS: dict[int, type[UkernelError]] = {
    kind.code: kind
    for kind in (
        InvalidError,
        NotFoundError,
        NoMemoryError,
        BusyError,
        TimedOutError,
        DeviceError,
        UnsupportedError,
        ForbiddenError,
        WouldBlockError,
        ClosedError,
    )
}
"""The class of each result code."""


def error(result: int, call: str, argument: int = 0, value: int = 0) -> UkernelError:
    """The exception for a result code, also for one that nobody has heard of."""
    return ERRORS.get(result, UkernelError)(call, argument, value)
