"""Waiting in coroutines for handles of the kernel's own. Owned by a loop, used by the native modules."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Callable
from typing import Final

from .abi import ClosedError
from .selector import UkernelSelector

READ: Final = selectors.EVENT_READ
WRITE: Final = selectors.EVENT_WRITE

Waiter = asyncio.Future[None]


class HandleWaits:
    """At most one waiter for each direction of each handle; a channel queues those who come together."""

    def __init__(self, loop: asyncio.AbstractEventLoop, selector: UkernelSelector) -> None:
        self._loop = loop
        self._selector = selector
        self._waiters: dict[int, dict[int, Waiter]] = {}

    async def wait(self, handle: int, event: int) -> None:
        """Waits until a handle may be read or written. ``ClosedError`` if it is closed meanwhile."""
        waiter: Waiter = self._loop.create_future()
        waiters = self._waiters.setdefault(handle, {})
        if event in waiters:
            raise RuntimeError("another coroutine waits for that direction of the handle")
        waiters[event] = waiter
        try:
            self._watch(handle)
            await waiter
        finally:
            if waiters.get(event) is waiter:
                del waiters[event]
                self._watch(handle)

    def closing(self, handle: int) -> None:
        """Ends all waits for a handle that is about to be closed."""
        for waiter in self._waiters.pop(handle, {}).values():
            if not waiter.done():
                waiter.set_exception(ClosedError("wait"))
        self._selector.unwatch_handle(handle)

    def _watch(self, handle: int) -> None:
        """Tells the selector what is waited for now."""
        waiters = self._waiters.get(handle)
        if waiters is None:
            return
        if not waiters:
            del self._waiters[handle]
            self._selector.unwatch_handle(handle)
            return
        data = tuple(self._callback(waiters.get(event)) for event in (READ, WRITE))
        self._selector.watch_handle(handle, sum(waiters), data)

    def _callback(self, waiter: Waiter | None) -> asyncio.Handle | None:
        """What the loop runs when it is ready, in the form that it keeps for descriptors."""
        if waiter is None:
            return None
        ready: Callable[[Waiter], None] = _ready
        return asyncio.Handle(ready, (waiter,), self._loop)


def _ready(waiter: Waiter) -> None:
    if not waiter.done():
        waiter.set_result(None)
