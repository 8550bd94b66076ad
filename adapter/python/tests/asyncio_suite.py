"""CPython's own ``test.test_asyncio`` with ``ukernel.EventLoop``, beside the loop that comes with Python.

``python tests/asyncio_suite.py`` runs both and fails if a test fails or is skipped with this loop and not with the
stock one. Modules run in processes of their own, several at a time; what fails is run once more by itself, because
these tests measure time and the machine may be busy. ``asyncio_suite.toml`` lists what is left out, with the reasons.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import subprocess
import sys
import tempfile
import time
import tomllib
import unittest
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve()
LEFT_OUT: dict[str, str] = tomllib.loads(HERE.with_suffix(".toml").read_text())["left_out"]
DEADLINE = 240
"""Seconds for a module."""
LEAST_LOOPS = 500
"""So many loops the whole suite makes at least: fewer, and it was not this loop that was tested."""

Outcomes = dict[str, str]


# --- in the child: one module, one loop


class Result(unittest.TestResult):
    """Says of each test how it ended."""

    def __init__(self) -> None:
        super().__init__()
        self.outcomes: Outcomes = {}

    def addSuccess(self, test: unittest.TestCase) -> None:
        self.outcomes.setdefault(test.id(), "ok")

    def addFailure(self, test: unittest.TestCase, err: Any) -> None:
        self.outcomes[test.id()] = "failed: " + self._exc_info_to_string(err, test)  # type: ignore[attr-defined]

    addError = addFailure

    def addSkip(self, test: unittest.TestCase, reason: str) -> None:
        self.outcomes[test.id()] = "skipped: " + reason

    def addExpectedFailure(self, test: unittest.TestCase, err: Any) -> None:
        self.outcomes[test.id()] = "ok"

    def addUnexpectedSuccess(self, test: unittest.TestCase) -> None:
        self.outcomes[test.id()] = "failed: unexpected success"

    def addSubTest(self, test: unittest.TestCase, subtest: unittest.TestCase, err: Any) -> None:
        if err is not None:
            self.addFailure(test, err)


def use_ukernel() -> Any:
    """Makes everything in asyncio that makes a Unix event loop make this one. Gives a list of those made."""
    import asyncio.unix_events

    import ukernel

    made: list[int] = []

    class SelectorEventLoop(ukernel.EventLoop):
        def __init__(self, selector: Any = None) -> None:
            # Some test cases choose one of the standard selectors; the wait is what is tested here.
            if selector is not None:
                selector.close()
            made.append(1)
            super().__init__()

    policy: Any = asyncio.DefaultEventLoopPolicy
    for place in (asyncio, asyncio.unix_events):
        for name in ("SelectorEventLoop", "EventLoop"):  # the second one since Python 3.13
            if hasattr(place, name):
                setattr(place, name, SelectorEventLoop)
    policy._loop_factory = SelectorEventLoop
    return made


def wanted(test: unittest.TestCase) -> bool:
    return not any(part in LEFT_OUT for part in parts(test.id()))


def parts(name: str) -> list[str]:
    """A test's own name, that of its class and that of its module."""
    words = name.split(".")
    return [".".join(words[:length]) for length in range(3, len(words) + 1)]


def flat(suite: unittest.TestSuite) -> list[unittest.TestCase]:
    found: list[unittest.TestCase] = []
    for test in suite:
        found.extend(flat(test) if isinstance(test, unittest.TestSuite) else [test])
    return found


def child(loop: str, names: list[str], output: Path) -> None:
    made = use_ukernel() if loop == "ukernel" else []
    result = Result()
    try:
        suite = unittest.TestLoader().loadTestsFromNames(names)
    except unittest.SkipTest as skip:  # a module for another system
        result.outcomes[names[0]] = f"skipped: {skip}"
    else:
        unittest.TestSuite(test for test in flat(suite) if wanted(test)).run(result)
    output.write_text(json.dumps({"outcomes": result.outcomes, "loops": len(made)}))


# --- in the parent


def modules() -> list[str]:
    spec = importlib.util.find_spec("test.test_asyncio")
    if spec is None or not spec.submodule_search_locations:
        return []
    folder = Path(next(iter(spec.submodule_search_locations)))
    # The largest first: they take longest, and nothing should be left to wait for at the end.
    paths = sorted(folder.glob("test_*.py"), key=lambda path: -path.stat().st_size)
    return [f"test.test_asyncio.{path.stem}" for path in paths]


class Run:
    """Test names run with one loop."""

    def __init__(self, loop: str) -> None:
        self.loop = loop
        self.outcomes: Outcomes = {}
        self.loops = 0
        self.seconds: dict[str, float] = {}

    def module(self, names: list[str]) -> None:
        begin = time.monotonic()
        with tempfile.TemporaryDirectory() as folder:
            output = Path(folder, "outcomes.json")
            command = [sys.executable, "-W", "ignore", str(HERE), "--child", self.loop, str(output), *names]
            words = self._wait(command, folder)
            if output.exists():
                found = json.loads(output.read_text())
                self.outcomes |= found["outcomes"]
                self.loops += found["loops"]
            else:
                self.outcomes[names[0]] = "failed: the process ended before its tests: " + words
        self.seconds[names[0]] = time.monotonic() - begin

    def _wait(self, command: list[str], folder: str) -> str:
        # The temporary folder is the working directory: some tests leave files there when they fail.
        process = subprocess.Popen(
            command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment()
        )
        try:
            words, _ = process.communicate(timeout=DEADLINE)
        except subprocess.TimeoutExpired:
            process.kill()
            words, _ = process.communicate()
            words = f"{DEADLINE} s are over\n" + words
        return words[-2000:]

    def bad(self) -> set[str]:
        return {name for name, outcome in self.outcomes.items() if outcome.startswith("failed")}

    def again(self) -> None:
        """Runs what failed once more, each by itself and nothing beside it."""
        for name in sorted(self.bad()):
            self.module([name])

    def summary(self) -> str:
        kinds = [outcome.split(":")[0] for outcome in self.outcomes.values()]
        return f"{self.loop}: " + ", ".join(f"{kinds.count(kind)} {kind}" for kind in ("ok", "skipped", "failed"))


def environment() -> dict[str, str]:
    path = os.pathsep.join(filter(None, [str(HERE.parents[1]), os.environ.get("PYTHONPATH")]))
    return os.environ | {"PYTHONPATH": path}


def compare(ours: Run, stock: Run) -> list[str]:
    """What is wrong: each line a test that does worse here than with the stock loop."""
    wrong = []
    for name in sorted(stock.outcomes.keys() | ours.outcomes.keys()):
        mine, theirs = ours.outcomes.get(name, "not run"), stock.outcomes.get(name, "not run")
        if mine != "ok" and mine.split(":")[0] != theirs.split(":")[0]:
            wrong.append(f"{name}: {mine}\n    (stock: {theirs.splitlines()[0]})")
    return wrong


def skip(what: str) -> None:
    """Says what was not tested, also at the end of ``./just test``."""
    print(f"SKIPPED python: {what}", file=sys.stderr)
    if collected := os.environ.get("UKERNEL_SKIPS"):
        with open(collected, "a") as file:
            file.write(f"SKIPPED python: {what}\n")


def last_line(outcome: str) -> str:
    """What a failure says."""
    return outcome.strip().splitlines()[-1]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--child", nargs=2, metavar=("LOOP", "FILE"), help=argparse.SUPPRESS)
    parser.add_argument("--jobs", type=int, default=4, help="modules at a time; they wait more than they compute")
    parser.add_argument("--times", action="store_true", help="say how long each module took")
    parser.add_argument("names", nargs="*", help="modules or tests; all of them if none is named")
    words = parser.parse_args()
    if words.child:
        child(words.child[0], words.names, Path(words.child[1]))
        return 0
    names = words.names or modules()
    if not names:
        skip("asyncio's own tests: this Python comes without them")
        return 0
    ours, stock = Run("ukernel"), Run("stock")
    with ThreadPoolExecutor(words.jobs) as pool:
        list(pool.map(lambda job: job[0].module([job[1]]), [(run, name) for name in names for run in (ours, stock)]))
    for run in (ours, stock):
        run.again()
        print(run.summary())
        if words.times:
            print(*(f"  {seconds:6.1f} s  {name}" for name, seconds in sorted(run.seconds.items())), sep="\n")
    wrong = compare(ours, stock)
    if not words.names and ours.loops < LEAST_LOOPS:
        wrong.append(f"only {ours.loops} loops were made: this loop was not tested")
    for name in sorted(ours.bad() & stock.bad()):
        print(f"fails with both: {name}: {last_line(stock.outcomes[name])}")
    print(f"{ours.loops} loops made; left out: {', '.join(LEFT_OUT)}")
    print(*wrong, sep="\n")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
