"""The work itself."""

from __future__ import annotations

import asyncio


async def fibonacci(number: int) -> int:
    """The Fibonacci number ``number``; lets others run now and then."""
    this, following = 0, 1
    for step in range(number):
        this, following = following, this + following
        if step % 1000 == 999:
            await asyncio.sleep(0)
    return this
