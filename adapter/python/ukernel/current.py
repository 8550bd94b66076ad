"""Which kernel a native module means: that of the running loop, or else the calling thread's own."""

from __future__ import annotations

import asyncio

from .kernel import Kernel, ambient
from .library import interface
from .loop import EventLoop, running_kernel


def current_kernel() -> Kernel:
    """The kernel of the running loop; without one, the calling thread's."""
    return running_kernel() or ambient(interface())


def current_loop() -> EventLoop:
    """The running loop. ``RuntimeError`` if there is none, or it is no ``ukernel.EventLoop``."""
    loop = asyncio.get_running_loop()
    if not isinstance(loop, EventLoop):
        raise RuntimeError(f"this needs a ukernel.EventLoop; {type(loop).__name__} runs (see ukernel.run)")
    return loop
