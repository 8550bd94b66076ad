"""What the tests share: the interface, once as the fake in virtual time and once as the library."""

from __future__ import annotations

import asyncio
import gc
import os
import warnings
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import ukernel
from ukernel.abi import FEAT_BIT, FEAT_NUMBER_HOST, LoopAbi
from ukernel.library import interface as default_interface
from ukernel.testing import FakeAbi

HEADER = Path(__file__).resolve().parents[3] / "kernel/include/ukernel_abi.h"

Run = Callable[[Callable[[], Awaitable[Any]]], Any]


def has_library() -> bool:
    """Whether the library that was loaded can run loops: not so for a stub."""
    return bool(default_interface().library.features & FEAT_BIT(FEAT_NUMBER_HOST))


library_only = pytest.mark.skipif(not has_library(), reason="the library has no kernels of its own")


@pytest.fixture
def fake() -> FakeAbi:
    return FakeAbi()


@pytest.fixture(params=["fake", pytest.param("library", marks=library_only)])
def interface(request: pytest.FixtureRequest) -> LoopAbi:
    """Each test runs with the fake and with the library: so the fake stays honest."""
    return FakeAbi() if request.param == "fake" else default_interface()


@pytest.fixture
def selector(interface: LoopAbi) -> Iterator[ukernel.UkernelSelector]:
    made = ukernel.UkernelSelector(interface)
    yield made
    made.close()


@pytest.fixture
def loop(interface: LoopAbi) -> Iterator[ukernel.EventLoop]:
    made = ukernel.EventLoop(ukernel.UkernelSelector(interface))
    yield made
    made.close()


@pytest.fixture
def run(interface: LoopAbi) -> Run:
    """Runs a coroutine function in a loop of its own."""

    def run_it(main: Callable[[], Awaitable[Any]]) -> Any:
        def make() -> ukernel.EventLoop:
            return ukernel.EventLoop(ukernel.UkernelSelector(interface))

        with asyncio.Runner(loop_factory=make) as runner:
            return runner.run(main())  # type: ignore[arg-type]

    return run_it


def descriptors() -> int:
    """How many file descriptors the process has open, apart from the one that looks."""
    return len(os.listdir("/proc/self/fd")) - 1


@pytest.fixture(autouse=True)
def nothing_stays_open() -> Iterator[None]:
    """No test leaves a file descriptor behind, whatever it is about."""
    gc.collect()
    before = descriptors()
    yield
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()
    assert descriptors() <= before


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """What was skipped is repeated at the end of ``./just test``."""
    collected = os.environ.get("UKERNEL_SKIPS")
    if not collected:
        return
    reasons = {
        str(report.longrepr[2]).removeprefix("Skipped: ") for report in terminalreporter.stats.get("skipped", [])
    }
    with open(collected, "a") as file:
        file.writelines(f"SKIPPED python: {reason}\n" for reason in sorted(reasons))
