"""{{name}}: serves pages over HTTP on port 8080, or the port in the variable PORT."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal

from pages import Site

MAX_HEAD = 8192  # bytes of a request's head


async def serve_connection(site: Site, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answers one request, and ends the connection."""
    try:
        async with asyncio.timeout(10):
            head = await reader.readuntil(b"\r\n\r\n")
            writer.write(site.answer(head.decode("latin-1")))
            await writer.drain()
    except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, TimeoutError, OSError):
        pass  # a client that goes away, sends too much or waits too long
    finally:
        writer.close()


async def main() -> None:
    """Serves until the program is told to stop."""
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    asyncio.get_running_loop().add_signal_handler(signal.SIGINT, stop.set)
    site = Site(os.environ.get("GREETING", "Hello"))
    port = int(os.environ.get("PORT", "8080"))
    server = await asyncio.start_server(
        lambda reader, writer: serve_connection(site, reader, writer), "127.0.0.1", port, limit=MAX_HEAD
    )
    async with server:
        print(f"http: listening port={server.sockets[0].getsockname()[1]}", flush=True)
        await stop.wait()
    print(f"http: stopped requests={site.requests}", flush=True)


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(main())
