"""``ukernel.abi`` with the library: values, errors, buffers."""

from __future__ import annotations

import asyncio
import os
import pickle
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import library_only

from ukernel import UkernelAbi, abi
from ukernel.abi import Abi
from ukernel.library import interface

pytestmark = library_only

ALL = (abi.CAP_LOG, abi.CAP_TIME, abi.CAP_TASK, abi.CAP_MEM, abi.CAP_IO, abi.CAP_IPC, abi.CAP_NET, abi.CAP_TRACE)


@pytest.fixture
def library() -> Iterator[Abi]:
    """The interface, in a kernel of its own with everything active."""
    made = interface()
    number = made.kernel_create()
    made.kernel_enter(number)
    made.cap_enter([made.cap_acquire(kind) for kind in ALL])
    yield made
    made.kernel_leave()
    made.kernel_destroy(number)


def test_the_version_and_the_features(library: Abi) -> None:
    assert library.abi_version()[:2] >= abi.VERSION
    assert library.abi_feature_enabled(abi.FEAT_NUMBER_HOST)
    assert not library.abi_feature_enabled(60)
    assert library.abi_features() & abi.FEAT_BIT(abi.FEAT_NUMBER_INTEREST)


def test_a_failed_call_says_which_argument(library: Abi) -> None:
    with pytest.raises(abi.InvalidError) as caught:
        library.cap_acquire(99)
    assert (caught.value.call, caught.value.argument, caught.value.value) == ("cap_acquire", 1, 99)
    assert "argument 1 (0x63)" in str(caught.value)
    assert library.err_get_last().code == abi.ERR_INVALID
    assert pickle.loads(pickle.dumps(caught.value)).argument == 1


@pytest.mark.parametrize(
    ("kind", "builtin"),
    [
        (abi.InvalidError, ValueError),
        (abi.NotFoundError, FileNotFoundError),
        (abi.TimedOutError, TimeoutError),
        (abi.TimedOutError, asyncio.TimeoutError),
        (abi.ForbiddenError, PermissionError),
        (abi.WouldBlockError, BlockingIOError),
        (abi.ClosedError, BrokenPipeError),
        (abi.UnsupportedError, OSError),
        (abi.NoMemoryError, OSError),
    ],
)
def test_errors_are_those_that_python_has(kind: type[abi.UkernelError], builtin: type[Exception]) -> None:
    made = kind("call")
    assert isinstance(made, builtin)
    assert made.errno
    assert os.strerror(made.errno)


@pytest.mark.parametrize("handle", [0, 1, 0x0200_0000_0000_0001, 2**64 - 1])
def test_any_number_is_a_legal_handle(library: Abi, handle: int) -> None:
    for call in (library.handle_close, library.io_close, library.ipc_close, library.net_close, library.io_sync):
        with pytest.raises(abi.InvalidError):
            call(handle)


def test_a_closed_handle_is_stale_for_ever(library: Abi) -> None:
    handle = library.time_deadline(0)
    library.handle_close(handle)
    library.time_deadline(0)
    with pytest.raises(abi.InvalidError):
        library.handle_close(handle)


def test_waiting_for_a_deadline(library: Abi) -> None:
    far = library.time_deadline(abi.FOREVER - 1)
    with pytest.raises(TimeoutError):
        library.io_wait(far, abi.IO_READABLE, 1_000_000)
    with pytest.raises(BlockingIOError):
        library.io_wait(far, abi.IO_READABLE, 0)
    now = library.time_now()
    deadline = library.time_deadline(now + 5_000_000)
    assert library.io_wait(deadline, abi.IO_READABLE) == abi.IO_READABLE
    assert library.time_now() - now >= 5_000_000


def test_polling_a_list(library: Abi) -> None:
    handles = [library.time_deadline(at) for at in (0, abi.FOREVER - 1, 0)]
    events = abi.Events(4)
    count = library.io_poll(handles, events, 0)
    assert [handle for handle, _, _ in events.first(count)] == [handles[0], handles[2]]
    with pytest.raises(ValueError, match="no room for 5 events"):
        library.io_poll(handles + handles[:2], events, 0)
    with pytest.raises(TimeoutError):
        library.io_poll([], events, 1000)


def test_buffers_are_read_and_filled_in_place(library: Abi) -> None:
    left, right = socket.socketpair()
    with left, right:
        handle = library.io_from_fd(left.fileno())
        backing = bytearray(b"0123456789")
        for piece in (b"bytes", bytearray(b"array"), memoryview(backing)[2:5], memoryview(b"readonly")[1:3], b""):
            if piece:
                assert library.io_write(handle, piece) == len(piece)
                assert right.recv(100) == bytes(piece)
        right.send(b"abc")
        assert library.io_read(handle, memoryview(backing)[4:]) == 3
        assert backing == b"0123abc789"
        right.send(b"vector")
        pieces = [bytearray(2), bytearray(10)]
        assert library.io_readv(handle, pieces) == 6
        assert pieces == [b"ve", b"ctor" + bytes(6)]
        assert library.io_writev(handle, [b"a", bytearray(b"b"), memoryview(b"c")]) == 3
        assert right.recv(10) == b"abc"
        library.handle_close(handle)


def test_what_cannot_be_written_is_refused_before_the_call(library: Abi) -> None:
    for buffer in (b"bytes", memoryview(b"readonly")):
        with pytest.raises(BufferError):
            library.random_bytes(buffer)  # type: ignore[arg-type]
    with pytest.raises((TypeError, BufferError)):
        library.random_bytes("text")  # type: ignore[arg-type]
    with pytest.raises(BufferError):
        library.random_bytes(memoryview(bytearray(10))[::2])


def test_a_buffer_cannot_be_resized_while_it_is_used(library: Abi) -> None:
    buffer = bytearray(4)
    left, right = socket.socketpair()
    with left, right:
        handle = library.io_from_fd(left.fileno())

        def resize() -> None:
            time.sleep(0.05)
            with pytest.raises(BufferError):
                buffer.extend(bytes(1 << 20))
            right.send(b"done")

        thread = threading.Thread(target=resize)
        thread.start()
        assert library.io_read(handle, buffer) == 4
        thread.join()
        assert buffer == b"done"
        buffer.extend(b"!")
        library.handle_close(handle)


def test_other_threads_run_while_one_waits(library: Abi) -> None:
    ticks = []

    def tick() -> None:
        for _ in range(5):
            time.sleep(0.002)
            ticks.append(1)

    thread = threading.Thread(target=tick)
    thread.start()
    library.task_sleep(100_000_000)
    assert len(ticks) == 5
    thread.join()


def test_a_wake_from_another_thread_is_counted(library: Abi) -> None:
    handle, waker = library.wake_create()

    def signal() -> None:
        for _ in range(3):
            library.wake_signal(waker)

    thread = threading.Thread(target=signal)
    thread.start()
    assert library.io_wait(handle, abi.IO_READABLE) == abi.IO_READABLE
    thread.join()
    assert library.wake_take(handle) == 3
    with pytest.raises(BlockingIOError):
        library.io_wait(handle, abi.IO_READABLE, 0)
    library.handle_close(handle)
    with pytest.raises(abi.InvalidError):
        library.wake_signal(waker)


def test_random_bytes_are_random(library: Abi) -> None:
    first, second = bytearray(32), bytearray(32)
    library.random_bytes(first)
    library.random_bytes(second)
    assert len({bytes(first), bytes(second), bytes(32)}) == 3
    with pytest.raises(abi.InvalidError):
        library.random_bytes(bytearray((1 << 20) + 1))


def test_time_is_known(library: Abi) -> None:
    assert abs(library.time_wall() - time.time_ns()) < 10**9
    assert library.time_now() <= library.time_now()


def test_memory_can_be_had_and_given_back(library: Abi) -> None:
    before = library.mem_usage().bytes
    address = library.mem_alloc(1000, abi.MEM_ZEROED)
    assert library.mem_usage().bytes - before >= 1000
    shared = library.mem_share(address, 10)
    assert library.mem_shared(shared) == (address, 10)
    library.mem_unshare(shared)
    library.mem_free(address)
    with pytest.raises(abi.InvalidError):
        library.mem_free(address)
    arena = library.mem_arena_create()
    assert library.mem_arena_alloc(arena, 64)
    library.mem_arena_reset(arena)
    library.handle_close(arena)


def test_tasks_of_ones_own(library: Abi) -> None:
    task = library.task_self()
    assert library.task_get_stats(task).sched_ticks >= 0
    library.task_yield()
    with pytest.raises(abi.InvalidError):
        library.task_join(task, 0)
    with pytest.raises(abi.InvalidError):
        library.task_spawn(0x1000, 0)


def test_a_message_that_does_not_fit_stays(library: Abi) -> None:
    channel = library.ipc_channel_create(abi.IPC_CAPACITY(2))
    library.ipc_send(channel, b"12345678")
    with pytest.raises(abi.InvalidError):
        library.ipc_recv(channel, bytearray(4))
    room = bytearray(10)
    assert library.ipc_recv(channel, room) == 8
    assert room[:8] == b"12345678"
    library.ipc_close(channel)


def test_a_channel_that_nobody_named_is_not_found(library: Abi) -> None:
    with pytest.raises(FileNotFoundError):
        library.ipc_open(b"nobody", abi.IPC_OPEN_SEND)
    with pytest.raises(abi.InvalidError):
        library.ipc_open(b"nobody", 0)


def test_the_kernels_own_sockets_talk(library: Abi) -> None:
    listener = library.net_socket(abi.NET_INET, abi.NET_STREAM)
    library.net_bind(listener, ("127.0.0.1", 0))
    library.net_listen(listener)
    host, port = library.net_local_address(listener)
    assert (host, port > 0) == ("127.0.0.1", True)
    with socket.create_connection((host, port)) as peer:
        accepted, address = library.net_accept(listener)
        assert address == peer.getsockname() == library.net_peer_address(accepted)
        assert library.net_send(accepted, b"hello") == 5
        assert peer.recv(10) == b"hello"
        peer.send(b"answer")
        room = bytearray(10)
        assert library.net_recv(accepted, room) == 6
        library.net_set_option(accepted, abi.NET_OPT_NODELAY, 0)
        assert library.net_get_option(accepted, abi.NET_OPT_NODELAY) == 0
        library.net_close(accepted)
        assert peer.recv(1) == b""
    library.net_close(listener)


def test_datagrams_of_both_kinds_of_addresses(library: Abi) -> None:
    for domain, host in ((abi.NET_INET, "127.0.0.1"), (abi.NET_INET6, "::1")):
        first, second = (library.net_socket(domain, abi.NET_DGRAM) for _ in range(2))
        library.net_bind(first, (host, 0))
        library.net_bind(second, (host, 0))
        library.net_send_to(first, b"datagram", library.net_local_address(second))
        room = bytearray(100)
        assert library.net_recv_from(second, room) == (8, library.net_local_address(first))
        library.net_close(first)
        library.net_close(second)


def test_an_address_that_is_none(library: Abi) -> None:
    sock = library.net_socket(abi.NET_INET, abi.NET_STREAM)
    for address in (("nonsense", 1), ("127.0.0.1", 65536), ("127.0.0.1", -1), ("1.2.3.4.5", 1)):
        with pytest.raises((OSError, ValueError)):
            library.net_bind(sock, address)
    library.net_close(sock)


def test_paths_with_a_zero_byte_are_refused(library: Abi) -> None:
    with pytest.raises(ValueError, match="no zero byte"):
        library.io_open("serial\0disk:0")
    with pytest.raises(FileNotFoundError):
        library.io_open("nothing-of-that-name")


def test_the_environment_and_texts_of_any_length() -> None:
    """The library reads it once, when it begins: so in a process that begins with it."""
    code = """
import ukernel
kernel = ukernel.library.interface()
assert kernel.sys_environment(b"LONG") == b"x" * 5000
assert kernel.sys_environment(b"EMPTY") == b""
assert [kernel.sys_argument(at) for at in range(kernel.sys_argument_count())][-2:] == [b"one", b"y" * 1000]
try:
    kernel.sys_environment(b"NOT_THERE")
except FileNotFoundError:
    print("none")
"""
    path = os.pathsep.join([str(Path(abi.__file__).parents[2]), os.environ.get("PYTHONPATH", "")])
    variables = os.environ | {"LONG": "x" * 5000, "EMPTY": "", "PYTHONPATH": path}
    command = [sys.executable, "-c", code, "one", "y" * 1000]
    assert subprocess.run(command, env=variables, check=True, capture_output=True, text=True).stdout == "none\n"


def test_what_is_no_number_is_a_type_error(library: Abi) -> None:
    for handle in ("handle", None, b"1"):
        with pytest.raises(TypeError):
            library.handle_close(handle)  # type: ignore[arg-type]


@pytest.mark.parametrize("number", [-1, 1 << 64, 1 << 200])
def test_a_number_that_does_not_fit_is_not_cut_off(library: Abi, number: int) -> None:
    deadline = library.time_deadline(0)
    with pytest.raises(abi.InvalidError) as caught:
        library.io_wait(deadline, abi.IO_READABLE, number)
    assert caught.value.argument == 3
    with pytest.raises(abi.InvalidError):
        library.handle_close(deadline + number * (1 << 64))
    with pytest.raises(abi.InvalidError):
        library.io_wait(deadline, abi.IO_READABLE + (1 << 32), 0)
    library.handle_close(deadline)


def test_arbitrary_calls_do_no_harm() -> None:
    """Tens of thousands of calls with numbers, handles and buffers as they come, in a process of their own."""
    command = [sys.executable, str(Path(__file__).with_name("arbitrary_calls.py")), "1", "20000"]
    path = os.pathsep.join([str(Path(abi.__file__).parents[2]), os.environ.get("PYTHONPATH", "")])
    ended = subprocess.run(command, env=os.environ | {"PYTHONPATH": path}, capture_output=True, text=True, timeout=120)
    assert ended.returncode == 0, ended.stderr[-3000:]
    outcomes = dict(line.rsplit(" ", 1) for line in ended.stdout.splitlines())
    assert int(outcomes["succeeded"]) > 2000, outcomes
    assert int(outcomes["refused"]) > 2000, outcomes


def test_the_original_class_works_with_result_codes() -> None:
    original = UkernelAbi()
    assert original.available
    assert original.error is None
    result, time_handle = original.cap_acquire(abi.CAP_TIME)
    assert (result, bool(time_handle)) == (abi.OK, True)
    _, log = original.cap_acquire(abi.CAP_LOG)
    _, waiting = original.cap_acquire(abi.CAP_IO)
    assert time_handle
    assert log
    assert waiting
    assert original.cap_enter([time_handle, log, waiting]) == abi.OK
    result, before = original.time_now()
    assert original.io_poll(2_000_000) == abi.ERR_TIMEOUT
    assert original.time_now()[1] - before >= 2_000_000
    assert original.io_poll(0) == abi.ERR_WOULD_BLOCK
    assert original.log_write("from the original's class") == abi.OK
    assert original.log_write(b"bytes too", abi.LOG_WARN) == abi.OK
    assert original.cap_exit() == abi.OK
    assert original.time_now()[0] == abi.ERR_PERMISSION
    assert original.cap_acquire(99)[0] == abi.ERR_INVALID


def test_writing_to_the_console(library: Abi, capfd: pytest.CaptureFixture[str]) -> None:
    console = library.io_open("serial", abi.IO_OPEN_WRITE)
    assert library.io_write(console, b"to the console\n") == 15
    library.io_close(console)
    captured = capfd.readouterr()
    assert "to the console\n" in captured.out + captured.err
