"""Spans of the kernel's trace, as context managers and as a decorator."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from types import TracebackType
from typing import Any, TypeVar, cast

from .abi import InvalidError
from .current import current_kernel
from .kernel import Kernel

Function = TypeVar("Function", bound=Callable[..., Any])


def tracing(on: bool = True) -> None:
    """Switches tracing on or off, for the whole program. Needs ``Capability("trace")``."""
    kernel = current_kernel()
    with kernel:
        kernel.sync()
        kernel.abi.trace_enable(on)


class Span:
    """A span of time in the kernel's trace::

        with ukernel.span("request") as span:
            span.event("parsed", bytes=512)

        @ukernel.span("reply")
        async def reply(): ...

    Needs ``Capability("trace")``. While tracing is off it costs two calls that do nothing. The kernel knows its own
    tasks, not asyncio's: a span lies within the last one that is open in the loop, whichever asyncio task began it.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self._open: list[tuple[Kernel, int]] = []

    def __enter__(self) -> Span:
        kernel = current_kernel()
        with kernel:
            kernel.sync()
            self._open.append((kernel, kernel.abi.trace_span_begin(self.name.encode())))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        kernel, handle = self._open.pop()
        with kernel:
            kernel.sync()
            try:
                kernel.abi.trace_span_end(handle)
            except InvalidError:
                pass  # given up by the kernel: too many were open

    def event(self, name: str, **values: object) -> None:
        """Something that happened within it. Values are written as ``key=value``, up to 31 bytes."""
        kernel, handle = self._open[-1]
        text = " ".join(f"{key}={value}" for key, value in values.items())
        with kernel:
            kernel.sync()
            try:
                kernel.abi.trace_event(handle, name.encode(), text.encode())
            except InvalidError:
                pass

    def __call__(self, function: Function) -> Function:
        """Decorates a function or a coroutine function: each call is a span of its own."""
        name = self.name
        if inspect.iscoroutinefunction(function):

            @functools.wraps(function)
            async def traced_coroutine(*args: Any, **kwargs: Any) -> Any:
                with Span(name):
                    return await function(*args, **kwargs)

            return cast(Function, traced_coroutine)

        @functools.wraps(function)
        def traced(*args: Any, **kwargs: Any) -> Any:
            with Span(name):
                return function(*args, **kwargs)

        return cast(Function, traced)


def span(name: str) -> Span:
    """A span of that name, cut at 31 bytes: for ``with``, or as a decorator."""
    return Span(name)
