/* Handles: what their numbers are made of, which numbers are good, and what closing one does. */
#include "tap.h"

/* One of every kind. */
struct zoo {
    handle_t task, io, ipc, net, cap, span, set, shared, arena;
};

/* Ends the task of a zoo. */
static handle_t leave_zoo;

static i32 waits_for_the_end(ptr_t argument)
{
    u8 byte;
    size_t len;
    (void)argument;
    return (i32)ipc_recv(leave_zoo, P(&byte), 1, &len, 0);
}

static int open_zoo(struct zoo *zoo)
{
    ptr_t block = 0;
    int good = OKAY(ipc_channel_create(0, &leave_zoo));
    zoo->task = start(waits_for_the_end, 0);
    zoo->io = never();
    good &= OKAY(ipc_channel_create(0, &zoo->ipc));
    good &= OKAY(net_socket(NET_INET, NET_STREAM, 0, &zoo->net));
    good &= OKAY(cap_acquire(CAP_MEM, &zoo->cap));
    good &= OKAY(trace_enable(1));
    good &= OKAY(trace_span_begin(P("zoo"), 3, &zoo->span));
    good &= OKAY(trace_enable(0));
    good &= OKAY(interest_create(&zoo->set));
    good &= OKAY(mem_alloc(64, 0, &block));
    good &= OKAY(mem_share(block, 64, &zoo->shared));
    good &= OKAY(mem_arena_create(0, &zoo->arena));
    return good;
}

static void a_number_is_tag_index_and_generation(void)
{
    static const u32 tags[] = {HANDLE_TASK, HANDLE_IO,  HANDLE_IPC, HANDLE_NET, HANDLE_CAP,
                               HANDLE_SPAN, HANDLE_SET, HANDLE_MEM, HANDLE_MEM};
    struct zoo zoo;
    const handle_t *handles = (const handle_t *)&zoo;
    u32 at, other;
    if (!open_zoo(&zoo))
        return;
    for (at = 0; at < COUNT(tags); at++) {
        EQUAL(handles[at] >> 56, tags[at]);
        EQUAL(handles[at] >> 16 & 0xffff, 0);
        CHECK((handles[at] & 0xffff) != 0);
        for (other = 0; other < at; other++)
            CHECK(handles[at] != handles[other]);
    }
}

/* --- numbers that are no handles ----------------------------------------------------------------------------- */

static u8 room[64];
static size_t len_out;
static u32 count_out;
static handle_t handle_out;
static ptr_t ptr_out;
static u64 wide_out;
static io_info_t info_out;
static task_stats_t stats_out;
static mem_usage_t usage_out;
static io_event_t events_out[4];
static const net_addr_v4_t localhost = {NET_IP4(127, 0, 0, 1), 9, 0};
static const io_vec_t piece = {0, 0};

/* Every call that takes a handle first, with other arguments that are good, and the tag that it takes. A tag in the next
 * byte: it takes two. */
#define TAKES(CALL)                                                                                            \
    CALL(HANDLE_TASK, task_set_priority(handle, TASK_PRIORITY_NORMAL))                                         \
    CALL(HANDLE_TASK, task_get_stats(handle, P(&stats_out)))                                                   \
    CALL(HANDLE_TASK, task_join(handle, 0, 0))                                                                 \
    CALL(HANDLE_TASK, task_cancel(handle))                                                                     \
    CALL(HANDLE_CAP, cap_drop(handle))                                                                         \
    CALL(HANDLE_MEM, mem_unshare(handle))                                                                      \
    CALL(HANDLE_MEM, mem_shared(handle, &ptr_out, &len_out))                                                   \
    CALL(HANDLE_MEM, mem_arena_alloc(handle, 16, 0, &ptr_out))                                                 \
    CALL(HANDLE_MEM, mem_arena_reset(handle))                                                                  \
    CALL(HANDLE_IO | HANDLE_NET << 8, io_read(handle, P(room), sizeof(room), &len_out))                        \
    CALL(HANDLE_IO | HANDLE_NET << 8, io_write(handle, P(room), sizeof(room), &len_out))                       \
    CALL(HANDLE_IO | HANDLE_NET << 8, io_readv(handle, &piece, 1, &len_out))                                   \
    CALL(HANDLE_IO | HANDLE_NET << 8, io_writev(handle, &piece, 1, &len_out))                                  \
    CALL(HANDLE_IO, io_seek(handle, 0, IO_SEEK_SET, &wide_out))                                                \
    CALL(HANDLE_IO, io_sync(handle))                                                                           \
    CALL(HANDLE_IO, io_info(handle, &info_out))                                                                \
    CALL(HANDLE_IO | HANDLE_SET << 8, io_close(handle))                                                        \
    CALL(HANDLE_SET, interest_add(handle, never(), IO_READABLE, 0))                                            \
    CALL(HANDLE_SET, interest_modify(handle, never(), IO_READABLE, 0))                                         \
    CALL(HANDLE_SET, interest_remove(handle, never()))                                                         \
    CALL(HANDLE_SET, interest_wait(handle, events_out, 4, 0, &count_out))                                      \
    CALL(HANDLE_IPC, ipc_send(handle, P(room), sizeof(room), IPC_NONBLOCK))                                    \
    CALL(HANDLE_IPC, ipc_recv(handle, P(room), sizeof(room), &len_out, IPC_NONBLOCK))                          \
    CALL(HANDLE_IPC, ipc_send_handles(handle, P(room), 1, 0, 0, IPC_NONBLOCK))                                 \
    CALL(HANDLE_IPC, ipc_recv_handles(handle, P(room), 1, &len_out, &handle_out, 1, &count_out, IPC_NONBLOCK)) \
    CALL(HANDLE_IPC, ipc_close(handle))                                                                        \
    CALL(HANDLE_NET, net_bind(handle, P(&localhost), sizeof(localhost)))                                       \
    CALL(HANDLE_NET, net_connect(handle, P(&localhost), sizeof(localhost)))                                    \
    CALL(HANDLE_NET, net_listen(handle, 0))                                                                    \
    CALL(HANDLE_NET, net_accept(handle, NET_NONBLOCK, &handle_out, 0, 0))                                      \
    CALL(HANDLE_NET, net_send(handle, P(room), 1, NET_NONBLOCK, 0))                                            \
    CALL(HANDLE_NET, net_recv(handle, P(room), 1, NET_NONBLOCK, &len_out))                                     \
    CALL(HANDLE_NET, net_send_to(handle, P(room), 1, NET_NONBLOCK, P(&localhost), sizeof(localhost)))          \
    CALL(HANDLE_NET, net_recv_from(handle, P(room), 1, NET_NONBLOCK, &len_out, 0, 0))                          \
    CALL(HANDLE_NET, net_shutdown(handle, NET_SHUT_BOTH))                                                      \
    CALL(HANDLE_NET, net_set_option(handle, NET_OPT_NODELAY, 1))                                               \
    CALL(HANDLE_NET, net_get_option(handle, NET_OPT_NODELAY, &wide_out))                                       \
    CALL(HANDLE_NET, net_local_address(handle, P(room), &count_out))                                           \
    CALL(HANDLE_NET, net_peer_address(handle, P(room), &count_out))                                            \
    CALL(HANDLE_NET, net_close(handle))

/* Checks that every call of `TAKES` refuses a number, unless it has the right tag. */
static void all_refuse(handle_t handle, int whatever_its_tag)
{
    u32 tag = (u32)(handle >> 56);
    count_out = sizeof(room);
#define REFUSES(tags, call)                                                              \
    if (whatever_its_tag || tag == 0 || (((tags) & 0xff) != tag && (tags) >> 8 != tag)) \
        FAILS(ERR_INVALID, 1, call);
    TAKES(REFUSES)
    if (handle == 0)
        return; /* to these it has a meaning */
    if (whatever_its_tag || tag != HANDLE_TASK) {
        FAILS(ERR_INVALID, 1, mem_usage(handle, &usage_out));
        FAILS(ERR_INVALID, 1, mem_set_limit(handle, 1 << 20));
    }
    if (whatever_its_tag || tag != HANDLE_SPAN) {
        FAILS(ERR_INVALID, 1, trace_span_end(handle));
        FAILS(ERR_INVALID, 1, trace_event(handle, P("zoo"), 3, 0, 0));
    }
}

static void a_handle_of_another_kind_is_refused(void)
{
    struct zoo zoo;
    const handle_t *handles = (const handle_t *)&zoo;
    u32 at;
    static const char *const names[] = {"task", "io", "ipc", "net", "cap", "span", "set", "shared", "arena"};
    if (!open_zoo(&zoo))
        return;
    for (at = 0; at < COUNT(names); at++) {
        note_about(names[at]);
        all_refuse(handles[at], 0);
    }
    note_about(0);
    /* And nobody was hurt. */
    EQUAL(ready_within(zoo.ipc, IO_WRITABLE, 0), IO_WRITABLE);
    EQUAL(ready_within(zoo.io, IO_READABLE, 0), 0);
    OKAY(ipc_send(leave_zoo, 0, 0, 0));
    EQUAL(finish(zoo.task), OK);
}

static void any_number_may_be_asked_for(void)
{
    /* The index is one that nobody has. */
    static const handle_t numbers[] = {0,
                                       1,
                                       ~0ull,
                                       1ull << 63,
                                       (u64)HANDLE_TASK << 56 | 0xfffffeull << 32,
                                       (u64)HANDLE_IO << 56 | 0xfffffeull << 32 | 1,
                                       (u64)HANDLE_NET << 56 | 0xffffffull << 32 | 1,
                                       (u64)HANDLE_IPC << 56 | 0xffffffull << 32 | 0xffff,
                                       (u64)HANDLE_SPAN << 56 | 0xffffffull << 32 | 1,
                                       9ull << 56 | 1,
                                       0xffull << 56 | 1};
    u32 at;
    for (at = 0; at < COUNT(numbers); at++)
        all_refuse(numbers[at], 1);
}

static void a_bit_more_or_less_makes_it_another_number(void)
{
    struct zoo zoo;
    handle_t handles[5];
    u32 at, bit;
    if (!open_zoo(&zoo))
        return;
    handles[0] = zoo.io;
    handles[1] = zoo.ipc;
    handles[2] = zoo.net;
    handles[3] = zoo.set;
    handles[4] = zoo.arena;
    for (at = 0; at < COUNT(handles); at++) {
        for (bit = 0; bit < 32; bit++)
            GIVES(ERR_INVALID, handle_close(handles[at] ^ 1ull << bit));
        for (bit = 56; bit < 64; bit++)
            GIVES(ERR_INVALID, handle_close(handles[at] ^ 1ull << bit));
        OKAY(handle_close(handles[at]));
    }
}

/* --- closing ------------------------------------------------------------------------------------------------- */

static void a_closed_handle_is_refused_everywhere(void)
{
    struct zoo zoo;
    const handle_t *handles = (const handle_t *)&zoo;
    u32 at;
    if (!open_zoo(&zoo))
        return;
    for (at = 0; at < sizeof(zoo) / sizeof(handle_t); at++) {
        if (handles[at] == zoo.cap || handles[at] == zoo.span)
            continue;
        OKAY(handle_close(handles[at]));
        all_refuse(handles[at], 1);
        FAILS(ERR_INVALID, 1, handle_close(handles[at]));
        FAILS(ERR_INVALID, 1, io_wait(handles[at], IO_READABLE, 0, &count_out));
        FAILS(ERR_INVALID, 1, io_poll((handle_t *)&handles[at], 1, 0, P(events_out), &count_out));
    }
}

static void everything_but_a_capability_can_be_closed_without_one(void)
{
    struct zoo zoo;
    if (!open_zoo(&zoo))
        return;
    OKAY(cap_exit());
    FAILS(ERR_INVALID, 1, handle_close(zoo.cap));
    OKAY(handle_close(zoo.task));
    OKAY(handle_close(zoo.io));
    OKAY(handle_close(zoo.ipc));
    OKAY(handle_close(zoo.net));
    OKAY(handle_close(zoo.span));
    OKAY(handle_close(zoo.set));
    OKAY(handle_close(zoo.shared));
    OKAY(handle_close(zoo.arena));
    FAILS(ERR_INVALID, 1, handle_close(0));
}

static i32 counts_up(ptr_t argument)
{
    OKAY(task_yield());
    *(u32 *)argument += 1;
    return 0;
}

static void a_task_whose_handle_is_closed_goes_on(void)
{
    u32 count = 0, turns;
    OKAY(handle_close(start(counts_up, &count)));
    for (turns = 0; turns < 10 && count == 0; turns++)
        OKAY(task_yield());
    EQUAL(count, 1);
}

/* A wait of another task, and what it gave. */
struct waiter {
    handle_t handle;
    result_t result;
    u32 events;
};

static i32 waits_readable(ptr_t argument)
{
    struct waiter *waiter = (struct waiter *)argument;
    waiter->result = io_wait(waiter->handle, IO_READABLE, FOREVER, &waiter->events);
    return 0;
}

static i32 receives(ptr_t argument)
{
    struct waiter *waiter = (struct waiter *)argument;
    waiter->result = ipc_recv(waiter->handle, P(room), sizeof(room), &len_out, 0);
    return 0;
}

static i32 receives_a_datagram(ptr_t argument)
{
    struct waiter *waiter = (struct waiter *)argument;
    waiter->result = net_recv(waiter->handle, P(room), sizeof(room), 0, &len_out);
    return 0;
}

static i32 accepts(ptr_t argument)
{
    struct waiter *waiter = (struct waiter *)argument;
    waiter->result = net_accept(waiter->handle, 0, &handle_out, 0, 0);
    return 0;
}

static i32 waits_for_a_set(ptr_t argument)
{
    struct waiter *waiter = (struct waiter *)argument;
    waiter->result = interest_wait(waiter->handle, events_out, 4, FOREVER, &count_out);
    return 0;
}

static i32 joins(ptr_t argument)
{
    struct waiter *waiter = (struct waiter *)argument;
    waiter->result = task_join(waiter->handle, FOREVER, 0);
    return 0;
}

/* Closes a handle that another task, or two, wait for in some way. */
static void close_under(i32 (*wait)(ptr_t), u32 count, handle_t handle)
{
    struct waiter waiters[2] = {{handle, OK, 0}, {handle, OK, 0}};
    handle_t tasks[2];
    u32 at;
    for (at = 0; at < count; at++)
        tasks[at] = start(wait, &waiters[at]);
    OKAY(task_yield());
    OKAY(handle_close(handle));
    for (at = 0; at < count; at++) {
        EQUAL(finish(tasks[at]), 0);
        GIVES(ERR_CLOSED, waiters[at].result);
    }
}

static void closing_wakes_everybody_who_waits(void)
{
    struct zoo zoo;
    handle_t datagrams = 0, listener = 0;
    if (!open_zoo(&zoo))
        return;
    NEED(net_socket(NET_INET, NET_DGRAM, 0, &datagrams));
    NEED(net_bind(datagrams, P(&localhost), sizeof(localhost)));
    NEED(net_socket(NET_INET, NET_STREAM, 0, &listener));
    NEED(net_listen(listener, 0));
    note_about("io_wait");
    close_under(waits_readable, 2, zoo.io);
    note_about("ipc_recv");
    close_under(receives, 1, zoo.ipc);
    note_about("net_recv");
    close_under(receives_a_datagram, 1, datagrams);
    note_about("net_accept");
    close_under(accepts, 2, listener);
    note_about("interest_wait");
    close_under(waits_for_a_set, 2, zoo.set);
    note_about("task_join");
    close_under(joins, 2, zoo.task);
}

static i32 leaves_handles_behind(ptr_t argument)
{
    handle_t *left = (handle_t *)argument;
    OKAY(ipc_channel_create(0, &left[0]));
    OKAY(net_socket(NET_INET, NET_DGRAM, 0, &left[1]));
    left[2] = never();
    OKAY(interest_create(&left[3]));
    OKAY(handle_close(left[2]));
    left[2] = never();
    return 0;
}

static void what_a_task_opened_is_closed_when_it_ends(void)
{
    handle_t left[4] = {0, 0, 0, 0};
    u32 at;
    EQUAL(run(leaves_handles_behind, left), 0);
    for (at = 0; at < COUNT(left); at++) {
        CHECK(left[at] != 0);
        FAILS(ERR_INVALID, 1, handle_close(left[at]));
    }
}

static i32 opens_and_waits(ptr_t argument)
{
    struct waiter *waiter = (struct waiter *)argument;
    OKAY(ipc_channel_create(0, &waiter->handle));
    return waits_readable(argument);
}

static void another_task_may_use_and_close_a_handle(void)
{
    struct waiter waiter = {0, OK, 0};
    handle_t task = start(opens_and_waits, &waiter);
    OKAY(task_yield());
    OKAY(ipc_send(waiter.handle, 0, 0, 0));
    EQUAL(finish(task), 0);
    GIVES(OK, waiter.result);
    EQUAL(waiter.events, IO_READABLE);
    task = start(opens_and_waits, &waiter);
    OKAY(task_yield());
    OKAY(ipc_close(waiter.handle));
    EQUAL(finish(task), 0);
    GIVES(ERR_CLOSED, waiter.result);
}

/* --- very many ----------------------------------------------------------------------------------------------- */

static void no_number_comes_back(void)
{
    handle_t first = 0, next = 0;
    u32 round;
    NEED(interest_create(&first));
    NEED(handle_close(first));
    for (round = 0; round < 70000; round++) {
        if (interest_create(&next) != OK || next == first || handle_close(next) != OK)
            break;
    }
    EQUAL(round, 70000);
    FAILS(ERR_INVALID, 1, handle_close(first));
}

#define MANY 70000

static void the_table_is_full_at_some_point_and_not_for_good(void)
{
    ptr_t list = 0;
    handle_t *handles, more = 77;
    u32 count = 0, at;
    result_t result = OK;
    NEED(mem_alloc(MANY * sizeof(handle_t), 0, &list));
    handles = (handle_t *)list;
    while (count < MANY && (result = interest_create(&handles[count])) == OK)
        count += 1;
    GIVES(ERR_NOMEM, result);
    CHECK(count > 10000 && count <= 65536);
    GIVES(ERR_NOMEM, ipc_channel_create(0, &more));
    EQUAL(more, 77);
    OKAY(handle_close(handles[count / 2]));
    OKAY(interest_create(&more));
    GIVES(ERR_NOMEM, interest_create(&handles[count / 2]));
    for (at = 0; at < count; at++) {
        if (at != count / 2 && handle_close(handles[at]) != OK)
            break;
    }
    EQUAL(at, count);
}

static const struct test handles_tests[] = {
    TEST(a_number_is_tag_index_and_generation),
    TEST(a_handle_of_another_kind_is_refused),
    TEST(any_number_may_be_asked_for),
    TEST(a_bit_more_or_less_makes_it_another_number),
    TEST(a_closed_handle_is_refused_everywhere),
    TEST(everything_but_a_capability_can_be_closed_without_one),
    TEST(a_task_whose_handle_is_closed_goes_on),
    TEST(closing_wakes_everybody_who_waits),
    TEST(what_a_task_opened_is_closed_when_it_ends),
    TEST(another_task_may_use_and_close_a_handle),
    TEST(no_number_comes_back),
    TEST(the_table_is_full_at_some_point_and_not_for_good),
};
AREA(handles);
