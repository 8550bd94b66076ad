"""What was measured, as PNG files and as the tables of BENCHMARKS.md."""

from __future__ import annotations

from collections.abc import Iterable
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
        ratios = [1.0 if loop == "asyncio" else rows[name][loop]["to asyncio"] for name in names]
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
    """Markdown for BENCHMARKS.md. Ratios are medians of those of each round."""
    loops = ("asyncio", "uvloop", "ukernel")
    return "\n\n".join(
        (
            _table(
                ["operations a second", *loops, "to asyncio", "to uvloop"],
                [
                    [name, *_medians(row, loops, "rate"), *_ratios(row, loops[:2])]
                    for name, row in found["defaults"].items()
                ],
            ),
            _table(
                ["same read size, 64 KiB", "asyncio", "ukernel", "ratio"],
                [
                    [name, *_medians(row, ("asyncio", "ukernel"), "rate"), *_ratios(row, loops[:1])]
                    for name, row in found["same read size"].items()
                ],
            ),
            _table(
                ["nanoseconds each", *loops, "to asyncio"],
                [
                    [name, *_medians(row, loops, "ns"), f"{row['asyncio']['to ukernel']:.2f}"]
                    for name, row in found["nanoseconds"].items()
                ],
            ),
            _table(
                ["system calls an operation", *loops],
                [
                    [name, *(f"{sum(row[loop].values()):.2f}" for loop in loops)]
                    for name, row in found["system calls"].items()
                ],
            ),
            _table(
                ["µs of processor time an echo", *PARTS, "sum"],
                [
                    [f"{name}: {loop}", *(f"{spent[part]:.1f}" for part in PARTS), f"{sum(spent.values()):.1f}"]
                    for name, row in found["split"].items()
                    for loop, spent in row.items()
                    if spent
                ],
            ),
        )
    )


def _medians(row: dict[str, Any], loops: Iterable[str], key: str) -> list[str]:
    return [f"{row[loop][key]:,.0f}" for loop in loops]


def _ratios(row: dict[str, Any], others: Iterable[str]) -> list[str]:
    return [f"{row['ukernel'][f'to {other}']:.2f}" for other in others]


def _table(head: list[str], rows: list[list[str]]) -> str:
    """Names at the left, figures at the right of their columns."""
    rule = ["---", *["---:"] * (len(head) - 1)]
    return "\n".join(f"| {' | '.join(row)} |" for row in (head, rule, *rows))
