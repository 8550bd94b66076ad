"""The wheel in an empty virtual environment: it brings the library along, and the README's ten lines serve HTTP.

``./just test-python`` builds it and names it in ``UKERNEL_WHEEL``, and ``./just test-python-long`` the source
distribution in ``UKERNEL_SDIST``.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from test_readme import fetch, free_port, readme_program

WHEEL = os.environ.get("UKERNEL_WHEEL")
SDIST = os.environ.get("UKERNEL_SDIST")


def clean() -> dict[str, str]:
    """An environment in which only what is installed can be found."""
    ours = ("UKERNEL_ABI_PATH", "PYTHONPATH", "VIRTUAL_ENV")
    return {name: value for name, value in os.environ.items() if name not in ours}


def installed(folder: Path, package: str, *options: str) -> Path:
    """The Python of an empty environment with the package in it."""
    subprocess.run([sys.executable, "-m", "venv", folder], check=True, env=clean())
    python = folder / "bin/python"
    pip = [str(python), "-m", "pip", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, "install", "--no-deps", *options, package], check=True, env=clean())
    return python


def serves_http(python: Path, folder: Path) -> None:
    port = free_port()
    program = folder / "serve.py"
    program.write_text(readme_program().replace("8080", str(port)))
    process = subprocess.Popen([python, program], env=clean(), stderr=subprocess.DEVNULL, cwd=folder)
    try:
        assert fetch(port, process) == b"hello\n"
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(timeout=20)


def says(python: Path, folder: Path, code: str) -> str:
    ended = subprocess.run([python, "-c", code], env=clean(), cwd=folder, capture_output=True, text=True, check=True)
    return ended.stdout.strip()


@pytest.mark.skipif(not WHEEL, reason="no wheel was built: UKERNEL_WHEEL names one")
def test_the_wheel_in_an_empty_environment(tmp_path: Path) -> None:
    assert WHEEL
    python = installed(tmp_path / "venv", WHEEL, "--no-index")
    library = Path(says(python, tmp_path, "import ukernel; print(ukernel.abi.find())"))
    assert (library.parent.parent.name, library.name) == ("site-packages", "_native.abi3.so")
    assert says(python, tmp_path, "import ukernel; print(ukernel.__version__)") == says(
        python, tmp_path, "import ukernel._native; print(ukernel._native.__version__)"
    )
    assert (library.parent / "py.typed").exists()
    serves_http(python, tmp_path)


@pytest.mark.long
@pytest.mark.skipif(not SDIST, reason="no source distribution was built: UKERNEL_SDIST names one")
def test_the_source_distribution_can_be_built(tmp_path: Path) -> None:
    assert SDIST
    python = installed(tmp_path / "venv", SDIST)
    serves_http(python, tmp_path)
