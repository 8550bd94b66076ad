"""``UkernelSelector`` by itself."""

from __future__ import annotations

import os
import selectors
import socket
import sys
from collections.abc import Iterator

import pytest

from ukernel import UkernelSelector
from ukernel.abi import ERR_IO, BusyError, DeviceError, LoopAbi
from ukernel.handles import READ, WRITE
from ukernel.testing import FakeAbi, NothingCanWake

Pair = tuple[socket.socket, socket.socket]


@pytest.fixture
def pair() -> Iterator[Pair]:
    left, right = socket.socketpair()
    with left, right:
        yield left, right


def test_readiness_is_a_level(selector: UkernelSelector, pair: Pair) -> None:
    left, right = pair
    key = selector.register(left, READ, "data")
    assert selector.select(0) == []
    right.send(b"x")
    assert selector.select() == selector.select(0) == [(key, READ)]
    left.recv(1)
    assert selector.select(0) == []


def test_what_is_ready_for_both_says_so_once(selector: UkernelSelector, pair: Pair) -> None:
    left, right = pair
    right.send(b"x")
    key = selector.register(left, READ | WRITE)
    assert selector.select(0) == [(key, READ | WRITE)]
    key = selector.modify(left, WRITE)
    assert selector.select(0) == [(key, WRITE)]


def test_a_hang_up_is_told_to_whoever_waits(selector: UkernelSelector) -> None:
    reader, writer = os.pipe()
    try:
        key = selector.register(writer, WRITE)
        while True:  # fill the pipe, so that only the hang-up makes it ready
            os.set_blocking(writer, False)
            try:
                os.write(writer, bytes(65536))
            except BlockingIOError:
                break
        assert selector.select(0) == []
        os.close(reader)
        reader = -1
        assert selector.select(1) == [(key, WRITE)]
    finally:
        os.close(writer)
        if reader >= 0:
            os.close(reader)


def test_the_map_is_that_of_the_standard_selectors(selector: UkernelSelector, pair: Pair) -> None:
    left, right = pair
    key = selector.register(left, READ, "data")
    assert selector.get_key(left) == key == selector.get_map()[left.fileno()]
    assert len(selector.get_map()) == 1
    assert list(selector.get_map()) == [left.fileno()]
    with pytest.raises(KeyError, match="already registered"):
        selector.register(left, READ)
    for absent in (selector.unregister, selector.get_key, lambda fileobj: selector.modify(fileobj, READ)):
        with pytest.raises(KeyError, match="is not registered"):
            absent(right)
    assert selector.modify(left, READ, "other").data == "other"
    assert selector.unregister(left).data == "other"
    assert len(selector.get_map()) == 0


@pytest.mark.parametrize("events", [0, 4, -1, 7])
def test_events_that_are_none_are_refused(selector: UkernelSelector, pair: Pair, events: int) -> None:
    with pytest.raises(ValueError, match="Invalid events"):
        selector.register(pair[0], events)
    selector.register(pair[0], READ)
    with pytest.raises(ValueError, match="Invalid events"):
        selector.modify(pair[0], events)


@pytest.mark.parametrize("fileobj", [-1, "file", None, object()])
def test_what_is_no_file_is_refused(selector: UkernelSelector, fileobj: object) -> None:
    with pytest.raises(ValueError, match="Invalid file"):
        selector.register(fileobj, READ)


def test_what_is_not_open_is_refused_as_by_the_standard_selectors(selector: UkernelSelector) -> None:
    descriptor = os.dup(0)
    os.close(descriptor)
    with pytest.raises(OSError, match="Bad file descriptor"):
        selector.register(descriptor, READ)
    assert len(selector.get_map()) == 0


def test_a_closed_file_can_be_unregistered(selector: UkernelSelector) -> None:
    left, right = socket.socketpair()
    with right:
        key = selector.register(left, READ)
        left.close()
        selector.select(0)
        assert selector.unregister(left) == key
        assert selector.select(0) == []


def test_a_descriptor_that_is_used_again_is_watched_anew(selector: UkernelSelector, pair: Pair) -> None:
    """The program closes a descriptor without a word, gets its number again and goes on as if nothing was."""
    old, peer = socket.socketpair()
    with peer:
        number = old.fileno()
        selector.register(number, READ, "old")
        old.close()
        os.dup2(pair[0].fileno(), number)
        try:
            selector.unregister(number)
            key = selector.register(number, READ, "new")
            assert selector.select(0) == []
            pair[1].send(b"x")
            assert selector.select(1) == [(key, READ)]
            peer.close()  # the old connection says nothing any more
            pair[0].recv(1)
            assert selector.select(0) == []
            selector.unregister(number)
        finally:
            os.close(number)


def test_a_handle_that_is_closed_behind_its_back_does_no_harm(selector: UkernelSelector, pair: Pair) -> None:
    left, right = pair
    selector.register(left, READ)
    with selector.kernel:
        selector.kernel.abi.handle_close(selector._poller.handle(left.fileno()))
    right.send(b"x")
    assert selector.select(0) == []
    key = selector.modify(left, READ | WRITE)
    assert selector.select(0) == [(key, READ | WRITE)]
    selector.unregister(left)


def test_closing_twice_and_using_it_afterwards(selector: UkernelSelector, pair: Pair) -> None:
    selector.register(pair[0], READ)
    selector.close()
    selector.close()
    assert selector.get_map() is None
    selector.wake()
    with pytest.raises(RuntimeError):
        selector.get_key(pair[0])
    with pytest.raises((OSError, RuntimeError)):
        selector.register(pair[0], READ)


def test_a_wake_ends_one_wait(selector: UkernelSelector) -> None:
    for _ in range(3):
        selector.wake()
    assert selector.select() == []
    before = selector.time()
    assert selector.select(0.01) == []
    assert selector.time() - before >= 0.01, "the second wait was ended by an old wake"


@pytest.mark.parametrize("timeout", [1e-9, 0.001, 0.0123])
def test_no_wait_is_early(selector: UkernelSelector, timeout: float) -> None:
    before = selector.time()
    assert selector.select(timeout) == []
    assert selector.time() - before >= timeout


def test_a_part_of_a_nanosecond_is_a_whole_one(fake: FakeAbi) -> None:
    with UkernelSelector(fake) as selector:
        assert selector.select(1.5e-9) == []
        assert fake.now == 2


def test_a_timeout_of_less_than_nothing_does_not_wait(fake: FakeAbi) -> None:
    with UkernelSelector(fake) as selector:
        assert selector.select(-5) == []
        assert fake.now == 0


def test_a_timeout_of_centuries_is_a_number_too(fake: FakeAbi) -> None:
    with UkernelSelector(fake) as selector:
        selector.wake()
        assert selector.select(1e30) == []


def test_the_clock_never_goes_back(fake: FakeAbi) -> None:
    fake.now = 5_000_000_000
    with UkernelSelector(fake) as selector:
        assert selector.time() == 5.0
        fake.now = 1_000_000_000
        assert selector.time() == 5.0
        fake.now = 6_000_000_000
        assert selector.time() == 6.0


def test_a_failure_of_the_kernel_is_an_oserror(fake: FakeAbi) -> None:
    with UkernelSelector(fake) as selector:
        fake.fail["interest_wait"].append(ERR_IO)
        with pytest.raises(DeviceError, match=r"interest_wait: .* \[ERR_IO\]"):
            selector.select(0)
        assert selector.select(0) == []


def test_a_failed_registration_leaves_nothing(fake: FakeAbi, pair: Pair) -> None:
    with UkernelSelector(fake) as selector:
        before = fake.open_handles()
        fake.fail["interest_add"].append(ERR_IO)
        with pytest.raises(OSError, match="ERR_IO"):
            selector.register(pair[0], READ)
        assert fake.open_handles() == before
        assert len(selector.get_map()) == 0
        selector.register(pair[0], READ)


def test_a_wait_without_an_end_is_found(fake: FakeAbi) -> None:
    with UkernelSelector(fake) as selector, pytest.raises(NothingCanWake):
        selector.select()


def test_a_regular_file_is_always_ready(selector: UkernelSelector) -> None:
    with open(__file__, "rb") as file:
        key = selector.register(file, READ)
        assert selector.select(0) == [(key, READ)]
        selector.unregister(file)


def test_it_waits_for_more_than_one_call_can_bring(selector: UkernelSelector) -> None:
    """With more ready than fits, none is forgotten."""
    import resource

    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 1500
    if soft < 2 * wanted + 100:
        wanted = (soft - 100) // 2
    pairs = [socket.socketpair() for _ in range(wanted)]
    try:
        for left, right in pairs:
            right.send(b"x")
            selector.register(left, READ, left)
        seen = set()
        for _ in range(10):
            for key, _events in selector.select(0):
                key.data.recv(1)
                seen.add(key.fd)
        assert len(seen) == wanted
    finally:
        for left, right in pairs:
            left.close()
            right.close()


def test_each_selector_has_a_kernel_of_its_own(interface: LoopAbi, pair: Pair) -> None:
    with UkernelSelector(interface) as first, UkernelSelector(interface) as second:
        key = first.register(pair[0], READ)
        same = second.register(pair[0], READ)
        pair[1].send(b"x")
        assert first.select(1) == [(key, READ)]
        assert second.select(1) == [(same, READ)]
        first.unregister(pair[0])
        assert second.select(1) == [(same, READ)]


def test_a_kernel_below_another_is_not_mistaken_for_it(interface: LoopAbi) -> None:
    """Within a second kernel the first is refused, rather than the second one used in its place."""
    with UkernelSelector(interface) as first, UkernelSelector(interface) as second:
        with first.kernel, first.kernel, second.kernel:
            with pytest.raises(BusyError):
                first.select(0)
            assert second.select(0) == []
        assert first.select(0) == []


def test_it_is_a_selector() -> None:
    assert issubclass(UkernelSelector, selectors.BaseSelector)
    assert "asyncio" in sys.modules
