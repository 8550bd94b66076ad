"""What is left after many connections and many loops: nothing.

Descriptors are counted, memory is the process's resident set, and the kernel's handles are counted by the index of a
new one: the table reuses what is free, so a leak shows there. Each test is a process of its own.
``./just test-long`` runs the long form.
"""

from __future__ import annotations

import pytest
from conftest import library_only
from test_process import program

pytestmark = library_only

MEASURE = """
import ctypes

libc = ctypes.CDLL(None)

def descriptors():
    return len(os.listdir("/proc/self/fd"))

def resident():
    gc.collect()
    libc.malloc_trim(0)
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize()

def next_index(loop):
    with loop.kernel:
        handle = loop.kernel.abi.time_deadline(0)
        loop.kernel.abi.handle_close(handle)
    return handle >> 32 & 0xFFFFFF
"""

CONNECTIONS = """
async def main():
    loop = asyncio.get_running_loop()
    path = f"\\0ukernel-leaks-{os.getpid()}"

    async def serve(reader, writer):
        writer.write(await reader.readexactly(1))
        writer.close()
        await writer.wait_closed()

    server = await asyncio.start_unix_server(serve, path)

    async def connect(count):
        for _ in range(count):
            reader, writer = await asyncio.open_unix_connection(path)
            writer.write(b"x")
            assert await reader.read(2) == b"x"
            writer.close()
            await writer.wait_closed()

    async def many(count):
        await asyncio.gather(*(connect(count // 10) for _ in range(10)))
        await asyncio.sleep(0.01)

    await many(1000)
    before = descriptors(), len(loop._selector.get_map())
    index, memory = next_index(loop), resident()
    await many(CONNECTIONS)
    grown = resident() - memory
    after = descriptors(), len(loop._selector.get_map())
    # A place in the table is given up after 65,536 handles, so that no number comes back: two handles a connection.
    used = next_index(loop) - index <= CONNECTIONS * 2 // 65536 + 2
    server.close()
    await server.wait_closed()
    print(before == after, grown < GROWTH, used, "grown by", grown, "of", memory, before, after, index)

ukernel.run(main())
"""

LOOPS = """
async def main():
    left, right = socket.socketpair()
    reader, writer = await asyncio.open_connection(sock=left)
    right.send(b"x")
    assert await reader.readexactly(1) == b"x"
    asyncio.get_running_loop().call_soon_threadsafe(int)
    with ukernel.Capability("ipc"):
        ukernel.Channel()  # not closed: it goes with its kernel
    writer.close()
    await writer.wait_closed()
    right.close()

def many(count):
    for _ in range(count):
        ukernel.run(main())

many(50)
before, memory = descriptors(), resident()
many(LOOPS)
grown = resident() - memory
print(before == descriptors(), grown < GROWTH, "grown by", grown, "of", memory)
"""

THREADS = """
def work():
    ukernel.run(asyncio.sleep(0))
    # And a kernel that the thread gets without asking for one.
    ukernel.library.interface().cap_active()

def many(count):
    for _ in range(count):
        thread = threading.Thread(target=work)
        thread.start()
        # Python's join does not wait for the end of the thread, in which its kernel goes.
        while os.path.exists(f"/proc/self/task/{thread.native_id}"):
            thread.join()

many(20)
before, memory = descriptors(), resident()
many(LOOPS)
grown = resident() - memory
print(before == descriptors(), grown < GROWTH, "grown by", grown, "of", memory)
"""


def measured(text: str, timeout: float, **numbers: int) -> str:
    for name, value in numbers.items():
        text = text.replace(name, str(value))
    return program(MEASURE + text, timeout=timeout, mode="utf8")


@pytest.mark.parametrize(
    "connections",
    [2_000, pytest.param(1_000_000, marks=pytest.mark.long)],
)
def test_connections_leave_nothing(connections: int) -> None:
    out = measured(CONNECTIONS, 1800, CONNECTIONS=connections, GROWTH=1 << 20)
    assert out.startswith("True True True"), out


@pytest.mark.parametrize("text", [LOOPS, THREADS], ids=["loops", "threads"])
@pytest.mark.parametrize("loops", [100, pytest.param(1_000, marks=pytest.mark.long)])
def test_loops_leave_nothing(text: str, loops: int) -> None:
    out = measured(text, 600, LOOPS=loops, GROWTH=1 << 20)
    assert out.startswith("True True"), out
