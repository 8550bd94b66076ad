/* Tasks that begin, end and take turns. */
#include <ukernel_abi.h>

#include "../phase.h"

enum { REPEATS = 1000 };
#define FOREVER (~0ull)

static volatile int stop;

static i32 nothing(ptr_t unused) {
    (void)unused;
    return 0;
}

static void spawns(unsigned long count) {
    handle_t task;
    for (unsigned long i = 0; i < count; i++) {
        MUST(task_spawn((ptr_t)nothing, 0, NULL, 0, 0, &task) == OK);
        MUST(task_join(task, FOREVER, NULL) == OK);
    }
}

/* Half of the turns are this task's, half the other's. */
static void turns(unsigned long count) {
    for (unsigned long i = 0; i < count; i += 2) {
        MUST(task_yield() == OK);
    }
}

static i32 partner(ptr_t unused) {
    (void)unused;
    while (!stop) {
        MUST(task_yield() == OK);
    }
    return 0;
}

void count_tasks(void) {
    handle_t task_cap, other;
    phase("spawn_join", REPEATS, spawns);
    MUST(cap_acquire(CAP_TASK, &task_cap) == OK);
    MUST(task_spawn((ptr_t)partner, 0, &task_cap, 1, 0, &other) == OK);
    phase("switch", REPEATS, turns);
    stop = 1;
    MUST(task_join(other, FOREVER, NULL) == OK);
}
