"""``ukernel.EventLoop``: asyncio's own Unix event loop, waiting by ``UkernelSelector``.

There is no second loop here. What differs from ``asyncio.SelectorEventLoop`` is where it waits, where its time comes
from, how other threads wake it, and that it is in its kernel while it runs.
"""

from __future__ import annotations

import asyncio
import contextvars
import signal
import socket
from asyncio.sslproto import SSLProtocol
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

from . import interrupts
from .handles import HandleWaits
from .kernel import Kernel
from .selector import UkernelSelector
from .transport import SocketTransport

if TYPE_CHECKING:
    import selectors
    from asyncio.unix_events import _UnixSelectorEventLoop

    class _Base(_UnixSelectorEventLoop):
        """What asyncio's loop has, the same since Python 3.7, and its type information lacks."""

        _csock: socket.socket
        _signal_handlers: dict[int, asyncio.Handle]
        _closed: bool
        _ready: deque[asyncio.Handle]

        def _check_closed(self) -> None: ...
        def _check_running(self) -> None: ...

        _debug: bool
        _process_events: Callable[[list[tuple[selectors.SelectorKey, int]]], None]

        def _remove_reader(self, fd: Any) -> bool: ...
        def _remove_writer(self, fd: Any) -> bool: ...
        def _make_socket_transport(self, sock: socket.socket, *rest: Any, **more: Any) -> asyncio.Transport: ...

else:
    # The class itself: `asyncio.SelectorEventLoop` may have been replaced by this very loop.
    from asyncio.unix_events import _UnixSelectorEventLoop as _Base


class EventLoop(_Base):
    """An asyncio event loop whose every wait is the kernel's.

    Give it to ``asyncio.Runner(loop_factory=ukernel.EventLoop)``, or let ``ukernel.run`` do so. It does what asyncio's
    loop for Unix does; ``docs/python-adapter.md`` has the few limits.
    """

    def __init__(self, selector: UkernelSelector | None = None) -> None:
        self._closed = True  # for asyncio's __del__, until there is something to close
        if selector is None:
            selector = UkernelSelector()
        elif not isinstance(selector, UkernelSelector):
            raise TypeError(
                f"ukernel.EventLoop waits by UkernelSelector, not {type(selector).__name__}; "
                "asyncio.SelectorEventLoop takes any selector"
            )
        selector.serve_loop()
        self._ukernel = selector
        self._now = selector.time
        if type(self).time is EventLoop.time:
            self.time = self._now  # type: ignore[method-assign]  # asked for at every turn
        self._native = selector.native
        self._held: list[asyncio.Handle] = []
        try:
            super().__init__(selector)
        except BaseException:
            self._closed = True
            selector.close()
            raise
        if self._native is not None:
            self._process_events = partial(self._native.process_events, self, self._ready)
        self.handle_waits = HandleWaits(self, selector)
        """Waits for handles of the kernel's own, for the native modules."""

    @property
    def kernel(self) -> Kernel:
        """The kernel that this loop runs in."""
        return self._ukernel.kernel

    def time(self) -> float:
        """The kernel's time in seconds: that of ``time_now``."""
        return self._now()

    def run_forever(self) -> None:
        """Runs until ``stop``. In the kernel all the while; signals end its waits if this is the main thread."""
        self._check_closed()
        self._check_running()
        with self._ukernel.within(), self._woken_by_signals():
            try:
                super().run_forever()
            finally:
                self._ready.extendleft(reversed(self._held))
                self._held.clear()

    def _hold(self) -> None:
        """Keeps what is queued for the next run: called where I/O has stopped the loop, before the queue is run."""
        self._held.extend(self._ready)
        self._ready.clear()

    def remove_signal_handler(self, sig: int) -> bool:
        """As asyncio's; the last one takes the descriptor that signals write to away, which a running loop needs."""
        removed = super().remove_signal_handler(sig)
        if removed and self.is_running() and not self.is_closed():
            signal.set_wakeup_fd(self._csock.fileno(), warn_on_full_buffer=False)
        return removed

    def call_soon(  # type: ignore[override]
        self, callback: Callable[..., object], *args: Any, context: contextvars.Context | None = None
    ) -> asyncio.Handle:
        """As asyncio's, in fewer steps where nothing has to be checked."""
        handle: Any
        if self._debug or self._closed:
            handle = super().call_soon(callback, *args, context=context)
        else:
            handle = asyncio.Handle(callback, args, self, context)
            self._ready.append(handle)
        if handle._source_traceback:
            del handle._source_traceback[-1]  # this frame
        return handle  # type: ignore[no-any-return]

    def _forget(self, key: selectors.SelectorKey, handle: asyncio.Handle) -> None:
        """Watches no more what somebody has cancelled, unless it has been replaced since it was found to be ready."""
        now = self._ukernel.get_map().get(key.fd)
        reader, writer = now.data if now is not None else (None, None)
        if reader is handle:
            self._remove_reader(key.fileobj)
        if writer is handle:
            self._remove_writer(key.fileobj)

    def _make_socket_transport(self, sock: socket.socket, *rest: Any, **more: Any) -> asyncio.Transport:
        if self._native is None:
            return super()._make_socket_transport(sock, *rest, **more)
        return SocketTransport(self, sock, *rest, **more)

    def _make_ssl_transport(
        self,
        rawsock: socket.socket,
        protocol: asyncio.BaseProtocol,
        sslcontext: Any,
        waiter: Any = None,
        *,
        extra: Any = None,
        server: Any = None,
        **tls: Any,
    ) -> asyncio.Transport:
        # As asyncio's, which names its own transport for what lies below.
        layer: Any = SSLProtocol(self, protocol, sslcontext, waiter, **tls)
        self._make_socket_transport(rawsock, layer, extra=extra, server=server)
        return layer._app_transport  # type: ignore[no-any-return]

    def _write_to_self(self) -> None:
        # Called from other threads and from signal handlers, also after close.
        self._ukernel.wake()

    @contextmanager
    def _woken_by_signals(self) -> Iterator[None]:
        """Lets signals write to the loop's own pipe while it runs, also those it has no handler for.

        Python's handlers run between bytecodes, so the wait has to end first; see ``ukernel.interrupts``.
        """
        if not interrupts.in_main_thread():
            yield
            return
        before = signal.set_wakeup_fd(self._csock.fileno(), warn_on_full_buffer=False)
        try:
            yield
        finally:
            # With handlers of its own the loop keeps it, so that what arrives between two runs is not lost.
            if not self._signal_handlers:
                signal.set_wakeup_fd(before)


def new_event_loop() -> EventLoop:
    """A loop of its own kernel: for ``loop_factory``."""
    return EventLoop()


def running_kernel() -> Kernel | None:
    """The kernel of the loop that runs in this thread, if it is one of these."""
    loop: Any = asyncio._get_running_loop()
    return loop.kernel if isinstance(loop, EventLoop) else None
