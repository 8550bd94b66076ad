/* Calls that panic, by a hook that only a library for tests has. */
#include "ukernel_abi.h"

#include <stdio.h>

#define P(pointer) ((ptr_t)(pointer))
#define MILLISECOND 1000000ull

/* Panics: 0 in a call, 1 in a wait, 2 in a wait after a pause, 3 in a task of the reactor's own, 4 in one that the
 * kernel needs. */
result_t kernel_test_panic(u32 where);

static int failures;

#define EQUAL(actual, expected)                                                              \
    do {                                                                                     \
        unsigned long long is_ = (unsigned long long)(actual);                               \
        if (is_ != (unsigned long long)(expected)) {                                         \
            fprintf(stderr, "panics.c:%d: %s is %llu\n", __LINE__, #actual, is_);            \
            failures += 1;                                                                   \
        }                                                                                    \
    } while (0)

static void enter_everything(void)
{
    handle_t caps[8];
    u32 kind;
    for (kind = CAP_LOG; kind <= CAP_TRACE; kind++)
        EQUAL(cap_acquire(kind, &caps[kind - 1]), OK);
    EQUAL(cap_enter(caps, 8), OK);
}

static i32 panics(ptr_t argument)
{
    (void)argument;
    EQUAL(kernel_test_panic(0), ERR_IO);
    EQUAL(kernel_test_panic(2), ERR_IO);
    EQUAL(task_yield(), OK);
    return 6;
}

int main(void)
{
    handle_t caps[1], task = 0;
    u64 kernel = 0;
    err_info_t info;
    i32 status = 0;
    EQUAL(kernel_create(&kernel), OK);
    EQUAL(kernel_enter(kernel), OK);
    enter_everything();
    /* On the thread's own stack. */
    EQUAL(kernel_test_panic(0), ERR_IO);
    EQUAL(err_get_last(&info), OK);
    EQUAL(info.code, ERR_IO);
    EQUAL(kernel_test_panic(1), ERR_IO);
    EQUAL(kernel_test_panic(2), ERR_IO);
    EQUAL(task_sleep(MILLISECOND), OK);
    /* On a task's, while this one waits. */
    EQUAL(cap_acquire(CAP_TASK, &caps[0]), OK);
    EQUAL(task_spawn(P(panics), 0, caps, 1, 0, &task), OK);
    EQUAL(task_join(task, ~0ull, &status), OK);
    EQUAL(status, 6);
    /* Elsewhere: whoever waits is told, once. */
    EQUAL(kernel_test_panic(3), OK);
    EQUAL(task_sleep(MILLISECOND), ERR_IO);
    EQUAL(task_sleep(MILLISECOND), OK);
    /* Without its ears the kernel waits no more, and can still be left and ended. */
    EQUAL(kernel_test_panic(4), OK);
    EQUAL(task_yield(), OK); /* in which they end */
    EQUAL(task_sleep(MILLISECOND), ERR_IO);
    EQUAL(task_sleep(MILLISECOND), ERR_IO);
    EQUAL(cap_exit(), OK);
    EQUAL(kernel_leave(), OK);
    EQUAL(kernel_destroy(kernel), OK);
    /* Another one is not touched. */
    EQUAL(kernel_create(&kernel), OK);
    EQUAL(kernel_enter(kernel), OK);
    enter_everything();
    EQUAL(task_sleep(MILLISECOND), OK);
    return failures == 0 ? 0 : 1;
}
