"""What every group of calls shares: asking a function and turning its result code into an exception."""

from __future__ import annotations

import ctypes
from typing import Any

from . import constants as c
from . import errors
from .library import Library
from .structures import ErrInfo


class Calls:
    """A loaded library. The groups of calls derive from this; ``Abi`` is all of them."""

    def __init__(self, library: Library) -> None:
        self.library = library
        self._quick = library.quick
        self._waiting = library.waiting

    def _error(self, call: str, result: int) -> errors.UkernelError:
        info = ErrInfo()
        # The interface keeps its last failure in the calling task: nobody else can have come between.
        if self._quick.err_get_last(ctypes.byref(info)) == c.OK and info.code == result:
            return errors.error(result, call, info.detail, info.arg0)
        return errors.error(result, call)

    def _call(self, function: Any, *arguments: Any) -> None:
        """Calls a function of the library. Raises unless it returns ``OK``."""
        # ctypes would cut off what does not fit, and make a good number of a bad one.
        for at, least, most in function.ranges:
            if not least <= arguments[at] <= most:
                raise errors.InvalidError(function.__name__, at + 1, arguments[at])
        result = function(*arguments)
        if result:
            raise self._error(function.__name__, result)

    def _u32(self, function: Any, *arguments: Any) -> int:
        """Calls a function whose last argument is where it writes a ``u32``, and returns that."""
        out = ctypes.c_uint32()
        self._call(function, *arguments, ctypes.byref(out))
        return out.value

    def _i32(self, function: Any, *arguments: Any) -> int:
        """The same with an ``i32``."""
        out = ctypes.c_int32()
        self._call(function, *arguments, ctypes.byref(out))
        return out.value

    def _u64(self, function: Any, *arguments: Any) -> int:
        """The same with a ``u64``: a handle, a time, an address."""
        out = ctypes.c_uint64()
        self._call(function, *arguments, ctypes.byref(out))
        return out.value

    def _size(self, function: Any, *arguments: Any) -> int:
        """The same with a ``size_t``."""
        out = ctypes.c_size_t()
        self._call(function, *arguments, ctypes.byref(out))
        return out.value


def handles(numbers: list[int] | tuple[int, ...]) -> ctypes.Array[ctypes.c_uint64]:
    """Handles as the C array that functions take."""
    return (ctypes.c_uint64 * len(numbers))(*numbers)
