/* What the conformance suite checks with: tests in areas, each run as a task of its own, and their results as TAP
 * (testanything.org) on the console. Of the machine it knows kernel/include/ukernel_abi.h and nothing else. */
#ifndef TAP_H
#define TAP_H

#include "ukernel_abi.h"

#define MILLISECOND 1000000ull
#define SECOND 1000000000ull
#define FOREVER (~0ull)
/* Longer than anything takes here that works. */
#define PATIENCE (20 * SECOND)
#define ALL_KINDS 0xffu
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
/* A pointer as the interface has it. */
#define P(pointer) ((ptr_t)(pointer))
/* An address that is nobody's: no processor can form it. */
#define NOWHERE 0x8000000000000000ull

struct test {
    const char *name; /* underscores are printed as blanks */
    void (*run)(void);
};

struct area {
    const char *name;
    const struct test *tests;
    u32 count;
};

#define TEST(function) {#function, function}
#define AREA(name) const struct area name##_area = {#name, name##_tests, COUNT(name##_tests)}

extern const struct area capabilities_area, handles_area, poll_area, interest_area, tasks_area, priorities_area,
    task_ends_area, time_area, memory_area, ipc_area, ipc_handles_area, ipc_open_area, net_area, streams_area,
    stream_ends_area, datagrams_area, names_area, files_area, log_trace_area, environment_area, original_area,
    narrow_area, limits_area, last_area;

/* Each checks something, notes it if it is not so, and says whether it is. */
#define WHERE __FILE__, __LINE__
#define CHECK(condition) check_that((condition) ? 1 : 0, #condition, WHERE)
#define EQUAL(actual, expected) check_equal((u64)(actual), (u64)(expected), #actual, WHERE)
#define GIVES(expected, call) check_gives((expected), (call), #call, WHERE)
#define OKAY(call) GIVES(OK, call)
/* The call fails, and err_get_last says by which argument. */
#define FAILS(expected, argument, call) check_fails((expected), (argument), (call), #call, WHERE)
/* Gives up a test that makes no sense without this. */
#define NEED(call)              \
    do {                        \
        if (!OKAY(call))        \
            return;             \
    } while (0)

int check_that(int holds, const char *what, const char *file, int line);
int check_equal(u64 actual, u64 expected, const char *what, const char *file, int line);
int check_gives(result_t expected, result_t actual, const char *what, const char *file, int line);
int check_fails(result_t expected, u32 argument, result_t actual, const char *what, const char *file, int line);
/* Says why a test cannot be made here. What it has checked before still counts. */
void skip_rest(const char *why);
/* Puts a text before what is noted from now on, such as the name of what a loop is at; null: nothing. */
void note_about(const char *what);

/* What this program may have, as bits like those of cap_active. */
u32 policy(void);
/* Makes these kinds active, and no others. Whether that worked. */
int enter(u32 kinds);
/* Good handles of these kinds; how many. */
u32 acquire(u32 kinds, handle_t *out);

/* Starts a task that has what the caller has active. 0: it did not work, which is noted. */
handle_t start(i32 (*entry)(ptr_t), void *argument);
/* Waits for the end of a task, and gives its status. */
i32 finish(handle_t task);
/* Starts it and waits for its end. */
i32 run(i32 (*entry)(ptr_t), void *argument);

/* What tasks do: give their argument back as the status; sleep until somebody cancels them. */
i32 gives_back(ptr_t argument);
i32 waits_for_ever(ptr_t argument);
/* Takes about a KiB of stack for each level; answers how many. */
u32 dig(u32 levels);

time_ns now(void);
void pause_for(time_ns duration);
void pause_until(time_ns time);
/* A handle that is never ready. */
handle_t never(void);
/* What a handle is ready for within that time; 0: nothing. */
u32 ready_within(handle_t handle, u32 interest, time_ns timeout);

u32 length(const char *text);
int same(const void *left, const void *right, u64 bytes);
int same_text(const char *left, const char *right);
/* Whether `text` begins with `start`. */
int begins(const char *text, const char *start);
void fill(void *bytes, u8 value, u64 count);
/* An argument of the program that begins with `name`, what is behind that; null if there is none. */
const char *argument(const char *name);

#endif /* TAP_H */
