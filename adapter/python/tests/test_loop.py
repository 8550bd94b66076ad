"""``ukernel.EventLoop``: time, wakes, and what goes wrong."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import socket
import threading
import time
import warnings
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from conftest import Run, library_only

import ukernel
from ukernel.abi import ERR_IO, ERR_PERMISSION, DeviceError, LoopAbi
from ukernel.handles import READ
from ukernel.library import interface as default_interface
from ukernel.testing import FakeAbi, NothingCanWake

DAY = 24 * 3600


def in_virtual_time(fake: FakeAbi, main: Any) -> Any:
    with asyncio.Runner(loop_factory=fake.loop) as runner:
        return runner.run(main)


# --- time


def test_a_day_and_an_hour_pass_in_no_time(fake: FakeAbi) -> None:
    async def heartbeat() -> list[float]:
        loop = asyncio.get_running_loop()
        beats = []
        for _ in range(25 * 60):
            await asyncio.sleep(60)
            beats.append(loop.time())
        return beats

    real = time.monotonic()
    beats = in_virtual_time(fake, heartbeat())
    assert beats == [60.0 * (at + 1) for at in range(25 * 60)]
    assert fake.now == 25 * 3600 * 10**9
    assert time.monotonic() - real < 5


def test_one_sleep_of_more_than_a_day(fake: FakeAbi) -> None:
    """asyncio cuts what it waits at a time to a day."""
    in_virtual_time(fake, asyncio.sleep(25 * 3600))
    assert fake.now == 25 * 3600 * 10**9


def test_timers_fire_in_their_order_and_never_early(fake: FakeAbi) -> None:
    async def main() -> list[tuple[int, float]]:
        loop = asyncio.get_running_loop()
        fired: list[tuple[int, float]] = []

        def note(delay: int) -> None:
            fired.append((delay, loop.time()))

        for delay in (30, 10, 20, 10):
            loop.call_later(delay, note, delay)
        cancelled = loop.call_later(15, fired.append, (15, 0.0))
        cancelled.cancel()
        await asyncio.sleep(100)
        return fired

    assert in_virtual_time(fake, main()) == [(10, 10.0), (10, 10.0), (20, 20.0), (30, 30.0)]


def test_a_clock_that_is_asked_to_go_back_does_not(fake: FakeAbi) -> None:
    async def main() -> list[float]:
        loop = asyncio.get_running_loop()
        times = [loop.time()]
        for _ in range(5):
            fake.now -= 3_600_000_000_000
            await asyncio.sleep(1)
            times.append(loop.time())
        return times

    fake.now = 10 * 3_600_000_000_000
    times = in_virtual_time(fake, main())
    assert times == sorted(times)


@library_only
def test_the_time_is_that_of_the_system(loop: ukernel.EventLoop, interface: LoopAbi) -> None:
    if not isinstance(interface, FakeAbi):
        assert abs(loop.time() - time.monotonic()) < 1


@library_only
def test_another_clock_than_the_systems_is_asked_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    """In a machine, say, whose clock begins with it."""
    kernel = default_interface()
    monkeypatch.setattr(kernel, "time_now", lambda: 42_000_000_000)
    with ukernel.UkernelSelector(kernel) as selector:
        assert selector.time() == 42.0


def test_what_is_late_by_nothing_is_not_waited_for_again(fake: FakeAbi) -> None:
    """Rounding must not make a timer cost a second, very short wait."""

    async def main() -> None:
        for delay in (0.1, 0.3, 1 / 3, 1e-6, 12345.678901234):
            await asyncio.sleep(delay)

    fake.now = 123_456_789_012_345
    before = fake.calls["interest_wait"]
    in_virtual_time(fake, main())
    assert fake.calls["interest_wait"] - before < 30


# --- waking


def test_a_thousand_calls_from_another_thread(run: Run) -> None:
    async def main() -> None:
        loop, done = asyncio.get_running_loop(), asyncio.Event()
        seen: list[int] = []

        def call() -> None:
            for number in range(1000):
                loop.call_soon_threadsafe(seen.append, number)
            loop.call_soon_threadsafe(done.set)

        thread = threading.Thread(target=call)
        thread.start()
        await done.wait()
        thread.join()
        assert seen == list(range(1000))

    run(main)


def test_an_executor_wakes_the_loop(run: Run) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        with ThreadPoolExecutor(4) as pool:
            results = await asyncio.gather(*(loop.run_in_executor(pool, pow, 2, number) for number in range(100)))
        assert results == [2**number for number in range(100)]

    run(main)


def test_waking_a_closed_loop_is_harmless(loop: ukernel.EventLoop) -> None:
    loop.close()
    loop._write_to_self()
    with pytest.raises(RuntimeError, match="closed"):
        loop.call_soon_threadsafe(print)


# --- what goes wrong


def test_a_callback_that_raises_stops_nobody_else(loop: ukernel.EventLoop) -> None:
    reports: list[dict[str, Any]] = []
    loop.set_exception_handler(lambda _, context: reports.append(context))
    seen: list[int] = []
    with contextlib.ExitStack() as stack:
        pairs = [socket.socketpair() for _ in range(3)]
        for left, right in pairs:
            stack.enter_context(left)
            stack.enter_context(right)

        def ready(number: int) -> None:
            loop.remove_reader(pairs[number][0])
            seen.append(number)
            if number == 1:
                raise ValueError("on purpose")
            if len(seen) == 3:
                loop.stop()

        for number, (left, right) in enumerate(pairs):
            loop.add_reader(left, ready, number)
            right.send(b"x")
        loop.call_later(5, loop.stop)
        loop.run_forever()
    assert sorted(seen) == [0, 1, 2]
    assert [type(report["exception"]) for report in reports] == [ValueError]


def test_closing_twice_is_closing_once(interface: LoopAbi) -> None:
    loop = ukernel.EventLoop(ukernel.UkernelSelector(interface))
    loop.close()
    loop.close()
    assert loop.is_closed()
    with pytest.raises(RuntimeError, match="Event loop is closed"):
        loop.run_forever()
    if isinstance(interface, FakeAbi):
        assert interface.kernels == {}


def test_a_running_loop_is_not_closed(run: Run) -> None:
    async def main() -> None:
        with pytest.raises(RuntimeError, match="Cannot close a running event loop"):
            asyncio.get_running_loop().close()

    run(main)


def test_a_running_loop_is_not_run_again(run: Run) -> None:
    async def main() -> None:
        with pytest.raises(RuntimeError, match="already running"):
            asyncio.get_running_loop().run_forever()
        with ThreadPoolExecutor(1) as pool, pytest.raises(RuntimeError, match="already running"):
            await asyncio.get_running_loop().run_in_executor(pool, asyncio.get_running_loop().run_forever)
        await asyncio.sleep(0)

    run(main)


def test_a_failed_wait_ends_the_run_and_leaves_the_kernel(fake: FakeAbi) -> None:
    loop = fake.loop()
    fake.fail["interest_wait"].append(ERR_IO)
    with pytest.raises(DeviceError):
        loop.run_until_complete(asyncio.sleep(1))
    with contextlib.suppress(asyncio.CancelledError):
        for task in asyncio.all_tasks(loop):
            task.cancel()
        loop.run_until_complete(asyncio.sleep(1))
    loop.close()
    assert fake.kernels == {}


def test_a_loop_that_cannot_begin_leaves_nothing(fake: FakeAbi) -> None:
    fake.fail["cap_acquire"].append(ERR_PERMISSION)
    with pytest.raises(PermissionError) as caught:
        fake.loop()
    assert fake.kernels == {}, "as long as somebody looks at the exception, too"
    assert caught.value.__traceback__


def test_another_selector_is_refused() -> None:
    import selectors

    with selectors.DefaultSelector() as other, pytest.raises(TypeError, match="waits by UkernelSelector"):
        ukernel.EventLoop(other)  # type: ignore[arg-type]


def test_a_descriptor_that_is_closed_while_watched_does_no_harm(loop: ukernel.EventLoop) -> None:
    left, right = socket.socketpair()
    number = left.fileno()
    called: list[int] = []

    def ready() -> None:
        called.append(1)
        loop.remove_reader(number)

    loop.add_reader(number, ready)
    loop.call_soon(left.close)
    loop.call_later(0.05, loop.stop)
    loop.run_forever()
    loop.remove_reader(number)
    right.close()
    assert len(called) <= 1, "a closed descriptor keeps the loop busy"


def test_a_descriptor_that_is_used_again_serves_the_new_connection(run: Run) -> None:
    """Every connection here gets the number of the one before."""

    async def main() -> None:
        loop = asyncio.get_running_loop()
        numbers = set()
        for turn in range(50):
            left, right = socket.socketpair()
            left.setblocking(False)
            right.setblocking(False)
            numbers.add(left.fileno())
            reader, writer = await asyncio.open_connection(sock=left)
            await loop.sock_sendall(right, b"%d\n" % turn)
            assert await reader.readline() == b"%d\n" % turn
            writer.close()
            await writer.wait_closed()
            right.close()
        assert len(numbers) == 1, "the numbers were not reused: the test shows nothing"

    run(main)


def test_everything_can_be_cancelled(run: Run) -> None:
    """Whatever a coroutine waits for, cancelling it ends the wait and leaves nothing that is watched."""

    async def main() -> int:
        loop = asyncio.get_running_loop()
        before = len(loop._selector.get_map())  # type: ignore[attr-defined]
        left, right = socket.socketpair()
        server_socket = socket.create_server(("127.0.0.1", 0))
        for each in (left, right, server_socket):
            each.setblocking(False)
        read_end, write_end = os.pipe()
        with left, right, server_socket, os.fdopen(read_end, "rb", 0) as pipe:
            stream = asyncio.StreamReader()
            transport, _ = await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(stream), pipe)
            waits = [
                asyncio.sleep(1000),
                asyncio.Event().wait(),
                asyncio.Queue[int]().get(),
                loop.sock_recv(left, 1),
                loop.sock_accept(server_socket),
                stream.read(1),
                asyncio.wait_for(asyncio.sleep(1000), 1000),
                loop.create_future(),
            ]
            tasks = [asyncio.ensure_future(wait) for wait in waits]
            for _ in range(3):
                await asyncio.sleep(0)
            for task in tasks:
                task.cancel()
            ended = await asyncio.gather(*tasks, return_exceptions=True)
            assert all(isinstance(end, asyncio.CancelledError) for end in ended), ended
            transport.close()
            await asyncio.sleep(0)
        os.close(write_end)
        await asyncio.sleep(0)
        return len(loop._selector.get_map()) - before  # type: ignore[attr-defined]

    assert run(main) == 0


def test_a_forgotten_loop_gives_its_kernel_back(fake: FakeAbi) -> None:
    def make_and_forget() -> None:
        fake.loop()
        gc.collect()

    with pytest.warns(ResourceWarning, match="unclosed event loop"):
        make_and_forget()
    assert fake.kernels == {}


def test_waiting_for_ever_for_nothing_is_found(fake: FakeAbi) -> None:
    with pytest.raises(NothingCanWake):
        in_virtual_time(fake, asyncio.Event().wait())


def test_nothing_is_asked_of_the_kernel_but_waiting(fake: FakeAbi) -> None:
    """An iteration of a loop with connections on it costs one call, and no descriptor is looked up again."""

    async def main() -> dict[str, int]:
        left, right = socket.socketpair()
        reader, writer = await asyncio.open_connection(sock=left)
        _, other = await asyncio.open_connection(sock=right)
        await asyncio.sleep(0)
        fake.calls.clear()
        for _ in range(100):
            other.write(b"x")
            await reader.readexactly(1)
        calls = dict(fake.calls)
        for each in (writer, other):
            each.close()
            await each.wait_closed()
        return calls

    calls = in_virtual_time(fake, main())
    assert set(calls) <= {"interest_wait", "time_now"}
    assert calls["interest_wait"] <= 201


def test_loops_in_threads_do_not_meet(interface: LoopAbi) -> None:
    async def main(number: int) -> int:
        await asyncio.sleep(0.001)
        return number

    def in_thread(number: int) -> int:
        def make() -> ukernel.EventLoop:
            return ukernel.EventLoop(ukernel.UkernelSelector(interface))

        with asyncio.Runner(loop_factory=make) as runner:
            return runner.run(main(number))

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(in_thread, range(40))) == list(range(40))


def test_a_loop_may_be_run_by_another_thread_later(loop: ukernel.EventLoop) -> None:
    loop.run_until_complete(asyncio.sleep(0))
    thread = threading.Thread(target=loop.run_until_complete, args=(asyncio.sleep(0.001),))
    thread.start()
    thread.join()
    loop.run_until_complete(asyncio.sleep(0))


def test_a_loop_within_a_loop_has_its_own_kernel(interface: LoopAbi, run: Run) -> None:
    async def main() -> None:
        inner = ukernel.EventLoop(ukernel.UkernelSelector(interface))
        left, right = socket.socketpair()
        with left, right:
            inner.add_reader(left, print)
            inner.remove_reader(left)
        inner.close()
        await asyncio.sleep(0.001)

    run(main)


# --- ways to start one


def test_run_gives_the_result_and_closes_the_loop() -> None:
    async def main() -> asyncio.AbstractEventLoop:
        return asyncio.get_running_loop()

    loop = ukernel.run(main(), debug=True)
    assert isinstance(loop, ukernel.EventLoop)
    assert loop.is_closed()
    assert loop.get_debug()


def test_run_within_a_loop_is_refused() -> None:
    async def main() -> None:
        with pytest.raises(RuntimeError, match="running event loop"):
            ukernel.run(asyncio.sleep(0))

    asyncio.run(main())


def test_a_runner_takes_it_as_a_factory() -> None:
    with asyncio.Runner(loop_factory=ukernel.EventLoop) as runner:
        assert isinstance(runner.get_loop(), ukernel.EventLoop)


def test_the_policy_makes_such_loops() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        asyncio.set_event_loop_policy(ukernel.UkernelEventLoopPolicy(ukernel.UkernelAbi()))
        try:
            loop = asyncio.new_event_loop()
            assert isinstance(loop, ukernel.EventLoop)
            loop.close()
        finally:
            asyncio.set_event_loop_policy(None)


def test_a_pipe_of_the_stock_loop_is_not_watched(fake: FakeAbi) -> None:
    """Other threads wake the loop by the kernel, not by the pair of sockets that signals use."""
    loop = fake.loop()
    woken: list[int] = []
    loop.call_soon_threadsafe(woken.append, 1)
    assert fake.calls["wake_signal"] == 1
    loop.run_until_complete(asyncio.sleep(0))
    with pytest.raises(BlockingIOError):
        loop._ssock.recv(1)  # type: ignore[attr-defined]
    loop.close()
    assert woken == [1]


def test_watched_for_reading_is_not_told_of_room(loop: ukernel.EventLoop) -> None:
    left, right = socket.socketpair()
    with left, right:
        loop.add_reader(left, pytest.fail, "nothing can be read")
        assert loop._selector.select(0) == []  # type: ignore[attr-defined]
        assert loop._selector.get_key(left).events == READ  # type: ignore[attr-defined]
        loop.remove_reader(left)
