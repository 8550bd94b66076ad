"""Calls about channels, logs and traces."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence

from .base import Calls, handles
from .buffers import ReadBuffer, WriteBuffer, readable, writable


class MessageCalls(Calls):
    """What tasks say to each other and to the log."""

    def ipc_channel_create(self, flags: int = 0) -> int:
        """A channel, one handle for both ends."""
        return self._u64(self._quick.ipc_channel_create, flags)

    def ipc_channel_pair(self, flags: int = 0) -> tuple[int, int]:
        """A channel with an end for sending and one for receiving."""
        sender, receiver = ctypes.c_uint64(), ctypes.c_uint64()
        self._call(self._quick.ipc_channel_pair, flags, ctypes.byref(sender), ctypes.byref(receiver))
        return sender.value, receiver.value

    def ipc_open(self, name: bytes, flags: int) -> int:
        """This program's end of a channel to the code that runs it: ``IPC_OPEN_SEND`` or ``IPC_OPEN_RECEIVE``."""
        return self._u64(self._quick.ipc_open, name, len(name), flags)

    def ipc_send(self, channel: int, data: ReadBuffer, flags: int = 0) -> None:
        """Sends one message of at most 65536 bytes. Waits unless told not to."""
        with readable(data) as (address, size):
            self._call(self._waiting.ipc_send, channel, address, size, flags)

    def ipc_recv(self, channel: int, buffer: WriteBuffer, flags: int = 0) -> int:
        """Receives one whole message into a buffer, and says how long it is. Waits unless told not to."""
        out = ctypes.c_size_t()
        with writable(buffer) as (address, size):
            self._call(self._waiting.ipc_recv, channel, address, size, ctypes.byref(out), flags)
        return out.value

    def ipc_send_handles(self, channel: int, data: ReadBuffer, sent: Sequence[int], flags: int = 0) -> None:
        """The same with up to 8 handles, which belong to the message from then on."""
        given = handles(tuple(sent))
        with readable(data) as (address, size):
            self._call(self._waiting.ipc_send_handles, channel, address, size, given, len(sent), flags)

    def ipc_recv_handles(self, channel: int, buffer: WriteBuffer, flags: int = 0) -> tuple[int, list[int]]:
        """The length of a message and the handles that came with it."""
        length, count = ctypes.c_size_t(), ctypes.c_uint32()
        received = (ctypes.c_uint64 * 8)()
        outputs = ctypes.byref(length), received, len(received), ctypes.byref(count)
        with writable(buffer) as (address, size):
            self._call(self._waiting.ipc_recv_handles, channel, address, size, *outputs, flags)
        return length.value, list(received[: count.value])

    def ipc_close(self, channel: int) -> None:
        """Closes an end of a channel."""
        self._call(self._quick.ipc_close, channel)

    # --- logs and traces

    def log_write(self, level: int, text: ReadBuffer) -> None:
        """A line of the log."""
        with readable(text) as (address, size):
            self._call(self._waiting.log_write, level, address, size)

    def trace_enable(self, on: bool) -> None:
        """Switches tracing on or off, for the whole program."""
        self._call(self._quick.trace_enable, int(on))

    def trace_span_begin(self, name: bytes) -> int:
        """Begins a span; 0 while tracing is off, which every span function takes."""
        return self._u64(self._quick.trace_span_begin, name, len(name))

    def trace_span_end(self, span: int) -> None:
        """Ends a span."""
        self._call(self._quick.trace_span_end, span)

    def trace_event(self, span: int, name: bytes, values: bytes = b"") -> None:
        """Something that happened within a span, with a text such as ``key=value``."""
        self._call(self._quick.trace_event, span, name, len(name), values, len(values))
