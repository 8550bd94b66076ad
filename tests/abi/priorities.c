/* task_set_priority: who comes first. */
#include "tap.h"

/* In which order they came. */
struct turns {
    u32 count;
    u32 log[3];
};

struct runner {
    time_ns begin;
    struct turns *turns;
    u32 number;
};

static i32 runs_when_it_is_time(ptr_t argument)
{
    struct runner *runner = (struct runner *)argument;
    pause_until(runner->begin);
    runner->turns->log[runner->turns->count++] = runner->number;
    return 0;
}

/* Has tasks of all classes wake at the same time, the lowest spawned first. Not so: this task was itself held up. */
static int wake_all_at_once(struct turns *turns)
{
    static const u32 priorities[] = {TASK_PRIORITY_LOW, TASK_PRIORITY_NORMAL, TASK_PRIORITY_HIGH};
    struct runner runners[3];
    handle_t tasks[3];
    u32 at;
    int in_time;
    time_ns begin = now() + 20 * MILLISECOND;
    turns->count = 0;
    for (at = 0; at < 3; at++) {
        runners[at] = (struct runner){begin, turns, priorities[at]};
        tasks[at] = start(runs_when_it_is_time, &runners[at]);
        OKAY(task_set_priority(tasks[at], priorities[at]));
    }
    OKAY(task_yield());
    in_time = turns->count == 0;
    /* Nobody else runs meanwhile, so all of them are late when it is over. */
    while (now() < begin + MILLISECOND) {
    }
    for (at = 0; at < 3; at++)
        EQUAL(finish(tasks[at]), 0);
    return in_time;
}

static void a_higher_priority_comes_first(void)
{
    struct turns turns = {0, {0}};
    u32 tries;
    for (tries = 0; tries < 50; tries++) {
        if (wake_all_at_once(&turns))
            break;
    }
    EQUAL(turns.count, 3);
    EQUAL(turns.log[0], TASK_PRIORITY_HIGH);
    EQUAL(turns.log[1], TASK_PRIORITY_NORMAL);
    EQUAL(turns.log[2], TASK_PRIORITY_LOW);
}

static i32 yields_a_while(ptr_t argument)
{
    u32 *rounds = (u32 *)argument;
    for (; *rounds < 1000; *rounds += 1)
        OKAY(task_yield());
    return 0;
}

static void a_low_priority_is_not_starved(void)
{
    u32 low = 0, high = 0;
    handle_t tasks[2];
    tasks[0] = start(yields_a_while, &low);
    tasks[1] = start(yields_a_while, &high);
    OKAY(task_set_priority(tasks[0], TASK_PRIORITY_LOW));
    OKAY(task_set_priority(tasks[1], TASK_PRIORITY_HIGH));
    EQUAL(finish(tasks[1]), 0);
    CHECK(low > 0);
    EQUAL(finish(tasks[0]), 0);
}

static void priorities_that_there_are_not_are_refused(void)
{
    handle_t self = 0, ended = start(gives_back, 0);
    OKAY(task_self(&self));
    FAILS(ERR_INVALID, 2, task_set_priority(self, 3));
    FAILS(ERR_INVALID, 2, task_set_priority(self, 0xffffffff));
    OKAY(task_set_priority(self, TASK_PRIORITY_HIGH));
    OKAY(task_set_priority(self, TASK_PRIORITY_NORMAL));
    EQUAL(ready_within(ended, IO_READABLE, PATIENCE), IO_READABLE);
    FAILS(ERR_CLOSED, 1, task_set_priority(ended, TASK_PRIORITY_LOW));
}

/* --- among many that are busy ------------------------------------------------------------------------------------ */

#define BUSY 100

/* Tasks that yield all the time, and one that is woken among them. */
struct rush {
    int over;
    u64 turns; /* of all the busy ones together */
    handle_t bell;
    u64 rung, came; /* how many turns there had been */
};

static i32 is_busy(ptr_t argument)
{
    struct rush *rush = (struct rush *)argument;
    while (!rush->over) {
        rush->turns += 1;
        OKAY(task_yield());
    }
    return 0;
}

static i32 comes_when_it_rings(ptr_t argument)
{
    struct rush *rush = (struct rush *)argument;
    size_t len;
    while (ipc_recv(rush->bell, 0, 0, &len, 0) == OK)
        rush->came = rush->turns;
    return 0;
}

/* How many turns the busy ones have from when it is woken to when it runs: the most of some times. The caller, who
 * wakes it, is of low priority: the last of a round, so that another one begins. */
static u64 turns_until_it_comes(struct rush *rush, handle_t task, u32 priority)
{
    u64 most = 0;
    u32 times, patience;
    OKAY(task_set_priority(task, priority));
    for (times = 0; times < 10; times++) {
        rush->came = ~0ull;
        rush->rung = rush->turns;
        OKAY(ipc_send(rush->bell, 0, 0, IPC_NONBLOCK));
        for (patience = 0; rush->came == ~0ull && patience < 10; patience++)
            OKAY(task_yield());
        if (rush->came - rush->rung > most)
            most = rush->came - rush->rung;
    }
    return most;
}

static void a_high_priority_waits_for_nobody_who_is_busy(void)
{
    struct rush rush = {0, 0, 0, 0, 0};
    handle_t busy[BUSY], self = 0, task;
    u64 high, normal, low;
    u32 at;
    OKAY(ipc_channel_create(0, &rush.bell));
    OKAY(task_self(&self));
    for (at = 0; at < BUSY; at++)
        busy[at] = start(is_busy, &rush);
    task = start(comes_when_it_rings, &rush);
    OKAY(task_set_priority(self, TASK_PRIORITY_LOW));
    for (at = 0; at < 3; at++)
        OKAY(task_yield()); /* until all of them have begun */
    high = turns_until_it_comes(&rush, task, TASK_PRIORITY_HIGH);
    normal = turns_until_it_comes(&rush, task, TASK_PRIORITY_NORMAL);
    low = turns_until_it_comes(&rush, task, TASK_PRIORITY_LOW);
    CHECK(high < BUSY / 10);
    CHECK(normal >= BUSY / 2 && normal < 10 * BUSY);
    CHECK(low >= BUSY / 2 && low < 10 * BUSY);
    rush.over = 1;
    for (at = 0; at < BUSY; at++)
        EQUAL(finish(busy[at]), 0);
    OKAY(task_set_priority(self, TASK_PRIORITY_NORMAL));
    OKAY(task_cancel(task));
}

static const struct test priorities_tests[] = {
    TEST(a_higher_priority_comes_first),
    TEST(a_low_priority_is_not_starved),
    TEST(priorities_that_there_are_not_are_refused),
    TEST(a_high_priority_waits_for_nobody_who_is_busy),
};
AREA(priorities);
