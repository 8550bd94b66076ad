"""Channels: messages between tasks, through the kernel."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from types import TracebackType
from typing import Final

from . import abi
from .abi import ClosedError, WouldBlockError
from .current import current_loop
from .handles import READ, WRITE
from .loop import EventLoop

MESSAGE_BYTES: Final = 65536
"""The longest message."""


class Channel:
    """A bounded queue of messages: ``bytes`` of up to 65,536, and up to 8 handles with each::

        with ukernel.Capability("ipc"):
            sender, receiver = ukernel.Channel.pair()
            await sender.send(b"hello")
            async for message in receiver:
                ...

    Belongs to the loop that runs when it is made. Needs ``Capability("ipc")`` for every call. Who sends to a full
    channel waits, and so do those who receive from an empty one, in the order they came.
    """

    def __init__(self, capacity: int = 16) -> None:
        loop = current_loop()
        loop.kernel.sync()
        self._open(loop, loop.kernel.abi.ipc_channel_create(_flags(capacity)))

    @classmethod
    def pair(cls, capacity: int = 16) -> tuple[Channel, Channel]:
        """An end for sending and one for receiving. Closing either tells the other."""
        loop = current_loop()
        loop.kernel.sync()
        sender, receiver = loop.kernel.abi.ipc_channel_pair(_flags(capacity))
        return cls.from_handle(sender), cls.from_handle(receiver)

    @classmethod
    def from_handle(cls, handle: int) -> Channel:
        """A channel that came with a message. From then on it closes the handle."""
        channel = cls.__new__(cls)
        channel._open(current_loop(), handle)
        return channel

    def _open(self, loop: EventLoop, handle: int) -> None:
        self._loop = loop
        self._handle: int | None = handle
        self._sending = asyncio.Lock()
        self._receiving = asyncio.Lock()

    # --- messages

    async def send(self, message: bytes | bytearray | memoryview, handles: Sequence[int] = ()) -> None:
        """Sends a message; waits while the channel is full. ``BrokenPipeError``: nobody can receive it any more."""
        async with self._sending:
            while not self.try_send(message, handles):
                await self._loop.handle_waits.wait(self.handle, WRITE)

    def try_send(self, message: bytes | bytearray | memoryview, handles: Sequence[int] = ()) -> bool:
        """Sends a message if there is room now, and says whether."""
        kernel = self._loop.kernel
        with kernel:
            kernel.sync()
            try:
                kernel.abi.ipc_send_handles(self.handle, message, handles, abi.IPC_NONBLOCK)
            except WouldBlockError:
                return False
        return True

    async def receive(self) -> bytes:
        """Receives a message. ``BrokenPipeError``: the sending end is closed, and everything has been received."""
        message, handles = await self.receive_with_handles()
        for handle in handles:
            self._loop.kernel.abi.handle_close(handle)
        return message

    async def receive_with_handles(self) -> tuple[bytes, list[int]]:
        """The same with the handles that came along, which are the caller's to close."""
        async with self._receiving:
            while (received := self._try_receive()) is None:
                await self._loop.handle_waits.wait(self.handle, READ)
            return received

    def _try_receive(self) -> tuple[bytes, list[int]] | None:
        kernel = self._loop.kernel
        kernel.sync()
        room = bytearray(MESSAGE_BYTES)
        try:
            length, handles = kernel.abi.ipc_recv_handles(self.handle, room, abi.IPC_NONBLOCK)
        except WouldBlockError:
            return None
        return bytes(memoryview(room)[:length]), handles

    def __aiter__(self) -> Channel:
        return self

    async def __anext__(self) -> bytes:
        try:
            return await self.receive()
        except ClosedError:
            raise StopAsyncIteration from None

    # --- the end

    @property
    def handle(self) -> int:
        """The kernel's handle, to be sent with a message. ``BrokenPipeError`` once closed."""
        if self._handle is None:
            raise ClosedError("channel")
        return self._handle

    def detach(self) -> int:
        """The handle, which is the caller's from now on: it is sent to another, say."""
        handle, self._handle = self.handle, None
        self._loop.handle_waits.closing(handle)
        return handle

    def close(self) -> None:
        """Closes the end; whoever waits for it gets ``BrokenPipeError``. A second call does nothing."""
        if self._handle is not None:
            handle = self.detach()
            if not self._loop.kernel.is_gone():
                with self._loop.kernel:
                    self._loop.kernel.abi.handle_close(handle)

    def __enter__(self) -> Channel:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _flags(capacity: int) -> int:
    if not 1 <= capacity <= 4096:
        raise ValueError(f"a channel has room for 1 to 4096 messages, not {capacity}")
    return abi.IPC_CAPACITY(capacity)
