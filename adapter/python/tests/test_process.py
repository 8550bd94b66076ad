"""What concerns the whole process: forks, signals, children, limits. Each test is a process of its own."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from conftest import library_only

import ukernel

pytestmark = library_only
PACKAGE = Path(ukernel.__file__).parents[1]

HEAD = """
import asyncio, gc, os, resource, select, signal, socket, sys, threading, time, warnings
import ukernel

def say(text):  # a signal's handler may, in the middle of another call: it has no buffer
    os.write(1, f"{text}\\n".encode())

"""


def start(text: str, mode: str = "dev") -> subprocess.Popen[str]:
    """Starts a program, as a rule in Python's development mode, in which asyncio checks and warns more."""
    path = os.pathsep.join([str(PACKAGE), os.environ.get("PYTHONPATH", "")])
    command = [sys.executable, "-X", mode, "-c", HEAD + textwrap.dedent(text)]
    environment = os.environ | {"PYTHONPATH": path}
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def expect(process: subprocess.Popen[str], line: str) -> None:
    """Waits for a line. Fails if it is another, or if it does not come in time."""
    assert process.stdout
    if not select.select([process.stdout], [], [], 30)[0]:
        process.kill()
        pytest.fail(f"no {line!r}: {process.communicate()}")
    assert process.stdout.readline() == line + "\n"


def program(text: str, status: int = 0, timeout: float = 60, mode: str = "dev") -> str:
    """Runs a program, and gives what it printed. Fails if it ends otherwise or takes too long."""
    process = start(text, mode)
    try:
        out, err = process.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        raise
    assert process.returncode == status, f"status {process.returncode}\n{out}\n{err}"
    return out


# --- fork


def test_a_child_cannot_use_its_parents_loop_and_can_have_its_own() -> None:
    out = program("""
        async def main():
            pid = os.fork()
            if pid == 0:
                try:
                    await asyncio.sleep(0.01)
                except asyncio.CancelledError:
                    raise
            return pid

        parent = os.getpid()
        runner = asyncio.Runner(loop_factory=ukernel.EventLoop)
        try:
            pid = runner.run(main())
        except OSError as error:
            assert os.getpid() != parent
            print("child:", type(error).__name__, flush=True)
            assert ukernel.run(asyncio.sleep(0.001, "own")) == "own"
            print("child: own loop", flush=True)
            os._exit(7)
        assert os.getpid() == parent
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 7
        runner.run(asyncio.sleep(0.01))
        runner.close()
        print("parent: goes on")
    """)
    assert out.splitlines() == ["child: UnsupportedError", "child: own loop", "parent: goes on"]


def test_a_child_that_drops_the_parents_loop_does_it_no_harm() -> None:
    """The instance of epoll is shared: what the child closes must not vanish from the parent's."""
    out = program("""
        async def main():
            left, right = socket.socketpair()
            reader, writer = await asyncio.open_connection(sock=left)
            pid = os.fork()
            if pid == 0:
                loop = asyncio.get_event_loop_policy()
                writer.transport._loop._remove_reader(left.fileno())
                writer.transport._loop._selector.close()
                os._exit(0)
            assert os.waitpid(pid, 0)[1] == 0
            right.send(b"still here\\n")
            print((await asyncio.wait_for(reader.readline(), 10)).decode().strip())
            writer.close()
            await writer.wait_closed()
            right.close()

        ukernel.run(main())
    """)
    assert out == "still here\n"


def test_multiprocessing_by_fork_works_from_a_loop() -> None:
    out = program("""
        import multiprocessing
        from concurrent.futures import ProcessPoolExecutor

        def work(number):
            return ukernel.run(asyncio.sleep(0.001, number * 2))

        async def main():
            context = multiprocessing.get_context("fork")
            with ProcessPoolExecutor(2, context) as pool:
                loop = asyncio.get_running_loop()
                return await asyncio.gather(*(loop.run_in_executor(pool, work, number) for number in range(10)))

        warnings.simplefilter("ignore", DeprecationWarning)
        print(sum(ukernel.run(main())))
    """)
    assert out == "90\n"


# --- signals


def test_ctrl_c_ends_a_program_that_waits() -> None:
    """As with asyncio.run: the main task is cancelled, then KeyboardInterrupt."""
    process = start("""
        async def main():
            try:
                print("ready", flush=True)
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                print("cancelled", flush=True)
                raise

        try:
            ukernel.run(main())
        except KeyboardInterrupt:
            print("interrupted", flush=True)
    """)
    expect(process, "ready")
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=20)
    assert (process.returncode, out) == (0, "cancelled\ninterrupted\n"), err


def test_a_handler_of_the_signal_module_runs_while_the_loop_waits() -> None:
    process = start("""
        signal.signal(signal.SIGUSR1, lambda *_: say("handled"))
        signal.signal(signal.SIGUSR2, lambda *_: sys.exit(9))
        loop = ukernel.EventLoop()
        loop.add_signal_handler(signal.SIGHUP, print, "hung up")
        loop.remove_signal_handler(signal.SIGHUP)
        loop.call_soon(loop.add_signal_handler, signal.SIGHUP, print)
        loop.call_soon(loop.remove_signal_handler, signal.SIGHUP)
        loop.call_soon(say, "ready")
        loop.run_forever()
    """)
    expect(process, "ready")
    process.send_signal(signal.SIGUSR1)
    expect(process, "handled")
    process.send_signal(signal.SIGUSR2)
    process.communicate(timeout=20)
    assert process.returncode == 9


def test_a_selector_without_a_loop_is_interrupted_too() -> None:
    process = start("""
        ended = threading.Event()

        def send():
            while not ended.wait(0.01):
                os.kill(os.getpid(), signal.SIGUSR1)

        signal.signal(signal.SIGUSR1, lambda *_: None)
        selector = ukernel.UkernelSelector()
        sender = threading.Thread(target=send)
        sender.start()
        assert selector.select() == []
        ended.set()
        sender.join()
        before = time.monotonic()
        assert selector.select(0.05) == []
        assert time.monotonic() - before >= 0.05, "the old signal ended another wait"
        try:
            print("ready", flush=True)  # from here on signals come at any time
            while True:
                selector.select()
        except KeyboardInterrupt:
            selector.close()
            print("interrupted", flush=True)
    """)
    expect(process, "ready")
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=20)
    assert (process.returncode, out) == (0, "interrupted\n"), err


def test_a_storm_of_signals_loses_no_kind_and_nothing_else() -> None:
    out = program("""
        async def main():
            loop = asyncio.get_running_loop()
            seen = {signal.SIGUSR1: 0, signal.SIGUSR2: 0}
            for number in seen:
                loop.add_signal_handler(number, lambda number=number: seen.__setitem__(number, seen[number] + 1))
            pid, stop, sent = os.getpid(), threading.Event(), [0]
            left, right = socket.socketpair()
            reader, writer = await asyncio.open_connection(sock=left)
            peer_reader, peer = await asyncio.open_connection(sock=right)

            def storm():
                # With an end: a busy machine hears of thousands in each turn, and slowly (-X dev).
                while not stop.is_set() and sent[0] < 20_000:
                    os.kill(pid, signal.SIGUSR1)
                    os.kill(pid, signal.SIGUSR2)
                    sent[0] += 2

            thread = threading.Thread(target=storm)
            thread.start()
            turns = 0
            while turns < 300 or sent[0] < 5000:
                writer.write(b"x" * 1000)
                await peer_reader.readexactly(1000)
                turns += 1
            stop.set()
            thread.join()
            os.kill(pid, signal.SIGUSR1)
            os.kill(pid, signal.SIGUSR2)
            before = dict(seen)
            while any(seen[number] == before[number] for number in seen):
                await asyncio.sleep(0.001)
            for each in (writer, peer):
                each.close()
                await each.wait_closed()
            print("both", all(seen.values()))

        ukernel.run(main())
    """)
    assert out == "both True\n"


def test_signals_that_come_between_two_runs_are_not_lost() -> None:
    out = program("""
        loop = ukernel.EventLoop()
        loop.add_signal_handler(signal.SIGUSR1, print, "handled")
        loop.run_until_complete(asyncio.sleep(0))
        os.kill(os.getpid(), signal.SIGUSR1)
        loop.run_until_complete(asyncio.sleep(0.01))
        loop.close()
        print(signal.set_wakeup_fd(-1))
    """)
    assert out == "handled\n-1\n"


def test_what_others_had_set_for_signals_is_there_afterwards() -> None:
    out = program("""
        left, right = socket.socketpair()
        left.setblocking(False)
        signal.set_wakeup_fd(left.fileno())
        ukernel.run(asyncio.sleep(0.001))
        print(signal.set_wakeup_fd(-1) == left.fileno())
        left.close(), right.close()
    """)
    assert out == "True\n"


def test_children_are_started_and_waited_for() -> None:
    out = program("""
        async def main():
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-c", "import sys; sys.stdout.write(sys.stdin.read()[::-1]); sys.exit(3)",
                stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE)
            out, _ = await process.communicate(b"abc")
            print(out.decode(), process.returncode)

        ukernel.run(main())
    """)
    assert out == "cba 3\n"


# --- the policy


def test_what_the_policy_forbids_is_a_permission_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UKERNEL_ALLOW", "io time log")
    out = program("""
        async def main():
            with ukernel.Capability("log"):
                pass
            with ukernel.Capability("ipc"):
                print("entered")

        try:
            ukernel.run(main())
        except PermissionError as error:
            print(error.call)
    """)
    assert out == "cap_acquire\n"


# --- limits


def test_as_many_connections_as_there_are_descriptors() -> None:
    """Connections until the limit: then an error, and those that are there go on."""
    out = program("""
        resource.setrlimit(resource.RLIMIT_NOFILE, (512, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))

        async def main():
            async def serve(reader, writer):
                while data := await reader.read(100):
                    writer.write(data)
                writer.close()

            reports = []
            asyncio.get_running_loop().set_exception_handler(lambda _, context: reports.append(context["message"]))
            server = await asyncio.start_server(serve, "127.0.0.1", 0, backlog=1000)
            host, port = server.sockets[0].getsockname()
            connections = []
            try:
                while True:
                    connections.append(await asyncio.open_connection(host, port))
            except OSError as error:
                print(error.errno)
            assert len(connections) > 200, len(connections)
            # What has two ends here echoes; the last may wait for a descriptor in the server's queue.
            closed, (kept_reader, kept_writer) = connections[-20:], connections[0]
            for reader, writer in closed:
                writer.close()
                await writer.wait_closed()
            for reader, writer in connections[:-20]:
                writer.write(b"x")
            answers = await asyncio.gather(*(reader.readexactly(1) for reader, _ in connections[:-20]))
            assert answers == [b"x"] * len(answers)
            more = await asyncio.open_connection(host, port)
            more[1].write(b"again")
            print(await more[0].readexactly(5))
            for _, writer in connections[:-20] + [more]:
                writer.close()
                await writer.wait_closed()
            server.close()
            await server.wait_closed()
            assert all("accept" in report for report in reports), reports

        ukernel.run(main())
    """)
    assert out == "24\nb'again'\n"


def test_no_descriptor_left_for_a_loop_is_an_oserror() -> None:
    out = program("""
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        used = len(os.listdir("/proc/self/fd")) - 1
        before = sorted(os.listdir("/proc/self/fd"))
        failed = 0
        for more in range(8):
            resource.setrlimit(resource.RLIMIT_NOFILE, (used + more, hard))
            try:
                ukernel.EventLoop().close()
            except OSError:
                failed += 1
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        gc.collect()
        print(failed > 2, failed < 8, sorted(os.listdir("/proc/self/fd")) == before)
        print(ukernel.run(asyncio.sleep(0.001, "works")))
    """)
    assert out == "True True True\nworks\n"


def test_importing_warns_of_nothing() -> None:
    command = [sys.executable, "-W", "error", "-c", "import ukernel, ukernel.testing"]
    path = os.pathsep.join([str(PACKAGE), os.environ.get("PYTHONPATH", "")])
    subprocess.run(command, env=os.environ | {"PYTHONPATH": path}, check=True)


def test_an_idle_loop_computes_nothing() -> None:
    """With ten thousand idle connections, or as many as there may be, and a timer far away the process does not run."""
    out = program("""
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))

        async def main():
            pairs = [socket.socketpair() for _ in range(min(10_000, hard // 2 - 50))]
            loop = asyncio.get_running_loop()
            for left, _ in pairs:
                left.setblocking(False)
                loop.add_reader(left, print)
            await asyncio.sleep(0.05)
            before = resource.getrusage(resource.RUSAGE_SELF)
            await asyncio.sleep(1)
            after = resource.getrusage(resource.RUSAGE_SELF)
            print(after.ru_nvcsw - before.ru_nvcsw <= 10)

            async def turns(count):
                begin = time.thread_time()
                for _ in range(count):
                    await asyncio.sleep(0)
                return time.thread_time() - begin

            busy = min([await turns(2000) for _ in range(5)])
            for left, _ in pairs[10:]:
                loop.remove_reader(left)
            alone = min([await turns(2000) for _ in range(5)])
            for left, _ in pairs[10:]:
                loop.add_reader(left, print)
            print(busy < 2 * alone, busy, alone)
            for left, right in pairs:
                loop.remove_reader(left)
                left.close(), right.close()

        ukernel.run(main())
    """)
    idle, same = out.splitlines()
    assert idle == "True"
    assert same.startswith("True"), same
