"""What is measured within a process: ``inside.py LOOP ROW``, which prints a number as JSON.

Rows are nanoseconds for one timer, callback or call from another thread.
"""

from __future__ import annotations

import asyncio
import json
import sys
import threading
import time
from collections.abc import Awaitable, Callable
from typing import Final

from loops import factory

TIMERS: Final = 100_000
CALLS: Final = 200_000
WAKES: Final = 20_000
ROUND_TRIPS: Final = 3_000


def countdown(count: int) -> tuple[Callable[[], None], asyncio.Event]:
    """A callback, and what is set once it was called so often."""
    done = asyncio.Event()

    def call() -> None:
        nonlocal count
        count -= 1
        if not count:
            done.set()

    return call, done


async def until(done: asyncio.Event, work: Callable[[], None]) -> int:
    """Nanoseconds until it is set, from the start of another thread's work on."""
    thread = threading.Thread(target=work)
    begin = time.perf_counter_ns()
    thread.start()
    await done.wait()
    spent = time.perf_counter_ns() - begin
    thread.join()
    return spent


async def timers() -> float:
    """100,000 timers: made, every other one cancelled, the rest waited for."""
    loop = asyncio.get_running_loop()
    fire, done = countdown(TIMERS // 2)
    begin = time.perf_counter_ns()
    handles = [loop.call_later(0.001 + at % 97 / 10_000, fire) for at in range(TIMERS)]
    for handle in handles[::2]:
        handle.cancel()
    await done.wait()
    return (time.perf_counter_ns() - begin) / TIMERS


async def call_soon() -> float:
    """Callbacks that each queue the next, ten at a time."""
    loop, left, done = asyncio.get_running_loop(), CALLS, asyncio.Event()

    def call() -> None:
        nonlocal left
        left -= 1
        if left > 0:
            loop.call_soon(call)
        else:
            done.set()

    begin = time.perf_counter_ns()
    for _ in range(10):
        loop.call_soon(call)
    await done.wait()
    return (time.perf_counter_ns() - begin) / CALLS


async def call_soon_threadsafe() -> float:
    """Calls that another thread makes, as fast as it can."""
    loop = asyncio.get_running_loop()
    call, done = countdown(WAKES)

    def make() -> None:
        for _ in range(WAKES):
            loop.call_soon_threadsafe(call)

    return await until(done, make) / WAKES


async def thread_round_trips() -> float:
    """Calls that another thread makes, each when the one before was run: every one ends a wait."""
    loop, ran, done = asyncio.get_running_loop(), threading.Event(), asyncio.Event()

    def make() -> None:
        for _ in range(ROUND_TRIPS):
            ran.clear()
            loop.call_soon_threadsafe(ran.set)
            ran.wait()
        loop.call_soon_threadsafe(done.set)

    return await until(done, make) / ROUND_TRIPS


ROWS: Final[dict[str, Callable[[], Awaitable[float]]]] = {
    row.__name__: row for row in (timers, call_soon, call_soon_threadsafe, thread_round_trips)
}

if __name__ == "__main__":
    with asyncio.Runner(loop_factory=factory(sys.argv[1])) as runner:
        print(json.dumps(runner.run(ROWS[sys.argv[2]]())))  # type: ignore[arg-type]
