"""The event loops that are compared, and what they have in common."""

from __future__ import annotations

import asyncio
import resource
from collections.abc import Callable
from typing import Final

LOOPS: Final = ("asyncio", "uvloop", "ukernel")
"""Python's own selector loop, the fastest that people use, and this package's."""
WITHOUT_NATIVE: Final = "ukernel-ctypes"
"""This package's without its extension."""


def factory(name: str) -> Callable[[], asyncio.AbstractEventLoop]:
    """What makes a loop of that name."""
    if name == "asyncio":
        return asyncio.SelectorEventLoop
    if name == "uvloop":
        import uvloop

        return uvloop.new_event_loop
    import ukernel

    return ukernel.EventLoop


def read_at_most(size: int) -> None:
    """Makes transports read no more than that at once. uvloop's size, 256,000 bytes, is fixed."""
    import asyncio.selector_events as selectors

    # The transport of this package has it from asyncio's.
    selectors._SelectorTransport.max_size = size  # type: ignore[attr-defined]


def raise_limit(wanted: int) -> None:
    """Allows so many descriptors, if the machine does."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    if most == resource.RLIM_INFINITY or most > wanted:
        most = wanted
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
