"""What was measured, as PNG files and as the tables of BENCHMARKS.md."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt

COLOURS: Final = {"asyncio": "#9aa5b1", "uvloop": "#5b8def", "ukernel": "#e8743b", "ukernel-ctypes": "#f2b79b"}
PARTS: Final = {"Linux": "#9aa5b1", "selector": "#e8743b", "transport and boundary": "#5b8def", "Python": "#6abf69"}


def draw(found: dict[str, Any], folder: Path) -> None:
    """Writes the plots into a folder."""
    _rates(found["defaults"], folder / "python-rates.png")
    _split(found["split"], folder / "python-split.png")


def _rates(rows: dict[str, Any], path: Path) -> None:
    """Bars beside each other, as multiples of the standard loop's rate."""
    names = list(rows)
    figure, axes = plt.subplots(figsize=(9, 0.55 * len(names) + 1.4))
    loops = list(rows[names[0]])
    height = 0.8 / len(loops)
    for at, loop in enumerate(loops):
        ratios = [rows[name][loop]["rate"] / rows[name]["asyncio"]["rate"] for name in names]
        places = [place + at * height for place in range(len(names))]
        axes.barh(places, ratios, height, color=COLOURS[loop], label=loop)
        for place, ratio in zip(places, ratios, strict=True):
            axes.text(ratio, place, f" {ratio:.2f}", va="center", fontsize=7)
    axes.set_yticks([place + height for place in range(len(names))], names, fontsize=8)
    axes.invert_yaxis()
    axes.set_xlabel("operations a second, as a multiple of asyncio's own loop")
    axes.legend(frameon=False, fontsize=8)
    _finish(figure, axes, path)


def _split(rows: dict[str, Any], path: Path) -> None:
    """What the microseconds of an echo are spent in, stacked."""
    bars = [
        (f"{loop}\n{row.split(', ')[-1]}", parts)
        for row, loops in rows.items()
        for loop, parts in loops.items()
        if parts
    ]
    if not bars:
        return
    figure, axes = plt.subplots(figsize=(9, 4.5))
    below = [0.0] * len(bars)
    for part, colour in PARTS.items():
        heights = [parts[part] for _, parts in bars]
        axes.bar(range(len(bars)), heights, 0.7, bottom=below, color=colour, label=part)
        below = [low + height for low, height in zip(below, heights, strict=True)]
    axes.set_xticks(range(len(bars)), [name for name, _ in bars], fontsize=8)
    axes.set_ylabel("µs of processor time an echo")
    axes.legend(frameon=False, fontsize=8)
    _finish(figure, axes, path)


def _finish(figure: Any, axes: Any, path: Path) -> None:
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    figure.tight_layout()
    figure.savefig(path, dpi=120)
    plt.close(figure)


# --- tables


def tables(found: dict[str, Any]) -> str:
    """Markdown for BENCHMARKS.md."""
    all_loops = ("asyncio", "uvloop", "ukernel")
    rates = {name: [row[loop]["rate"] for loop in all_loops] for name, row in found["defaults"].items()}
    same = {
        name: [row[loop]["rate"] for loop in ("asyncio", "ukernel")] for name, row in found["same read size"].items()
    }
    spent = {name: [row[loop]["ns"] for loop in all_loops] for name, row in found["nanoseconds"].items()}
    calls = {name: [sum(row[loop].values()) for loop in all_loops] for name, row in found["system calls"].items()}
    split = {
        f"{name}: {loop}": [parts[part] for part in PARTS]
        for name, loops in found["split"].items()
        for loop, parts in loops.items()
        if parts
    }
    return "\n\n".join(
        (
            _table(
                ["operations a second", *all_loops, "to asyncio", "to uvloop"],
                [
                    [name, *_whole(row), f"{row[2] / row[0]:.2f}", f"{row[2] / row[1]:.2f}"]
                    for name, row in rates.items()
                ],
            ),
            _table(
                ["same read size, 64 KiB", "asyncio", "ukernel", "ratio"],
                [[name, *_whole(row), f"{row[1] / row[0]:.2f}"] for name, row in same.items()],
            ),
            _table(
                ["nanoseconds each", *all_loops, "to asyncio"],
                [[name, *_whole(row), f"{row[0] / row[2]:.2f}"] for name, row in spent.items()],
            ),
            _table(
                ["system calls an operation", *all_loops],
                [[name, *(f"{sum_:.2f}" for sum_ in row)] for name, row in calls.items()],
            ),
            _table(
                ["µs of processor time an echo", *PARTS, "sum"],
                [[name, *(f"{part:.1f}" for part in row), f"{sum(row):.1f}"] for name, row in split.items()],
            ),
        )
    )


def _whole(figures: list[float]) -> list[str]:
    return [f"{figure:,.0f}" for figure in figures]


def _table(head: list[str], rows: list[list[str]]) -> str:
    """Names at the left, figures at the right of their columns."""
    rule = ["---", *["---:"] * (len(head) - 1)]
    return "\n".join(f"| {' | '.join(row)} |" for row in (head, rule, *rows))
