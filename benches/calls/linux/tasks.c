/* Threads that begin, end and take turns; and contexts that do so without the kernel's scheduler. */
#include <pthread.h>
#include <sched.h>
#include <ucontext.h>

#include "../phase.h"

enum { REPEATS = 1000, STACK = 65536 };

static volatile int stop;
static ucontext_t own, other;

static void *nothing(void *unused) {
    return unused;
}

static void spawns(unsigned long count) {
    pthread_t thread;
    for (unsigned long i = 0; i < count; i++) {
        MUST(pthread_create(&thread, NULL, nothing, NULL) == 0);
        MUST(pthread_join(thread, NULL) == 0);
    }
}

/* Half of the turns are this thread's, half the other's: there is one processor. */
static void turns(unsigned long count) {
    for (unsigned long i = 0; i < count; i += 2) {
        MUST(sched_yield() == 0);
    }
}

static void *partner(void *unused) {
    while (!stop) {
        MUST(sched_yield() == 0);
    }
    return unused;
}

/* Each swap saves the signal mask by a system call. */
static void swaps(unsigned long count) {
    for (unsigned long i = 0; i < count; i += 2) {
        MUST(swapcontext(&own, &other) == 0);
    }
}

static void swap_back(void) {
    for (;;) {
        MUST(swapcontext(&other, &own) == 0);
    }
}

void count_tasks(void) {
    static char stack[STACK];
    pthread_t thread;
    phase("spawn_join", REPEATS, spawns);
    MUST(pthread_create(&thread, NULL, partner, NULL) == 0);
    phase("switch", REPEATS, turns);
    stop = 1;
    MUST(pthread_join(thread, NULL) == 0);
    MUST(getcontext(&other) == 0);
    other.uc_stack.ss_sp = stack;
    other.uc_stack.ss_size = sizeof stack;
    makecontext(&other, swap_back, 0);
    phase("switch_ucontext", REPEATS, swaps);
}
