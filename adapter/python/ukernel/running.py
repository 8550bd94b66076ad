"""``ukernel.run``: asyncio's ``run`` with this loop."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from .loop import EventLoop

Result = TypeVar("Result")


def run(main: Coroutine[Any, Any, Result], *, debug: bool | None = None) -> Result:
    """Runs a coroutine to its end, and gives its result: as ``asyncio.run``, on the kernel."""
    if asyncio._get_running_loop() is not None:
        main.close()
        raise RuntimeError("ukernel.run() cannot be called from a running event loop")
    with asyncio.Runner(debug=debug, loop_factory=EventLoop) as runner:
        return runner.run(main)
