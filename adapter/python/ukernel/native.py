"""The extension ``ukernel._native``, if the wheel has it and it is the library that is used.

Everything works without it: it does natively what a loop does at every turn and for every piece of data. It is another
library with kernels of its own, though, where ``$UKERNEL_ABI_PATH`` names one: then it stays unused.
"""

from __future__ import annotations

from typing import Any

from .abi import Abi, LoopAbi

_native: Any
try:
    from . import _native  # type: ignore[no-redef]
except ImportError:
    _native = None


def native_for(interface: LoopAbi) -> Any:
    """The extension, if that interface's kernels are its own; else ``None``."""
    if _native is None or not isinstance(interface, Abi):
        return None
    return _native if interface.library.path.samefile(_native.__file__) else None
