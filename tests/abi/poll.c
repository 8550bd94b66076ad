/* io_poll and io_wait: waiting for several handles and for one. */
#include "channels.h"

/* A channel with as many empty messages in it. */
static handle_t channel_with(u32 messages)
{
    handle_t channel = channel_of(0);
    for (; messages > 0; messages--)
        put_message(channel);
    return channel;
}

/* --- io_poll without handles --------------------------------------------------------------------------------- */

static void no_handles_and_no_time_would_block(void)
{
    u32 count = 77;
    GIVES(ERR_WOULD_BLOCK, io_poll(0, 0, 0, 0, &count));
    EQUAL(count, 0);
    GIVES(ERR_WOULD_BLOCK, io_poll((handle_t *)NOWHERE, 0, 0, NOWHERE, 0));
}

static void no_handles_sleep_for_the_timeout(void)
{
    static const time_ns timeouts[] = {1, 1000, MILLISECOND, 3 * MILLISECOND + 1, 20 * MILLISECOND};
    u32 at, count = 77;
    for (at = 0; at < COUNT(timeouts); at++) {
        time_ns before = now();
        GIVES(ERR_TIMEOUT, io_poll(0, 0, timeouts[at], 0, &count));
        CHECK(now() - before >= timeouts[at]);
        EQUAL(count, 0);
    }
}

/* --- io_poll ------------------------------------------------------------------------------------------------- */

static void what_is_ready_is_told_at_once(void)
{
    io_event_t event = {0, 0, 77};
    handle_t channel = channel_with(1);
    u32 count = 0;
    OKAY(io_poll(&channel, 1, 0, P(&event), &count));
    EQUAL(count, 1);
    EQUAL(event.handle, channel);
    EQUAL(event.events, IO_READABLE | IO_WRITABLE);
    EQUAL(event.reserved, 0);
    OKAY(io_poll(&channel, 1, FOREVER, P(&event), 0));
}

static void nothing_ready_and_no_time_would_block(void)
{
    io_event_t events[2];
    handle_t sender, handles[2];
    u32 count = 77;
    handles[0] = never();
    handles[1] = new_receiver(&sender);
    GIVES(ERR_WOULD_BLOCK, io_poll(handles, 2, 0, P(events), &count));
    EQUAL(count, 0);
}

static void nothing_ready_waits_for_the_timeout(void)
{
    io_event_t event;
    handle_t handle = never();
    u32 round, count = 77;
    for (round = 0; round < 10; round++) {
        time_ns before = now(), timeout = round * MILLISECOND / 2 + 1;
        GIVES(ERR_TIMEOUT, io_poll(&handle, 1, timeout, P(&event), &count));
        CHECK(now() - before >= timeout);
        EQUAL(count, 0);
    }
}

static void readiness_stays_until_it_is_used_up(void)
{
    io_event_t event;
    handle_t sender, receiver = new_receiver(&sender);
    u32 round, count;
    OKAY(ipc_send(sender, 0, 0, 0));
    OKAY(ipc_send(sender, 0, 0, 0));
    for (round = 0; round < 3; round++) {
        OKAY(io_poll(&receiver, 1, 0, P(&event), &count));
        EQUAL(event.events, IO_READABLE);
    }
    take_message(receiver);
    OKAY(io_poll(&receiver, 1, 0, P(&event), &count));
    take_message(receiver);
    GIVES(ERR_WOULD_BLOCK, io_poll(&receiver, 1, 0, P(&event), &count));
}

static void events_come_in_the_order_of_the_list(void)
{
    io_event_t events[5];
    handle_t handles[5];
    u32 at, count = 0;
    handles[0] = channel_with(1);
    handles[1] = never();
    handles[2] = channel_with(0);
    handles[3] = never();
    handles[4] = channel_with(1);
    fill(events, 0xaa, sizeof(events));
    OKAY(io_poll(handles, 5, FOREVER, P(events), &count));
    EQUAL(count, 3);
    for (at = 0; at < 3; at++)
        EQUAL(events[at].handle, handles[2 * at]);
    EQUAL(events[1].events, IO_WRITABLE);
    EQUAL(events[3].handle, 0xaaaaaaaaaaaaaaaa); /* behind the last one nothing is written */
}

static void a_handle_that_stands_there_twice_gets_two_events(void)
{
    io_event_t events[3];
    handle_t channel = channel_with(1);
    handle_t handles[3];
    u32 count = 0;
    handles[0] = handles[2] = channel;
    handles[1] = never();
    OKAY(io_poll(handles, 3, 0, P(events), &count));
    EQUAL(count, 2);
    EQUAL(events[0].handle, channel);
    EQUAL(events[1].handle, channel);
}

/* Something that another task does to a handle, later. */
struct later {
    handle_t handle;
    result_t result;
};

static i32 sends_later(ptr_t argument)
{
    struct later *later = (struct later *)argument;
    pause_for(2 * MILLISECOND);
    later->result = ipc_send(later->handle, 0, 0, 0);
    return 0;
}

static i32 closes_later(ptr_t argument)
{
    struct later *later = (struct later *)argument;
    pause_for(2 * MILLISECOND);
    later->result = handle_close(later->handle);
    return 0;
}

static void without_end_it_waits_for_another_task(void)
{
    struct later later = {0, OK};
    io_event_t events[2];
    handle_t handles[2], task;
    u32 count = 0;
    handles[0] = never();
    handles[1] = new_receiver(&later.handle);
    task = start(sends_later, &later);
    OKAY(io_poll(handles, 2, FOREVER, P(events), &count));
    EQUAL(count, 1);
    EQUAL(events[0].handle, handles[1]);
    EQUAL(events[0].events, IO_READABLE);
    EQUAL(finish(task), 0);
    GIVES(OK, later.result);
}

static void a_handle_that_is_closed_meanwhile_is_an_event(void)
{
    struct later later = {never(), OK};
    io_event_t events[2];
    handle_t handles[2], task;
    u32 count = 0;
    handles[0] = never();
    handles[1] = later.handle;
    task = start(closes_later, &later);
    OKAY(io_poll(handles, 2, FOREVER, P(events), &count));
    EQUAL(count, 1);
    EQUAL(events[0].handle, handles[1]);
    EQUAL(events[0].events, IO_HANGUP | IO_ERROR);
    EQUAL(finish(task), 0);
}

static void a_peer_that_is_gone_is_an_event(void)
{
    io_event_t event;
    handle_t sender = 0, receiver = new_receiver(&sender);
    u32 count = 0;
    OKAY(ipc_close(sender));
    OKAY(io_poll(&receiver, 1, FOREVER, P(&event), &count));
    CHECK((event.events & IO_HANGUP) != 0);
    receiver = new_receiver(&sender);
    OKAY(ipc_close(receiver));
    OKAY(io_poll(&sender, 1, FOREVER, P(&event), &count));
    CHECK((event.events & IO_HANGUP) != 0);
}

static i32 ends_at_once(ptr_t argument)
{
    return (i32)argument;
}

static void deadlines_tasks_and_sets_can_be_polled_too(void)
{
    io_event_t events[3];
    handle_t handles[3];
    u32 count = 0, joined = 0;
    handles[0] = start(ends_at_once, 0);
    OKAY(time_deadline(now() + MILLISECOND, &handles[1]));
    NEED(interest_create(&handles[2]));
    OKAY(interest_add(handles[2], channel_with(1), IO_READABLE, 0));
    pause_for(2 * MILLISECOND);
    OKAY(io_poll(handles, 3, FOREVER, P(events), &count));
    EQUAL(count, 3);
    for (joined = 0; joined < count; joined++)
        EQUAL(events[joined].events, IO_READABLE);
    EQUAL(finish(handles[0]), 0);
}

static void what_cannot_be_waited_for_is_refused(void)
{
    static const u32 numbers = 6;
    io_event_t events[2];
    handle_t handles[6], list[2];
    err_info_t info;
    ptr_t block = 0;
    u32 at, count = 77;
    NEED(mem_alloc(16, 0, &block));
    OKAY(cap_acquire(CAP_IO, &handles[0]));
    OKAY(mem_share(block, 16, &handles[1]));
    OKAY(mem_arena_create(0, &handles[2]));
    handles[3] = 0;
    handles[4] = ~0ull;
    handles[5] = never();
    OKAY(io_close(handles[5]));
    list[0] = channel_with(1);
    for (at = 0; at < numbers; at++) {
        list[1] = handles[at];
        FAILS(ERR_INVALID, 1, io_poll(list, 2, FOREVER, P(events), &count));
        OKAY(err_get_last(&info));
        EQUAL(info.arg0, handles[at]);
        FAILS(ERR_INVALID, 1, io_wait(handles[at], IO_READABLE, FOREVER, &count));
    }
    OKAY(trace_enable(1));
    OKAY(trace_span_begin(P("span"), 4, &list[1]));
    OKAY(trace_enable(0));
    FAILS(ERR_INVALID, 1, io_poll(list, 2, FOREVER, P(events), &count));
    EQUAL(count, 77);
}

static void lists_have_a_place_and_a_limit(void)
{
    io_event_t event;
    handle_t handle = channel_with(1);
    u32 count = 77;
    FAILS(ERR_INVALID, 1, io_poll(0, 1, 0, P(&event), &count));
    FAILS(ERR_INVALID, 1, io_poll((handle_t *)NOWHERE, 1, 0, P(&event), &count));
    FAILS(ERR_INVALID, 4, io_poll(&handle, 1, 0, 0, &count));
    FAILS(ERR_INVALID, 4, io_poll(&handle, 1, 0, NOWHERE, &count));
    FAILS(ERR_INVALID, 5, io_poll(&handle, 1, 0, P(&event), (u32 *)NOWHERE));
    GIVES(ERR_INVALID, io_poll(&handle, 65537, 0, P(&event), &count));
    GIVES(ERR_INVALID, io_poll(&handle, 0xffffffff, 0, P(&event), &count));
    EQUAL(count, 77);
}

static void misaligned_lists_are_fine(void)
{
    char bytes[3 * sizeof(io_event_t)], *list = bytes + 1, *events = bytes + sizeof(io_event_t) + 3;
    handle_t handle = channel_with(1);
    io_event_t event = {handle, IO_READABLE | IO_WRITABLE, 0};
    u32 at;
    for (at = 0; at < sizeof(handle); at++)
        list[at] = (char)(handle >> 8 * at);
    OKAY(io_poll((handle_t *)P(list), 1, 0, P(events), 0));
    CHECK(same(events, &event, sizeof(event)));
}

#define MANY 1000

static void one_of_many_is_found(void)
{
    static handle_t handles[MANY];
    static io_event_t events[MANY];
    struct later later = {0, OK};
    handle_t task;
    u32 at, count = 0;
    for (at = 0; at < MANY; at++)
        handles[at] = never();
    handles[MANY - 7] = new_receiver(&later.handle);
    task = start(sends_later, &later);
    OKAY(io_poll(handles, MANY, FOREVER, P(events), &count));
    EQUAL(count, 1);
    EQUAL(events[0].handle, handles[MANY - 7]);
    EQUAL(finish(task), 0);
}

struct poller {
    handle_t handle;
    u32 events;
};

static i32 polls(ptr_t argument)
{
    struct poller *poller = (struct poller *)argument;
    io_event_t event = {0, 0, 0};
    OKAY(io_poll(&poller->handle, 1, FOREVER, P(&event), 0));
    poller->events = event.events;
    return 0;
}

static void several_tasks_may_poll_one_handle(void)
{
    struct poller pollers[5];
    handle_t sender, tasks[5], receiver = new_receiver(&sender);
    u32 at;
    for (at = 0; at < COUNT(pollers); at++) {
        pollers[at].handle = receiver;
        pollers[at].events = 0;
        tasks[at] = start(polls, &pollers[at]);
    }
    OKAY(task_yield());
    OKAY(ipc_send(sender, 0, 0, 0));
    for (at = 0; at < COUNT(pollers); at++) {
        EQUAL(finish(tasks[at]), 0);
        EQUAL(pollers[at].events, IO_READABLE);
    }
}

/* A task that waits costs nothing: it has a turn when something happens, and none otherwise. */
static void waiting_takes_no_turns(void)
{
    task_stats_t before, after;
    struct poller poller = {0, 0};
    handle_t sender, task;
    poller.handle = new_receiver(&sender);
    task = start(polls, &poller);
    OKAY(task_yield());
    OKAY(task_get_stats(task, P(&before)));
    pause_for(20 * MILLISECOND);
    OKAY(task_get_stats(task, P(&after)));
    EQUAL(after.sched_ticks, before.sched_ticks);
    EQUAL(after.context_switches, before.context_switches);
    OKAY(ipc_send(sender, 0, 0, 0));
    EQUAL(finish(task), 0);
}

static i32 ends_with(ptr_t argument)
{
    *(volatile u32 *)argument = 1;
    return 0;
}

/* The others run although this task never waits. */
static void looking_in_a_loop_holds_up_nobody(void)
{
    volatile u32 ran = 0;
    io_event_t event;
    handle_t channel = channel_with(0), task = start(ends_with, (void *)P(&ran));
    size_t len;
    u32 round;
    for (round = 0; round < 1000 && !ran; round++)
        OKAY(io_poll(&channel, 1, FOREVER, P(&event), 0)); /* it is writable at once */
    EQUAL(ran, 1);
    EQUAL(finish(task), 0);
    ran = 0;
    task = start(ends_with, (void *)P(&ran));
    for (round = 0; round < 1000 && !ran; round++)
        GIVES(ERR_WOULD_BLOCK, ipc_recv(channel, 0, 0, &len, IPC_NONBLOCK));
    EQUAL(ran, 1);
    EQUAL(finish(task), 0);
}

/* --- io_wait ------------------------------------------------------------------------------------------------- */

static void one_handle_is_waited_for_as_asked(void)
{
    handle_t channel = channel_with(1), sender, receiver = new_receiver(&sender);
    u32 events = 0;
    OKAY(io_wait(channel, IO_READABLE, FOREVER, &events));
    EQUAL(events, IO_READABLE);
    OKAY(io_wait(channel, IO_WRITABLE, 0, &events));
    EQUAL(events, IO_WRITABLE);
    OKAY(io_wait(channel, IO_READABLE | IO_WRITABLE, 0, &events));
    EQUAL(events, IO_READABLE | IO_WRITABLE);
    GIVES(ERR_WOULD_BLOCK, io_wait(receiver, IO_READABLE, 0, &events));
    GIVES(ERR_WOULD_BLOCK, io_wait(sender, IO_READABLE, 0, &events));
    GIVES(ERR_WOULD_BLOCK, io_wait(channel, 0, 0, &events));
    OKAY(ipc_close(sender));
    OKAY(io_wait(receiver, 0, FOREVER, &events));
    CHECK((events & IO_HANGUP) != 0);
}

static void one_handle_is_never_given_up_early(void)
{
    handle_t handle = never();
    u32 round, events = 77;
    for (round = 0; round < 5; round++) {
        time_ns before = now(), timeout = round * MILLISECOND + 1;
        GIVES(ERR_TIMEOUT, io_wait(handle, IO_READABLE, timeout, &events));
        CHECK(now() - before >= timeout);
    }
    EQUAL(events, 77);
}

static void waiting_for_one_handle_ends_when_it_is_closed(void)
{
    struct later later = {never(), OK};
    handle_t task = start(closes_later, &later);
    u32 events = 77;
    GIVES(ERR_CLOSED, io_wait(later.handle, IO_READABLE, FOREVER, &events));
    EQUAL(events, 77);
    EQUAL(finish(task), 0);
}

static void interests_that_there_are_not_are_refused(void)
{
    handle_t handle = channel_with(1);
    u32 events = 77;
    FAILS(ERR_INVALID, 2, io_wait(handle, 1 << 7, 0, &events));
    FAILS(ERR_INVALID, 2, io_wait(handle, 0xffffffff, 0, &events));
    FAILS(ERR_INVALID, 4, io_wait(handle, IO_READABLE, 0, 0));
    EQUAL(events, 77);
}

static const struct test poll_tests[] = {
    TEST(no_handles_and_no_time_would_block),
    TEST(no_handles_sleep_for_the_timeout),
    TEST(what_is_ready_is_told_at_once),
    TEST(nothing_ready_and_no_time_would_block),
    TEST(nothing_ready_waits_for_the_timeout),
    TEST(readiness_stays_until_it_is_used_up),
    TEST(events_come_in_the_order_of_the_list),
    TEST(a_handle_that_stands_there_twice_gets_two_events),
    TEST(without_end_it_waits_for_another_task),
    TEST(a_handle_that_is_closed_meanwhile_is_an_event),
    TEST(a_peer_that_is_gone_is_an_event),
    TEST(deadlines_tasks_and_sets_can_be_polled_too),
    TEST(what_cannot_be_waited_for_is_refused),
    TEST(lists_have_a_place_and_a_limit),
    TEST(misaligned_lists_are_fine),
    TEST(one_of_many_is_found),
    TEST(several_tasks_may_poll_one_handle),
    TEST(waiting_takes_no_turns),
    TEST(looking_in_a_loop_holds_up_nobody),
    TEST(one_handle_is_waited_for_as_asked),
    TEST(one_handle_is_never_given_up_early),
    TEST(waiting_for_one_handle_ends_when_it_is_closed),
    TEST(interests_that_there_are_not_are_refused),
};
AREA(poll);
