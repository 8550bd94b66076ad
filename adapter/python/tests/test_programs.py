"""Programs as people have them, unmodified: servers and clients from other projects on this loop.

Servers are processes of their own, started by ``python -m ukernel``, so that what runs is what a user would run.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import shutil
import ssl
import subprocess
import sys
import textwrap
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from conftest import library_only
from test_process import program

import ukernel

pytestmark = library_only
PACKAGE = Path(ukernel.__file__).parents[1]

WRK = shutil.which("wrk")
REDIS = shutil.which("redis-server")

ANNOUNCE = """
import asyncio
def announce(port):
    print("loop", type(asyncio.get_running_loop()).__module__, "port", port, flush=True)
"""

AIOHTTP = """
import asyncio
from aiohttp import web
from announce import announce

async def hello(request):
    return web.json_response({"path": request.path, "body": (await request.read()).decode()})

async def socket(request):
    ws = web.WebSocketResponse()
    await ws.prepare(request)
    async for message in ws:
        await ws.send_str(message.data[::-1])
    return ws

async def file(request):
    return web.FileResponse(__file__)

async def main():
    app = web.Application()
    app.router.add_route("*", "/hello", hello)
    app.router.add_get("/socket", socket)
    app.router.add_get("/file", file)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    announce(site._server.sockets[0].getsockname()[1])
    await asyncio.Event().wait()

asyncio.run(main())
"""

STARLETTE = """
import asyncio, contextlib, sys
import uvicorn
from starlette.applications import Starlette
from starlette.responses import FileResponse, JSONResponse
from starlette.routing import Route, WebSocketRoute
from announce import announce

async def hello(request):
    return JSONResponse({"path": request.url.path, "body": (await request.body()).decode()})

async def socket(websocket):
    await websocket.accept()
    with contextlib.suppress(Exception):
        while True:
            await websocket.send_text((await websocket.receive_text())[::-1])

async def file(request):
    return FileResponse(__file__)

routes = [Route("/hello", hello, methods=["GET", "POST"]), Route("/file", file), WebSocketRoute("/socket", socket)]
app = Starlette(routes=routes)

class Server(uvicorn.Server):
    async def startup(self, sockets=None):
        await super().startup(sockets)
        announce(self.servers[0].sockets[0].getsockname()[1])

config = uvicorn.Config(app, host="127.0.0.1", port=0, log_level="warning", loop="none")
asyncio.run(Server(config).serve())
"""


@dataclass
class Service:
    process: subprocess.Popen[str]
    port: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


def started(folder: Path, text: str) -> Service:
    (folder / "ukernel.toml").write_text('[project]\nname = "service"\n')
    (folder / "announce.py").write_text(ANNOUNCE)
    (folder / "src").mkdir()
    entry = folder / "src/main.py"
    entry.write_text(textwrap.dedent(text))
    path = os.pathsep.join([str(PACKAGE), os.environ.get("PYTHONPATH", "")])
    command = [sys.executable, "-m", "ukernel", "--root", str(folder)]
    log = (folder / "log").open("w")
    with log:
        process = subprocess.Popen(
            command, env=os.environ | {"PYTHONPATH": path}, stdout=subprocess.PIPE, stderr=log, text=True
        )
    assert process.stdout
    line = process.stdout.readline()
    words = line.split()
    assert words[:2] == ["loop", "ukernel.loop"], (line, (folder / "log").read_text())
    return Service(process, int(words[3]))


@pytest.fixture(scope="module", params=[AIOHTTP, STARLETTE], ids=["aiohttp", "starlette"])
def service(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    folder = tmp_path_factory.mktemp("service")
    running = started(folder, request.param)
    yield running
    assert running.process.poll() is None, (folder / "log").read_text()
    running.process.terminate()
    running.process.wait(timeout=20)
    assert running.process.stdout
    running.process.stdout.close()
    words = (folder / "log").read_text()
    assert "Traceback" not in words, words


def test_uvicorn_takes_the_loop_by_its_name() -> None:
    text = """
        import asyncio, os, signal, uvicorn

        async def app(scope, receive, send):
            while (message := await receive())["type"].startswith("lifespan"):
                await send({"type": message["type"] + ".complete"})
                if message["type"] == "lifespan.shutdown":
                    break
                print(type(asyncio.get_running_loop()).__module__, flush=True)
                asyncio.get_running_loop().call_later(0.01, os.kill, os.getpid(), signal.SIGTERM)

        signal.signal(signal.SIGTERM, lambda *_: None)  # uvicorn raises it anew at its end
        uvicorn.run(app, port=0, loop="ukernel:new_event_loop", log_level="warning")
    """
    assert program(text) == "ukernel.loop\n"


def test_aiohttp_takes_a_loop() -> None:
    text = """
        from aiohttp import web

        async def started(app):
            print(type(asyncio.get_running_loop()).__module__, flush=True)
            asyncio.get_running_loop().call_later(0.01, os.kill, os.getpid(), signal.SIGTERM)

        app = web.Application()
        app.on_startup.append(started)
        web.run_app(app, port=0, loop=ukernel.new_event_loop(), print=None)
    """
    assert program(text) == "ukernel.loop\n"


# --- under load


@pytest.mark.skipif(WRK is None, reason="wrk is not installed: services under its load")
@pytest.mark.parametrize("connections", [1, 100])
def test_a_service_under_wrk(service: Service, connections: int) -> None:
    assert WRK
    command = [WRK, "-t1", f"-c{connections}", "-d2s", "--timeout", "10s", f"{service.url}/hello"]
    words = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout
    requests = re.search(r"(\d+) requests in", words)
    assert requests
    assert int(requests[1]) > 100, words
    assert "Socket errors" not in words
    assert "Non-2xx" not in words


def test_a_service_under_many_clients_of_python(service: Service) -> None:
    """The same where there is no wrk: a hundred connections, each with requests one after the other."""

    async def client() -> int:
        reader, writer = await asyncio.open_connection("127.0.0.1", service.port)
        answered = 0
        for number in range(20):
            body = b"x" * number
            writer.write(b"POST /hello HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
            head = await reader.readuntil(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 200"), head
            length = re.search(rb"(?i)content-length: (\d+)", head)
            assert length
            answer = await reader.readexactly(int(length[1]))
            assert body in answer
            answered += 1
        writer.close()
        await writer.wait_closed()
        return answered

    async def main() -> int:
        return sum(await asyncio.gather(*(client() for _ in range(100))))

    assert ukernel.run(main()) == 2000


# --- clients


def test_httpx(service: Service) -> None:
    import httpx

    async def main() -> None:
        async with httpx.AsyncClient(base_url=service.url) as client:
            answers = await asyncio.gather(*(client.post("/hello", content=f"{at}") for at in range(50)))
            assert [answer.json()["body"] for answer in answers] == [str(at) for at in range(50)]
            file = await client.get("/file")
            assert file.status_code == 200
            assert "announce" in file.text
            missing = await client.get("/nothing")
            assert missing.status_code == 404

    ukernel.run(main())


def test_aiohttps_client(service: Service) -> None:
    import aiohttp

    async def main() -> None:
        async with aiohttp.ClientSession(service.url) as session:
            for at in range(20):
                async with session.post("/hello", data=f"{at}") as answer:
                    assert (await answer.json())["body"] == str(at)
            async with session.ws_connect("/socket") as ws:
                await ws.send_str("abc")
                assert (await ws.receive()).data == "cba"

    ukernel.run(main())


def test_websockets(service: Service) -> None:
    import websockets

    async def main() -> None:
        async with websockets.connect(f"ws://127.0.0.1:{service.port}/socket") as ws:
            for text in ("abc", "x" * 100_000, ""):
                await ws.send(text)
                assert await ws.recv() == text[::-1]

    ukernel.run(main())


def test_a_websockets_server() -> None:
    import websockets

    async def echo(ws: Any) -> None:
        async for message in ws:
            await ws.send(message)

    async def main() -> None:
        async with websockets.serve(echo, "127.0.0.1", 0) as server:
            port = next(iter(server.sockets)).getsockname()[1]

            async def client(number: int) -> None:
                async with websockets.connect(f"ws://127.0.0.1:{port}") as ws:
                    await ws.send(bytes([number]) * 1000)
                    assert await ws.recv() == bytes([number]) * 1000

            await asyncio.gather(*(client(number) for number in range(50)))

    ukernel.run(main())


# --- TLS, files, datagrams: what asyncio has on Unix beyond plain streams


def certificate(folder: Path) -> Path:
    """A certificate for localhost with its key, in one file."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("openssl is not installed: TLS")
    both, key = folder / "both.pem", folder / "key.pem"
    command = (
        f"{openssl} req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost -addext subjectAltName=DNS:localhost"
    )
    subprocess.run([*command.split(), "-keyout", key, "-out", both], check=True, capture_output=True)
    both.write_text(both.read_text() + key.read_text())
    return both


def test_tls_with_a_megabyte_each_way(tmp_path: Path) -> None:
    pem = certificate(tmp_path)
    server_context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    server_context.load_cert_chain(pem)
    client_context = ssl.create_default_context(cafile=str(pem))
    payload = os.urandom(1 << 20)

    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(await reader.readexactly(len(payload)))
        await writer.drain()
        writer.close()

    async def main() -> bytes:
        server = await asyncio.start_server(echo, "127.0.0.1", 0, ssl=server_context)
        port = server.sockets[0].getsockname()[1]
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", port, ssl=client_context, server_hostname="localhost"
        )
        writer.write(payload)
        received = await reader.readexactly(len(payload))
        writer.close()
        with contextlib.suppress(ssl.SSLError):
            await writer.wait_closed()
        server.close()
        await server.wait_closed()
        return received

    assert ukernel.run(main()) == payload


def test_sendfile_over_a_unix_socket(tmp_path: Path) -> None:
    content = os.urandom(3 << 20)
    source, path = tmp_path / "file", tmp_path / "socket"
    source.write_bytes(content)

    async def main() -> bytes:
        loop = asyncio.get_running_loop()

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            with source.open("rb") as file:
                await loop.sendfile(writer.transport, file, fallback=False)
            writer.close()

        server = await asyncio.start_unix_server(serve, path)
        reader, writer = await asyncio.open_unix_connection(path)
        received = await reader.read(-1)
        writer.close()
        server.close()
        await server.wait_closed()
        return received

    assert ukernel.run(main()) == content


def test_datagrams() -> None:
    class Echo(asyncio.DatagramProtocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            self.transport: Any = transport

        def datagram_received(self, data: bytes, addr: Any) -> None:
            self.transport.sendto(data[::-1], addr)

    class Client(asyncio.DatagramProtocol):
        def __init__(self) -> None:
            self.received: asyncio.Queue[bytes] = asyncio.Queue()

        def datagram_received(self, data: bytes, addr: Any) -> None:
            self.received.put_nowait(data)

    async def main() -> None:
        loop = asyncio.get_running_loop()
        server, _ = await loop.create_datagram_endpoint(Echo, ("127.0.0.1", 0))
        address = server.get_extra_info("sockname")
        client, protocol = await loop.create_datagram_endpoint(Client, remote_addr=address)
        for number in range(100):
            client.sendto(b"abc%d" % number)
            assert await protocol.received.get() == (b"abc%d" % number)[::-1]
        client.close()
        server.close()
        await asyncio.sleep(0)

    ukernel.run(main())


# --- redis


@contextlib.asynccontextmanager
async def redis_server(folder: Path) -> AsyncIterator[Path]:
    assert REDIS
    path = folder / "redis.sock"
    command = [REDIS, "--port", "0", "--unixsocket", path, "--save", "", "--dir", folder, "--daemonize", "no"]
    process = await asyncio.create_subprocess_exec(*map(str, command), stdout=asyncio.subprocess.PIPE)
    assert process.stdout
    while b"ready to accept" not in (line := await process.stdout.readline()).lower():
        assert line, "redis-server has ended"
    try:
        yield path
    finally:
        process.terminate()
        await process.communicate()


@pytest.mark.long
@pytest.mark.skipif(REDIS is None, reason="redis-server is not installed: a redis client")
def test_redis(tmp_path: Path) -> None:
    import redis.asyncio

    async def main() -> None:
        async with redis_server(tmp_path) as path:
            client = redis.asyncio.Redis(unix_socket_path=str(path), max_connections=300)
            await asyncio.gather(*(client.set(f"key{at}", at) for at in range(200)))
            values: list[Any] = await client.mget([f"key{at}" for at in range(200)])
            assert [int(value) for value in values] == list(range(200))
            async with client.pipeline() as pipe:
                for _ in range(1000):
                    pipe.incr("counter")
                assert (await pipe.execute())[-1] == 1000
            async with client.pubsub() as listener:
                await listener.subscribe("news")
                await listener.get_message(timeout=5)
                await client.publish("news", b"x" * 100_000)
                message = await listener.get_message(ignore_subscribe_messages=True, timeout=5)
                assert message
                assert message["data"] == b"x" * 100_000
            await client.aclose()

    ukernel.run(main())
