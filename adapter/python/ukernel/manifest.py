"""``ukernel.toml``: which file a program starts with, and what is said when that cannot be found out."""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

FILE: Final = "ukernel.toml"
DEFAULT_ENTRY: Final = "src/main.py"


class ManifestError(Exception):
    """A text for the person who started the program: it names the file, and the line where there is one."""


@dataclass(frozen=True)
class Project:
    """Where a program is, and what it starts with."""

    root: Path
    entry: str

    @property
    def path(self) -> Path:
        """The file that is run."""
        return self.root / self.entry


def resolve(root: Path, entry: str | None = None) -> Project:
    """The project in a folder: ``entry``, or ``[project] entry`` of its manifest, or ``src/main.py``.

    Raises ``ManifestError`` if the manifest is missing or broken, or the entry is no file.
    """
    manifest = _read(root / FILE)
    project = manifest.get("project", {})
    if not isinstance(project, dict):
        raise ManifestError(f"{root / FILE}: project is no table: write [project]")
    if entry is None:
        entry = project.get("entry", DEFAULT_ENTRY)
        if not isinstance(entry, str) or not entry:
            line = _line_of(root / FILE, "entry")
            raise ManifestError(f"{root / FILE}:{line}: entry is no path: {entry!r}")
    found = Project(root, entry)
    if not found.path.is_file():
        reason = "is a folder" if found.path.is_dir() else "does not exist"
        raise ManifestError(f"{found.path}: the program's entry {reason}")
    return found


def _read(path: Path) -> dict[str, Any]:
    try:
        text = path.read_bytes().decode()
    except FileNotFoundError:
        raise ManifestError(f"{path}: there is no such file; a program's folder has one, or --root names it") from None
    except OSError as error:
        raise ManifestError(f"{path}: {error.strerror}") from None
    except UnicodeDecodeError as error:
        line = path.read_bytes()[: error.start].count(b"\n") + 1
        raise ManifestError(f"{path}:{line}: not UTF-8") from None
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ManifestError(_explained(path, text, str(error))) from None


def _explained(path: Path, text: str, reason: str) -> str:
    """A mistake in a manifest with its line, which Python has in the message only."""
    lines = text.splitlines() or [""]
    place = re.search(r" \(at line (\d+), column (\d+)\)$", reason)
    number, column = (int(place[1]), int(place[2])) if place else (len(lines), 1)
    words = reason.split(" (at ")[0]
    shown = lines[min(number, len(lines)) - 1]
    return f"{path}:{number}: {words}\n    {shown}\n    {' ' * (column - 1)}^"


def _line_of(path: Path, key: str) -> int:
    """The line on which a key stands."""
    lines = path.read_text().splitlines()
    return next((at for at, line in enumerate(lines, 1) if re.match(rf"\s*(project\.)?{key}\s*=", line)), 1)
