"""``UkernelSelector``: the interface of Python's ``selectors`` over ``interest_wait``."""

from __future__ import annotations

import errno
import math
import os
import selectors
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any, Final

from . import abi
from .abi import InvalidError, LoopAbi, UkernelAbi
from .clock import clock
from .interrupts import Interrupts, in_main_thread
from .kernel import Kernel
from .library import interface_of
from .native import native_for
from .poller import WAKE_TOKEN, Poller

_READ, _WRITE = selectors.EVENT_READ, selectors.EVENT_WRITE

# As the standard selectors: who waits for anything is told of hang-ups and errors, by reading or writing.
_MASKS: Final = tuple(
    (_READ if events & (abi.IO_READABLE | abi.IO_HANGUP | abi.IO_ERROR) else 0)
    | (_WRITE if events & (abi.IO_WRITABLE | abi.IO_HANGUP | abi.IO_ERROR) else 0)
    for events in range(16)
)
_INTERESTS: Final = {
    _READ: abi.IO_READABLE,
    _WRITE: abi.IO_WRITABLE,
    _READ | _WRITE: abi.IO_READABLE | abi.IO_WRITABLE,
}

HANDLE_TOKENS: Final = 1 << 31
"""Tokens of kernel handles begin here; below are file descriptors."""


class _Keys(Mapping[Any, selectors.SelectorKey]):
    """What is registered, by file object."""

    def __init__(self, selector: UkernelSelector) -> None:
        self._selector = selector

    def __len__(self) -> int:
        return len(self._selector._keys)

    def __iter__(self) -> Any:
        return iter(self._selector._keys)

    def __getitem__(self, fileobj: Any) -> selectors.SelectorKey:
        try:
            return self._selector._keys[self._selector._lookup(fileobj)]
        except KeyError:
            raise KeyError(f"{fileobj!r} is not registered") from None


class UkernelSelector(selectors.BaseSelector):
    """Waits for file objects by ``interest_wait``, in a kernel of its own.

    ``interface`` is what it calls: by default the library of the package. As with the standard selectors one thread
    uses it at a time; only ``wake`` may be called from others. ``ukernel.EventLoop`` makes its own; any other user
    of ``selectors`` can have one as well.
    """

    def __init__(self, interface: LoopAbi | UkernelAbi | None = None) -> None:
        super().__init__()
        self.kernel = Kernel(interface_of(interface))
        """The kernel that the selector waits in. A loop is in it while it runs."""
        self.time: Callable[[], float] = clock(self.kernel)
        """The kernel's time in seconds; never goes back."""
        self.native = native_for(self.kernel.abi)
        with self.kernel:
            self._poller: Any = self.native.Poller() if self.native else Poller(self.kernel)
        self._keys: dict[int, selectors.SelectorKey] = {}
        self._tokens: dict[int, int] = {}
        self._next_token = HANDLE_TOKENS
        self._map: _Keys | None = _Keys(self)
        self._interrupts: Interrupts | None = None
        self._has_loop = False

    # --- what selectors.BaseSelector asks for

    def register(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        """Watches a file object. Errors as those of the standard selectors: ``OSError`` for what is not open."""
        key = selectors.SelectorKey(fileobj, self._lookup(fileobj), _checked(events), data)
        if key.fd in self._keys:
            raise KeyError(f"{fileobj!r} (FD {key.fd}) is already registered")
        with self.kernel:
            try:
                self._poller.add(key.fd, _INTERESTS[events])
            except InvalidError:
                raise OSError(errno.EBADF, os.strerror(errno.EBADF)) from None
        self._keys[key.fd] = key
        return key

    def unregister(self, fileobj: Any) -> selectors.SelectorKey:
        """Watches a file object no more; it may have been closed meanwhile."""
        key = self._get(fileobj)
        del self._keys[key.fd]
        if not self.kernel.is_gone():
            with self.kernel:
                self._poller.remove(key.fd)
        return key

    def modify(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        """Changes events and data of a registered file object."""
        key = self._get(fileobj)
        if events != key.events:
            with self.kernel:
                self._poller.modify(key.fd, _INTERESTS[_checked(events)])
        key = self._keys[key.fd] = key._replace(events=events, data=data)
        return key

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """What is ready, once something is or ``timeout`` seconds are over; never early."""
        with self.kernel:
            found = self._wait(_nanoseconds(timeout))
        ready = []
        for token, events in found:
            key = self._keys.get(token)
            if key is not None:
                mask = _MASKS[events & 15] & key.events
                if mask:
                    ready.append((key, mask))
        return ready

    def close(self) -> None:
        """Gives the kernel up, with everything that was registered."""
        self._keys.clear()
        self._tokens.clear()
        self._map = None
        if self._interrupts is not None:
            self._interrupts.close()
            self._interrupts = None
        self.kernel.close()

    def get_map(self) -> Mapping[Any, selectors.SelectorKey]:
        """What is registered, by file object; ``None`` once closed, as the standard selectors do."""
        return self._map  # type: ignore[return-value]

    # --- what a loop asks for beyond that

    def wake(self) -> None:
        """Ends the present ``select``, or the next. From any thread; harmless after ``close``."""
        self._poller.wake()

    def serve_loop(self) -> None:
        """Leaves it to the loop to end waits when a signal arrives."""
        self._has_loop = True

    @contextmanager
    def within(self) -> Iterator[None]:
        """Keeps the thread in the kernel, so that waits do not have to enter it."""
        with self.kernel:
            if self.native:
                self.select = partial(self._poller.select, self._keys)  # type: ignore[method-assign]
            try:
                yield
            finally:
                self.__dict__.pop("select", None)

    def watch_handle(self, handle: int, events: int, data: Any) -> None:
        """Watches a handle of the kernel's own, or changes what it is watched for. ``data`` as in ``register``."""
        interest = _INTERESTS[_checked(events)]
        token = self._tokens.get(handle)
        with self.kernel:
            if token is None:
                token = self._free_token()
                self._poller.add_handle(handle, interest, token)
                self._tokens[handle] = token
            else:
                self._poller.modify_handle(handle, interest, token)
        self._keys[token] = selectors.SelectorKey(handle, token, events, data)

    def unwatch_handle(self, handle: int) -> None:
        """Watches a handle no more; nothing happens if it was not."""
        token = self._tokens.pop(handle, None)
        if token is None:
            return
        del self._keys[token]
        if not self.kernel.is_gone():
            with self.kernel:
                self._poller.remove_handle(handle)

    # --- inside

    def _free_token(self) -> int:
        """A token that no handle has. There is one: a set has room for 65,536 members."""
        while True:
            self._next_token = self._next_token + 1 if self._next_token < WAKE_TOKEN - 1 else HANDLE_TOKENS
            if self._next_token not in self._keys:
                return self._next_token

    def _wait(self, timeout_ns: int) -> list[tuple[int, int]]:
        if self._has_loop or timeout_ns == 0 or not in_main_thread():
            found: list[tuple[int, int]] = self._poller.wait(timeout_ns)
            return found
        if self._interrupts is None:
            self._interrupts = Interrupts()
            self._poller.add(self._interrupts.fileno(), abi.IO_READABLE)
        with self._interrupts.during():
            found = self._poller.wait(timeout_ns)
        self._interrupts.drain()
        return found

    def _get(self, fileobj: Any) -> selectors.SelectorKey:
        try:
            return self._keys[self._lookup(fileobj)]
        except KeyError:
            raise KeyError(f"{fileobj!r} is not registered") from None

    def _lookup(self, fileobj: Any) -> int:
        """The descriptor of a file object, also of one that was closed while it was registered."""
        try:
            return _descriptor(fileobj)
        except ValueError:
            for key in self._keys.values():
                if key.fileobj is fileobj:
                    return key.fd
            raise


def _descriptor(fileobj: Any) -> int:
    """The descriptor of a number or of whatever has ``fileno()``. ``ValueError`` for anything else."""
    try:
        descriptor = fileobj if isinstance(fileobj, int) else int(fileobj.fileno())
    except (AttributeError, TypeError, ValueError):
        raise ValueError(f"Invalid file object: {fileobj!r}") from None
    if descriptor < 0:
        raise ValueError(f"Invalid file descriptor: {descriptor}")
    return descriptor


def _checked(events: int) -> int:
    if events not in _INTERESTS:
        raise ValueError(f"Invalid events: {events!r}")
    return events


def _nanoseconds(timeout: float | None) -> int:
    """A timeout in seconds as the interface has it: rounded up, so that no wait is early."""
    if timeout is None:
        return abi.FOREVER
    if timeout <= 0:
        return 0
    return min(math.ceil(timeout * 1e9), abi.FOREVER - 1)
