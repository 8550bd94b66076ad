/* The kernel's interface for programs in C, and for whatever can call C.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 * Copyright the ukernel authors
 *
 * Version 0.3.0. Everything of version 0.2.0 is here with its names, numbers and layouts; what was added
 * stands at the end and has a feature bit each. docs/kernel-abi.md is the reference with examples.
 *
 * Rules that hold for every function, and are not repeated below:
 *
 *  - It may be called from any task of the program, on that task's own stack, and from nowhere else.
 *  - It returns OK or one ERR_ code. After an error, err_get_last says which argument was wrong. Outputs
 *    are written on OK only, unless a function says otherwise.
 *  - "Waits" means that this task sleeps and every other task goes on. Where nothing is said, a function
 *    does not wait. A wait ends with ERR_CLOSED when the handle is closed meanwhile; the task ends in
 *    its wait when it is cancelled. A task that calls such functions 128 times in a row without having to wait gives
 *    the others their turn all the same, also when it told the function not to wait.
 *  - Any number is a legal argument. A handle that is not one, is stale or is of another kind gives
 *    ERR_INVALID. A pointer that is null, or that leads outside the program's memory as far as the
 *    kernel can know it, gives ERR_INVALID, unless a function allows null. Misaligned pointers are
 *    allowed. Ranges of length 0 may have any pointer.
 *  - [NET] and the like: the capability that must be active in the calling task; ERR_PERMISSION
 *    otherwise, before anything else is looked at.
 *  - ERR_NOMEM: memory is short or a table is at its limit. Nothing has changed then.
 *  - ptr_t carries a pointer: cast it.
 */
#ifndef UKERNEL_ABI_H
#define UKERNEL_ABI_H

#include <stddef.h> /* size_t */

#ifdef __cplusplus
extern "C" {
#endif

typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;
typedef signed int i32;
typedef signed long long i64;
typedef unsigned long long time_ns;  /* nanoseconds */
typedef unsigned long long handle_t; /* tag in bits 56..63, index in 32..55, generation in 0..15 */
typedef unsigned long long ptr_t;    /* a pointer as a number */
typedef u32 result_t;

/* What a call returns. */
enum {
    OK = 0,
    ERR_INVALID = 1,     /* an argument makes no sense, or names nothing that is there */
    ERR_NOENT = 2,       /* there is no such file, disk, name or variable */
    ERR_NOMEM = 3,       /* memory is short, or a table is full */
    ERR_BUSY = 4,        /* somebody else is at it: the same direction of the same handle, the same port */
    ERR_TIMEOUT = 5,     /* the time is over */
    ERR_IO = 6,          /* the device or the network failed */
    ERR_UNSUPPORTED = 7, /* the object, or this kernel, cannot do that */
    ERR_PERMISSION = 8,  /* the capability is not active, or the policy forbids it */
    ERR_WOULD_BLOCK = 9, /* it would have to wait, and was told not to */
    ERR_CLOSED = 10      /* the other side, or another task, has closed it */
};

/* Features, as bits of abi_features. For abi_feature_enabled they may be given as a bit's number (FEAT_NUMBER)
 * or, those of version 0.2.0 whose bit is no number of another, as the bit itself. */
enum {
    FEAT_VSOCK = 1 << 0,
    FEAT_RNG = 1 << 1, /* random_bytes */
    FEAT_BALLOON = 1 << 2,
    FEAT_SNAPSHOT = 1 << 3,
    FEAT_TRACING = 1 << 4 /* trace_* */
};

/* Capability kinds. */
enum { CAP_LOG = 1, CAP_TIME = 2, CAP_TASK = 3, CAP_MEM = 4, CAP_IO = 5, CAP_IPC = 6, CAP_NET = 7, CAP_TRACE = 8 };

/* Tags of handles. */
enum {
    HANDLE_TASK = 0x01,
    HANDLE_IO = 0x02,
    HANDLE_IPC = 0x03,
    HANDLE_NET = 0x04,
    HANDLE_CAP = 0x05,
    HANDLE_SPAN = 0x06
};

/* What err_get_last tells. */
typedef struct {
    result_t code; /* what the last call that failed returned */
    u32 detail;    /* which argument it was about, counted from 1; 0: none of them */
    u64 arg0;      /* that argument's value */
    u64 arg1;      /* the length that belongs to it, or 0 */
} err_info_t;

/* What task_get_stats tells. */
typedef struct {
    u64 cpu_time_ns;      /* time that the task has run */
    u64 sched_ticks;      /* turns of the executor that it ran in */
    u64 context_switches; /* times that the processor changed to its stack or back */
} task_stats_t;

/* An IPv4 address, told apart from the next form by its length of 8: numbers of this machine's byte order. */
typedef struct {
    u32 ip4; /* NET_IP4(127, 0, 0, 1) */
    u16 port;
    u16 reserved;
} net_addr_v4_t;

/* The same in the bytes of a packet, of length 6. */
typedef struct {
    u8 ip[4];
    u8 port[2]; /* most significant byte first */
} net_addr_v4_packed_t;

/* --- the interface itself ------------------------------------------------------------------------------------ */

/* The version of this interface. Null pointers: ERR_INVALID. */
result_t abi_version(u32 *major, u32 *minor, u32 *patch);
/* The features of this kernel, a bit each. */
result_t abi_features(u64 *bitset_out);
/* Whether a feature is there: 1 or 0; 0 for those that nobody has heard of. */
result_t abi_feature_enabled(u32 feature_id, u32 *enabled_out);

/* --- capabilities -------------------------------------------------------------------------------------------- */

/* Asks for a capability. No kind of that number: ERR_INVALID. The policy of the image, or the one that this
 * task was spawned with, does not have it: ERR_PERMISSION. Its generations are used up: ERR_NOMEM. */
result_t cap_acquire(u32 kind, handle_t *handle_out);
/* Makes every handle of that kind stale, and takes it from this task's active set. ERR_PERMISSION: it was
 * stale before. What other tasks have entered stays active. */
result_t cap_drop(handle_t cap);
/* Replaces the active set of this task. At most 8; caps may be null for 0. One that is no capability:
 * ERR_INVALID. One that is stale, or that this task may not have: ERR_PERMISSION, and nothing changes. */
result_t cap_enter(handle_t *caps, u32 cap_count);
/* Empties the active set. */
result_t cap_exit(void);

/* --- tasks --------------------------------------------------------------------------------------------------- */

enum {
    TASK_DETACHED = 1 << 0, /* nobody will join it: handle_out may be null */
    TASK_PINNED = 1 << 1    /* stays on its core: there is one, so every task does */
};
/* The flag for another stack than 64 KiB: 16 to 65535 KiB. */
#define TASK_STACK_KIB(kib) ((u32)(kib) << 16)

/* [TASK] Starts i32 entry(ptr_t arg) as a task of its own stack, which this task need not wait for. Its active set
 * is caps, at most 8 and all active here (else ERR_PERMISSION); it can never have more than those. What it returns is
 * its status. ERR_INVALID: entry is null or no code, the stack's size or a flag is none.
 *
 * A fault that the processor notices in a task's own code (null and other bad pointers, division by zero, an invalid
 * instruction, a stack that is used up) ends that task, with the status TASK_FAULTED and a report in the log, and no
 * other; in the first task, or inside a call, it ends the machine with status 102. Of every stack the last 8 KiB are
 * the kernel's: a task that calls with less left has used its stack up. */
result_t task_spawn(ptr_t entry_ptr, ptr_t arg_ptr, handle_t *caps, u32 cap_count, u32 flags, handle_t *handle_out);
/* [TASK] Waits until every other task that is ready has had its turn. */
result_t task_yield(void);
/* [TASK] Waits for a time. 0 returns at once. Never early. */
result_t task_sleep(time_ns duration);

enum { TASK_PRIORITY_LOW = 0, TASK_PRIORITY_NORMAL = 1, TASK_PRIORITY_HIGH = 2 };
/* [TASK] The class that the task is queued in from its next wake on. Every class gets its batch in every turn, a higher
 * one first. A number above: ERR_INVALID. It has ended: ERR_CLOSED. */
result_t task_set_priority(handle_t task, u32 priority);
/* [TASK] Writes a task_stats_t, also for a task that has ended and is not yet joined. */
result_t task_get_stats(handle_t task, ptr_t stats_out);
/* Ends this task with a status, at once: what it waits in is given up, its memory is freed and its handles
 * are closed. In the first task it ends the program. Does not return. */
result_t task_exit(i32 code);

/* --- time ---------------------------------------------------------------------------------------------------- */

/* [TIME] Nanoseconds since the machine started; never goes back. */
result_t time_now(time_ns *out);
/* [TIME] A handle (HANDLE_IO) that becomes readable at that time; io_close gives it up. */
result_t time_deadline(time_ns abs, handle_t *handle_out);

/* --- memory -------------------------------------------------------------------------------------------------- */

enum { MEM_READ = 1 << 0, MEM_WRITE = 1 << 1, MEM_EXEC = 1 << 2, MEM_ZEROED = 1 << 3, MEM_PINNED = 1 << 4 };
/* The flag for another alignment than 16: 2 to the power of 0 to 12. */
#define MEM_ALIGN(power) (((u32)(power) + 1u) << 8)

/* [MEM] Memory for reading and writing, on this task's account: freed when the task ends, if not before. The contents
 * are whatever was there, unless MEM_ZEROED. MEM_PINNED is always so. MEM_EXEC: ERR_UNSUPPORTED. 0 bytes, another
 * flag, an alignment above: ERR_INVALID. Beyond the task's limit: ERR_NOMEM. */
result_t mem_alloc(size_t bytes, u32 flags, ptr_t *out_ptr);
/* [MEM] Gives back what mem_alloc gave to any task of the program. Where it is shared it stays, on its
 * task's account, until the last handle is closed. Anything else, null and what was freed before too: ERR_INVALID. */
result_t mem_free(ptr_t ptr);
/* [MEM] There is one address space, and what the program has is mapped. OK where the range, of
 * at least a byte, lies within one allocation and the flags ask for reading and writing; ERR_INVALID where it does
 * not; ERR_UNSUPPORTED for other flags. */
result_t mem_map(ptr_t ptr, size_t bytes, u32 flags);
/* [MEM] A handle (HANDLE_MEM) to a part of an allocation, which keeps all of it alive, also when the task that
 * allocated it has ended; it can be sent over a channel. The range must have a byte and lie within one
 * allocation of mem_alloc: ERR_INVALID. */
result_t mem_share(ptr_t ptr, size_t bytes, handle_t *handle_out);
/* [MEM] Closes such a handle, but not an arena's. */
result_t mem_unshare(handle_t shared);

/* --- input and output ---------------------------------------------------------------------------------------- */

#define IO_READABLE 0x01 /* a read, accept, receive or join would not wait */
#define IO_WRITABLE 0x02 /* a write or send would not wait */
#define IO_HANGUP 0x04   /* the other side is gone; what it sent can still be read */
#define IO_ERROR 0x08    /* it has failed, or was closed meanwhile */

typedef struct {
    handle_t handle;
    u32 events;
    u32 reserved; /* in events of an interest set: the token given for the handle */
} io_event_t;

enum { IO_OPEN_READ = 1 << 0, IO_OPEN_WRITE = 1 << 1, IO_NONBLOCK = 1 << 2 };

/* [IO] Opens what a path, ended by a zero byte, names: "serial" (writes go to the console), "disk:N" (a disk, from
 * its first byte on), "volume:NAME" (a disk by the name that the bundle gives it) or "bundle:PATH" (a file of the bundle, to
 * be read: what was packed beside the program). Without IO_OPEN_ flags: for whatever the object and the policy allow. IO_NONBLOCK: a write that
 * would have to wait for room on the console is ERR_WOULD_BLOCK; a disk counts as always ready. Nothing of that name:
 * ERR_NOENT. A path of more than 255 bytes, an unknown flag: ERR_INVALID. The policy forbids it, or it cannot be read
 * or written as asked: ERR_PERMISSION. */
result_t io_open(ptr_t path_ptr, u32 flags, handle_t *handle_out);
/* [IO] Reads at least one byte, at most len and 1 MiB, from where the handle stands, and moves it on. Waits. OK with
 * 0 bytes: the end. Also for streams of HANDLE_NET. Another task is reading, or writing where it is no stream:
 * ERR_BUSY. Not open for reading: ERR_PERMISSION. Nothing that can be read, such as a deadline: ERR_UNSUPPORTED. */
result_t io_read(handle_t io, ptr_t buf_ptr, size_t len, size_t *read_out);
/* [IO] Writes at least one byte, at most len. Waits. Errors as io_read. A disk takes whole blocks at multiples of its
 * block: ERR_INVALID otherwise. Beyond the end of a disk: OK with fewer bytes, then ERR_NOMEM. wrote_out may be
 * null. */
result_t io_write(handle_t io, ptr_t buf_ptr, size_t len, size_t *wrote_out);
/* [IO] Closes a handle of HANDLE_IO or HANDLE_SET. Whoever waits for it gets ERR_CLOSED. */
result_t io_close(handle_t io);
/* [IO] Waits until one of the handles is ready for reading or writing, or for what it can be; level-triggered. Writes at
 * most count events in the order of the list; a handle that stands there twice gets two. timeout 0 does not
 * wait: ERR_WOULD_BLOCK if nothing is ready. ~0ull: for ever. Otherwise ERR_TIMEOUT when it is over, never
 * early. count 0 sleeps for the timeout. count_out is set to 0 on those two errors. count_out may be null. A
 * handle that is closed while this waits gives IO_HANGUP | IO_ERROR. At most 65536 handles, of any kind but
 * HANDLE_CAP, HANDLE_SPAN and HANDLE_MEM. Costs as much as there are handles: see interest_wait. */
result_t io_poll(handle_t *handles, u32 count, time_ns timeout, ptr_t events_out, u32 *count_out);

/* --- messages ------------------------------------------------------------------------------------------------ */

enum { IPC_NONBLOCK = 1 << 0 };
/* The flag for another capacity than 16 messages: 1 to 4096. */
#define IPC_CAPACITY(messages) ((u32)(messages) << 16)

/* [IPC] A channel of messages, through one handle for both ends. Another flag or capacity: ERR_INVALID. */
result_t ipc_channel_create(u32 flags, handle_t *handle_out);
/* [IPC] Sends one message of 0 to 65536 bytes (longer: ERR_INVALID). Waits while the channel is full; IPC_NONBLOCK:
 * ERR_WOULD_BLOCK instead. The receiving end is closed: ERR_CLOSED. The handle is for receiving: ERR_PERMISSION. Several
 * tasks may wait, with one handle too; each has its turn in the order they came. */
result_t ipc_send(handle_t ch, ptr_t buf_ptr, size_t len, u32 flags);
/* [IPC] Receives one whole message, in the order they were sent. Waits; IPC_NONBLOCK: ERR_WOULD_BLOCK instead. A message
 * longer than len stays, and the call gives ERR_INVALID with its length in read_out. The sending end is closed and no
 * message waits: ERR_CLOSED. The handle is for sending: ERR_PERMISSION. Several tasks may wait, as in ipc_send. What a
 * task was given that is cancelled in that moment comes first again. */
result_t ipc_recv(handle_t ch, ptr_t buf_ptr, size_t len, size_t *read_out, u32 flags);
/* [IPC] Closes an end. What was sent before the sending end is closed can still be received; what waits when the receiving
 * end is closed is dropped. */
result_t ipc_close(handle_t ch);

/* --- network ------------------------------------------------------------------------------------------------- */

enum { NET_INET = 2, NET_INET6 = 10 };       /* domains */
enum { NET_STREAM = 1, NET_DGRAM = 2 };      /* types */
enum { NET_TCP = 6, NET_UDP = 17 };          /* protocols; 0: the one that the type has */
enum { NET_NONBLOCK = 1 << 0 };              /* flags of sends and receives */
#define NET_IP4(a, b, c, d) ((u32)(a) << 24 | (u32)(b) << 16 | (u32)(c) << 8 | (u32)(d))

/* [NET] A socket. No such domain, type or protocol, or no network: ERR_UNSUPPORTED. */
result_t net_socket(u32 domain, u32 type, u32 protocol, handle_t *handle_out);
/* [NET] Gives it an address: net_addr_v4_t (length 8), net_addr_v4_packed_t (6) or net_addr_v6_t (24), of the
 * socket's domain. Port 0: any free one. Address 0: all of them, for NET_INET6 those of IPv4 too: a NET_INET6 socket
 * also talks IPv4, to peers that are ::ffff:a.b.c.d to it. The port is taken: ERR_BUSY. The address is not the
 * machine's, or the socket has one already: ERR_INVALID. The policy forbids it: ERR_PERMISSION. */
result_t net_bind(handle_t sock, ptr_t addr_ptr, u32 addr_len);
/* [NET] A stream: connects; waits, first for the machine's own address where it has none yet, up to 10 s; or with
 * NET_OPT_NONBLOCK gives ERR_WOULD_BLOCK and is writable when it is done, see NET_OPT_ERROR. A datagram socket: sends
 * there and receives from there only, from now on; again for another peer. Refused, unreachable or no address:
 * ERR_IO. No answer for 30 s, or as long as NET_OPT_TIMEOUT_NS says: ERR_TIMEOUT. It is connecting: ERR_BUSY. It has
 * connected, failed to, or listens: ERR_INVALID. The policy forbids it: ERR_PERMISSION. */
result_t net_connect(handle_t sock, ptr_t addr_ptr, u32 addr_len);
/* [NET] Sends at least one byte, or one datagram. Waits. Not connected, or too long for a datagram: ERR_INVALID.
 * After NET_SHUT_WRITE: ERR_CLOSED. The connection has failed: ERR_IO, ERR_TIMEOUT. Another task is sending:
 * ERR_BUSY. wrote_out may be null. */
result_t net_send(handle_t sock, ptr_t buf_ptr, size_t len, u32 flags, size_t *wrote_out);
/* [NET] Receives at least one byte, or one datagram, whose rest is lost where it does not fit. Waits. OK with 0
 * bytes: the end of the stream, NET_SHUT_READ, or an empty datagram. The connection was reset: ERR_IO; the peer does
 * not answer any more: ERR_TIMEOUT. No connection, or no address to receive at: ERR_INVALID. Another task is
 * receiving: ERR_BUSY. */
result_t net_recv(handle_t sock, ptr_t buf_ptr, size_t len, u32 flags, size_t *read_out);
/* [NET] Closes it. What was sent on a stream is still delivered, unless something that came has not been received: then
 * the connection is reset, which the peer finds as IO_HANGUP | IO_ERROR and ERR_IO. A listener resets those that
 * nobody has accepted. */
result_t net_close(handle_t sock);

/* --- log and trace ------------------------------------------------------------------------------------------- */

enum { LOG_DEBUG = 0, LOG_INFO = 1, LOG_WARN = 2, LOG_ERROR = 3 };
/* [LOG] A line of the log, with the task and its capabilities. Text beyond 400 bytes is cut, bytes that are no UTF-8 and
 * control characters are replaced, a line break at the end is dropped. A level above: ERR_INVALID. */
result_t log_write(u32 level, ptr_t msg_ptr, size_t len);
/* [TRACE] Begins a span of time within the task's present one: the last that it began and nobody has ended. A name is
 * cut at 31 bytes. While tracing is off the handle is 0, and every span function takes that. Of more than
 * 1024 open spans the oldest are given up when room is short. */
result_t trace_span_begin(ptr_t name_ptr, size_t name_len, handle_t *span_out);
/* [TRACE] Ends it, in whichever task. It has been ended or given up: ERR_INVALID. */
result_t trace_span_end(handle_t span);
/* [TRACE] Something that happened within a span that is open, else ERR_INVALID (0: within the task's present one), with
 * a text such as "key=value"; both are cut at 31 bytes. Without a name it is an attribute of the span. kv_ptr may be
 * null. While tracing is off nothing is recorded. */
result_t trace_event(handle_t span, ptr_t name_ptr, size_t name_len, ptr_t kv_ptr, size_t kv_len);

/* --- since version 0.3.0 ------------------------------------------------------------------------------------- */

/* Numbers of features: FEAT_BIT(FEAT_NUMBER_TCP) in abi_features. */
enum {
    FEAT_NUMBER_TCP = 20,         /* stream sockets, net_listen to net_get_option */
    FEAT_NUMBER_IPV6 = 21,        /* NET_INET6 */
    FEAT_NUMBER_DNS = 22,         /* net_resolve */
    FEAT_NUMBER_INTEREST = 23,    /* interest_*, io_wait */
    FEAT_NUMBER_TASKS = 24,       /* task_spawn that works, task_join, task_cancel, task_self */
    FEAT_NUMBER_WALL_CLOCK = 25,  /* time_wall */
    FEAT_NUMBER_DISK = 26,        /* "disk:N", io_seek, io_sync, io_info */
    FEAT_NUMBER_VECTORED = 27,    /* io_readv, io_writev */
    FEAT_NUMBER_SHUTDOWN = 28,    /* sys_shutdown */
    FEAT_NUMBER_ENVIRONMENT = 29, /* sys_argument, sys_environment */
    FEAT_NUMBER_MEMORY = 30,      /* arenas, mem_shared, mem_set_limit */
    FEAT_NUMBER_IPC = 31,         /* channels that work, pairs, handles in messages */
    FEAT_NUMBER_IPC_OPEN = 32     /* ipc_open */
};
#define FEAT_BIT(number) (1ull << (number))

enum {
    HANDLE_SET = 0x07, /* an interest set */
    HANDLE_MEM = 0x08  /* shared memory, an arena */
};

/* An IPv6 address, of length 24. */
typedef struct {
    u8 ip[16];
    u16 port;
    u16 reserved;
    u32 scope; /* 0 */
} net_addr_v6_t;

/* A piece of memory of io_readv and io_writev. */
typedef struct {
    ptr_t ptr;
    size_t len;
} io_vec_t;

/* What io_info tells. */
typedef struct {
    u64 size;  /* bytes; 0 where there is no end */
    u32 block; /* what writes must be multiples of; 1 where any length will do */
    u32 flags; /* IO_OPEN_ */
} io_info_t;

/* What mem_usage tells. */
typedef struct {
    u64 bytes;       /* allocated now, rounded up to what it takes */
    u64 allocations; /* how many they are */
    u64 limit;       /* ~0ull: none but the machine's */
} mem_usage_t;

/* What the calling task's last call that failed says of it. A call that succeeds changes nothing here. */
result_t err_get_last(err_info_t *out);
/* Closes a handle of any kind but HANDLE_CAP, as the functions of its kind do, without a capability. A task goes on:
 * nobody can join it any more. A span is dropped. */
result_t handle_close(handle_t handle);
/* The active set of this task: bit kind - 1 for each. */
result_t cap_active(u32 *mask_out);

/* This task. The handle is the same at each call, and stays valid until the task has ended. */
result_t task_self(handle_t *handle_out);
/* [TASK] Waits until a task has ended, and closes its handle. timeout as in io_poll: ERR_WOULD_BLOCK, ERR_TIMEOUT. status_out, which may be null, is
 * what it returned; TASK_CANCELLED or TASK_FAULTED if it did not. A task that joins itself: ERR_INVALID. */
result_t task_join(handle_t task, time_ns timeout, i32 *status_out);
/* [TASK] Ends another task in its present or next wait. One that never calls in goes on. Itself: as task_exit. It has ended: OK. */
result_t task_cancel(handle_t task);
#define TASK_CANCELLED (-1000) /* the status of a task that was cancelled */
#define TASK_FAULTED (-1001)   /* of one that ended by an exception or ran out of its stack */

/* [TIME] Nanoseconds since 1970, UTC; may jump, and counts whole seconds where only a clock chip tells it. Nobody
 * tells the machine: ERR_UNSUPPORTED. */
result_t time_wall(u64 *out);
/* Fills memory from the kernel's cryptographic generator. At most 1 MiB: ERR_INVALID beyond. */
result_t random_bytes(ptr_t buf_ptr, size_t len);

/* [MEM] What a task has allocated, shared memory and the pieces that its arenas were made of too; task 0: this one. */
result_t mem_usage(handle_t task, mem_usage_t *out);
/* [MEM] [TASK] What a task may have allocated from now on; less than it has is allowed. task 0: this one. A task starts
 * with the limit of the one that spawned it, and can give nobody, itself included, more than it has:
 * ERR_PERMISSION. The task has ended: ERR_CLOSED. */
result_t mem_set_limit(handle_t task, size_t bytes);
/* [MEM] An arena (HANDLE_MEM): allocations that are freed together. limit: what they may come to, each rounded up to
 * 16 bytes; 0: the task's. It stays on this task's account, wherever its handle goes. */
result_t mem_arena_create(size_t limit, handle_t *handle_out);
/* [MEM] As mem_alloc, from an arena. mem_free does not take what comes from it. */
result_t mem_arena_alloc(handle_t arena, size_t bytes, u32 flags, ptr_t *out_ptr);
/* [MEM] Frees all of an arena's allocations. handle_close does so too. */
result_t mem_arena_reset(handle_t arena);
/* [MEM] Where the memory behind a handle of mem_share is. */
result_t mem_shared(handle_t shared, ptr_t *ptr_out, size_t *len_out);

/* [IO] As io_read and io_write, with up to 64 pieces that are filled or sent one after the other. */
result_t io_readv(handle_t io, const io_vec_t *vec, u32 count, size_t *read_out);
result_t io_writev(handle_t io, const io_vec_t *vec, u32 count, size_t *wrote_out);
enum { IO_SEEK_SET = 0, IO_SEEK_CUR = 1, IO_SEEK_END = 2 };
/* [IO] Moves where a disk's handle stands; position_out may be null. Before the first byte: ERR_INVALID. No disk: ERR_UNSUPPORTED. */
result_t io_seek(handle_t io, i64 offset, u32 whence, u64 *position_out);
/* [IO] Waits until everything that was written is on the medium. */
result_t io_sync(handle_t io);
/* [IO] What a handle of HANDLE_IO is. */
result_t io_info(handle_t io, io_info_t *out);
/* [IO] Waits for one handle, for IO_READABLE and IO_WRITABLE as asked; hang-up and error always. timeout as in io_poll. */
result_t io_wait(handle_t io, u32 interest, time_ns timeout, u32 *events_out);

/* [IO] An interest set (HANDLE_SET): handles that are waited for again and again. A wait costs what is ready, not what is in it. */
result_t interest_create(handle_t *set_out);
/* [IO] Adds a handle; token comes back in its events. It is in it: ERR_BUSY. Kinds as in io_poll, but for sets: ERR_UNSUPPORTED. At most
 * 65536: ERR_NOMEM. A handle that is closed leaves its sets by itself. */
result_t interest_add(handle_t set, handle_t handle, u32 interest, u32 token);
/* [IO] Changes what a handle in the set is waited for. Not in it: ERR_NOENT. */
result_t interest_modify(handle_t set, handle_t handle, u32 interest, u32 token);
/* [IO] Takes a handle out. Not in it: ERR_NOENT. */
result_t interest_remove(handle_t set, handle_t handle);
/* [IO] Waits until a handle of the set is ready; writes at most capacity events (0: ERR_INVALID). timeout as in io_poll. What found no
 * room comes first in the next call. Several tasks may wait for one set. */
result_t interest_wait(handle_t set, io_event_t *events_out, u32 capacity, time_ns timeout, u32 *count_out);

/* [IPC] A channel with an end for sending and one for receiving. Closing either tells the other. Flags as in
 * ipc_channel_create. */
result_t ipc_channel_pair(u32 flags, handle_t *sender_out, handle_t *receiver_out);
/* [IPC] As ipc_send, and the message takes up to 8 handles along: of any kind but HANDLE_CAP, HANDLE_SPAN, HANDLE_TASK and
 * this channel, none twice (else ERR_INVALID). They belong to the message from when it is in the channel: whoever waits
 * with them gets ERR_CLOSED, and they are closed with a message that nobody receives. A receiving end that is itself in a
 * message takes no message with receiving ends, and one that holds such messages cannot be sent: ERR_BUSY. */
result_t ipc_send_handles(handle_t ch, ptr_t buf_ptr, size_t len, handle_t *handles, u32 count, u32 flags);
/* [IPC] As ipc_recv, with the handles of the message, under new numbers, of which the calling task is the owner. More than
 * capacity: the message stays, and the call gives ERR_INVALID with their number in count_out. No room for them among the
 * program's handles: it stays, ERR_NOMEM. ipc_recv itself closes them. */
result_t ipc_recv_handles(handle_t ch, ptr_t buf_ptr, size_t len, size_t *read_out, handle_t *handles_out, u32 capacity,
                          u32 *count_out, u32 flags);

/* [NET] Makes a bound stream socket (or takes any free port) accept connections. backlog: how many may wait to be
 * accepted; 0: 128, and more than 4096 count as that. One beyond (or beyond the next: some take one more) is not
 * answered: its net_connect goes on asking, until there is room or it gives up. The socket connects or listens
 * already: ERR_INVALID. No stream: ERR_UNSUPPORTED. The policy forbids it: ERR_PERMISSION. */
result_t net_listen(handle_t sock, u32 backlog);
/* [NET] Waits for a connection. Several tasks may. addr_out and addr_len may both be null; else addr_len holds the
 * room and gets the length of the peer's address (net_addr_v4_t or net_addr_v6_t, by the socket's domain). Too little
 * room: ERR_INVALID with the length in addr_len, and nothing is accepted. The new socket has this one's options, but
 * for NET_OPT_NONBLOCK. flags: NET_NONBLOCK. Not listening: ERR_INVALID. */
result_t net_accept(handle_t sock, u32 flags, handle_t *handle_out, ptr_t addr_out, u32 *addr_len);
enum { NET_SHUT_READ = 1, NET_SHUT_WRITE = 2, NET_SHUT_BOTH = 3 };
/* [NET] Ends sending (a FIN follows what was sent), receiving (what comes is dropped), or both. Not connected:
 * ERR_INVALID. No stream: ERR_UNSUPPORTED. The connection has failed: ERR_IO, ERR_TIMEOUT. */
result_t net_shutdown(handle_t sock, u32 how);
enum {
    NET_OPT_NODELAY = 1,        /* 1 (the start): small writes are sent at once */
    NET_OPT_KEEPALIVE_NS = 2,   /* an idle peer is asked after this time, at least 1 s; 0 (the start): never */
    NET_OPT_TIMEOUT_NS = 3,     /* how long the peer may leave data, or net_connect, unanswered, at least 1 ms; 0 until set */
    NET_OPT_RECEIVE_BUFFER = 4, /* bytes, 1 to 2^30, before connecting or listening; fewer where memory is short */
    NET_OPT_SEND_BUFFER = 5,    /* bytes, likewise */
    NET_OPT_NONBLOCK = 6,       /* 1: nothing on this socket waits */
    NET_OPT_ERROR = 7           /* read only: the ERR_ code that the connection failed with, or OK */
};
/* [NET] Sets or reads an option. No such option, or not on this socket: ERR_UNSUPPORTED. A value out of range, or too
 * late: ERR_INVALID. */
result_t net_set_option(handle_t sock, u32 option, u64 value);
result_t net_get_option(handle_t sock, u32 option, u64 *value_out);
/* [NET] The socket's own address, or its peer's. addr_len as in net_accept. No peer: ERR_INVALID. */
result_t net_local_address(handle_t sock, ptr_t addr_out, u32 *addr_len);
result_t net_peer_address(handle_t sock, ptr_t addr_out, u32 *addr_len);
/* [NET] A datagram to one address, or from whichever; otherwise as net_send and net_recv. A socket without an address
 * takes any free port to send from. A stream: ERR_UNSUPPORTED. Connected to another peer: ERR_INVALID. The policy
 * forbids it: ERR_PERMISSION. */
result_t net_send_to(handle_t sock, ptr_t buf_ptr, size_t len, u32 flags, ptr_t addr_ptr, u32 addr_len);
result_t net_recv_from(handle_t sock, ptr_t buf_ptr, size_t len, u32 flags, size_t *read_out, ptr_t addr_out, u32 *addr_len);
/* [NET] Asks for the addresses of a name, in the order to try them; IPv4 ones as ::ffff:a.b.c.d, ports 0. What finds
 * no room is left out. Waits, first for an address as net_connect. No such name: ERR_NOENT. Not a name, or capacity
 * 0: ERR_INVALID. No server or no answer: ERR_TIMEOUT. The server failed: ERR_IO. The policy forbids it:
 * ERR_PERMISSION. */
result_t net_resolve(ptr_t name_ptr, size_t name_len, net_addr_v6_t *out, u32 capacity, u32 *count_out);

/* A handle (HANDLE_IO) that is readable once the machine is asked to stop. Nothing stops by itself. */
result_t sys_shutdown(handle_t *handle_out);
/* How many arguments there are, without the program's name. */
result_t sys_argument_count(u32 *count_out);
/* An argument, or the value of a variable, without an end mark. Too little room: ERR_INVALID with the length in len_out. None: ERR_NOENT. */
result_t sys_argument(u32 index, ptr_t buf_ptr, size_t capacity, size_t *len_out);
result_t sys_environment(ptr_t name_ptr, size_t name_len, ptr_t buf_ptr, size_t capacity, size_t *len_out);

/* [TRACE] Switches tracing on (1) or off (0) for the whole program. The last 2048 spans and events are kept, and written
 * to the console on request and when the program ends, be it by a fault. Another number: ERR_INVALID. */
result_t trace_enable(u32 on);

enum {
    IPC_OPEN_SEND = 1 << 1,   /* the end that sends */
    IPC_OPEN_RECEIVE = 1 << 2 /* the end that receives */
};
/* [IPC] Opens this program's end of a channel whose other end belongs to the code that runs the program (Rust, for one),
 * which gave it its name and its capacity. flags: one of the two above, else ERR_INVALID; one name may stand for two
 * channels, one each way. No channel of that name and direction: ERR_NOENT. It can be opened once, so that ERR_BUSY says
 * that it was, whether or not it has been closed since. The handle is like any other end of a channel, and the other end
 * keeps to the same rules, but takes no handles: ipc_send_handles gives ERR_UNSUPPORTED for any. */
result_t ipc_open(ptr_t name_ptr, size_t name_len, u32 flags, handle_t *handle_out);

/* --- on Linux only ------------------------------------------------------------------------------------------- */

/* What only libukernel_abi.so has, behind this feature: a machine has one kernel, and a program that is linked with it does
 * not find these functions there. */
enum { FEAT_NUMBER_HOST = 33 };

/* A kernel of its own: handles, capabilities, tasks, timers. There may be 4096 in a process: ERR_NOMEM, as for want of
 * descriptors. Linux before 5.11: ERR_UNSUPPORTED. From any thread, in a kernel or in none, as the three below.
 *
 * A thread that calls any other function without having entered a kernel gets one of its own, which ends with it.
 *
 * In the child of a fork, kernels of the parent give ERR_UNSUPPORTED, and new ones can be made. */
result_t kernel_create(u64 *kernel_out);
/* This thread's calls go to that kernel from now on, as those of its first task, whatever thread was that before.
 * No such kernel: ERR_INVALID. A thread is in it, this one perhaps: ERR_BUSY. A thread may be in 16, within each
 * other: ERR_NOMEM. Code of spawned tasks may then find itself on another thread after a call. */
result_t kernel_enter(u64 kernel);
/* Back to the kernel that this thread was in before, if any. In none: ERR_INVALID. From a task that was spawned in it: ERR_BUSY. */
result_t kernel_leave(void);
/* Ends its tasks, each in its wait, and closes its handles. A thread is in it: ERR_BUSY. No such kernel: ERR_INVALID. In the
 * child of a fork it closes the descriptors of a kernel of the parent, and the parent goes on. */
result_t kernel_destroy(u64 kernel);

enum { IO_FD_OWNED = 1 << 8 };
/* [IO] A handle (HANDLE_IO) to a descriptor of the process, which stays the program's to use, and to close after the
 * handle; with IO_FD_OWNED it is closed with the handle. For waiting in any way, and for io_read and io_write, which do not
 * change whether the descriptor waits. flags: IO_OPEN_ and IO_NONBLOCK as for io_open. Not open, another flag: ERR_INVALID. It
 * has a handle in this kernel: ERR_BUSY. Regular files are always ready. Where the program has closed it all the same
 * and the number is adopted anew, the old handle is ready with IO_HANGUP | IO_ERROR from then on. */
result_t io_from_fd(i32 fd, u32 flags, handle_t *handle_out);
/* [IO] A handle (HANDLE_IO) that is readable once wake_signal has been called with the waker, until io_read takes
 * the number of calls: 8 bytes, in this machine's order. Closing the handle ends the waker. At most 8192 in a process:
 * ERR_NOMEM. */
result_t wake_create(handle_t *handle_out, u64 *waker_out);
/* From any thread, in whatever kernel or none, and from signal handlers; it changes no errno. No such waker any more:
 * ERR_INVALID. A waker of the parent in the child of a fork: ERR_UNSUPPORTED. */
result_t wake_signal(u64 waker);

#ifdef __cplusplus
}
#endif

/* The layouts that both sides rely on. */
#if defined(__cplusplus)
#define UKERNEL_ASSERT(name, condition) static_assert(condition, #name)
#elif defined(__STDC_VERSION__) && __STDC_VERSION__ >= 201112L
#define UKERNEL_ASSERT(name, condition) _Static_assert(condition, #name)
#else
#define UKERNEL_ASSERT(name, condition) typedef char ukernel_assert_##name[(condition) ? 1 : -1]
#endif
UKERNEL_ASSERT(pointers, sizeof(void *) == 8);
UKERNEL_ASSERT(size, sizeof(size_t) == 8);
UKERNEL_ASSERT(handle, sizeof(handle_t) == 8);
UKERNEL_ASSERT(err_info, sizeof(err_info_t) == 24);
UKERNEL_ASSERT(err_info_detail, offsetof(err_info_t, detail) == 4);
UKERNEL_ASSERT(err_info_arg0, offsetof(err_info_t, arg0) == 8);
UKERNEL_ASSERT(err_info_arg1, offsetof(err_info_t, arg1) == 16);
UKERNEL_ASSERT(task_stats, sizeof(task_stats_t) == 24);
UKERNEL_ASSERT(task_stats_ticks, offsetof(task_stats_t, sched_ticks) == 8);
UKERNEL_ASSERT(task_stats_switches, offsetof(task_stats_t, context_switches) == 16);
UKERNEL_ASSERT(net_addr_v4, sizeof(net_addr_v4_t) == 8);
UKERNEL_ASSERT(net_addr_v4_port, offsetof(net_addr_v4_t, port) == 4);
UKERNEL_ASSERT(net_addr_v4_packed, sizeof(net_addr_v4_packed_t) == 6);
UKERNEL_ASSERT(net_addr_v4_packed_port, offsetof(net_addr_v4_packed_t, port) == 4);
UKERNEL_ASSERT(net_addr_v6, sizeof(net_addr_v6_t) == 24);
UKERNEL_ASSERT(net_addr_v6_port, offsetof(net_addr_v6_t, port) == 16);
UKERNEL_ASSERT(net_addr_v6_scope, offsetof(net_addr_v6_t, scope) == 20);
UKERNEL_ASSERT(io_event, sizeof(io_event_t) == 16);
UKERNEL_ASSERT(io_event_events, offsetof(io_event_t, events) == 8);
UKERNEL_ASSERT(io_event_reserved, offsetof(io_event_t, reserved) == 12);
UKERNEL_ASSERT(io_vec, sizeof(io_vec_t) == 16);
UKERNEL_ASSERT(io_vec_len, offsetof(io_vec_t, len) == 8);
UKERNEL_ASSERT(io_info, sizeof(io_info_t) == 16);
UKERNEL_ASSERT(io_info_block, offsetof(io_info_t, block) == 8);
UKERNEL_ASSERT(io_info_flags, offsetof(io_info_t, flags) == 12);
UKERNEL_ASSERT(mem_usage, sizeof(mem_usage_t) == 24);
UKERNEL_ASSERT(mem_usage_allocations, offsetof(mem_usage_t, allocations) == 8);
UKERNEL_ASSERT(mem_usage_limit, offsetof(mem_usage_t, limit) == 16);

#endif /* UKERNEL_ABI_H */
