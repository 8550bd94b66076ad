/* System calls that do next to nothing, or look a descriptor up. */
#define _GNU_SOURCE /* getresuid */
#include <fcntl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "../phase.h"

enum { REPEATS = 1000 };

static void nothing(unsigned long count) {
    (void)count;
}

/* Three numbers to three places, as the version is. */
static void users(unsigned long count) {
    uid_t real, effective, saved;
    for (unsigned long i = 0; i < count; i++) {
        MUST(getresuid(&real, &effective, &saved) == 0);
    }
}

static void parents(unsigned long count) {
    for (unsigned long i = 0; i < count; i++) {
        MUST(getppid() == 0);
    }
}

/* Where the clock is good this is no system call: the kernel maps code that reads it into every process. */
static void times(unsigned long count) {
    struct timespec now;
    for (unsigned long i = 0; i < count; i++) {
        MUST(clock_gettime(CLOCK_MONOTONIC, &now) == 0);
    }
}

static void times_by_system_call(unsigned long count) {
    struct timespec now;
    for (unsigned long i = 0; i < count; i++) {
        MUST(syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &now) == 0);
    }
}

static void with_descriptor(unsigned long count) {
    for (unsigned long i = 0; i < count; i++) {
        MUST(fcntl(STDOUT_FILENO, F_GETFL) >= 0);
    }
}

static void refused(unsigned long count) {
    for (unsigned long i = 0; i < count; i++) {
        MUST(fcntl(-1, F_GETFL) < 0);
    }
}

void count_calls(void) {
    phase("nothing", REPEATS, nothing);
    phase("version", REPEATS, users);
    phase("no_handle", REPEATS, parents);
    phase("time_now", REPEATS, times);
    phase("time_now_by_system_call", REPEATS, times_by_system_call);
    phase("handle", REPEATS, with_descriptor);
    phase("no_such_handle", REPEATS, refused);
}
