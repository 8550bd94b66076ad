"""Finds the library, checks that it is the right one, and gives its functions their types."""

from __future__ import annotations

import ctypes
import importlib.machinery
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from . import constants as c
from .errors import LibraryError
from .signatures import HOST_SIGNATURES, SIGNATURES

VERSION: Final = (0, 3)
"""The interface that this package was written for: this major version, at least this minor one."""

PATH_VARIABLE: Final = "UKERNEL_ABI_PATH"
FILE: Final = "libukernel_abi.so"


class Library:
    """The functions of one loaded library.

    ``waiting.NAME`` lets other Python threads run during the call, for what may wait; ``quick.NAME`` does not, which
    is cheaper for what returns at once. Both are the same C functions and return a result code.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self.waiting = ctypes.CDLL(str(path))
            self.quick = ctypes.PyDLL(str(path))
        except OSError as error:
            raise LibraryError(f"{path} cannot be loaded: {error}", path=str(path)) from None
        self._bind(SIGNATURES)
        self.version = self._version()
        self.features = self._features()
        if self.features & c.FEAT_BIT(c.FEAT_NUMBER_HOST):
            self._bind(HOST_SIGNATURES)
        else:
            self._leave_out(HOST_SIGNATURES)

    def _bind(self, signatures: Mapping[str, tuple[Any, ...]]) -> None:
        for name, arguments in signatures.items():
            for functions in (self.waiting, self.quick):
                try:
                    function = getattr(functions, name)
                except AttributeError:
                    raise LibraryError(
                        f"{self.path} is no ukernel library of version {_dotted(VERSION)}: it has no {name}",
                        path=str(self.path),
                    ) from None
                function.argtypes = arguments
                function.ranges = _ranges(arguments)
                function.restype = ctypes.c_uint32

    def _leave_out(self, signatures: Mapping[str, tuple[Any, ...]]) -> None:
        """Functions that this kernel does not have say so when they are called."""
        for name in signatures:
            for functions in (self.waiting, self.quick):
                setattr(functions, name, _Absent(name))

    def _version(self) -> tuple[int, int, int]:
        numbers = [ctypes.c_uint32() for _ in range(3)]
        self._ask("abi_version", *numbers)
        major, minor, patch = (number.value for number in numbers)
        if major != VERSION[0] or minor < VERSION[1]:
            raise LibraryError(
                f"{self.path} has version {major}.{minor}.{patch} of the interface; "
                f"this package needs {_dotted(VERSION)} or a later {VERSION[0]}.x",
                path=str(self.path),
            )
        return major, minor, patch

    def _features(self) -> int:
        features = ctypes.c_uint64()
        self._ask("abi_features", features)
        return features.value

    def _ask(self, name: str, *outputs: Any) -> None:
        result = getattr(self.quick, name)(*map(ctypes.byref, outputs))
        if result != c.OK:
            raise LibraryError(f"{self.path}: {name} returns {result}", path=str(self.path))


class _Absent:
    """A function that this kernel does not have."""

    ranges: tuple[tuple[int, int, int], ...] = ()

    def __init__(self, name: str) -> None:
        self.__name__ = name

    def __call__(self, *_: object) -> int:
        return c.ERR_UNSUPPORTED


def _ranges(arguments: tuple[Any, ...]) -> tuple[tuple[int, int, int], ...]:
    """Which arguments are numbers: position, least and most."""
    found = []
    for at, kind in enumerate(arguments):
        bits = 8 * ctypes.sizeof(kind)
        if kind in (ctypes.c_uint32, ctypes.c_uint64):
            found.append((at, 0, (1 << bits) - 1))
        elif kind in (ctypes.c_int32, ctypes.c_int64):
            found.append((at, -(1 << bits - 1), (1 << bits - 1) - 1))
    return tuple(found)


def _dotted(version: tuple[int, ...]) -> str:
    return ".".join(map(str, version))


def _places() -> Iterator[Path]:
    """Where the library may be, apart from ``$UKERNEL_ABI_PATH``: in the package, then beside it."""
    package = Path(__file__).resolve().parent.parent
    for suffix in importlib.machinery.EXTENSION_SUFFIXES:
        yield package / f"_native{suffix}"
    yield package / FILE
    yield package.parent / FILE


def find() -> Path:
    """The library to load. ``LibraryError`` if there is none."""
    named = os.environ.get(PATH_VARIABLE)
    if named:
        if not Path(named).is_file():
            raise LibraryError(f"${PATH_VARIABLE} names {named}, which is no file", path=named)
        return Path(named).resolve()
    places = list(_places())
    for place in places:
        if place.is_file():
            return place
    searched = ", ".join(dict.fromkeys(str(place.parent) for place in places))
    raise LibraryError(f"there is no {FILE} in {searched}; ${PATH_VARIABLE} can name one")


_loaded: dict[Path, Library] = {}


def load(path: str | os.PathLike[str] | None = None) -> Library:
    """The library at ``path``, or the one that ``find`` finds. Each is loaded once."""
    place = Path(path).resolve() if path is not None else find()
    if place not in _loaded:
        _loaded[place] = Library(place)
    return _loaded[place]
