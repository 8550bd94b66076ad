"""``./just bench-python``: this package's loop beside Python's own and uvloop.

Everything is measured for one loop after the other, round after round, so that what the machine does besides meets all
of them; medians and ratios come from the same run. Writes build/bench/python.json and the plots beside it.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import itertools
import json
import os
import platform
import statistics
from collections.abc import Callable
from typing import Any, Final

import measure
import plots
from awake import processors_awake
from loops import LOOPS, WITHOUT_NATIVE
from measure import ROOT, Row

ECHO: Final = [
    *(Row("protocol", connections, size) for size in (64, 16384) for connections in (1, 100, 1000)),
    *(Row("streams", connections, size) for size in (64, 16384) for connections in (1, 100)),
    Row("buffered", 100),
]
OTHERS: Final = [Row("protocol", 1, idle=10_000), Row("http", 10), Row("http", 100)]
SAME: Final = [Row("protocol", connections, size) for size in (64, 16384) for connections in (1, 100, 1000)]
INSIDE: Final = {
    "timers": "100,000 timers",
    "call_soon": "call_soon",
    "call_soon_threadsafe": "call_soon_threadsafe, in bulk",
    "thread_round_trips": "call_soon_threadsafe, one by one",
}
COUNTED: Final = [Row("protocol", 1), Row("protocol", 100), Row("streams", 1), Row("streams", 100), Row("http", 1)]
OUT: Final = ROOT / "build/bench"


Once = Callable[[str], dict[str, float]]
"""Measures a loop, once."""


def loading(row: Row, seconds: float, same: bool = False) -> Once:
    """Loads a server of a loop."""
    return lambda loop: measure.load(loop, row, seconds, same)


def inside(row: str) -> Once:
    """Measures a loop in its process."""
    return lambda loop: {"ns": measure.inside(loop, row)}


def in_turns(loops: tuple[str, ...], rounds: int, key: str, once: Once) -> dict[str, dict[str, float]]:
    """Measures each loop once a round. The medians of all that is measured, and of its ratios to each other loop's.

    A ratio is of ``key``, within a round: what slows the machine down for a while slows both.
    """
    seen: dict[str, list[dict[str, float]]] = {loop: [] for loop in loops}
    for at in range(rounds):
        # Not always the same after the same.
        for loop in loops if at % 2 == 0 else reversed(loops):
            seen[loop].append(once(loop))
    medians = {
        loop: {name: statistics.median(one[name] for one in all_of_it) for name in all_of_it[0]}
        for loop, all_of_it in seen.items()
    }
    for loop, other in itertools.permutations(loops, 2):
        rounds_of_both = zip(seen[loop], seen[other], strict=True)
        medians[loop][f"to {other}"] = statistics.median(one[key] / two[key] for one, two in rounds_of_both)
    return medians


def say(name: str, medians: dict[str, dict[str, float]], key: str) -> None:
    """A line for who waits."""
    figures = (f"{loop} {one[key]:,.1f}" for loop, one in medians.items())
    ours = medians["ukernel"]
    ratios = (f"{name} {ratio:.3f}" for name, ratio in ours.items() if name.startswith("to "))
    print(f"{name}: {'  '.join((*figures, *ratios))}", flush=True)


def rates(rows: list[Row], loops: tuple[str, ...], options: argparse.Namespace, same: bool) -> dict[str, Any]:
    """Operations a second of each row."""
    found = {}
    for row in rows:
        if options.only not in row.name:
            continue
        medians = in_turns(loops, options.rounds, "rate", loading(row, options.seconds, same))
        say(row.name + (", same read size" if same else ""), medians, "rate")
        found[row.name] = medians
    return found


def everything(options: argparse.Namespace) -> dict[str, Any]:
    """All that is measured."""
    found: dict[str, Any] = {"machine": machine(), "rounds": options.rounds, "seconds": options.seconds}
    found["system calls"] = {
        row.name: {loop: measure.system_calls(loop, row, options.seconds) for loop in LOOPS} for row in COUNTED
    }
    found |= loads(options)
    found["nanoseconds"] = {}
    for row, name in INSIDE.items():
        medians = in_turns(LOOPS, options.rounds, "ns", inside(row))
        say(name, medians, "ns")
        found["nanoseconds"][name] = medians
    found["split"] = splits(options)
    return found


def loads(options: argparse.Namespace) -> dict[str, Any]:
    """What servers do a second."""
    return {
        "defaults": rates(ECHO + OTHERS, LOOPS, options, same=False),
        "same read size": rates(SAME, ("asyncio", "ukernel"), options, same=True),
    }


def splits(options: argparse.Namespace) -> dict[str, Any]:
    """Microseconds of an echo by what they are spent in, also without the extension."""
    found: dict[str, Any] = {}
    loops = (*LOOPS, WITHOUT_NATIVE)
    for row in (Row("protocol", 1), Row("protocol", 100)):
        medians = in_turns(loops, options.rounds, "cpu_us", loading(row, options.seconds))
        found[row.name] = {}
        for loop in loops:
            shares = measure.split(loop, row, 2 * options.seconds)
            found[row.name][loop] = {name: share * medians[loop]["cpu_us"] for name, share in shares.items()}
        print(f"{row.name}: µs {found[row.name]}", flush=True)
    return found


def machine() -> dict[str, Any]:
    """What it ran on."""
    return {
        "linux": platform.release(),
        "python": platform.python_version(),
        "uvloop": importlib.metadata.version("uvloop"),
        "processors": os.cpu_count(),
        "load": os.getloadavg()[0],
    }


def main() -> None:
    """Measures, and draws."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=1.0, help="of one load")
    parser.add_argument("--quick", action="store_true", help="to see that it works")
    parser.add_argument("--only", metavar="TEXT", default="", help="only loads whose name has it; nothing is written")
    parser.add_argument("--draw", action="store_true", help="only the plots, of what was measured before")
    options = parser.parse_args()
    if options.quick:
        options.rounds, options.seconds = 1, 0.3
    if options.only:
        with processors_awake():
            loads(options)
        return
    OUT.mkdir(parents=True, exist_ok=True)
    path = OUT / "python.json"
    if not options.draw:
        with processors_awake():
            found = everything(options)
        path.write_text(json.dumps(found, indent=1) + "\n")
    found = json.loads(path.read_text())
    plots.draw(found, OUT)
    print(plots.tables(found))


if __name__ == "__main__":
    main()
