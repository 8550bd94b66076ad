"""Runs a program: what ``python -m ukernel`` does, and what a bundle does."""

from __future__ import annotations

import asyncio
import platform
import sys
import traceback
import types
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from . import abi
from .current import current_kernel
from .library import interface
from .log import write
from .loop import EventLoop
from .manifest import Project


def start(project: Project, arguments: Sequence[str]) -> int:
    """Runs a program's entry as ``__main__``, with asyncio on the kernel, and gives its exit status."""
    announce(project)
    use_for_asyncio()
    sys.argv = [str(project.path), *arguments]
    # As Python does for a script: its folder comes first. Then the project's, which bundles import from.
    sys.path[:0] = dict.fromkeys([str(project.path.parent), str(project.root)])
    try:
        code = compile(project.path.read_bytes(), str(project.path), "exec")
        exec(code, _main_module(project.path).__dict__)
    except SystemExit as exit:
        return status(exit)
    except Exception as error:
        _report(error, project.path)
        return 1
    return 0


def announce(project: Project) -> None:
    """Tells the kernel's log what is about to run."""
    kernel = current_kernel()
    version = ".".join(map(str, interface().abi_version()))
    lines = (
        f"adapter: entrypoint {project.entry} (python)",
        f"adapter: python version={platform.python_version()} implementation={platform.python_implementation()}",
        f"adapter: loop class={EventLoop.__module__}.{EventLoop.__qualname__} interface={version}",
    )
    for line in lines:
        write(kernel, abi.LOG_INFO, line)


def use_for_asyncio() -> None:
    """Makes ``asyncio.run``, and all else that makes event loops, make those of the kernel."""
    with warnings.catch_warnings():
        # Python 3.14 deprecates policies, and has nothing else for programs that call asyncio.run by themselves.
        warnings.simplefilter("ignore", DeprecationWarning)
        from .policy import UkernelEventLoopPolicy

        asyncio.set_event_loop_policy(UkernelEventLoopPolicy())


def status(exit: SystemExit) -> int:
    """The exit status that Python itself would end with. A text is written, and means 1."""
    if exit.code is None:
        return 0
    if isinstance(exit.code, int):
        return exit.code & 0xFF
    print(exit.code, file=sys.stderr)
    return 1


def _main_module(path: Path) -> types.ModuleType:
    module = types.ModuleType("__main__")
    module.__file__ = str(path)
    module.__builtins__ = __builtins__  # type: ignore[attr-defined]
    sys.modules["__main__"] = module
    return module


def _report(error: Exception, path: Path) -> None:
    """Shows a traceback that begins in the program, or says where its syntax is wrong."""
    trace = error.__traceback__
    while trace is not None and trace.tb_frame.f_code.co_filename != str(path):
        trace = trace.tb_next
    traceback.print_exception(type(error), error, trace)


def fail(message: str) -> NoReturn:
    """Ends with a message for the person who started it."""
    print(f"ukernel: {message}", file=sys.stderr)
    sys.exit(2)
