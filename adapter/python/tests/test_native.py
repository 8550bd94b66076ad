"""The kernel's own things in asyncio's shape: channels, capabilities, spans, logs."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator

import pytest
from conftest import Run

import ukernel
from ukernel import Capability, Channel
from ukernel.abi import CAP_IO, CAP_IPC, CAP_LOG, CAP_TIME, LOG_DEBUG, LOG_ERROR, LOG_INFO, LOG_WARN, LoopAbi
from ukernel.current import current_kernel
from ukernel.testing import FakeAbi

# --- capabilities


def active() -> set[int]:
    bits = current_kernel().abi.cap_active()
    return {kind for kind in range(1, 9) if bits & 1 << kind - 1}


def test_a_capability_is_active_within_with(run: Run) -> None:
    async def main() -> None:
        assert active() == {CAP_IO, CAP_TIME}
        with Capability("ipc") as capability:
            assert active() == {CAP_IO, CAP_TIME, CAP_IPC}
            with Capability("log"), capability:
                assert active() == {CAP_IO, CAP_TIME, CAP_IPC, CAP_LOG}
            assert active() == {CAP_IO, CAP_TIME, CAP_IPC}
        assert active() == {CAP_IO, CAP_TIME}

    run(main)


def test_leaving_the_last_one_leaves_what_the_loop_needs(run: Run) -> None:
    async def main() -> None:
        with Capability("io"), Capability("time"):
            pass
        await asyncio.sleep(0.001)
        assert active() == {CAP_IO, CAP_TIME}

    run(main)


def test_each_task_has_its_own_set(run: Run) -> None:
    async def main() -> None:
        entered, other_ran = asyncio.Event(), asyncio.Event()

        async def with_it() -> None:
            with Capability("ipc"):
                entered.set()
                await other_ran.wait()
                Channel().close()  # still active here

        async def without_it() -> None:
            await entered.wait()
            with pytest.raises(PermissionError):
                Channel()
            other_ran.set()

        await asyncio.gather(with_it(), without_it())

    run(main)


def test_a_task_has_what_was_active_where_it_was_started(run: Run) -> None:
    async def main() -> None:
        async def child() -> None:
            Channel().close()

        with Capability("ipc"):
            task = asyncio.create_task(child())
        await task

    run(main)


def test_what_the_policy_forbids_is_a_permission_error(fake: FakeAbi) -> None:
    async def main() -> None:
        with pytest.raises(PermissionError), Capability("ipc"):
            pytest.fail("entered")
        assert active() == {CAP_IO, CAP_TIME}

    fake.forbidden.add(CAP_IPC)
    with asyncio.Runner(loop_factory=fake.loop) as runner:
        runner.run(main())


def test_a_dropped_capability_is_acquired_anew(run: Run) -> None:
    async def main() -> None:
        with Capability("ipc") as capability:
            capability.drop()
            assert CAP_IPC not in active()
        with Capability("ipc"):
            Channel().close()

    run(main)


def test_what_another_dropped_is_acquired_anew(run: Run) -> None:
    """A handle of that kind elsewhere in the program makes those here stale."""

    async def main() -> None:
        kernel = current_kernel()
        with Capability("ipc"):
            pass
        kernel.abi.cap_drop(kernel.abi.cap_acquire(CAP_IPC))
        with Capability("ipc"):
            Channel().close()

    run(main)


def test_no_such_capability() -> None:
    with pytest.raises(ValueError, match="no capability 'fly'; there are log, time"):
        Capability("fly")
    with pytest.raises(ValueError, match="ERR_INVALID"), Capability(99):
        pytest.fail("entered")
    assert repr(Capability("net")) == "<ukernel.Capability net>"


# --- channels


def test_messages_arrive_whole_and_in_order(run: Run) -> None:
    async def main() -> None:
        with Capability("ipc"):
            sender, receiver = Channel.pair(4)

            async def send() -> None:
                for number in range(100):
                    await sender.send(b"%d" % number * number)
                sender.close()

            task = asyncio.create_task(send())
            received = [message async for message in receiver]
            assert received == [b"%d" % number * number for number in range(100)]
            await task
            with pytest.raises(BrokenPipeError):
                await receiver.receive()
            receiver.close()

    run(main)


@pytest.mark.parametrize("size", [0, 1, 65536])
def test_messages_of_all_lengths(run: Run, size: int) -> None:
    async def main() -> None:
        with Capability("ipc"), Channel() as channel:
            await channel.send(memoryview(bytearray(b"x" * size)))
            assert await channel.receive() == b"x" * size

    run(main)


def test_a_message_that_is_too_long_is_refused(run: Run) -> None:
    async def main() -> None:
        with Capability("ipc"), Channel() as channel, pytest.raises(ValueError, match="ERR_INVALID"):
            await channel.send(bytes(65537))

    run(main)


def test_who_sends_to_a_full_channel_waits_and_comes_in_turn(run: Run) -> None:
    async def main() -> None:
        with Capability("ipc"), Channel(1) as channel:
            assert channel.try_send(b"first")
            assert not channel.try_send(b"no room")
            senders = [asyncio.create_task(channel.send(b"%d" % number)) for number in range(20)]
            await asyncio.sleep(0.001)
            assert not any(task.done() for task in senders)
            received = [await channel.receive() for _ in range(21)]
            assert received == [b"first"] + [b"%d" % number for number in range(20)]
            await asyncio.gather(*senders)

    run(main)


def test_a_cancelled_receiver_takes_no_message(run: Run) -> None:
    async def main() -> None:
        with Capability("ipc"), Channel() as channel:
            first = asyncio.create_task(channel.receive())
            second = asyncio.create_task(channel.receive())
            await asyncio.sleep(0.001)
            first.cancel()
            await channel.send(b"x")
            assert await second == b"x"
            assert first.cancelled()

    run(main)


def test_closing_ends_all_waits_for_it(run: Run) -> None:
    async def main() -> None:
        with Capability("ipc"):
            sender, receiver = Channel.pair(1)
            waits = [asyncio.create_task(receiver.receive()) for _ in range(3)]
            await asyncio.sleep(0.001)
            receiver.close()
            receiver.close()
            ended = await asyncio.gather(*waits, return_exceptions=True)
            assert all(isinstance(end, BrokenPipeError) for end in ended), ended
            with pytest.raises(BrokenPipeError):
                await sender.send(b"x")
            sender.close()
            with pytest.raises(BrokenPipeError):
                sender.try_send(b"x")

    run(main)


def test_a_channel_brings_another(run: Run) -> None:
    async def main() -> None:
        with Capability("ipc"), Channel() as questions:

            async def serve() -> None:
                question, (handle,) = await questions.receive_with_handles()
                with Channel.from_handle(handle) as reply:
                    await reply.send(question * 2)

            server = asyncio.create_task(serve())
            sender, answer = Channel.pair(1)
            await questions.send(b"ab", [sender.detach()])
            with answer:
                assert await answer.receive() == b"abab"
            await server

    run(main)


def test_ends_are_for_one_direction(run: Run) -> None:
    async def main() -> None:
        with Capability("ipc"):
            sender, receiver = Channel.pair()
            with sender, receiver:
                with pytest.raises(PermissionError):
                    await receiver.send(b"x")
                with pytest.raises(PermissionError):
                    await sender.receive()

    run(main)


@pytest.mark.parametrize("capacity", [0, 4097, -1])
def test_a_capacity_that_is_none_is_refused(run: Run, capacity: int) -> None:
    async def main() -> None:
        with pytest.raises(ValueError, match="1 to 4096 messages"):
            Channel(capacity)

    run(main)


def test_a_channel_needs_this_loop() -> None:
    async def main() -> None:
        with pytest.raises(RuntimeError, match=r"needs a ukernel\.EventLoop"):
            Channel()

    asyncio.run(main())


def test_a_channel_outlives_its_loop_without_harm(interface: LoopAbi) -> None:
    async def main() -> Channel:
        with Capability("ipc"):
            return Channel()

    loop = ukernel.EventLoop(ukernel.UkernelSelector(interface))
    channel = loop.run_until_complete(main())
    loop.close()
    channel.close()


def test_waiting_leaves_nothing_watched(run: Run) -> None:
    async def main() -> int:
        loop = asyncio.get_running_loop()
        before = len(loop._selector.get_map())  # type: ignore[attr-defined]
        with Capability("ipc"), Channel() as channel:
            for number in range(50):
                task = asyncio.create_task(channel.receive())
                await asyncio.sleep(0)
                await channel.send(b"%d" % number)
                assert await task == b"%d" % number
        return len(loop._selector.get_map()) - before  # type: ignore[attr-defined]

    assert run(main) == 0


# --- spans


def traced(fake: FakeAbi, main: object) -> list[str]:
    async def with_tracing() -> None:
        with Capability("trace"):
            ukernel.tracing(True)
            await main()  # type: ignore[operator]

    with asyncio.Runner(loop_factory=fake.loop) as runner:
        runner.run(with_tracing())
    return fake.trace


def test_a_span_begins_and_ends_also_by_an_exception(fake: FakeAbi) -> None:
    async def main() -> None:
        with ukernel.span("outer") as span:
            span.event("halfway", bytes=512, kind="text")
            with pytest.raises(KeyError), ukernel.span("inner"):
                raise KeyError

    assert traced(fake, main) == [
        "begin outer",
        "event halfway bytes=512 kind=text",
        "begin inner",
        "end inner",
        "end outer",
    ]


def test_a_decorated_function_is_a_span_at_each_call(fake: FakeAbi) -> None:
    @ukernel.span("add")
    def add(a: int, b: int = 0) -> int:
        """Adds."""
        return a + b

    @ukernel.span("wait")
    async def wait(seconds: float) -> float:
        await asyncio.sleep(seconds)
        return seconds

    async def main() -> None:
        assert add(1, b=2) == 3
        assert await wait(0.5) == 0.5

    assert traced(fake, main) == ["begin add", "end add", "begin wait", "end wait"]
    assert add.__doc__ == "Adds."
    assert asyncio.iscoroutinefunction(wait)


def test_one_span_object_may_be_open_twice(fake: FakeAbi) -> None:
    async def main() -> None:
        span = ukernel.span("again")
        with span, span:
            pass

    assert traced(fake, main) == ["begin again", "begin again", "end again", "end again"]


def test_without_the_capability_a_span_is_refused(run: Run) -> None:
    async def main() -> None:
        with pytest.raises(PermissionError), ukernel.span("secret"):
            pytest.fail("begun")

    run(main)


def test_a_span_while_tracing_is_off_is_nothing(run: Run) -> None:
    async def main() -> None:
        with Capability("trace"), ukernel.span("off") as span:
            span.event("nothing", value=1)

    run(main)


# --- logs


@pytest.fixture
def logger() -> Iterator[logging.Logger]:
    made = logging.Logger("test")
    yield made
    made.handlers.clear()


def test_records_become_lines_with_levels(fake: FakeAbi, logger: logging.Logger) -> None:
    async def main() -> None:
        logger.addHandler(ukernel.LogHandler())
        logger.debug("d")
        logger.info("bytes=%d", 5)
        logger.warning("two\nlines")
        logger.error("e\udc80")
        assert active() == {CAP_IO, CAP_TIME}

    with asyncio.Runner(loop_factory=fake.loop) as runner:
        runner.run(main())
    assert fake.log == [
        (LOG_DEBUG, "d"),
        (LOG_INFO, "bytes=5"),
        (LOG_WARN, "two"),
        (LOG_WARN, "lines"),
        (LOG_ERROR, "e?"),
    ]


def test_a_traceback_is_logged_line_by_line(fake: FakeAbi, logger: logging.Logger) -> None:
    async def main() -> None:
        logger.addHandler(ukernel.LogHandler())
        try:
            raise ValueError("on purpose")
        except ValueError:
            logger.exception("failed")

    with asyncio.Runner(loop_factory=fake.loop) as runner:
        runner.run(main())
    texts = [text for _, text in fake.log]
    assert texts[0] == "failed"
    assert texts[-1] == "ValueError: on purpose"
    assert not any("\n" in text for text in texts)


def test_a_log_that_fails_is_reported_not_raised(
    fake: FakeAbi, logger: logging.Logger, capsys: pytest.CaptureFixture[str]
) -> None:
    async def main() -> None:
        logger.addHandler(ukernel.LogHandler())
        fake.fail["log_write"].append(6)
        logger.info("lost")

    with asyncio.Runner(loop_factory=fake.loop) as runner:
        runner.run(main())
    assert "ERR_IO" in capsys.readouterr().err
