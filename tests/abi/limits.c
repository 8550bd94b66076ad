/* The limits that the header names: what is beyond gives ERR_NOMEM, and afterwards there is as much as before. Run with
 * the argument `limits`, in 512 MiB: with less, memory is short first. */
#include "tap.h"

#define MOST_HANDLES 65536u
#define MOST_TASKS 16384u
/* How many of either the suite itself may have. */
#define OWN 64u

static handle_t *room_for(u32 count)
{
    ptr_t list = 0;
    OKAY(mem_alloc(count * sizeof(handle_t), 0, &list));
    return (handle_t *)list;
}

/* --- tasks ------------------------------------------------------------------------------------------------------- */

static u32 begun;

static i32 counts_and_waits(ptr_t argument)
{
    (void)argument;
    begun += 1;
    return waits_for_ever(0);
}

/* Starts a task with as little as it can have. */
static result_t start_small(handle_t *out)
{
    handle_t cap = 0;
    OKAY(cap_acquire(CAP_TASK, &cap));
    return task_spawn(P(counts_and_waits), 0, &cap, 1, TASK_STACK_KIB(16), out);
}

/* Starts tasks until there can be no more; how many. */
static u32 start_all(handle_t *tasks)
{
    result_t result = OK;
    u32 count = 0;
    begun = 0;
    while (count < MOST_TASKS && (result = start_small(&tasks[count])) == OK)
        count += 1;
    GIVES(ERR_NOMEM, result);
    OKAY(task_yield());
    EQUAL(begun, count);
    return count;
}

static void end_all(handle_t *tasks, u32 count)
{
    u32 at;
    i32 status = 0;
    for (at = 0; at < count && task_cancel(tasks[at]) == OK; at++) {
    }
    EQUAL(at, count);
    for (at = 0; at < count; at++) {
        if (task_join(tasks[at], PATIENCE, &status) != OK || status != TASK_CANCELLED)
            break;
    }
    EQUAL(at, count);
}

static void there_are_16384_tasks_and_no_more(void)
{
    handle_t *tasks = room_for(MOST_TASKS), more = 77;
    u32 round, count;
    if (tasks == 0)
        return;
    for (round = 0; round < 2; round++) {
        count = start_all(tasks);
        CHECK(count <= MOST_TASKS && count >= MOST_TASKS - OWN);
        GIVES(ERR_NOMEM, start_small(&more));
        EQUAL(more, 77);
        end_all(&tasks[--count], 1);
        OKAY(start_small(&tasks[count]));
        GIVES(ERR_NOMEM, start_small(&more));
        OKAY(task_yield());
        end_all(tasks, count + 1);
    }
}

/* --- handles ----------------------------------------------------------------------------------------------------- */

/* Makes channels until there can be no more handles; how many. */
static u32 make_all(handle_t *channels)
{
    result_t result = OK;
    u32 count = 0;
    while (count < MOST_HANDLES && (result = ipc_channel_create(IPC_CAPACITY(1), &channels[count])) == OK)
        count += 1;
    GIVES(ERR_NOMEM, result);
    CHECK(count <= MOST_HANDLES && count >= MOST_HANDLES - OWN);
    return count;
}

static void close_all(handle_t *channels, u32 count)
{
    u32 at;
    for (at = 0; at < count && ipc_close(channels[at]) == OK; at++) {
    }
    EQUAL(at, count);
}

static void there_are_65536_handles_and_no_more(void)
{
    handle_t *channels = room_for(MOST_HANDLES), more = 77;
    u32 round, count;
    if (channels == 0)
        return;
    for (round = 0; round < 2; round++) {
        count = make_all(channels);
        GIVES(ERR_NOMEM, interest_create(&more));
        GIVES(ERR_NOMEM, time_deadline(FOREVER, &more));
        GIVES(ERR_NOMEM, net_socket(NET_INET, NET_DGRAM, 0, &more));
        GIVES(ERR_NOMEM, start_small(&more));
        EQUAL(more, 77);
        close_all(&channels[--count], 1);
        OKAY(interest_create(&channels[count]));
        OKAY(handle_close(channels[count]));
        close_all(channels, count);
    }
}

/* Checks that a message to one member is the one event of a set. */
static void expect_only(handle_t set, handle_t *members, u32 number)
{
    io_event_t events[4];
    u32 count = 77;
    size_t len = 0;
    GIVES(ERR_WOULD_BLOCK, interest_wait(set, events, COUNT(events), 0, &count));
    OKAY(ipc_send(members[number], 0, 0, IPC_NONBLOCK));
    OKAY(interest_wait(set, events, COUNT(events), PATIENCE, &count));
    EQUAL(count, 1);
    EQUAL(events[0].reserved, number);
    EQUAL(events[0].handle, members[number]);
    OKAY(ipc_recv(members[number], 0, 0, &len, IPC_NONBLOCK));
}

static void a_set_takes_all_the_handles_that_there_can_be(void)
{
    handle_t *members = room_for(MOST_HANDLES), set = 0;
    u32 at, count, round;
    if (members == 0 || !OKAY(interest_create(&set)))
        return;
    for (round = 0; round < 2; round++) {
        count = make_all(members);
        for (at = 0; at < count && interest_add(set, members[at], IO_READABLE, at) == OK; at++) {
        }
        EQUAL(at, count);
        expect_only(set, members, 0);
        expect_only(set, members, count / 2);
        expect_only(set, members, count - 1);
        close_all(members, count); /* which leave it by themselves */
    }
}

static void a_poll_takes_65536_handles_and_no_more(void)
{
    handle_t *handles = room_for(MOST_HANDLES + 1), channel = 0;
    ptr_t events = 0;
    u32 at, count = 77;
    if (handles == 0 || !OKAY(mem_alloc((MOST_HANDLES + 1) * sizeof(io_event_t), 0, &events)))
        return;
    OKAY(ipc_channel_create(0, &channel));
    for (at = 0; at <= MOST_HANDLES; at++)
        handles[at] = channel;
    FAILS(ERR_INVALID, 2, io_poll(handles, MOST_HANDLES + 1, 0, events, &count));
    EQUAL(count, 77);
    OKAY(io_poll(handles, MOST_HANDLES, 0, events, &count)); /* it can be written to */
    EQUAL(count, MOST_HANDLES);
    EQUAL(((io_event_t *)events)[MOST_HANDLES - 1].handle, channel);
}

/* Tasks first: what handles take of memory is not used for stacks afterwards. */
static const struct test limits_tests[] = {
    TEST(there_are_16384_tasks_and_no_more),
    TEST(there_are_65536_handles_and_no_more),
    TEST(a_set_takes_all_the_handles_that_there_can_be),
    TEST(a_poll_takes_65536_handles_and_no_more),
};
AREA(limits);
