/* task_exit, task_join, task_cancel: how tasks end, and what they leave behind; and what ends them otherwise. */
#include "tap.h"

static i32 counts_three(ptr_t argument)
{
    u32 round;
    for (round = 0; round < 3; round++) {
        *(u32 *)argument += 1;
        OKAY(task_yield());
    }
    return 0;
}

/* --- ends -------------------------------------------------------------------------------------------------------- */

static i32 exits_from_below(ptr_t argument)
{
    if (argument == 0) {
        task_exit(42);
        return 1;
    }
    return exits_from_below(argument - 1) + 1;
}

static void a_task_may_exit_from_anywhere(void)
{
    EQUAL(run(exits_from_below, (void *)3), 42);
}

static void joining_takes_the_handle_away(void)
{
    handle_t task = start(gives_back, (void *)9);
    i32 status = 0;
    OKAY(task_join(task, FOREVER, &status));
    EQUAL(status, 9);
    FAILS(ERR_INVALID, 1, task_join(task, FOREVER, &status));
    OKAY(task_join(start(gives_back, 0), FOREVER, 0));
    task = start(gives_back, (void *)9);
    FAILS(ERR_INVALID, 3, task_join(task, FOREVER, (i32 *)NOWHERE));
    EQUAL(finish(task), 9);
}

static void joining_waits_as_long_as_it_is_told_to(void)
{
    handle_t task = start(waits_for_ever, 0);
    i32 status = 77;
    u32 round;
    GIVES(ERR_WOULD_BLOCK, task_join(task, 0, &status));
    for (round = 0; round < 5; round++) {
        time_ns before = now(), timeout = round * MILLISECOND + 1;
        GIVES(ERR_TIMEOUT, task_join(task, timeout, &status));
        CHECK(now() - before >= timeout);
    }
    EQUAL(status, 77);
    OKAY(task_cancel(task));
    EQUAL(finish(task), TASK_CANCELLED);
}

static i32 joins(ptr_t argument)
{
    i32 status = 0;
    result_t result = task_join(*(handle_t *)argument, FOREVER, &status);
    return result == OK ? status : (i32)result;
}

static void one_of_two_who_join_gets_the_status(void)
{
    handle_t task = start(waits_for_ever, 0), joiners[2];
    i32 first, second;
    joiners[0] = start(joins, &task);
    joiners[1] = start(joins, &task);
    OKAY(task_yield());
    OKAY(task_cancel(task));
    first = finish(joiners[0]);
    second = finish(joiners[1]);
    EQUAL(first, TASK_CANCELLED);
    CHECK(second == ERR_CLOSED || second == ERR_INVALID);
}

static void nobody_joins_himself(void)
{
    handle_t self = 0;
    OKAY(task_self(&self));
    FAILS(ERR_INVALID, 1, task_join(self, FOREVER, 0));
    FAILS(ERR_INVALID, 1, task_join(self, 0, 0));
    FAILS(ERR_INVALID, 1, task_self(0));
    FAILS(ERR_INVALID, 1, task_self((handle_t *)NOWHERE));
}

static i32 tells_who_it_is(ptr_t argument)
{
    handle_t again = 0;
    OKAY(task_self((handle_t *)argument));
    OKAY(task_self(&again));
    return *(handle_t *)argument == again;
}

static void a_task_has_one_handle(void)
{
    handle_t self = 0, task = start(tells_who_it_is, &self);
    EQUAL(finish(task), 1);
    EQUAL(self, task);
    EQUAL(self >> 56, HANDLE_TASK);
}

/* --- cancelling -------------------------------------------------------------------------------------------------- */

static i32 yields_for_ever(ptr_t argument)
{
    (void)argument;
    while (task_yield() == OK) {
    }
    return 1;
}

static i32 receives_for_ever(ptr_t argument)
{
    size_t len;
    u8 byte;
    while (ipc_recv(*(handle_t *)argument, P(&byte), 1, &len, 0) == OK) {
    }
    return 1;
}

static i32 polls_for_ever(ptr_t argument)
{
    io_event_t event;
    while (io_poll((handle_t *)argument, 1, FOREVER, P(&event), 0) == OK) {
    }
    return 1;
}

static void a_wait_ends_when_its_task_is_cancelled(void)
{
    static i32 (*const waits[])(ptr_t) = {waits_for_ever, yields_for_ever, receives_for_ever, polls_for_ever};
    handle_t receiver = 0, sender = 0;
    u32 at;
    NEED(ipc_channel_pair(0, &sender, &receiver));
    for (at = 0; at < COUNT(waits); at++) {
        handle_t task = start(waits[at], &receiver);
        OKAY(task_yield());
        OKAY(task_cancel(task));
        EQUAL((u32)finish(task), (u32)TASK_CANCELLED);
    }
    /* Its wait is over: the next one may receive. */
    OKAY(ipc_send(sender, 0, 0, 0));
    EQUAL(ready_within(receiver, IO_READABLE, 0), IO_READABLE);
}

static i32 works_then_waits(ptr_t argument)
{
    *(u32 *)argument += 1;
    OKAY(task_yield());
    *(u32 *)argument += 1;
    return 0;
}

static void a_task_that_never_ran_can_be_cancelled(void)
{
    u32 steps = 0;
    handle_t task = start(works_then_waits, &steps);
    OKAY(task_cancel(task));
    EQUAL((u32)finish(task), (u32)TASK_CANCELLED);
    CHECK(steps < 2);
}

static void cancelling_what_has_ended_is_fine(void)
{
    handle_t task = start(gives_back, (void *)4);
    EQUAL(ready_within(task, IO_READABLE, PATIENCE), IO_READABLE);
    OKAY(task_cancel(task));
    EQUAL(finish(task), 4);
}

static i32 cancels_itself(ptr_t argument)
{
    handle_t self = 0;
    (void)argument;
    OKAY(task_self(&self));
    task_cancel(self);
    return 1;
}

static void cancelling_oneself_ends_at_once(void)
{
    EQUAL((u32)run(cancels_itself, 0), (u32)TASK_CANCELLED);
}

struct held {
    handle_t receiver;
    ptr_t memory;
};

static i32 holds_things(ptr_t argument)
{
    struct held *held = (struct held *)argument;
    handle_t sender;
    OKAY(ipc_channel_pair(0, &sender, &held->receiver));
    OKAY(mem_alloc(1000, 0, &held->memory));
    task_sleep(FOREVER);
    return 1;
}

static void a_cancelled_task_leaves_nothing_behind(void)
{
    struct held held = {0, 0};
    handle_t task = start(holds_things, &held);
    OKAY(task_yield());
    CHECK(held.memory != 0);
    OKAY(task_cancel(task));
    EQUAL((u32)finish(task), (u32)TASK_CANCELLED);
    FAILS(ERR_INVALID, 1, ipc_close(held.receiver));
    FAILS(ERR_INVALID, 1, mem_free(held.memory));
}

/* --- faults ------------------------------------------------------------------------------------------------------ */

static i32 reads_nowhere(ptr_t argument)
{
    (void)argument;
    return *(volatile i32 *)NOWHERE;
}

static i32 writes_to_the_first_page(ptr_t argument)
{
    volatile u32 *address = (volatile u32 *)(argument + 16);
    *address = 1;
    return 1;
}

static i32 divides(ptr_t argument)
{
    volatile u32 zero = (u32)argument;
    return (i32)(77 / zero);
}

static i32 traps(ptr_t argument)
{
    (void)argument;
    __builtin_trap();
}

static i32 calls_data(ptr_t argument)
{
    static u8 code[16] = {0xc3};
    (void)argument;
    ((void (*)(void))P(code))();
    return 1;
}

static i32 digs_too_deep(ptr_t argument)
{
    (void)argument;
    return (i32)dig(100000);
}

static void a_fault_ends_the_task_that_made_it(void)
{
    static const struct {
        const char *name;
        i32 (*entry)(ptr_t);
    } faults[] = {{"nowhere", reads_nowhere},
                  {"null", writes_to_the_first_page},
                  {"division", divides},
                  {"trap", traps},
                  {"data as code", calls_data},
                  {"stack", digs_too_deep}};
    u32 at;
    for (at = 0; at < COUNT(faults); at++) {
        note_about(faults[at].name);
        EQUAL((u32)run(faults[at].entry, 0), (u32)TASK_FAULTED);
    }
}

static i32 holds_things_and_faults(ptr_t argument)
{
    struct held *held = (struct held *)argument;
    handle_t sender;
    OKAY(ipc_channel_pair(0, &sender, &held->receiver));
    OKAY(mem_alloc(1000, 0, &held->memory));
    return reads_nowhere(0);
}

static void a_fault_leaves_the_others_alone(void)
{
    struct held held = {0, 0};
    u32 turns = 0;
    handle_t other = start(counts_three, &turns);
    EQUAL((u32)run(holds_things_and_faults, &held), (u32)TASK_FAULTED);
    FAILS(ERR_INVALID, 1, ipc_close(held.receiver));
    FAILS(ERR_INVALID, 1, mem_free(held.memory));
    EQUAL(finish(other), 0);
    EQUAL(turns, 3);
}

static const struct test task_ends_tests[] = {
    TEST(a_task_may_exit_from_anywhere),
    TEST(joining_takes_the_handle_away),
    TEST(joining_waits_as_long_as_it_is_told_to),
    TEST(one_of_two_who_join_gets_the_status),
    TEST(nobody_joins_himself),
    TEST(a_task_has_one_handle),
    TEST(a_wait_ends_when_its_task_is_cancelled),
    TEST(a_task_that_never_ran_can_be_cancelled),
    TEST(cancelling_what_has_ended_is_fine),
    TEST(cancelling_oneself_ends_at_once),
    TEST(a_cancelled_task_leaves_nothing_behind),
    TEST(a_fault_ends_the_task_that_made_it),
    TEST(a_fault_leaves_the_others_alone),
};
AREA(task_ends);
