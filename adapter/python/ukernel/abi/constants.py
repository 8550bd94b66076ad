"""The numbers of ``ukernel_abi.h``, under their names there.

A test compares every one with the header. Nothing here is computed from anything else.
"""

from __future__ import annotations

from typing import Final

# What a call returns.
OK: Final = 0
ERR_INVALID: Final = 1
ERR_NOENT: Final = 2
ERR_NOMEM: Final = 3
ERR_BUSY: Final = 4
ERR_TIMEOUT: Final = 5
ERR_IO: Final = 6
ERR_UNSUPPORTED: Final = 7
ERR_PERMISSION: Final = 8
ERR_WOULD_BLOCK: Final = 9
ERR_CLOSED: Final = 10

# Features of version 0.2.0, as bits.
FEAT_VSOCK: Final = 1 << 0
FEAT_RNG: Final = 1 << 1
FEAT_BALLOON: Final = 1 << 2
FEAT_SNAPSHOT: Final = 1 << 3
FEAT_TRACING: Final = 1 << 4

# Features since version 0.3.0, as numbers of bits.
FEAT_NUMBER_TCP: Final = 20
FEAT_NUMBER_IPV6: Final = 21
FEAT_NUMBER_DNS: Final = 22
FEAT_NUMBER_INTEREST: Final = 23
FEAT_NUMBER_TASKS: Final = 24
FEAT_NUMBER_WALL_CLOCK: Final = 25
FEAT_NUMBER_DISK: Final = 26
FEAT_NUMBER_VECTORED: Final = 27
FEAT_NUMBER_SHUTDOWN: Final = 28
FEAT_NUMBER_ENVIRONMENT: Final = 29
FEAT_NUMBER_MEMORY: Final = 30
FEAT_NUMBER_IPC: Final = 31
FEAT_NUMBER_IPC_OPEN: Final = 32
FEAT_NUMBER_HOST: Final = 33

# Capability kinds.
CAP_LOG: Final = 1
CAP_TIME: Final = 2
CAP_TASK: Final = 3
CAP_MEM: Final = 4
CAP_IO: Final = 5
CAP_IPC: Final = 6
CAP_NET: Final = 7
CAP_TRACE: Final = 8

# Tags of handles: their top byte.
HANDLE_TASK: Final = 0x01
HANDLE_IO: Final = 0x02
HANDLE_IPC: Final = 0x03
HANDLE_NET: Final = 0x04
HANDLE_CAP: Final = 0x05
HANDLE_SPAN: Final = 0x06
HANDLE_SET: Final = 0x07
HANDLE_MEM: Final = 0x08

# Tasks.
TASK_DETACHED: Final = 1 << 0
TASK_PINNED: Final = 1 << 1
TASK_PRIORITY_LOW: Final = 0
TASK_PRIORITY_NORMAL: Final = 1
TASK_PRIORITY_HIGH: Final = 2
TASK_CANCELLED: Final = -1000
TASK_FAULTED: Final = -1001

# Memory.
MEM_READ: Final = 1 << 0
MEM_WRITE: Final = 1 << 1
MEM_EXEC: Final = 1 << 2
MEM_ZEROED: Final = 1 << 3
MEM_PINNED: Final = 1 << 4

# Input and output.
IO_READABLE: Final = 0x01
IO_WRITABLE: Final = 0x02
IO_HANGUP: Final = 0x04
IO_ERROR: Final = 0x08
IO_OPEN_READ: Final = 1 << 0
IO_OPEN_WRITE: Final = 1 << 1
IO_NONBLOCK: Final = 1 << 2
IO_FD_OWNED: Final = 1 << 8
IO_SEEK_SET: Final = 0
IO_SEEK_CUR: Final = 1
IO_SEEK_END: Final = 2

# Messages.
IPC_NONBLOCK: Final = 1 << 0
IPC_OPEN_SEND: Final = 1 << 1
IPC_OPEN_RECEIVE: Final = 1 << 2

# Network.
NET_INET: Final = 2
NET_INET6: Final = 10
NET_STREAM: Final = 1
NET_DGRAM: Final = 2
NET_TCP: Final = 6
NET_UDP: Final = 17
NET_NONBLOCK: Final = 1 << 0
NET_SHUT_READ: Final = 1
NET_SHUT_WRITE: Final = 2
NET_SHUT_BOTH: Final = 3
NET_OPT_NODELAY: Final = 1
NET_OPT_KEEPALIVE_NS: Final = 2
NET_OPT_TIMEOUT_NS: Final = 3
NET_OPT_RECEIVE_BUFFER: Final = 4
NET_OPT_SEND_BUFFER: Final = 5
NET_OPT_NONBLOCK: Final = 6
NET_OPT_ERROR: Final = 7

# Logs.
LOG_DEBUG: Final = 0
LOG_INFO: Final = 1
LOG_WARN: Final = 2
LOG_ERROR: Final = 3

FOREVER: Final = 2**64 - 1
"""The timeout that never ends (``~0ull`` in C)."""


def FEAT_BIT(number: int) -> int:
    """The bit of a feature in what ``abi_features`` gives."""
    return 1 << number


def TASK_STACK_KIB(kib: int) -> int:
    """The flag of ``task_spawn`` for a stack of 16 to 65535 KiB."""
    return kib << 16


def MEM_ALIGN(power: int) -> int:
    """The flag of ``mem_alloc`` for an alignment of 2 to the power of 0 to 12."""
    return (power + 1) << 8


def IPC_CAPACITY(messages: int) -> int:
    """The flag of ``ipc_channel_create`` and ``ipc_channel_pair`` for 1 to 4096 messages."""
    return messages << 16


def NET_IP4(a: int, b: int, c: int, d: int) -> int:
    """An IPv4 address as the number that ``net_addr_v4_t`` has."""
    return a << 24 | b << 16 | c << 8 | d
