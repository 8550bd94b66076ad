/* What the phases need of this kernel. */
#include <ukernel_abi.h>

#include "../phase.h"

/* Longer than a line of the log takes to leave, in nanoseconds. */
enum { PAUSE = 5000000 };

void prepare(void) {
    static const u32 kinds[] = {CAP_LOG, CAP_TIME, CAP_TASK, CAP_MEM, CAP_IO, CAP_IPC, CAP_NET, CAP_TRACE};
    enum { COUNT = sizeof kinds / sizeof kinds[0] };
    handle_t caps[COUNT];
    for (u32 i = 0; i < COUNT; i++) {
        MUST(cap_acquire(kinds[i], &caps[i]) == OK);
    }
    MUST(cap_enter(caps, COUNT) == OK);
}

void say(const char *line, size_t len) {
    log_write(LOG_INFO, (ptr_t)line, len);
}

void rest(void) {
    task_sleep(PAUSE);
}

_Noreturn void finish(int status) {
    for (;;) {
        task_exit(status);
    }
}
