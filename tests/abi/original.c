/* A program that uses only what version 0.2.0 of the interface had, the way programs for it were written. There most of
 * this did nothing, or was not supported. */
#include "tap.h"

#define PORT_OF_NUMBERS 9010
#define PORT_OF_BYTES 9011

static const char greeting[] = "hello";

/* Both documented forms of an address. */
static net_addr_v4_t as_numbers(u16 port)
{
    net_addr_v4_t address = {0x7f000001, port, 0};
    return address;
}

struct packed {
    u8 bytes[6];
};

static struct packed as_bytes(u16 port)
{
    struct packed address = {{127, 0, 0, 1, (u8)(port >> 8), (u8)port}};
    return address;
}

static handle_t datagram_socket(void)
{
    handle_t socket = 0;
    OKAY(net_socket(2, 2, 17, &socket));
    return socket;
}

static void datagrams_go_to_addresses_of_both_forms(void)
{
    net_addr_v4_t numbers = as_numbers(PORT_OF_NUMBERS);
    struct packed bytes = as_bytes(PORT_OF_BYTES), to_numbers = as_bytes(PORT_OF_NUMBERS);
    net_addr_v4_t to_bytes = as_numbers(PORT_OF_BYTES);
    handle_t one = datagram_socket(), other = datagram_socket();
    io_event_t event = {0, 0, 0};
    char text[16];
    size_t len = 0;
    u32 count = 0;
    OKAY(net_bind(one, P(&numbers), sizeof(numbers)));
    OKAY(net_bind(other, P(&bytes), 6));
    OKAY(net_connect(one, P(&to_bytes), sizeof(to_bytes)));
    OKAY(net_connect(other, P(&to_numbers), 6));
    OKAY(net_send(one, P(greeting), 5, 0, &len));
    EQUAL(len, 5);
    OKAY(net_recv(other, P(text), sizeof(text), 0, &len));
    EQUAL(len, 5);
    CHECK(same(text, greeting, 5));
    OKAY(net_send(other, P("answer"), 6, 0, &len));
    do {
        if (!OKAY(io_poll(&one, 1, PATIENCE, P(&event), &count)))
            return;
    } while ((event.events & IO_READABLE) == 0);
    EQUAL(event.handle, one);
    OKAY(net_recv(one, P(text), sizeof(text), 0, &len));
    EQUAL(len, 6);
    OKAY(net_close(one));
    OKAY(net_close(other));
}

struct shared_state {
    u32 turns;
    handle_t channel;
};

static i32 worker(ptr_t argument)
{
    struct shared_state *state = (struct shared_state *)argument;
    char text[16];
    size_t len = 0;
    result_t result = ipc_recv(state->channel, P(text), sizeof(text), &len, 0);
    while (result == OK && state->turns > 0) {
        state->turns -= 1;
        result = task_yield();
    }
    task_exit(result == OK && len == 5 ? 0 : 1);
    return 2;
}

static void tasks_and_channels_work(void)
{
    static const u32 kinds[] = {CAP_TIME, CAP_TASK, CAP_IPC};
    struct shared_state state = {3, 0};
    task_stats_t stats = {0, 0, 0};
    handle_t caps[3], task = 0;
    time_ns deadline = 0, at = 0;
    u32 index;
    for (index = 0; index < 3; index++)
        OKAY(cap_acquire(kinds[index], &caps[index]));
    OKAY(ipc_channel_create(0, &state.channel));
    OKAY(task_spawn(P(worker), P(&state), caps, 3, TASK_PINNED, &task));
    OKAY(task_set_priority(task, 1));
    OKAY(ipc_send(state.channel, P(greeting), 5, 0));
    OKAY(time_now(&deadline));
    deadline += PATIENCE;
    /* Its fourth turn is the one in which it ends. */
    while (stats.sched_ticks < 4 && at < deadline) {
        OKAY(task_sleep(MILLISECOND));
        OKAY(time_now(&at));
        OKAY(task_get_stats(task, P(&stats)));
    }
    EQUAL(state.turns, 0);
    CHECK(stats.cpu_time_ns > 0 && stats.sched_ticks >= 4);
    OKAY(ipc_close(state.channel));
}

static void time_and_memory_work(void)
{
    time_ns before = 0, after = 0;
    handle_t deadline = 0, shared = 0;
    io_event_t event = {0, 0, 0};
    ptr_t block = 0;
    u32 count = 0;
    OKAY(time_now(&before));
    OKAY(time_deadline(before + 2 * MILLISECOND, &deadline));
    OKAY(io_poll(&deadline, 1, SECOND, P(&event), &count));
    OKAY(time_now(&after));
    CHECK(after - before >= 2 * MILLISECOND);
    EQUAL(event.events, IO_READABLE);
    OKAY(io_close(deadline));
    OKAY(mem_alloc(4096, MEM_READ | MEM_WRITE, &block));
    OKAY(mem_map(block, 4096, MEM_READ | MEM_WRITE));
    OKAY(mem_share(block, 4096, &shared));
    OKAY(mem_unshare(shared));
    OKAY(mem_free(block));
}

static void capabilities_logs_and_traces_work(void)
{
    handle_t caps[2], span = 0, serial = 0;
    size_t len = 0;
    u32 major = 0, minor = 0, patch = 0, tracing = 0;
    u64 features = 0;
    OKAY(abi_version(&major, &minor, &patch));
    OKAY(abi_features(&features));
    OKAY(abi_feature_enabled(FEAT_TRACING, &tracing));
    EQUAL(tracing, 1);
    OKAY(io_open(P("serial"), 0, &serial));
    OKAY(io_write(serial, P("# hello\n"), 8, &len));
    OKAY(io_close(serial));
    OKAY(trace_span_begin(P("span"), 4, &span));
    OKAY(trace_event(span, P("event"), 5, P("key=value"), 9));
    OKAY(trace_span_end(span));
    OKAY(cap_acquire(CAP_LOG, &caps[0]));
    OKAY(cap_acquire(CAP_TIME, &caps[1]));
    OKAY(cap_enter(caps, 1));
    OKAY(log_write(LOG_INFO, P("abi: from the original"), 22));
    GIVES(ERR_PERMISSION, time_now(&features));
    OKAY(cap_enter(caps, 2));
    OKAY(time_now(&features));
    OKAY(cap_drop(caps[1]));
    GIVES(ERR_PERMISSION, time_now(&features));
    OKAY(cap_exit());
    GIVES(ERR_PERMISSION, log_write(LOG_INFO, P("no"), 2));
}

static const struct test original_tests[] = {
    TEST(datagrams_go_to_addresses_of_both_forms),
    TEST(tasks_and_channels_work),
    TEST(time_and_memory_work),
    TEST(capabilities_logs_and_traces_work),
};
AREA(original);
