"""``UkernelEventLoopPolicy``: for what still wants a policy. Deprecated by Python 3.14, so loaded when asked for."""

from __future__ import annotations

import asyncio
import sys
import warnings
from typing import TYPE_CHECKING

from .abi import LoopAbi, UkernelAbi
from .library import interface_of
from .loop import EventLoop
from .selector import UkernelSelector

if TYPE_CHECKING or sys.version_info < (3, 14):
    _Base = asyncio.DefaultEventLoopPolicy
else:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        _Base = asyncio.DefaultEventLoopPolicy


class UkernelEventLoopPolicy(_Base):
    """Makes every new event loop one of the kernel's: ``asyncio.set_event_loop_policy(UkernelEventLoopPolicy())``."""

    def __init__(self, interface: LoopAbi | UkernelAbi | None = None) -> None:
        super().__init__()
        self._interface = interface_of(interface)

    def new_event_loop(self) -> asyncio.AbstractEventLoop:
        """A loop with a kernel of its own."""
        return EventLoop(UkernelSelector(self._interface))
