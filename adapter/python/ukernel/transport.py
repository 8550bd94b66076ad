"""The transport of stream sockets: asyncio's own, which reads and writes natively in the usual case.

Used by loops whose library is the extension ``ukernel._native``; all others have asyncio's transport as it is.
"""

from __future__ import annotations

import asyncio
import socket
from asyncio import format_helpers
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from .native import _native

if TYPE_CHECKING:

    class _Base(asyncio.Transport):
        """What asyncio's transport has, and its type information lacks."""

        max_size: int
        _sock: socket.socket | None
        _read_ready: Callable[[], None]

        def __init__(self, loop: asyncio.AbstractEventLoop, sock: socket.socket, *rest: Any, **more: Any) -> None: ...
        def _call_connection_lost(self, exc: BaseException | None) -> None: ...

else:
    from asyncio.selector_events import _SelectorSocketTransport as _Base


class SocketTransport(_Base):
    """asyncio's transport of a stream socket; its state is where asyncio keeps it, and so are all its methods.

    ``max_size`` is how much one read takes, as in asyncio's; 256 KiB is the most.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, sock: socket.socket, *rest: Any, **more: Any) -> None:
        self._reader = self._read_ready = _native.Reader(self, sock.fileno())
        self.write = _native.Writer(self, sock.fileno())  # type: ignore[method-assign]
        super().__init__(loop, sock, *rest, **more)

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        super().set_protocol(protocol)
        if self._sock is None:
            return  # closed: a protocol that had taken its place for a while comes back
        self._reader.serve_buffered(isinstance(protocol, asyncio.BufferedProtocol))

    def _write_later(self, data: bytes | bytearray | memoryview, rest: int) -> None:
        """What the socket did not take at once, from byte ``rest`` on."""
        super().write(memoryview(data).cast("B")[rest:] if rest else data)

    def _call_connection_lost(self, exc: BaseException | None) -> None:
        try:
            super()._call_connection_lost(exc)
        finally:
            del self._reader, self._read_ready, self.write  # which name the transport


def report(handle: Any, error: BaseException) -> None:
    """Tells a loop's exception handler of what a callback raised, as ``asyncio.Handle`` does."""
    callback = format_helpers._format_callback_source(handle._callback, handle._args)
    context = {"message": f"Exception in callback {callback}", "exception": error, "handle": handle}
    handle._loop.call_exception_handler(context)
