/* time_*: clocks and deadlines. */
#include "tap.h"

static void time_never_goes_back(void)
{
    time_ns last = now(), first = last;
    u32 round;
    for (round = 0; round < 10000; round++) {
        time_ns at = now();
        if (at < last)
            break;
        last = at;
    }
    EQUAL(round, 10000);
    CHECK(last > first);
    FAILS(ERR_INVALID, 1, time_now(0));
    FAILS(ERR_INVALID, 1, time_now((time_ns *)NOWHERE));
}

static void both_clocks_count_nanoseconds(void)
{
    u64 wall_before = 0, wall_after = 0;
    time_ns before, after;
    if (time_wall(&wall_before) != OK) {
        skip_rest("nobody tells the machine the time of day");
        return;
    }
    before = now();
    pause_for(1100 * MILLISECOND);
    OKAY(time_wall(&wall_after));
    after = now();
    /* The time of day may be in whole seconds. */
    CHECK(wall_after - wall_before >= SECOND);
    CHECK(wall_after - wall_before <= after - before + SECOND);
}

static void the_time_of_day_is_of_this_century(void)
{
    const u64 day = 24 * 3600 * SECOND;
    u64 wall = 77;
    result_t result = time_wall(&wall);
    if (result == ERR_UNSUPPORTED) {
        EQUAL(wall, 77);
        skip_rest("nobody tells the machine the time of day");
        return;
    }
    OKAY(result);
    CHECK(wall > 54 * 365 * day); /* 2024 */
    CHECK(wall < 130 * 365 * day);
    FAILS(ERR_INVALID, 1, time_wall(0));
    FAILS(ERR_INVALID, 1, time_wall((u64 *)NOWHERE));
}

static void a_deadline_is_readable_when_it_has_come(void)
{
    static const time_ns spans[] = {1, 1000, MILLISECOND, 3 * MILLISECOND, 25 * MILLISECOND};
    u32 at;
    for (at = 0; at < COUNT(spans); at++) {
        handle_t deadline = 0;
        time_ns when = now() + spans[at];
        OKAY(time_deadline(when, &deadline));
        EQUAL(deadline >> 56, HANDLE_IO);
        EQUAL(ready_within(deadline, IO_READABLE, FOREVER), IO_READABLE);
        CHECK(now() >= when);
        EQUAL(ready_within(deadline, IO_READABLE, 0), IO_READABLE);
        OKAY(io_close(deadline));
    }
}

static void a_deadline_in_the_past_has_come(void)
{
    handle_t deadline = 0;
    OKAY(time_deadline(0, &deadline));
    EQUAL(ready_within(deadline, IO_READABLE, 0), IO_READABLE);
    OKAY(time_deadline(now(), &deadline));
    EQUAL(ready_within(deadline, IO_READABLE, 0), IO_READABLE);
}

static void a_deadline_far_away_has_not_come(void)
{
    handle_t deadline = 0;
    OKAY(time_deadline(FOREVER, &deadline));
    EQUAL(ready_within(deadline, IO_READABLE, 0), 0);
    OKAY(time_deadline(now() + 3600 * SECOND, &deadline));
    EQUAL(ready_within(deadline, IO_READABLE, MILLISECOND), 0);
    FAILS(ERR_INVALID, 2, time_deadline(0, 0));
    FAILS(ERR_INVALID, 2, time_deadline(0, (handle_t *)NOWHERE));
}

static void deadlines_come_in_their_order(void)
{
    static const u32 after[] = {5, 1, 4, 2, 3};
    handle_t deadlines[COUNT(after)], set = 0;
    io_event_t events[COUNT(after)];
    u32 at, count, expected = 1;
    time_ns start_at = now() + 5 * MILLISECOND;
    NEED(interest_create(&set));
    for (at = 0; at < COUNT(after); at++) {
        OKAY(time_deadline(start_at + after[at] * 10 * MILLISECOND, &deadlines[at]));
        OKAY(interest_add(set, deadlines[at], IO_READABLE, at));
    }
    while (expected <= COUNT(after)) {
        NEED(interest_wait(set, events, COUNT(after), FOREVER, &count));
        /* On a machine that was held up several have come; then they are the earliest ones. */
        for (at = 0; at < count; at++) {
            CHECK(after[events[at].reserved] < expected + count);
            OKAY(io_close(events[at].handle));
        }
        expected += count;
        CHECK(now() >= start_at + (expected - 1) * 10 * MILLISECOND);
    }
}

static void many_deadlines_at_once(void)
{
    static handle_t deadlines[1000];
    io_event_t events[100];
    handle_t set = 0;
    u32 at, count, come = 0;
    time_ns first = now() + MILLISECOND;
    NEED(interest_create(&set));
    for (at = 0; at < COUNT(deadlines); at++) {
        OKAY(time_deadline(first + at % 10 * MILLISECOND, &deadlines[at]));
        OKAY(interest_add(set, deadlines[at], IO_READABLE, at));
    }
    while (come < COUNT(deadlines)) {
        NEED(interest_wait(set, events, COUNT(events), PATIENCE, &count));
        for (at = 0; at < count; at++) {
            CHECK(now() >= first + events[at].reserved % 10 * MILLISECOND);
            OKAY(io_close(events[at].handle));
        }
        come += count;
    }
    GIVES(ERR_WOULD_BLOCK, interest_wait(set, events, COUNT(events), 0, &count));
}

static void a_deadline_is_no_file(void)
{
    u8 byte = 0;
    size_t len = 77;
    u64 position = 77;
    handle_t deadline = never();
    GIVES(ERR_UNSUPPORTED, io_read(deadline, P(&byte), 1, &len));
    GIVES(ERR_UNSUPPORTED, io_write(deadline, P(&byte), 1, &len));
    GIVES(ERR_UNSUPPORTED, io_seek(deadline, 0, IO_SEEK_SET, &position));
    GIVES(ERR_UNSUPPORTED, io_sync(deadline));
    EQUAL(len, 77);
    EQUAL(position, 77);
}

static const struct test time_tests[] = {
    TEST(time_never_goes_back),
    TEST(both_clocks_count_nanoseconds),
    TEST(the_time_of_day_is_of_this_century),
    TEST(a_deadline_is_readable_when_it_has_come),
    TEST(a_deadline_in_the_past_has_come),
    TEST(a_deadline_far_away_has_not_come),
    TEST(deadlines_come_in_their_order),
    TEST(many_deadlines_at_once),
    TEST(a_deadline_is_no_file),
};
AREA(time);
