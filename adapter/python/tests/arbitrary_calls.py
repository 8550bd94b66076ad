"""Calls every method of ``ukernel.abi.Abi`` with arbitrary arguments: ``arbitrary_calls.py SEED COUNT``.

What a call may do is return or raise one of the documented exceptions. Left out are those that take addresses, those
that end the process as documented (``task_cancel`` of oneself), and waits that nothing would end.
"""

from __future__ import annotations

import collections
import inspect
import os
import random
import sys
from collections.abc import Callable
from typing import Any

from ukernel import abi
from ukernel.abi import Abi
from ukernel.library import interface

ADDRESSES = {"task_spawn", "mem_free", "mem_map", "mem_share"}
ENDS = {"task_exit", "task_cancel"}
DISTURBS = {"kernel_leave", "log_write", "net_resolve", "kernel_create"}
LEFT_OUT = ADDRESSES | ENDS | DISTURBS

NUMBERS = (0, 1, 2, 3, 7, 8, 16, 255, 4096, 65536, 1 << 20, (1 << 32) - 1, 1 << 32, (1 << 64) - 1, 1 << 64, -1)


class Caller:
    """The calls, and the handles that they gave."""

    def __init__(self, library: Abi, seed: int) -> None:
        self.library = library
        self.random = random.Random(seed)
        self.handles: list[int] = []
        self.outcomes: collections.Counter[str] = collections.Counter()
        names = [name for name in dir(library) if not name.startswith("_") and name != "library"]
        self.methods: list[Callable[..., Any]] = [getattr(library, name) for name in names if name not in LEFT_OUT]
        self.signatures = {method: inspect.signature(method).parameters for method in self.methods}

    def number(self) -> int:
        return self.random.choice(NUMBERS)

    def handle(self) -> int:
        if self.handles and self.random.random() < 0.8:
            return self.random.choice(self.handles)
        return self.number() | self.random.choice((0, 1 << 56, 2 << 56, 5 << 56))

    def argument(self, name: str, kind: str) -> Any:
        """Something for a parameter, going by its name and type."""
        if "NONBLOCK" in kind:
            return abi.IPC_NONBLOCK
        if name == "timeout_ns":
            return self.random.choice((0, 1, 1000))
        if "duration" in name:
            return 1000
        if name == "descriptor":
            return self.random.choice((*self.pipe, -1, 1 << 30))
        if "Sequence[int]" in kind:
            return [self.handle() for _ in range(self.random.randrange(10))]
        if "Sequence" in kind:
            return [bytearray(self.random.randrange(9)) for _ in range(self.random.randrange(70))]
        if "Events" in kind:
            return abi.Events(self.random.randrange(1, 10))
        if "Buffer" in kind:
            return bytearray(self.random.choice((0, 1, 100, 65536, 65537)))
        if "Address" in kind:
            return (self.random.choice(("127.0.0.1", "::1", "nonsense")), self.number())
        if "bytes" in kind or "str" in kind:
            return self.random.choice((b"", b"name", b"disk:0", b"\xff" * 300))
        return self.handle() if self.random.random() < 0.6 else self.number()

    pipe = os.pipe()

    def turn(self) -> None:
        method = self.random.choice(self.methods)
        arguments = {}
        for name, parameter in self.signatures[method].items():
            # A flag that is the same bit for sockets and for channels: do not wait.
            kind = "NONBLOCK" if name == "flags" and waits(method.__name__) else str(parameter.annotation)
            arguments[name] = self.argument(name, kind)
        try:
            found = method(**arguments)
        except (OSError, ValueError, TypeError) as error:
            self.outcomes["refused"] += 1
            self.outcomes[type(error).__name__] += 1
            return
        self.outcomes["succeeded"] += 1
        self.keep(found)

    def keep(self, found: object) -> None:
        for each in found if isinstance(found, tuple | list) else [found]:
            if isinstance(each, int) and each >> 56:
                self.handles.append(each)
        del self.handles[:-200]


def waits(name: str) -> bool:
    return name.startswith(("ipc_send", "ipc_recv", "net_send", "net_recv", "net_accept"))


def main() -> None:
    seed, count = map(int, sys.argv[1:])
    library = interface()
    number = library.kernel_create()
    library.kernel_enter(number)
    caller = Caller(library, seed)
    caller.methods = [method for method in caller.methods if not waits_for_ever(method.__name__)]
    capabilities = [library.cap_acquire(kind) for kind in range(1, 9)]
    for at in range(count):
        if at % 50 == 0:  # what arbitrary calls have given away
            capabilities = [library.cap_acquire(kind) for kind in range(1, 9)]
            library.cap_enter(capabilities)
        caller.turn()
    library.kernel_leave()
    library.kernel_destroy(number)
    for name, times in caller.outcomes.items():
        print(name, times)


def waits_for_ever(name: str) -> bool:
    """Whether it waits for what nobody here does, and cannot be told not to."""
    return name in ("io_read", "io_readv", "io_write", "io_writev", "net_connect", "wake_take", "task_yield", "io_sync")


if __name__ == "__main__":
    main()
