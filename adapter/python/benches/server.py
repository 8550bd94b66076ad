"""A server to be measured: ``server.py LOOP KIND [READ_SIZE]``.

Prints its port, and serves until its standard input ends.
"""

from __future__ import annotations

import asyncio
import os
import sys
from typing import Any

from loops import factory, raise_limit, read_at_most

CHUNK = 65536
"""What a reader of streams asks for."""
BACKLOG = 4096


class Echo(asyncio.Protocol):
    """Echoes what it is given."""

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.transport.write(data)


class BufferedEcho(asyncio.BufferedProtocol):
    """The same with a buffer of its own."""

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        self.buffer = bytearray(CHUNK)

    def get_buffer(self, sizehint: int) -> bytearray:
        return self.buffer

    def buffer_updated(self, count: int) -> None:
        self.transport.write(bytes(memoryview(self.buffer)[:count]))


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """The same with streams."""
    try:
        while data := await reader.read(CHUNK):
            writer.write(data)
            await writer.drain()
    except ConnectionError:
        pass
    finally:
        writer.close()


async def start(kind: str) -> int:
    """Starts the server, and gives its port."""
    loop = asyncio.get_running_loop()
    protocols = {"protocol": Echo, "buffered": BufferedEcho}
    if kind in protocols:
        server = await loop.create_server(protocols[kind], "127.0.0.1", 0, backlog=BACKLOG)
    elif kind == "streams":
        server = await asyncio.start_server(echo, "127.0.0.1", 0, backlog=BACKLOG)
    else:
        from aiohttp import web

        async def answer(_: web.Request) -> web.Response:
            return web.Response(text="hello")

        application = web.Application()
        application.router.add_get("/", answer)
        runner = web.AppRunner(application, access_log=None)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0, backlog=BACKLOG)
        await site.start()
        return int(runner.addresses[0][1])
    return int(server.sockets[0].getsockname()[1])


async def main(kind: str) -> None:
    """Serves until standard input ends."""
    print(await start(kind), flush=True)
    loop, ended = asyncio.get_running_loop(), asyncio.Event()
    loop.add_reader(sys.stdin.fileno(), ended.set)
    await ended.wait()


if __name__ == "__main__":
    raise_limit(16384)
    if len(sys.argv) > 3:
        read_at_most(int(sys.argv[3]))
    with asyncio.Runner(loop_factory=factory(sys.argv[1])) as runner:
        runner.run(main(sys.argv[2]))
        os._exit(0)  # connections that are still open are nobody's business now
