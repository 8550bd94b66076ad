"""The transport that reads and writes natively, beside asyncio's: whatever happens, a protocol is told the same.

Each scenario runs with both loops and has to leave the same record.
"""

from __future__ import annotations

import array
import asyncio
import contextlib
import contextvars
import random
import socket
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

import ukernel
from ukernel.library import interface
from ukernel.native import native_for
from ukernel.transport import SocketTransport

native_only = pytest.mark.skipif(native_for(interface()) is None, reason="the extension is not there")
pytestmark = native_only

Record = list[Any]
Scenario = Callable[[Record], Awaitable[None]]
LOOPS = (asyncio.SelectorEventLoop, ukernel.EventLoop)
SIZE = 10_000
"""Large enough to be read into an object of its own."""


def same(scenario: Scenario) -> Record:
    """Runs it with both loops, and gives what both record."""
    records = []
    for factory in LOOPS:
        record: Record = []
        with asyncio.Runner(loop_factory=factory) as runner:
            runner.run(scenario(record))  # type: ignore[arg-type]
        records.append(record)
    assert records[1] == records[0]
    return records[1]


class Recorder(asyncio.Protocol):
    """Records what it is told, under a name, and does something of its own with data."""

    def __init__(self, record: Record, name: str = "", then: Callable[[Recorder, bytes], Any] | None = None) -> None:
        self.record, self.name, self.then = record, name, then
        self.lost = asyncio.get_running_loop().create_future()

    def say(self, *words: Any) -> None:
        self.record.append((self.name, *words))

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        self.say("made")

    def data_received(self, data: bytes) -> None:
        self.say("data", data)
        if self.then is not None:
            self.then(self, data)

    def eof_received(self) -> bool | None:
        self.say("eof")
        return None

    def connection_lost(self, exc: BaseException | None) -> None:
        self.say("lost", type(exc), str(exc))
        self.lost.set_result(None)

    def pause_writing(self) -> None:
        self.say("pause")

    def resume_writing(self) -> None:
        self.say("resume")


async def connect(protocol: asyncio.BaseProtocol) -> tuple[Any, socket.socket]:
    """A transport for one end of a pair, and the other end."""
    ours, theirs = socket.socketpair()
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_connection(lambda: protocol, sock=ours)
    assert isinstance(transport, SocketTransport) == isinstance(loop, ukernel.EventLoop)
    await turns()
    return transport, theirs


async def turns(count: int = 4) -> None:
    """Lets the loop wait, with nothing queued; and then turn so often, looking for I/O each time."""
    await asyncio.sleep(0.002)
    for _ in range(count):
        await asyncio.sleep(0)


def caught(record: Record) -> None:
    """Records what the loop's exception handler is told."""

    def handler(_: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        record.append(("handler", context["message"], repr(context["exception"])))

    asyncio.get_running_loop().set_exception_handler(handler)


# --- order


def test_what_was_queued_before_data_came_runs_before_it() -> None:
    async def scenario(record: Record) -> None:
        loop = asyncio.get_running_loop()
        transport, peer = await connect(Recorder(record))
        peer.send(b"x")
        loop.call_soon(record.append, "queued")
        await turns()
        transport.close()
        peer.close()
        await turns()

    assert same(scenario)[1:3] == ["queued", ("", "data", b"x")]


def test_what_callbacks_queue_runs_after_all_that_was_ready() -> None:
    async def scenario(record: Record) -> None:
        loop = asyncio.get_running_loop()
        done = loop.create_future()

        def then(protocol: Recorder, _: bytes) -> None:
            loop.call_soon(record.append, "queued")
            if len(record) == 5:
                loop.call_later(0.01, done.set_result, None)

        pairs = [await connect(Recorder(record, "one", then)) for _ in range(3)]
        watched, other = socket.socketpair()

        def readable() -> None:
            record.append("reader")
            loop.remove_reader(watched)

        loop.add_reader(watched, readable)
        for peer in [peer for _, peer in pairs] + [other]:
            peer.send(b"x")
        await done
        # Which of them is first nobody promises.
        record[3:7] = sorted(record[3:7], key=str)
        for transport, peer in pairs:
            transport.abort()
            peer.close()
        loop.remove_reader(watched)
        watched.close()
        other.close()
        await turns()

    record = same(scenario)
    assert record[3:10] == ["reader", *[("one", "data", b"x")] * 3, *["queued"] * 3] or record[3:10] == [
        *[("one", "data", b"x")] * 3,
        "reader",
        *["queued"] * 3,
    ]


def test_who_stops_the_loop_leaves_what_it_has_queued_for_the_next_run() -> None:
    for factory in LOOPS:
        record: Record = []
        loop = factory()

        def stop(_: Recorder, __: bytes, loop: Any = loop, record: Record = record) -> None:
            loop.call_soon(record.append, "queued")
            loop.stop()

        async def start(record: Record = record, stop: Any = stop) -> Any:
            return await connect(Recorder(record, then=stop))

        transport, peer = loop.run_until_complete(start())
        peer.send(b"x")
        loop.run_forever()
        assert record == [("", "made"), ("", "data", b"x")]
        loop.call_soon(record.append, "after")
        loop.run_until_complete(turns())
        assert record[2:] == ["queued", "after"]
        transport.abort()
        peer.close()
        loop.run_until_complete(turns())
        loop.close()


@pytest.mark.parametrize("how", ["abort", "close", "pause_reading"])
def test_a_transport_that_another_closes_or_pauses_is_told_nothing_more(how: str) -> None:
    async def scenario(record: Record) -> None:
        protocols: list[Recorder] = []

        def silence_the_others(protocol: Recorder, _: bytes) -> None:
            for other in protocols:
                if other is not protocol:
                    getattr(other.transport, how)()

        peers = []
        for _ in range(4):
            protocols.append(Recorder(record, "one", silence_the_others))
            peers.append((await connect(protocols[-1]))[1])
        for peer in peers:
            peer.send(b"x")
        await turns(6)
        for protocol, peer in zip(protocols, peers, strict=True):
            protocol.transport.abort()
            peer.close()
        await turns()

    assert [entry[1] for entry in same(scenario)].count("data") == 1


def test_a_transport_that_another_pauses_and_resumes_goes_on() -> None:
    async def scenario(record: Record) -> None:
        protocols: list[Recorder] = []

        def pause_the_others(protocol: Recorder, _: bytes) -> None:
            for other in protocols:
                if other is not protocol:
                    other.transport.pause_reading()
                    other.transport.resume_reading()

        peers = []
        for _ in range(4):
            protocols.append(Recorder(record, "one", pause_the_others))
            peers.append((await connect(protocols[-1]))[1])
        for text in (b"x", b"y"):
            for peer in peers:
                peer.send(text)
            await turns(8)
        for protocol, peer in zip(protocols, peers, strict=True):
            protocol.transport.abort()
            peer.close()
        await turns()

    record = same(scenario)
    assert record.count(("one", "data", b"x")) == record.count(("one", "data", b"y")) == 4


def test_a_handle_that_somebody_cancels_is_watched_no_more() -> None:
    async def main() -> None:
        loop: Any = asyncio.get_running_loop()
        for watch in (loop._add_reader, loop._add_writer):
            ours, theirs = socket.socketpair()
            watch(ours, pytest.fail, "it was cancelled").cancel()
            theirs.send(b"x")
            await turns()
            assert ours not in loop._selector.get_map()
            ours.close()
            theirs.close()

    for factory in LOOPS:
        with asyncio.Runner(loop_factory=factory) as runner:
            runner.run(main())


def test_data_is_received_in_the_context_that_the_transport_was_made_in() -> None:
    variable = contextvars.ContextVar("variable", default="none")

    async def scenario(record: Record) -> None:
        def then(protocol: Recorder, _: bytes) -> None:
            protocol.say(variable.get())
            variable.set("changed inside")

        variable.set("outside")
        transport, peer = await connect(Recorder(record, then=then))
        variable.set("changed outside")
        for _ in range(2):
            peer.send(b"x")
            await turns()
        record.append(variable.get())
        transport.abort()
        peer.close()
        await turns()

    record = same(scenario)
    assert ("", "outside") in record
    assert "changed outside" in record


# --- what goes wrong


def test_a_protocol_that_raises_loses_its_connection_only() -> None:
    async def scenario(record: Record) -> None:
        caught(record)

        def fail(_: Recorder, __: bytes) -> None:
            raise LookupError("on purpose")

        broken, peer = await connect(Recorder(record, "broken", fail))
        whole, other = await connect(Recorder(record, "whole"))
        peer.send(b"x")
        await turns()
        other.send(b"y")
        await turns()
        whole.abort()
        peer.close()
        other.close()
        await turns()

    record = same(scenario)
    message = "Fatal error: protocol.data_received() call failed."
    assert ("handler", message, "LookupError('on purpose')") in record
    assert ("broken", "lost", LookupError, "on purpose") in record
    assert ("whole", "data", b"y") in record


@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit])
def test_what_ends_the_program_comes_out_of_the_loop_which_can_go_on(kind: type[BaseException]) -> None:
    for factory in LOOPS:
        record: Record = []
        loop = factory()

        def leave(_: Recorder, data: bytes) -> None:
            if data == b"leave":
                raise kind

        async def start(record: Record = record, leave: Any = leave) -> Any:
            return await connect(Recorder(record, then=leave))

        transport, peer = loop.run_until_complete(start())
        peer.send(b"leave")
        with pytest.raises(kind):
            loop.run_forever()
        peer.send(b"stay")
        loop.run_until_complete(turns())
        assert record[1:] == [("", "data", b"leave"), ("", "data", b"stay")]
        transport.abort()
        peer.close()
        loop.run_until_complete(turns())
        loop.close()


def test_a_transport_whose_own_handling_fails_is_reported() -> None:
    async def scenario(record: Record) -> None:
        caught(record)
        transport, peer = await connect(Recorder(record))

        def fail(*_: Any) -> None:
            asyncio.get_running_loop()._remove_reader(transport.get_extra_info("socket"))  # type: ignore[attr-defined]
            raise LookupError("on purpose")

        transport._read_ready__on_eof = fail
        peer.close()
        await turns()
        transport.abort()
        await turns()
        record[:] = [entry[2] for entry in record if entry[0] == "handler"]

    assert same(scenario) == ["LookupError('on purpose')"]


def test_a_connection_that_is_reset_says_so() -> None:
    async def scenario(record: Record) -> None:
        loop = asyncio.get_running_loop()
        for name in ("reads", "writes"):
            listener = socket.create_server(("127.0.0.1", 0))
            protocol = Recorder(record, name)
            transport, _ = await loop.create_connection(lambda p=protocol: p, *listener.getsockname())  # type: ignore[misc]
            peer, _ = listener.accept()
            await turns()
            if name == "writes":
                transport.pause_reading()
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            peer.close()
            listener.close()
            if name == "writes":
                transport.write(b"x")
            await protocol.lost

    record = same(scenario)
    assert [entry[2] for entry in record if entry[1] == "lost"] == [ConnectionResetError] * 2


# --- reading


def test_reading_pauses_and_goes_on() -> None:
    async def scenario(record: Record) -> None:
        transport, peer = await connect(Recorder(record, then=lambda protocol, _: protocol.transport.pause_reading()))
        for text in (b"one", b"two", b"three"):
            peer.send(text)
            await turns()
            record.append(transport.is_reading())
            transport.resume_reading()
            await turns()
        transport.abort()
        peer.close()
        await turns()

    assert [entry[2] for entry in same(scenario) if entry not in (True, False) and entry[1] == "data"] == [
        b"one",
        b"two",
        b"three",
    ]


def test_the_end_comes_after_the_data_and_the_transport_may_stay_open() -> None:
    class HalfOpen(Recorder):
        def eof_received(self) -> bool:
            self.say("eof")
            return True

    async def scenario(record: Record) -> None:
        for kind in (Recorder, HalfOpen):
            transport, peer = await connect(kind(record))
            peer.send(b"last")
            peer.shutdown(socket.SHUT_WR)
            await turns()
            record.append(transport.is_closing())
            transport.write(b"answer")
            transport.close()
            await turns()
            record.append(peer.recv(100))
            peer.close()

    record = same(scenario)
    assert record.count(b"answer") == 1
    assert record.count(("", "eof")) == 2


def test_one_read_takes_no_more_than_asked_for() -> None:
    async def scenario(record: Record) -> None:
        transport, peer = await connect(Recorder(record))
        transport.max_size = 3
        peer.send(b"1234567")
        await turns(8)
        transport.abort()
        peer.close()
        await turns()

    assert [entry[2] for entry in same(scenario) if entry[1] == "data"] == [b"123", b"456", b"7"]


class Buffered(asyncio.BufferedProtocol):
    """Records what it is told; `fails` is the method that does."""

    def __init__(self, record: Record, fails: str = "", buffer: Any = None) -> None:
        self.record, self.fails = record, fails
        self.buffer = bytearray(4) if buffer is None else buffer

    def fail(self, name: str) -> None:
        if self.fails == name:
            raise LookupError(name)

    def get_buffer(self, sizehint: int) -> Any:
        self.fail("get_buffer")
        return self.buffer

    def buffer_updated(self, count: int) -> None:
        self.record.append(bytes(self.buffer[:count]))
        self.fail("buffer_updated")

    def eof_received(self) -> None:
        self.record.append("eof")
        self.fail("eof_received")

    def connection_lost(self, exc: BaseException | None) -> None:
        self.record.append(repr(exc))


def test_reads_of_every_size_after_every_other_give_what_was_sent() -> None:
    sizes = (1, 4095, 4096, 4096, 20_000, 100, 9000, 5000, 5000, 70_000, 4097, 60_000, 3)

    async def scenario(record: Record) -> None:
        transport, peer = await connect(Recorder(record))
        stream = random.Random(1)
        for size in sizes:
            piece = stream.randbytes(size)
            assert peer.send(piece) == size
            await turns()
            assert record.pop() == ("", "data", piece)
        transport.abort()
        peer.close()

    same(scenario)


@pytest.mark.parametrize(
    ("pieces", "reads"),
    [
        (8, [4 * SIZE]),  # so many are no rule yet
        (9, [SIZE] * 4),
        (17, [4 * SIZE]),  # the read that looks for more
        (20, [SIZE] * 4),
        (31, [SIZE, SIZE, 2 * SIZE]),
    ],
)
def test_after_many_reads_of_one_size_the_next_are_of_it_and_some_look_for_more(pieces: int, reads: list[int]) -> None:
    """One that asks for no more than the last loses nothing: what is left is read in the next turns."""

    async def scenario() -> list[int]:
        record: Record = []
        transport, peer = await connect(Recorder(record))
        stream = random.Random(1)
        sent = [stream.randbytes(SIZE) for _ in range(pieces + 4)]
        for piece in sent[:pieces]:
            peer.send(piece)
            await turns()
            assert record.pop() == ("", "data", piece)
        record.clear()
        peer.send(b"".join(sent[pieces:]))
        await turns(12)
        data = [entry[2] for entry in record]
        assert b"".join(data) == b"".join(sent[pieces:])
        transport.abort()
        peer.close()
        return [len(piece) for piece in data]

    with asyncio.Runner(loop_factory=ukernel.EventLoop) as runner:
        assert runner.run(scenario()) == reads


def test_a_buffered_protocol_has_its_buffer_filled() -> None:
    async def scenario(record: Record) -> None:
        for buffer in (bytearray(4), memoryview(bytearray(8))[2:6]):
            transport, peer = await connect(Buffered(record, buffer=buffer))
            peer.send(b"123456789")
            await turns(8)
            peer.close()
            await turns()
            assert transport.is_closing()

    assert same(scenario) == [b"1234", b"5678", b"9", "eof", "None"] * 2


@pytest.mark.parametrize("fails", ["get_buffer", "buffer_updated", "eof_received", "empty"])
def test_a_buffered_protocol_that_fails_loses_its_connection(fails: str) -> None:
    async def scenario(record: Record) -> None:
        caught(record)
        transport, peer = await connect(Buffered(record, fails, bytearray(0) if fails == "empty" else None))
        peer.send(b"1234")
        await turns()
        peer.close()
        await turns()
        assert transport.is_closing()

    assert [entry[0] for entry in same(scenario)].count("handler") == 1


def test_a_protocol_can_be_replaced_by_one_of_the_other_kind() -> None:
    async def scenario(record: Record) -> None:
        plain, buffered = Recorder(record), Buffered(record)
        transport, peer = await connect(plain)
        for protocol in (buffered, plain, buffered):
            peer.send(b"x")
            await turns()
            transport.set_protocol(protocol)
        peer.close()
        await turns()

    assert same(scenario)[1:] == [("", "data", b"x"), b"x", ("", "data", b"x"), "eof", "None"]


# --- writing


@pytest.mark.parametrize(
    "data",
    [
        b"bytes",
        bytearray(b"bytearray"),
        memoryview(b"view"),
        memoryview(b"a part of it")[2:6],
        b"",
        memoryview(b""),
        "text",
        None,
        17,
    ],
    ids=repr,
)
def test_what_can_be_written_arrives(data: Any) -> None:
    async def scenario(record: Record) -> None:
        transport, peer = await connect(Recorder(record))
        peer.setblocking(False)
        try:
            transport.write(data)
            record.append(peer.recv(100))
        except (TypeError, BlockingIOError) as error:
            record.append(repr(error))
        transport.abort()
        peer.close()
        await turns()

    same(scenario)


def test_a_view_of_other_items_than_bytes_is_written_as_bytes() -> None:
    async def scenario(record: Record) -> None:
        transport, peer = await connect(Recorder(record))
        transport.write(memoryview(array.array("I", range(10))))
        await turns()
        record.append(peer.recv(100))
        transport.abort()
        peer.close()
        await turns()

    same(scenario)


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_what_does_not_fit_is_written_later_in_order(kind: Any) -> None:
    text = bytes(range(256)) * 20_000

    async def scenario(record: Record) -> None:
        loop = asyncio.get_running_loop()
        transport, peer = await connect(Recorder(record))
        peer.setblocking(False)
        for part in (text, b"and", text[:70_000], b"the end"):
            transport.write(kind(part))
        record.append(transport.get_write_buffer_size() > 0)
        transport.close()
        received = bytearray()
        while data := await loop.sock_recv(peer, 1 << 20):
            received += data
        record.append(received == text + b"and" + text[:70_000] + b"the end")
        peer.close()
        await turns()

    record = same(scenario)
    assert record.count(True) == 2
    assert ("", "pause") in record


def test_nothing_overtakes_what_waits_to_be_written() -> None:
    text = bytes(range(256)) * 20_000

    async def scenario(record: Record) -> None:
        loop = asyncio.get_running_loop()
        transport, peer = await connect(Recorder(record))
        peer.setblocking(False)
        transport.write(text)
        received = bytearray()
        with contextlib.suppress(BlockingIOError):
            while True:
                received += peer.recv(1 << 20)
        transport.write(b"and")  # there is room for it now, but it is not its turn
        transport.close()
        while data := await loop.sock_recv(peer, 1 << 20):
            received += data
        record.append(bytes(received) == text + b"and")
        peer.close()
        await turns()

    assert True in same(scenario)


def test_a_transport_that_is_closing_reads_nothing() -> None:
    async def scenario(record: Record) -> None:
        transport, peer = await connect(Recorder(record))
        peer.send(b"x")
        transport.abort()
        transport._read_ready()
        await turns()
        peer.close()

    assert [entry[1] for entry in same(scenario)] == ["made", "lost"]


def test_writing_after_the_end_or_after_closing_is_as_with_asyncio() -> None:
    async def scenario(record: Record) -> None:
        transport, peer = await connect(Recorder(record))
        transport.write_eof()
        try:
            transport.write(b"x")
        except RuntimeError as error:
            record.append(str(error))
        transport.close()
        peer.close()
        await turns()
        transport, peer = await connect(Recorder(record))
        transport.abort()
        transport.write(b"nobody gets this")
        await turns()
        record.append(peer.recv(100))
        peer.close()

    assert b"" in same(scenario)


# --- the rest


def test_debug_mode_reports_slow_callbacks(caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        loop.slow_callback_duration = 0
        transport, peer = await connect(Recorder([]))
        peer.send(b"x")
        await turns()
        transport.abort()
        peer.close()
        await turns()

    with asyncio.Runner(loop_factory=ukernel.EventLoop, debug=True) as runner:
        runner.run(main())
    assert "<reader of <SocketTransport" in caplog.text


def test_the_extension_stays_unused_with_another_library() -> None:
    from ukernel.testing import FakeAbi

    assert native_for(FakeAbi()) is None
