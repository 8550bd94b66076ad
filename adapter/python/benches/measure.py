"""Measures one thing of one loop, each in a process of its own: loads of other processes, and ``inside.py``."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from loops import WITHOUT_NATIVE

HERE: Final = Path(__file__).resolve().parent
ROOT: Final = HERE.parents[2]
TARGET: Final = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "release"
SAME_SIZE: Final = 65536
"""What transports read at once where that is to be the same."""
WARM_UP: Final = 1.2
"""The load runs longer than it counts, by this factor."""


@dataclass(frozen=True)
class Row:
    """What is measured: a server of a kind, and its load."""

    kind: str
    connections: int
    size: int = 64
    idle: int = 0

    @property
    def name(self) -> str:
        idle = f" beside {self.idle:,} idle" if self.idle else ""
        if self.kind == "http":
            return f"HTTP, aiohttp, {self.connections}"
        size = f"{self.size // 1024} KiB" if self.size >= 1024 else f"{self.size} B"
        return f"echo, {self.kind}, {self.connections:,} × {size}{idle}"


def environment(loop: str) -> dict[str, str]:
    """The environment of a process with that loop."""
    changed = {**os.environ, "PYTHONPATH": str(HERE.parent)}
    if loop == WITHOUT_NATIVE:
        changed["UKERNEL_ABI_PATH"] = str(TARGET / "libukernel_abi.so")
    return changed


class Server:
    """A running server."""

    def __init__(self, loop: str, kind: str, same_size: bool = False) -> None:
        words = [sys.executable, str(HERE / "server.py"), loop, kind, *([str(SAME_SIZE)] if same_size else [])]
        self.process = subprocess.Popen(
            words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment(loop)
        )
        assert self.process.stdout is not None
        self.address = f"127.0.0.1:{self.process.stdout.readline().strip()}"

    def load(self, row: Row, seconds: float) -> dict[str, float]:
        """Loads it. Operations, operations a second, and microseconds of latency."""
        if row.kind == "http":
            return self._load_http(row, seconds)
        words = [TARGET / "benches", "echo", self.address, row.connections, row.size, seconds, row.idle]
        seen: dict[str, float] = json.loads(output(words))
        seen["rate"] = seen["operations"] / seen["seconds"]
        seen["all"] = seen["operations"] * WARM_UP
        return seen

    def _load_http(self, row: Row, seconds: float) -> dict[str, float]:
        text = output(
            [
                "wrk",
                "-t1",
                f"-c{row.connections}",
                f"-d{max(1, round(seconds))}s",
                "--latency",
                f"http://{self.address}/",
            ]
        )
        if "Non-2xx" in text or "Socket errors" in text:
            raise RuntimeError(text)
        requests, spent = re.findall(r"(\d+) requests in ([\d.]+)s", text)[0]
        rate = float(re.findall(r"Requests/sec:\s+([\d.]+)", text)[0])
        return {"operations": float(requests), "all": float(requests), "seconds": float(spent), "rate": rate}

    def processor_time(self) -> int:
        """The nanoseconds that its one thread has run so far: proc(5), "schedstat"."""
        return int(Path(f"/proc/{self.process.pid}/schedstat").read_text().split()[0])


@contextmanager
def serving(loop: str, kind: str, same_size: bool = False) -> Iterator[Server]:
    """A server that is not there any more afterwards."""
    server = Server(loop, kind, same_size)
    try:
        yield server
    finally:
        with server.process:  # closes its pipes
            server.process.kill()


def output(words: list[Any]) -> str:
    """What a command prints."""
    done = subprocess.run([str(word) for word in words], capture_output=True, text=True, timeout=120)
    if done.returncode:
        raise RuntimeError(f"{words[0]}: {done.stderr}")
    return done.stdout


def load(loop: str, row: Row, seconds: float, same_size: bool = False) -> dict[str, float]:
    """One load of one server: its rate, and the processor's microseconds an operation, the server's alone."""
    with serving(loop, row.kind, same_size) as server:
        before = server.processor_time()
        seen = server.load(row, seconds)
        seen["cpu_us"] = (server.processor_time() - before) / seen["all"] / 1000
    return seen


def inside(loop: str, row: str) -> float:
    """Nanoseconds, of a row of ``inside.py``."""
    words = [sys.executable, str(HERE / "inside.py"), loop, row]
    done = subprocess.run(words, capture_output=True, text=True, timeout=120, env=environment(loop))
    if done.returncode:
        raise RuntimeError(done.stderr)
    return float(json.loads(done.stdout))


def system_calls(loop: str, row: Row, seconds: float) -> dict[str, float]:
    """System calls an operation, of the server, by name; what happens seldom is left out."""
    with serving(loop, row.kind) as server, tempfile.NamedTemporaryFile("r", suffix=".strace") as counts:
        tracer = subprocess.Popen(
            ["strace", "-f", "-c", "-qq", "-o", counts.name, "-p", str(server.process.pid)], stderr=subprocess.DEVNULL
        )
        time.sleep(0.5)
        seen = server.load(row, seconds)
        tracer.send_signal(signal.SIGINT)
        tracer.wait()
        found = re.findall(r"^\s*[\d.]+\s+[\d.]+\s+\d+\s+(\d+)\s+(?:\d+ )?\s*(\w+)$", counts.read(), re.MULTILINE)
    calls = {name: int(count) for count, name in found if name != "total"}
    # Each answer is one write, and every load writes more than it counts: the writes say how many there were.
    answers = (
        max(calls.get(name, 0) for name in ("sendto", "write", "writev", "sendmsg"))
        if row.kind != "http"
        else seen["all"]
    )
    return {name: round(count / answers, 3) for name, count in calls.items() if count / answers >= 0.02}


GROUPS: Final = (
    ("Linux", re.compile(r"\[k\]|\[kernel|vdso")),
    (
        "selector",
        re.compile(r"calls::|reactor::|ukernel_abi|crossbeam|rustix|interest_wait|hashbrown|libuv|uv__?\w+|epoll"),
    ),
    ("transport and boundary", re.compile(r"lib_native|_native|uvloop|_ctypes|libffi")),
    ("Python", re.compile(r"python|_socket|select\.")),
)
"""What a sample is counted as: the first that fits its line. What is left, libc for the most part, is Python's."""


def split(loop: str, row: Row, seconds: float) -> dict[str, float]:
    """The shares of the processor's time an echo takes, by what it is spent in. Empty without ``perf``."""
    with serving(loop, row.kind) as server, tempfile.NamedTemporaryFile(suffix=".perf") as data:
        try:
            recorder = subprocess.Popen(
                ["perf", "record", "-q", "-F", "4000", "-o", data.name, "-p", str(server.process.pid)],
                stderr=subprocess.DEVNULL,
            )
        except FileNotFoundError:
            return {}
        time.sleep(0.5)  # until it has begun
        server.load(row, seconds)
        recorder.send_signal(signal.SIGINT)
        recorder.wait()
        report = output(["perf", "report", "-q", "--no-children", "-i", data.name, "--sort", "dso,symbol"])
    shares = dict.fromkeys((name for name, _ in GROUPS), 0.0)
    for share, line in re.findall(r"^\s*([\d.]+)%\s+(.*)$", report, re.MULTILINE):
        group = next((name for name, pattern in GROUPS if pattern.search(line)), "Python")
        shares[group] += float(share)
    whole = sum(shares.values()) or 1.0
    return {name: share / whole for name, share in shares.items()}
