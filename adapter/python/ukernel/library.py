"""The library that the package uses where nobody names another: loaded once, when ``ukernel`` is imported."""

from __future__ import annotations

from .abi import Abi, LibraryError, LoopAbi, UkernelAbi, load

_default: Abi | None = None


def interface() -> Abi:
    """The interface of the default library. ``LibraryError`` if there is none."""
    global _default
    if _default is None:
        _default = Abi(load())
    return _default


def interface_of(given: LoopAbi | UkernelAbi | None) -> LoopAbi:
    """The interface that a selector was given: in the original's form, in this package's, or none."""
    if given is None:
        return interface()
    if isinstance(given, UkernelAbi):
        if given.library is None:
            raise LibraryError(given.error or "there is no library")
        return Abi(given.library)
    return given
