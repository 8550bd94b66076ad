/* log_write and trace_*. What arrives in the log and in the trace is for whoever runs the suite to see; here it is
 * what the calls take and give. */
#include "tap.h"

static void every_level_can_be_written(void)
{
    u32 level;
    for (level = LOG_DEBUG; level <= LOG_ERROR; level++)
        OKAY(log_write(level, P("abi: a line of the log"), 22));
    OKAY(log_write(LOG_INFO, P("abi: with a line break\n"), 23));
    OKAY(log_write(LOG_INFO, NOWHERE, 0));
    FAILS(ERR_INVALID, 1, log_write(4, P("no"), 2));
    FAILS(ERR_INVALID, 1, log_write(0xffffffff, P("no"), 2));
    FAILS(ERR_INVALID, 2, log_write(LOG_INFO, 0, 2));
    FAILS(ERR_INVALID, 2, log_write(LOG_INFO, NOWHERE, 2));
    FAILS(ERR_INVALID, 2, log_write(LOG_INFO, P("no"), ~0ull));
}

static void any_bytes_can_be_logged(void)
{
    static char line[2000];
    u32 at;
    OKAY(log_write(LOG_INFO, P("abi: no utf-8 \xff\xfe here"), 21));
    OKAY(log_write(LOG_INFO, P("abi: control \x1b[31m\r\nukernel: exit status=0"), 40));
    fill(line, 'x', sizeof(line));
    for (at = 0; at < 10; at++)
        line[at] = "abi: long "[at];
    OKAY(log_write(LOG_INFO, P(line), sizeof(line)));
    for (at = 0; at < sizeof(line); at++)
        line[at] = (char)(at % 256);
    OKAY(log_write(LOG_DEBUG, P(line), sizeof(line)));
}

/* --- traces -------------------------------------------------------------------------------------------------- */

static handle_t begin(const char *name)
{
    handle_t span = 77;
    OKAY(trace_span_begin(P(name), length(name), &span));
    return span;
}

static void without_tracing_spans_are_nothing(void)
{
    OKAY(trace_enable(0));
    EQUAL(begin("off"), 0);
    OKAY(trace_event(0, P("event"), 5, P("key=value"), 9));
    OKAY(trace_event(0, P("event"), 5, 0, 0));
    OKAY(trace_span_end(0));
}

static void spans_begin_within_each_other_and_end(void)
{
    handle_t outer, inner;
    OKAY(trace_enable(1));
    outer = begin("outer");
    inner = begin("inner");
    EQUAL(outer >> 56, HANDLE_SPAN);
    CHECK(inner != outer);
    OKAY(trace_event(inner, P("event"), 5, P("key=value"), 9));
    OKAY(trace_event(0, P("in the present one"), 18, 0, 0));
    OKAY(trace_span_end(inner));
    FAILS(ERR_INVALID, 1, trace_span_end(inner));
    FAILS(ERR_INVALID, 1, trace_event(inner, P("late"), 4, 0, 0));
    OKAY(trace_span_end(outer));
    OKAY(trace_span_end(0));
    OKAY(trace_event(0, P("in none"), 7, 0, 0));
    OKAY(trace_enable(0));
}

static void spans_may_end_out_of_order_and_after_tracing(void)
{
    handle_t outer, inner;
    OKAY(trace_enable(1));
    outer = begin("outer");
    inner = begin("inner");
    OKAY(trace_span_end(outer));
    OKAY(trace_event(inner, P("still there"), 11, 0, 0));
    OKAY(trace_enable(0));
    OKAY(trace_event(inner, P("off"), 3, 0, 0));
    OKAY(trace_span_end(inner));
    FAILS(ERR_INVALID, 1, trace_span_end(inner));
}

static i32 ends_a_span(ptr_t argument)
{
    OKAY(trace_event(*(handle_t *)argument, P("elsewhere"), 9, 0, 0));
    OKAY(trace_span_end(*(handle_t *)argument));
    return 0;
}

static i32 leaves_a_span_open(ptr_t argument)
{
    *(handle_t *)argument = begin("left open");
    return 0;
}

static void spans_cross_tasks(void)
{
    handle_t span;
    OKAY(trace_enable(1));
    span = begin("across");
    EQUAL(run(ends_a_span, &span), 0);
    FAILS(ERR_INVALID, 1, trace_span_end(span));
    EQUAL(run(leaves_a_span_open, &span), 0);
    OKAY(trace_event(span, P("from outside"), 12, 0, 0)); /* a span may outlive its task */
    OKAY(trace_span_end(span));
    OKAY(trace_enable(0));
}

static void a_span_that_is_closed_is_forgotten(void)
{
    handle_t span;
    OKAY(trace_enable(1));
    span = begin("dropped");
    OKAY(handle_close(span));
    FAILS(ERR_INVALID, 1, trace_span_end(span));
    FAILS(ERR_INVALID, 1, handle_close(span));
    OKAY(trace_enable(0));
}

/* So many open spans stay, and of many more the oldest do not. */
#define OPEN 1024
#define TOO_MANY 20000

static void too_many_open_spans_are_given_up(void)
{
    static handle_t spans[TOO_MANY];
    u32 at, open = 0;
    OKAY(trace_enable(1));
    for (at = 0; at < TOO_MANY; at++)
        spans[at] = begin("open");
    FAILS(ERR_INVALID, 1, trace_span_end(spans[0]));
    for (at = TOO_MANY - OPEN; at < TOO_MANY; at++)
        open += trace_span_end(spans[at]) == OK;
    EQUAL(open, OPEN);
    OKAY(trace_enable(0));
}

static void names_may_be_anything(void)
{
    static char name[100];
    handle_t span = 77;
    OKAY(trace_enable(1));
    fill(name, 'n', sizeof(name));
    OKAY(trace_span_begin(P(name), sizeof(name), &span));
    OKAY(trace_event(span, P(name), sizeof(name), P(name), sizeof(name)));
    OKAY(trace_span_end(span));
    fill(name, 0xff, sizeof(name));
    OKAY(trace_span_begin(P(name), 31, &span));
    OKAY(trace_span_end(span));
    OKAY(trace_span_begin(NOWHERE, 0, &span));
    OKAY(trace_span_end(span));
    span = 77;
    FAILS(ERR_INVALID, 1, trace_span_begin(0, 4, &span));
    FAILS(ERR_INVALID, 1, trace_span_begin(NOWHERE, 4, &span));
    FAILS(ERR_INVALID, 3, trace_span_begin(P("x"), 1, 0));
    FAILS(ERR_INVALID, 2, trace_event(0, NOWHERE, 4, 0, 0));
    FAILS(ERR_INVALID, 4, trace_event(0, P("x"), 1, NOWHERE, 4));
    FAILS(ERR_INVALID, 1, trace_enable(2));
    FAILS(ERR_INVALID, 1, trace_enable(0xffffffff));
    EQUAL(span, 77);
    OKAY(trace_enable(0));
}

static void more_spans_than_there_is_room_for(void)
{
    u32 round;
    OKAY(trace_enable(1));
    for (round = 0; round < 20000; round++) {
        handle_t span = begin("round");
        if (trace_event(span, P("event"), 5, P("a=1"), 3) != OK || trace_span_end(span) != OK)
            break;
    }
    EQUAL(round, 20000);
    OKAY(trace_enable(0));
}

static const struct test log_trace_tests[] = {
    TEST(every_level_can_be_written),
    TEST(any_bytes_can_be_logged),
    TEST(without_tracing_spans_are_nothing),
    TEST(spans_begin_within_each_other_and_end),
    TEST(spans_may_end_out_of_order_and_after_tracing),
    TEST(spans_cross_tasks),
    TEST(a_span_that_is_closed_is_forgotten),
    TEST(too_many_open_spans_are_given_up),
    TEST(names_may_be_anything),
    TEST(more_spans_than_there_is_room_for),
};
AREA(log_trace);
