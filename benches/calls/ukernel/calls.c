/* Calls that do next to nothing, or look a handle up. */
#include <ukernel_abi.h>

#include "../phase.h"

enum { REPEATS = 1000 };
/* Nanoseconds that nobody lives to see. */
#define FAR (1ull << 62)

static handle_t deadline;

static void nothing(unsigned long count) {
    (void)count;
}

static void versions(unsigned long count) {
    u32 major, minor, patch;
    for (unsigned long i = 0; i < count; i++) {
        MUST(abi_version(&major, &minor, &patch) == OK);
    }
}

static void times(unsigned long count) {
    time_ns now;
    for (unsigned long i = 0; i < count; i++) {
        MUST(time_now(&now) == OK);
    }
}

static void without_handle(unsigned long count) {
    u32 mask;
    for (unsigned long i = 0; i < count; i++) {
        MUST(cap_active(&mask) == OK);
    }
}

static void with_handle(unsigned long count) {
    io_info_t info;
    for (unsigned long i = 0; i < count; i++) {
        MUST(io_info(deadline, &info) == OK);
    }
}

static void refused(unsigned long count) {
    io_info_t info;
    for (unsigned long i = 0; i < count; i++) {
        MUST(io_info(~deadline, &info) == ERR_INVALID);
    }
}

void count_calls(void) {
    phase("nothing", REPEATS, nothing);
    phase("version", REPEATS, versions);
    phase("time_now", REPEATS, times);
    phase("no_handle", REPEATS, without_handle);
    MUST(time_deadline(FAR, &deadline) == OK);
    phase("handle", REPEATS, with_handle);
    phase("no_such_handle", REPEATS, refused);
    MUST(io_close(deadline) == OK);
}
