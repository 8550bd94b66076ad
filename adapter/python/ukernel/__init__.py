"""asyncio on ukernel: an unmodified asyncio program, waiting by the kernel's ``io_poll``.

::

    import asyncio, ukernel

    async def main():
        await asyncio.sleep(1)

    ukernel.run(main())

The same reactor runs the program in a microVM and, for development, in a Linux process. ``ukernel.abi`` is the plain
binding of the C interface; channels, capabilities, spans and the log handler are the kernel's own things in
asyncio's shape. Importing this package loads the library: ``LibraryError`` if there is none, or a wrong one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from . import abi
from .abi import LibraryError, UkernelAbi, UkernelError
from .capability import Capability
from .channel import Channel
from .library import interface
from .log import LogHandler
from .loop import EventLoop, new_event_loop
from .running import run
from .selector import UkernelSelector
from .trace import Span, span, tracing

if TYPE_CHECKING:
    from .policy import UkernelEventLoopPolicy

__version__ = "0.3.0"

interface()


def __getattr__(name: str) -> Any:
    # Event loop policies are deprecated since Python 3.14: only who asks for one shall be warned.
    if name == "UkernelEventLoopPolicy":
        from .policy import UkernelEventLoopPolicy

        return UkernelEventLoopPolicy
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


__all__ = [
    "Capability",
    "Channel",
    "EventLoop",
    "LibraryError",
    "LogHandler",
    "Span",
    "UkernelAbi",
    "UkernelError",
    "UkernelEventLoopPolicy",
    "UkernelSelector",
    "abi",
    "new_event_loop",
    "run",
    "span",
    "tracing",
]
