/* A program in the style of those written for version 0.2.0 of the interface. It has to compile with
 * today's header as it stands: the functions are declared once more, with the parameters that they had. */
#include "ukernel_abi.h"

result_t abi_version(u32 *major, u32 *minor, u32 *patch);
result_t abi_features(u64 *bitset);
result_t abi_feature_enabled(u32 feature, u32 *enabled);
result_t cap_acquire(u32 kind, handle_t *out);
result_t cap_drop(handle_t cap);
result_t cap_enter(handle_t *caps, u32 count);
result_t cap_exit(void);
result_t task_spawn(ptr_t entry, ptr_t arg, handle_t *caps, u32 count, u32 flags, handle_t *out);
result_t task_yield(void);
result_t task_sleep(time_ns duration);
result_t task_set_priority(handle_t task, u32 priority);
result_t task_get_stats(handle_t task, ptr_t stats);
result_t task_exit(i32 code);
result_t time_now(time_ns *out);
result_t time_deadline(time_ns at, handle_t *out);
result_t mem_alloc(size_t size, u32 flags, ptr_t *out);
result_t mem_free(ptr_t ptr);
result_t mem_map(ptr_t ptr, size_t size, u32 flags);
result_t mem_share(ptr_t ptr, size_t size, handle_t *out);
result_t mem_unshare(handle_t shared);
result_t io_open(ptr_t path, u32 flags, handle_t *out);
result_t io_read(handle_t io, ptr_t buf, size_t len, size_t *read);
result_t io_write(handle_t io, ptr_t buf, size_t len, size_t *written);
result_t io_close(handle_t io);
result_t io_poll(handle_t *handles, u32 count, time_ns timeout, ptr_t events, u32 *ready);
result_t ipc_channel_create(u32 flags, handle_t *out);
result_t ipc_send(handle_t channel, ptr_t buf, size_t len, u32 flags);
result_t ipc_recv(handle_t channel, ptr_t buf, size_t len, size_t *read, u32 flags);
result_t ipc_close(handle_t channel);
result_t net_socket(u32 domain, u32 type, u32 protocol, handle_t *out);
result_t net_bind(handle_t socket, ptr_t address, u32 length);
result_t net_connect(handle_t socket, ptr_t address, u32 length);
result_t net_send(handle_t socket, ptr_t buf, size_t len, u32 flags, size_t *sent);
result_t net_recv(handle_t socket, ptr_t buf, size_t len, u32 flags, size_t *read);
result_t net_close(handle_t socket);
result_t log_write(u32 level, ptr_t text, size_t len);
result_t trace_span_begin(ptr_t name, size_t len, handle_t *out);
result_t trace_span_end(handle_t span);
result_t trace_event(handle_t span, ptr_t name, size_t name_len, ptr_t text, size_t text_len);

#define DATAGRAM_PORT 9000

static const char greeting[] = "hello";

static result_t say(const char *text, size_t len)
{
    return log_write(LOG_INFO, (ptr_t)text, len);
}

static i32 worker(ptr_t arg)
{
    u32 *turns = (u32 *)arg;
    while (*turns > 0) {
        *turns -= 1;
        if (task_yield() != OK)
            return 1;
    }
    return 0;
}

/* The address as the document had it. */
static result_t bind_as_numbers(handle_t socket)
{
    net_addr_v4_t addr;
    addr.ip4 = (127u << 24) | 1u;
    addr.port = DATAGRAM_PORT;
    addr.reserved = 0;
    return net_bind(socket, (ptr_t)&addr, sizeof(addr));
}

/* The address as the implementation read it. */
static result_t connect_as_bytes(handle_t socket)
{
    u8 addr[6] = {127, 0, 0, 1, DATAGRAM_PORT >> 8, DATAGRAM_PORT & 0xff};
    return net_connect(socket, (ptr_t)addr, sizeof(addr));
}

static result_t send_and_wait(handle_t socket)
{
    size_t sent = 0;
    u32 ready = 0;
    io_event_t event = {0, 0, 0};
    result_t res = net_send(socket, (ptr_t)greeting, sizeof(greeting) - 1, 0, &sent);
    if (res != OK)
        return res;
    res = io_poll(&socket, 1, 1000000, (ptr_t)&event, &ready);
    if (res == ERR_TIMEOUT || res == ERR_WOULD_BLOCK)
        return OK;
    if ((event.events & (IO_READABLE | IO_WRITABLE | IO_HANGUP | IO_ERROR)) == 0 || event.handle != socket)
        return ERR_IO;
    return res;
}

int main(void)
{
    static u32 turns = 3;
    handle_t caps[4];
    handle_t socket, task, channel, span;
    err_info_t info = {OK, 0, 0, 0};
    task_stats_t stats = {0, 0, 0};
    time_ns now = 0;
    ptr_t block = 0;
    u32 kinds[4] = {CAP_LOG, CAP_TIME, CAP_TASK, CAP_NET};
    u32 i;

    for (i = 0; i < 4; i++) {
        if (cap_acquire(kinds[i], &caps[i]) != OK)
            return 1;
    }
    if (cap_enter(caps, 4) != OK || say(greeting, sizeof(greeting) - 1) != OK || time_now(&now) != OK)
        return 1;
    if (mem_alloc(64, MEM_READ | MEM_WRITE, &block) == OK)
        mem_free(block);
    if (net_socket(2, 2, 17, &socket) != OK)
        return 1;
    if (bind_as_numbers(socket) != OK || connect_as_bytes(socket) != OK || send_and_wait(socket) != OK)
        return 1;
    net_close(socket);
    if (task_spawn((ptr_t)worker, (ptr_t)&turns, caps, 4, TASK_DETACHED | TASK_PINNED, &task) == OK)
        task_get_stats(task, (ptr_t)&stats);
    if (ipc_channel_create(0, &channel) == ERR_UNSUPPORTED)
        info.code = ERR_UNSUPPORTED;
    if (trace_span_begin((ptr_t)greeting, sizeof(greeting) - 1, &span) == OK)
        trace_span_end(span);
    return (int)info.code + (int)stats.context_switches;
}
