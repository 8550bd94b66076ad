/* A program in C that traces until the machine is asked to stop. tests/vm/traces.rs looks at what comes of it. */
#include "../../kernel/examples/c/example.h"

#define TEXT(text) (ptr_t)(text), sizeof(text) - 1
#define MILLISECOND 1000000ull

static handle_t caps[8];
static volatile u32 stopped;

/* Ticks in a span of its own. */
static i32 tick(ptr_t name) {
    handle_t span;
    if (trace_span_begin(name, 4, &span) != OK) {
        return 1;
    }
    do {
        if (trace_event(0, TEXT("tick"), 0, 0) != OK || task_sleep(3 * MILLISECOND) != OK) {
            return 2;
        }
    } while (!stopped);
    return trace_span_end(span) == OK ? 0 : 3;
}

int main(void) {
    static const u32 kinds[] = {CAP_LOG, CAP_TIME, CAP_TASK, CAP_MEM, CAP_IO, CAP_IPC, CAP_NET, CAP_TRACE};
    handle_t task, stop;
    if (take_capabilities(kinds, 8, caps) != OK || trace_enable(1) != OK ||
        task_spawn((ptr_t)tick, (ptr_t) "left", caps, 8, 0, &task) != OK || sys_shutdown(&stop) != OK) {
        return 96;
    }
    log_write(LOG_INFO, TEXT("traces: ticking"));
    u32 events[4], count = 1;
    (void)io_poll(&stop, 1, ~0ull, (ptr_t)events, &count);
    stopped = 1;
    i32 status = 1;
    return task_join(task, ~0ull, &status) == OK ? status : 95;
}
