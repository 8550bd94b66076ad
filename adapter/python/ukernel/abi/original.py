"""``UkernelAbi`` of the first adapter: result codes instead of exceptions. Kept for programs that use it."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Sequence

from . import constants as c
from .errors import LibraryError
from .library import Library, load


class UkernelAbi:
    """Six calls that return result codes. New programs use ``ukernel.abi.Abi``, which raises.

    Without a library ``available`` is false, ``error`` says why, and every call gives ``ERR_UNSUPPORTED``.
    """

    def __init__(self, lib_path: str | os.PathLike[str] | None = None) -> None:
        self.error: str | None = None
        self.library: Library | None = None
        try:
            self.library = load(lib_path)
        except LibraryError as error:
            self.error = str(error)

    @property
    def available(self) -> bool:
        """Whether there is a library."""
        return self.library is not None

    def cap_acquire(self, kind: int) -> tuple[int, int | None]:
        """The result and a handle."""
        if self.library is None:
            return c.ERR_UNSUPPORTED, None
        out = ctypes.c_uint64()
        result = self.library.quick.cap_acquire(kind, ctypes.byref(out))
        return result, out.value

    def cap_enter(self, caps: Sequence[int]) -> int:
        """Replaces the active set."""
        if self.library is None:
            return c.ERR_UNSUPPORTED
        result: int = self.library.quick.cap_enter((ctypes.c_uint64 * len(caps))(*caps), len(caps))
        return result

    def cap_exit(self) -> int:
        """Empties the active set."""
        if self.library is None:
            return c.ERR_UNSUPPORTED
        result: int = self.library.quick.cap_exit()
        return result

    def log_write(self, msg: str | bytes, level: int = c.LOG_DEBUG) -> int:
        """A line of the log."""
        if self.library is None:
            return c.ERR_UNSUPPORTED
        text = msg.encode() if isinstance(msg, str) else bytes(msg)
        result: int = self.library.waiting.log_write(level, text, len(text))
        return result

    def time_now(self) -> tuple[int, int]:
        """The result and the time in nanoseconds."""
        if self.library is None:
            return c.ERR_UNSUPPORTED, 0
        out = ctypes.c_uint64()
        result = self.library.quick.time_now(ctypes.byref(out))
        return result, out.value

    def io_poll(self, timeout_ns: int) -> int:
        """Sleeps: ``io_poll`` without handles."""
        if self.library is None:
            return c.ERR_UNSUPPORTED
        count = ctypes.c_uint32()
        result: int = self.library.waiting.io_poll(None, 0, timeout_ns, None, ctypes.byref(count))
        return result
