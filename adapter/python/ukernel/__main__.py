"""``python -m ukernel [--root DIR] [--entry FILE] [ARGUMENT...]``"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from .manifest import DEFAULT_ENTRY, FILE, ManifestError, resolve
from .runtime import fail, start


def parse(words: list[str] | None = None) -> argparse.Namespace:
    """The command line; what it leaves out comes from UKERNEL_ROOT and UKERNEL_ENTRY."""
    parser = argparse.ArgumentParser(
        prog="python -m ukernel",
        description=f"Runs an asyncio program on ukernel. Its folder has a {FILE}, whose [project] entry "
        f"({DEFAULT_ENTRY} if it has none) is the file that is run. The exit status is the program's.",
        epilog="UKERNEL_ROOT and UKERNEL_ENTRY stand for the options; UKERNEL_ABI_PATH names the library.",
    )
    environment = os.environ
    parser.add_argument("--root", type=Path, metavar="DIR", default=Path(environment.get("UKERNEL_ROOT") or "."))
    parser.add_argument("--entry", metavar="FILE", default=environment.get("UKERNEL_ENTRY") or None)
    parser.add_argument("arguments", nargs=argparse.REMAINDER, metavar="ARGUMENT", help="for the program")
    return parser.parse_args(words)


def main() -> None:
    """Runs what the command line names."""
    words = parse()
    try:
        project = resolve(words.root, words.entry)
    except ManifestError as error:
        fail(str(error))
    sys.exit(start(project, words.arguments))


if __name__ == "__main__":
    main()
