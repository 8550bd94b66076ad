"""Addresses of Python's buffers, so that calls read and write them in place."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Final

# collections.abc.Buffer is there since Python 3.12 only.
ReadBuffer = bytes | bytearray | memoryview
WriteBuffer = bytearray | memoryview


class _PyBuffer(ctypes.Structure):
    """CPython's ``Py_buffer``, part of its stable ABI since 3.11."""

    _fields_ = [
        ("buf", ctypes.c_void_p),
        ("obj", ctypes.py_object),
        ("len", ctypes.c_ssize_t),
        ("itemsize", ctypes.c_ssize_t),
        ("readonly", ctypes.c_int),
        ("ndim", ctypes.c_int),
        ("format", ctypes.c_char_p),
        ("shape", ctypes.c_void_p),
        ("strides", ctypes.c_void_p),
        ("suboffsets", ctypes.c_void_p),
        ("internal", ctypes.c_void_p),
    ]


_SIMPLE: Final = 0  # PyBUF_SIMPLE: one run of bytes
_WRITABLE: Final = 1  # PyBUF_WRITABLE

_get = ctypes.pythonapi.PyObject_GetBuffer
_get.argtypes = [ctypes.py_object, ctypes.POINTER(_PyBuffer), ctypes.c_int]
_get.restype = ctypes.c_int
_release = ctypes.pythonapi.PyBuffer_Release
_release.argtypes = [ctypes.POINTER(_PyBuffer)]
_release.restype = None


@contextmanager
def _pinned(buffer: object, flags: int) -> Iterator[tuple[int, int]]:
    view = _PyBuffer()
    _get(buffer, ctypes.byref(view), flags)
    try:
        yield view.buf or 0, view.len
    finally:
        _release(ctypes.byref(view))


def readable(buffer: ReadBuffer) -> AbstractContextManager[tuple[int, int]]:
    """Address and length of a buffer that is read; it cannot be resized meanwhile."""
    return _pinned(buffer, _SIMPLE)


def writable(buffer: WriteBuffer) -> AbstractContextManager[tuple[int, int]]:
    """Address and length of a buffer that is written. ``BufferError`` if it must not be."""
    return _pinned(buffer, _WRITABLE)
