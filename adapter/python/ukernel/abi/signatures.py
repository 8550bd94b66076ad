"""The type of every function of ``ukernel_abi.h``, in the header's order. A test compares them with the header.

All of them return ``result_t``. ``ptr_t``, an address as a number, is ``c_void_p``, which takes numbers, ``bytes``
and ctypes arrays alike.
"""

from __future__ import annotations

import ctypes
from typing import Any, Final

from .structures import ErrInfo, IoEvent, IoInfo, IoVec, MemUsage, NetAddrV6

_u32, _i32, _u64, _i64 = ctypes.c_uint32, ctypes.c_int32, ctypes.c_uint64, ctypes.c_int64
_size, _ptr = ctypes.c_size_t, ctypes.c_void_p
_handle = _ns = _u64
_u32_out, _i32_out, _u64_out = ctypes.POINTER(_u32), ctypes.POINTER(_i32), ctypes.POINTER(_u64)
_size_out, _ptr_out = ctypes.POINTER(_size), ctypes.POINTER(_u64)
_handle_out = _handles = _ns_out = _u64_out
_events, _vec, _v6 = ctypes.POINTER(IoEvent), ctypes.POINTER(IoVec), ctypes.POINTER(NetAddrV6)

SIGNATURES: Final[dict[str, tuple[Any, ...]]] = {
    "abi_version": (_u32_out, _u32_out, _u32_out),
    "abi_features": (_u64_out,),
    "abi_feature_enabled": (_u32, _u32_out),
    "cap_acquire": (_u32, _handle_out),
    "cap_drop": (_handle,),
    "cap_enter": (_handles, _u32),
    "cap_exit": (),
    "task_spawn": (_ptr, _ptr, _handles, _u32, _u32, _handle_out),
    "task_yield": (),
    "task_sleep": (_ns,),
    "task_set_priority": (_handle, _u32),
    "task_get_stats": (_handle, _ptr),
    "task_exit": (_i32,),
    "time_now": (_ns_out,),
    "time_deadline": (_ns, _handle_out),
    "mem_alloc": (_size, _u32, _ptr_out),
    "mem_free": (_ptr,),
    "mem_map": (_ptr, _size, _u32),
    "mem_share": (_ptr, _size, _handle_out),
    "mem_unshare": (_handle,),
    "io_open": (_ptr, _u32, _handle_out),
    "io_read": (_handle, _ptr, _size, _size_out),
    "io_write": (_handle, _ptr, _size, _size_out),
    "io_close": (_handle,),
    "io_poll": (_handles, _u32, _ns, _ptr, _u32_out),
    "ipc_channel_create": (_u32, _handle_out),
    "ipc_send": (_handle, _ptr, _size, _u32),
    "ipc_recv": (_handle, _ptr, _size, _size_out, _u32),
    "ipc_close": (_handle,),
    "net_socket": (_u32, _u32, _u32, _handle_out),
    "net_bind": (_handle, _ptr, _u32),
    "net_connect": (_handle, _ptr, _u32),
    "net_send": (_handle, _ptr, _size, _u32, _size_out),
    "net_recv": (_handle, _ptr, _size, _u32, _size_out),
    "net_close": (_handle,),
    "log_write": (_u32, _ptr, _size),
    "trace_span_begin": (_ptr, _size, _handle_out),
    "trace_span_end": (_handle,),
    "trace_event": (_handle, _ptr, _size, _ptr, _size),
    "err_get_last": (ctypes.POINTER(ErrInfo),),
    "handle_close": (_handle,),
    "cap_active": (_u32_out,),
    "task_self": (_handle_out,),
    "task_join": (_handle, _ns, _i32_out),
    "task_cancel": (_handle,),
    "time_wall": (_u64_out,),
    "random_bytes": (_ptr, _size),
    "mem_usage": (_handle, ctypes.POINTER(MemUsage)),
    "mem_set_limit": (_handle, _size),
    "mem_arena_create": (_size, _handle_out),
    "mem_arena_alloc": (_handle, _size, _u32, _ptr_out),
    "mem_arena_reset": (_handle,),
    "mem_shared": (_handle, _ptr_out, _size_out),
    "io_readv": (_handle, _vec, _u32, _size_out),
    "io_writev": (_handle, _vec, _u32, _size_out),
    "io_seek": (_handle, _i64, _u32, _u64_out),
    "io_sync": (_handle,),
    "io_info": (_handle, ctypes.POINTER(IoInfo)),
    "io_wait": (_handle, _u32, _ns, _u32_out),
    "interest_create": (_handle_out,),
    "interest_add": (_handle, _handle, _u32, _u32),
    "interest_modify": (_handle, _handle, _u32, _u32),
    "interest_remove": (_handle, _handle),
    "interest_wait": (_handle, _events, _u32, _ns, _u32_out),
    "ipc_channel_pair": (_u32, _handle_out, _handle_out),
    "ipc_send_handles": (_handle, _ptr, _size, _handles, _u32, _u32),
    "ipc_recv_handles": (_handle, _ptr, _size, _size_out, _handles, _u32, _u32_out, _u32),
    "net_listen": (_handle, _u32),
    "net_accept": (_handle, _u32, _handle_out, _ptr, _u32_out),
    "net_shutdown": (_handle, _u32),
    "net_set_option": (_handle, _u32, _u64),
    "net_get_option": (_handle, _u32, _u64_out),
    "net_local_address": (_handle, _ptr, _u32_out),
    "net_peer_address": (_handle, _ptr, _u32_out),
    "net_send_to": (_handle, _ptr, _size, _u32, _ptr, _u32),
    "net_recv_from": (_handle, _ptr, _size, _u32, _size_out, _ptr, _u32_out),
    "net_resolve": (_ptr, _size, _v6, _u32, _u32_out),
    "sys_shutdown": (_handle_out,),
    "sys_argument_count": (_u32_out,),
    "sys_argument": (_u32, _ptr, _size, _size_out),
    "sys_environment": (_ptr, _size, _ptr, _size, _size_out),
    "trace_enable": (_u32,),
    "ipc_open": (_ptr, _size, _u32, _handle_out),
}

HOST_SIGNATURES: Final[dict[str, tuple[Any, ...]]] = {
    "kernel_create": (_u64_out,),
    "kernel_enter": (_u64,),
    "kernel_leave": (),
    "kernel_destroy": (_u64,),
    "io_from_fd": (_i32, _u32, _handle_out),
    "wake_create": (_handle_out, _u64_out),
    "wake_signal": (_u64,),
}
"""Those that are there on Linux only: feature ``FEAT_NUMBER_HOST``."""
