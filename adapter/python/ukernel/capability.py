"""Capabilities as context managers."""

from __future__ import annotations

from contextvars import Token
from types import TracebackType

from . import abi
from .current import current_kernel
from .kernel import active

_KINDS = {
    "log": abi.CAP_LOG,
    "time": abi.CAP_TIME,
    "task": abi.CAP_TASK,
    "mem": abi.CAP_MEM,
    "io": abi.CAP_IO,
    "ipc": abi.CAP_IPC,
    "net": abi.CAP_NET,
    "trace": abi.CAP_TRACE,
}


class Capability:
    """A permission, active within ``with``, for this task and those that it starts inside::

        with ukernel.Capability("ipc"):
            channel = ukernel.Channel()

    Each asyncio task has its own active set: what one enters, another that runs meanwhile has not. Nests, and one
    object may be entered again and again. ``PermissionError`` if the policy does not allow it.
    """

    def __init__(self, kind: str | int) -> None:
        if isinstance(kind, str):
            if kind not in _KINDS:
                raise ValueError(f"no capability {kind!r}; there are {', '.join(_KINDS)}")
            kind = _KINDS[kind]
        self.kind = kind
        self._tokens: list[Token[frozenset[int]]] = []

    def __repr__(self) -> str:
        names = {number: name for name, number in _KINDS.items()}
        return f"<ukernel.Capability {names.get(self.kind, self.kind)}>"

    def __enter__(self) -> Capability:
        current_kernel().acquire(self.kind)
        self._tokens.append(active.set(active.get() | {self.kind}))
        current_kernel().sync()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        active.reset(self._tokens.pop())
        current_kernel().sync()

    def drop(self) -> None:
        """Makes every handle of this kind stale: whoever needs one asks for it anew."""
        current_kernel().drop(self.kind)
