/* task_*: functions that run beside each other. Who comes first is in priorities.c, how they end in task_ends.c. */
#include "tap.h"

/* --- beginning --------------------------------------------------------------------------------------------------- */

static void a_task_gets_its_argument_and_gives_its_status(void)
{
    static const i32 statuses[] = {0, 1, -1, 255, 256, 0x7fffffff, -0x7fffffff - 1};
    u32 at;
    for (at = 0; at < COUNT(statuses); at++)
        EQUAL((u32)run(gives_back, (void *)(ptr_t)(u32)statuses[at]), (u32)statuses[at]);
}

static i32 takes_all_64_bits(ptr_t argument)
{
    return argument == 0x123456789abcdef0;
}

static void an_argument_is_not_looked_at(void)
{
    EQUAL(run(takes_all_64_bits, (void *)0x123456789abcdef0), 1);
}

struct turns {
    u32 count;
    u32 log[16];
    u32 number;
};

static i32 starts_itself(ptr_t argument)
{
    struct turns *turns = (struct turns *)argument;
    turns->count += 1;
    return 0;
}

static void spawning_does_not_wait(void)
{
    struct turns turns = {0, {0}, 0};
    handle_t task = start(starts_itself, &turns);
    EQUAL(turns.count, 0);
    EQUAL(finish(task), 0);
    EQUAL(turns.count, 1);
}

static void what_is_no_task_is_refused(void)
{
    static u32 data = 0xf4f4f4f4;
    handle_t task = 77;
    FAILS(ERR_INVALID, 1, task_spawn(0, 0, 0, 0, 0, &task));
    FAILS(ERR_INVALID, 1, task_spawn(1, 0, 0, 0, 0, &task));
    FAILS(ERR_INVALID, 1, task_spawn(NOWHERE, 0, 0, 0, 0, &task));
    FAILS(ERR_INVALID, 1, task_spawn(~0ull, 0, 0, 0, 0, &task));
    FAILS(ERR_INVALID, 1, task_spawn(P(&data), 0, 0, 0, 0, &task));
    FAILS(ERR_INVALID, 1, task_spawn(P(&task), 0, 0, 0, 0, &task));
    FAILS(ERR_INVALID, 5, task_spawn(P(gives_back), 0, 0, 0, 1 << 2, &task));
    FAILS(ERR_INVALID, 5, task_spawn(P(gives_back), 0, 0, 0, 1 << 15, &task));
    FAILS(ERR_INVALID, 5, task_spawn(P(gives_back), 0, 0, 0, TASK_STACK_KIB(15), &task));
    FAILS(ERR_INVALID, 6, task_spawn(P(gives_back), 0, 0, 0, 0, 0));
    FAILS(ERR_INVALID, 6, task_spawn(P(gives_back), 0, 0, 0, TASK_PINNED, (handle_t *)NOWHERE));
    FAILS(ERR_INVALID, 6, task_spawn(P(gives_back), 0, 0, 0, TASK_DETACHED, (handle_t *)NOWHERE));
    EQUAL(task, 77);
}

static void a_detached_task_has_no_handle(void)
{
    struct turns turns = {0, {0}, 0};
    handle_t task = 77;
    u32 patience;
    OKAY(task_spawn(P(starts_itself), P(&turns), 0, 0, TASK_DETACHED, 0));
    OKAY(task_spawn(P(starts_itself), P(&turns), 0, 0, TASK_DETACHED | TASK_PINNED, &task));
    EQUAL(task, 0);
    for (patience = 0; patience < 10 && turns.count < 2; patience++)
        OKAY(task_yield());
    EQUAL(turns.count, 2);
}

static void a_pinned_task_is_one_like_any_other(void)
{
    handle_t task = 0;
    OKAY(task_spawn(P(gives_back), 3, 0, 0, TASK_PINNED, &task));
    EQUAL(finish(task), 3);
}

static i32 digs(ptr_t levels)
{
    return (i32)dig((u32)levels);
}

static void a_stack_is_as_large_as_asked_for(void)
{
    handle_t task = 0;
    OKAY(task_spawn(P(digs), 40, 0, 0, 0, &task));
    EQUAL(finish(task), 40);
    OKAY(task_spawn(P(digs), 900, 0, 0, TASK_STACK_KIB(1024), &task));
    EQUAL(finish(task), 900);
    OKAY(task_spawn(P(digs), 4, 0, 0, TASK_STACK_KIB(16), &task));
    EQUAL(finish(task), 4);
}

/* --- turns ------------------------------------------------------------------------------------------------------- */

static i32 logs_turns(ptr_t argument)
{
    struct turns *turns = (struct turns *)argument;
    u32 round, number = turns->number++;
    for (round = 0; round < 3; round++) {
        turns->log[turns->count++] = number;
        OKAY(task_yield());
    }
    return 0;
}

static void yielding_lets_every_other_task_have_its_turn(void)
{
    struct turns turns = {0, {0}, 0};
    handle_t tasks[3];
    u32 at;
    for (at = 0; at < 3; at++)
        tasks[at] = start(logs_turns, &turns);
    OKAY(task_yield());
    EQUAL(turns.count, 3);
    OKAY(task_yield());
    EQUAL(turns.count, 6);
    for (at = 0; at < 3; at++)
        EQUAL(finish(tasks[at]), 0);
    for (at = 0; at < turns.count; at++)
        EQUAL(turns.log[at], at % 3);
    EQUAL(turns.count, 9);
}

static void sleeping_is_never_short(void)
{
    static const time_ns spans[] = {0, 1, 100, 10000, MILLISECOND, 2 * MILLISECOND + 1, 30 * MILLISECOND};
    u32 at;
    for (at = 0; at < COUNT(spans); at++) {
        time_ns before = now();
        OKAY(task_sleep(spans[at]));
        CHECK(now() - before >= spans[at]);
    }
}

struct sleeper {
    time_ns until, woke_at;
};

static i32 sleeps(ptr_t argument)
{
    struct sleeper *sleeper = (struct sleeper *)argument;
    pause_until(sleeper->until);
    sleeper->woke_at = now();
    return 0;
}

/* Each at its own time, whoever else sleeps. */
static void several_sleep_at_once(void)
{
    struct sleeper sleepers[50];
    handle_t tasks[50];
    u32 at;
    time_ns base = now() + 20 * MILLISECOND;
    for (at = 0; at < 50; at++) {
        sleepers[at] = (struct sleeper){base + at * 7 % 50 * MILLISECOND, 0};
        tasks[at] = start(sleeps, &sleepers[at]);
    }
    for (at = 0; at < 50; at++) {
        EQUAL(finish(tasks[at]), 0);
        CHECK(sleepers[at].woke_at >= sleepers[at].until);
    }
}

static void a_task_that_waits_holds_up_nobody(void)
{
    struct turns turns = {0, {0}, 0};
    handle_t sleeping = start(waits_for_ever, 0), working = start(logs_turns, &turns);
    EQUAL(finish(working), 0);
    EQUAL(turns.count, 3);
    GIVES(ERR_WOULD_BLOCK, task_join(sleeping, 0, 0));
    OKAY(task_cancel(sleeping));
}

/* --- figures ----------------------------------------------------------------------------------------------------- */

static i32 works(ptr_t span)
{
    time_ns before = now();
    while (now() - before < span) {
    }
    OKAY(task_yield());
    return 0;
}

static void figures_are_real(void)
{
    task_stats_t stats = {0, 0, 0}, idle = {0, 0, 0};
    handle_t sleeping = start(waits_for_ever, 0), working = start(works, (void *)(10 * MILLISECOND));
    time_ns before = now();
    EQUAL(ready_within(working, IO_READABLE, PATIENCE), IO_READABLE);
    /* It has ended, and still has figures. */
    OKAY(task_get_stats(working, P(&stats)));
    CHECK(stats.cpu_time_ns >= 10 * MILLISECOND);
    CHECK(stats.cpu_time_ns <= now() - before);
    CHECK(stats.sched_ticks >= 2 && stats.sched_ticks < 10);
    CHECK(stats.context_switches >= 4 && stats.context_switches < 20);
    OKAY(task_get_stats(sleeping, P(&idle)));
    CHECK(idle.cpu_time_ns > 0 && idle.cpu_time_ns < 10 * MILLISECOND);
    CHECK(idle.sched_ticks >= 1);
    FAILS(ERR_INVALID, 2, task_get_stats(sleeping, 0));
    FAILS(ERR_INVALID, 2, task_get_stats(sleeping, NOWHERE));
    OKAY(task_cancel(sleeping));
}

/* --- very many --------------------------------------------------------------------------------------------------- */

static void many_tasks_one_after_the_other(void)
{
    u32 round;
    for (round = 0; round < 2000; round++) {
        if (run(gives_back, (void *)(ptr_t)round) != (i32)round)
            break;
    }
    EQUAL(round, 2000);
}

#define MOST 20000

static void tasks_are_refused_when_there_are_too_many(void)
{
    ptr_t list = 0;
    handle_t *tasks;
    u32 count = 0, at;
    result_t result = OK;
    NEED(mem_alloc(MOST * sizeof(handle_t), 0, &list));
    tasks = (handle_t *)list;
    while (count < MOST && (result = task_spawn(P(gives_back), 1, 0, 0, TASK_STACK_KIB(16), &tasks[count])) == OK)
        count += 1;
    GIVES(ERR_NOMEM, result);
    CHECK(count >= 500 && count <= 16384);
    for (at = 0; at < count; at++) {
        i32 status = 0;
        if (task_join(tasks[at], PATIENCE, &status) != OK || status != 1)
            break;
    }
    EQUAL(at, count);
    EQUAL(run(gives_back, (void *)2), 2);
}

static const struct test tasks_tests[] = {
    TEST(a_task_gets_its_argument_and_gives_its_status),
    TEST(an_argument_is_not_looked_at),
    TEST(spawning_does_not_wait),
    TEST(what_is_no_task_is_refused),
    TEST(a_detached_task_has_no_handle),
    TEST(a_pinned_task_is_one_like_any_other),
    TEST(a_stack_is_as_large_as_asked_for),
    TEST(yielding_lets_every_other_task_have_its_turn),
    TEST(sleeping_is_never_short),
    TEST(several_sleep_at_once),
    TEST(a_task_that_waits_holds_up_nobody),
    TEST(figures_are_real),
    TEST(many_tasks_one_after_the_other),
    TEST(tasks_are_refused_when_there_are_too_many),
};
AREA(tasks);
