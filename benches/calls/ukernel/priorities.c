/* How long a task that is woken waits for its turn while others are busy, by its priority. */
#include <ukernel_abi.h>

#include "../phase.h"

#define FOREVER (~0ull)

static handle_t all_caps[2], bell, self;
static volatile int over, came;

/* Never waits, and gives way all the time. */
static i32 is_busy(ptr_t unused) {
    (void)unused;
    while (!over) {
        MUST(task_yield() == OK);
    }
    return 0;
}

static i32 comes_when_it_rings(ptr_t unused) {
    size_t len;
    (void)unused;
    while (ipc_recv(bell, 0, 0, &len, 0) == OK) {
        bench_mark();
        came = 1;
    }
    return 0;
}

/* From when the task is woken to when it runs. This task, which wakes it, is of low priority: the last one in a turn of
 * the reactor, so that a whole turn comes next. */
static void ring(void) {
    came = 0;
    MUST(ipc_send(bell, 0, 0, 0) == OK);
    bench_mark();
    while (!came) {
        MUST(task_yield() == OK);
    }
}

/* The names of a row for each priority, from the lowest on. */
typedef struct {
    u32 busy;
    const char *names[3];
} crowd;

#define CROWD(busy) {busy, {"wake_low@" #busy, "wake_normal@" #busy, "wake_high@" #busy}}

static void count_among(const crowd *others) {
    static handle_t tasks[MANY];
    handle_t task;
    over = 0;
    for (u32 i = 0; i < others->busy; i++) {
        MUST(task_spawn((ptr_t)is_busy, 0, all_caps, 1, TASK_STACK_KIB(16), &tasks[i]) == OK);
    }
    MUST(task_spawn((ptr_t)comes_when_it_rings, 0, all_caps, 2, 0, &task) == OK);
    for (u32 priority = TASK_PRIORITY_LOW; priority <= TASK_PRIORITY_HIGH; priority++) {
        MUST(task_set_priority(task, priority) == OK);
        interval(others->names[priority], ring);
    }
    over = 1;
    for (u32 i = 0; i < others->busy; i++) {
        MUST(task_join(tasks[i], FOREVER, NULL) == OK);
    }
    MUST(task_cancel(task) == OK);
    MUST(task_join(task, FOREVER, NULL) == OK);
}

void count_priorities(void) {
    /* All of them have their turn in each turn of the reactor, whose batch of a class is 512. */
    static const crowd crowds[] = {CROWD(0), CROWD(100), CROWD(500)};
    MUST(cap_acquire(CAP_TASK, &all_caps[0]) == OK && cap_acquire(CAP_IPC, &all_caps[1]) == OK);
    MUST(ipc_channel_create(0, &bell) == OK);
    MUST(task_self(&self) == OK && task_set_priority(self, TASK_PRIORITY_LOW) == OK);
    for (u32 i = 0; i < sizeof crowds / sizeof crowds[0]; i++) {
        count_among(&crowds[i]);
    }
    MUST(task_set_priority(self, TASK_PRIORITY_NORMAL) == OK);
    MUST(task_yield() == OK); /* which it takes effect with */
    MUST(ipc_close(bell) == OK);
}
