/* Spans of a trace, while tracing is off and while it is on. */
#include <ukernel_abi.h>

#include "../phase.h"

enum { REPEATS = 1000 };

static void spans(unsigned long count) {
    static const char name[] = "request";
    handle_t span;
    for (unsigned long i = 0; i < count; i++) {
        MUST(trace_span_begin((ptr_t)name, sizeof name - 1, &span) == OK);
        MUST(trace_span_end(span) == OK);
    }
}

void count_spans(void) {
    static const char name[] = "server";
    handle_t around;
    phase("span_off", REPEATS, spans);
    MUST(trace_enable(1) == OK);
    phase("span_on", REPEATS, spans);
    MUST(trace_span_begin((ptr_t)name, sizeof name - 1, &around) == OK);
    phase("span_within", REPEATS, spans);
    MUST(trace_span_end(around) == OK);
    MUST(trace_enable(0) == OK);
}
