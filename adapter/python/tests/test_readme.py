"""The ten lines of the README serve HTTP."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

from conftest import library_only

PACKAGE = Path(__file__).resolve().parents[1]


def readme_program() -> str:
    blocks = (PACKAGE / "README.md").read_text().split("```python\n")
    return blocks[1].split("```")[0]


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


@library_only
def test_the_readmes_program_serves_http(tmp_path: Path) -> None:
    text, port = readme_program(), free_port()
    assert len([line for line in text.splitlines() if line.strip()]) <= 10
    program = tmp_path / "serve.py"
    program.write_text(text.replace("8080", str(port)))
    path = os.pathsep.join([str(PACKAGE), os.environ.get("PYTHONPATH", "")])
    process = subprocess.Popen(
        [sys.executable, program], env=os.environ | {"PYTHONPATH": path}, stderr=subprocess.DEVNULL
    )
    try:
        for _ in range(20):
            assert fetch(port, process) == b"hello\n"
    finally:
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=20) == -signal.SIGINT


def fetch(port: int, process: subprocess.Popen[bytes]) -> bytes:
    """What the server answers, once it listens."""
    while process.poll() is None:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=10) as answer:
                body: bytes = answer.read()
                return body
        except urllib.error.URLError as error:
            if not isinstance(error.reason, ConnectionRefusedError):
                raise
            time.sleep(0.01)
    raise AssertionError(f"the server has ended: {process.returncode}")
