/* interest_*: handles that are waited for again and again. */
#include "channels.h"

static handle_t new_set(void)
{
    handle_t set = 0;
    OKAY(interest_create(&set));
    return set;
}

static void events_carry_the_token(void)
{
    io_event_t events[4];
    handle_t set = new_set(), first = channel_of(0), second = channel_of(0);
    u32 count = 0;
    OKAY(interest_add(set, first, IO_READABLE, 0xdeadbeef));
    OKAY(interest_add(set, second, IO_READABLE | IO_WRITABLE, 7));
    OKAY(interest_wait(set, events, 4, FOREVER, &count));
    EQUAL(count, 1);
    EQUAL(events[0].handle, second);
    EQUAL(events[0].events, IO_WRITABLE);
    EQUAL(events[0].reserved, 7);
    put_message(first);
    OKAY(interest_wait(set, events, 4, 0, &count));
    EQUAL(count, 2);
    CHECK(events[0].handle != events[1].handle);
    CHECK(events[0].handle == first ? events[0].reserved == 0xdeadbeef : events[1].reserved == 0xdeadbeef);
}

static void an_empty_set_waits_for_the_timeout(void)
{
    io_event_t event;
    handle_t set = new_set();
    u32 round, count = 77;
    GIVES(ERR_WOULD_BLOCK, interest_wait(set, &event, 1, 0, &count));
    for (round = 0; round < 5; round++) {
        time_ns before = now(), timeout = round * MILLISECOND + 1;
        GIVES(ERR_TIMEOUT, interest_wait(set, &event, 1, timeout, &count));
        CHECK(now() - before >= timeout);
    }
}

static void members_that_are_not_ready_are_no_events(void)
{
    io_event_t events[4];
    handle_t sender, set = new_set(), receiver = new_receiver(&sender), deadline = never();
    u32 round, count = 77;
    OKAY(interest_add(set, receiver, IO_READABLE | IO_WRITABLE, 1));
    OKAY(interest_add(set, deadline, IO_READABLE, 2));
    OKAY(interest_add(set, sender, IO_READABLE, 3)); /* which a sender never is */
    for (round = 0; round < 3; round++) {
        GIVES(ERR_WOULD_BLOCK, interest_wait(set, events, 4, 0, &count));
        GIVES(ERR_TIMEOUT, interest_wait(set, events, 4, MILLISECOND, &count));
    }
}

static void readiness_stays_until_it_is_used_up(void)
{
    io_event_t event;
    handle_t sender, set = new_set(), receiver = new_receiver(&sender);
    u32 round, count;
    OKAY(interest_add(set, receiver, IO_READABLE, 0));
    put_message(sender);
    put_message(sender);
    for (round = 0; round < 3; round++) {
        OKAY(interest_wait(set, &event, 1, 0, &count));
        EQUAL(event.events, IO_READABLE);
    }
    take_message(receiver);
    OKAY(interest_wait(set, &event, 1, 0, &count));
    take_message(receiver);
    GIVES(ERR_WOULD_BLOCK, interest_wait(set, &event, 1, 0, &count));
    put_message(sender);
    OKAY(interest_wait(set, &event, 1, 0, &count));
}

static void changing_a_member_changes_interest_and_token(void)
{
    io_event_t event;
    handle_t set = new_set(), channel = channel_of(0);
    u32 count = 0;
    OKAY(interest_add(set, channel, IO_READABLE, 1));
    GIVES(ERR_WOULD_BLOCK, interest_wait(set, &event, 1, 0, &count));
    OKAY(interest_modify(set, channel, IO_WRITABLE, 2));
    OKAY(interest_wait(set, &event, 1, 0, &count));
    EQUAL(event.events, IO_WRITABLE);
    EQUAL(event.reserved, 2);
    OKAY(interest_modify(set, channel, 0, 3));
    GIVES(ERR_WOULD_BLOCK, interest_wait(set, &event, 1, 0, &count));
}

static void a_member_that_was_taken_out_is_forgotten(void)
{
    io_event_t event;
    handle_t set = new_set(), channel = channel_of(0);
    u32 count = 0;
    OKAY(interest_add(set, channel, IO_WRITABLE, 1));
    OKAY(interest_wait(set, &event, 1, 0, &count));
    OKAY(interest_remove(set, channel));
    GIVES(ERR_WOULD_BLOCK, interest_wait(set, &event, 1, 0, &count));
    GIVES(ERR_NOENT, interest_remove(set, channel));
    OKAY(interest_add(set, channel, IO_WRITABLE, 2));
    OKAY(interest_wait(set, &event, 1, 0, &count));
    EQUAL(event.reserved, 2);
}

static void what_is_wrong_about_members_is_told(void)
{
    handle_t set = new_set(), channel = channel_of(0), closed = channel_of(0);
    OKAY(ipc_close(closed));
    OKAY(interest_add(set, channel, IO_READABLE, 0));
    FAILS(ERR_BUSY, 2, interest_add(set, channel, IO_READABLE, 0));
    FAILS(ERR_NOENT, 2, interest_modify(set, never(), IO_READABLE, 0));
    FAILS(ERR_NOENT, 2, interest_modify(set, closed, IO_READABLE, 0));
    FAILS(ERR_NOENT, 2, interest_remove(set, 12345));
    FAILS(ERR_UNSUPPORTED, 2, interest_add(set, new_set(), IO_READABLE, 0));
    FAILS(ERR_UNSUPPORTED, 2, interest_add(set, set, IO_READABLE, 0));
    FAILS(ERR_INVALID, 2, interest_add(set, closed, IO_READABLE, 0));
    FAILS(ERR_INVALID, 2, interest_add(set, 0, IO_READABLE, 0));
    FAILS(ERR_INVALID, 3, interest_add(set, channel, 1 << 6, 0));
    FAILS(ERR_INVALID, 3, interest_modify(set, channel, 0xffffffff, 0));
}

static void what_cannot_be_waited_for_is_refused(void)
{
    handle_t handle = 0, set = new_set();
    ptr_t block = 0;
    NEED(mem_alloc(16, 0, &block));
    OKAY(cap_acquire(CAP_IO, &handle));
    FAILS(ERR_INVALID, 2, interest_add(set, handle, IO_READABLE, 0));
    OKAY(mem_share(block, 16, &handle));
    FAILS(ERR_INVALID, 2, interest_add(set, handle, IO_READABLE, 0));
    OKAY(mem_arena_create(0, &handle));
    FAILS(ERR_INVALID, 2, interest_add(set, handle, IO_READABLE, 0));
}

static void events_have_a_place(void)
{
    io_event_t event;
    handle_t set = new_set();
    u32 count = 77;
    OKAY(interest_add(set, channel_of(0), IO_WRITABLE, 0));
    FAILS(ERR_INVALID, 1, interest_create(0));
    FAILS(ERR_INVALID, 3, interest_wait(set, &event, 0, 0, &count));
    FAILS(ERR_INVALID, 2, interest_wait(set, 0, 1, 0, &count));
    FAILS(ERR_INVALID, 2, interest_wait(set, (io_event_t *)NOWHERE, 1, 0, &count));
    FAILS(ERR_INVALID, 5, interest_wait(set, &event, 1, 0, 0));
    EQUAL(count, 77);
}

#define READY 7

static void what_found_no_room_comes_first_in_the_next_call(void)
{
    io_event_t events[2];
    handle_t set = new_set();
    u32 round, at, count, seen = 0;
    for (at = 0; at < READY; at++)
        OKAY(interest_add(set, channel_of(0), IO_WRITABLE, at));
    for (round = 0; round < READY / 2; round++) {
        OKAY(interest_wait(set, events, 2, 0, &count));
        EQUAL(count, 2);
        for (at = 0; at < count; at++) {
            CHECK((seen & 1u << events[at].reserved) == 0);
            seen |= 1u << events[at].reserved;
        }
    }
    OKAY(interest_wait(set, events, 2, 0, &count));
    seen |= 1u << events[0].reserved;
    EQUAL(seen, (1 << READY) - 1);
}

static void all_of_many_get_their_turn(void)
{
    static u32 seen[1000];
    io_event_t events[64];
    handle_t set = new_set();
    u32 at, calls, count, least = ~0u;
    for (at = 0; at < COUNT(seen); at++) {
        seen[at] = 0;
        OKAY(interest_add(set, channel_of(0), IO_WRITABLE, at));
    }
    for (calls = 0; calls < 3 * COUNT(seen) / COUNT(events) + 3; calls++) {
        OKAY(interest_wait(set, events, COUNT(events), 0, &count));
        for (at = 0; at < count; at++)
            seen[events[at].reserved] += 1;
    }
    for (at = 0; at < COUNT(seen); at++)
        least = seen[at] < least ? seen[at] : least;
    CHECK(least >= 3);
}

static void a_closed_handle_leaves_its_sets(void)
{
    io_event_t events[4];
    handle_t set = new_set(), other = new_set(), channel = channel_of(0), again;
    u32 count = 77;
    OKAY(interest_add(set, channel, IO_WRITABLE, 1));
    OKAY(interest_add(other, channel, IO_WRITABLE, 2));
    OKAY(interest_wait(set, events, 4, 0, &count));
    OKAY(ipc_close(channel));
    GIVES(ERR_WOULD_BLOCK, interest_wait(set, events, 4, 0, &count));
    GIVES(ERR_WOULD_BLOCK, interest_wait(other, events, 4, 0, &count));
    /* What takes its place is somebody else. */
    again = channel_of(0);
    GIVES(ERR_WOULD_BLOCK, interest_wait(set, events, 4, 0, &count));
    OKAY(interest_add(set, again, IO_WRITABLE, 3));
    OKAY(interest_wait(set, events, 4, 0, &count));
    EQUAL(events[0].reserved, 3);
}

static void hang_up_is_told_unasked(void)
{
    io_event_t event;
    handle_t sender, set = new_set(), receiver = new_receiver(&sender);
    u32 count = 0;
    OKAY(interest_add(set, receiver, 0, 1));
    GIVES(ERR_WOULD_BLOCK, interest_wait(set, &event, 1, 0, &count));
    OKAY(ipc_close(sender));
    OKAY(interest_wait(set, &event, 1, 0, &count));
    CHECK((event.events & IO_HANGUP) != 0);
}

/* A task that waits for a set. */
struct waiter {
    handle_t set;
    result_t result;
    io_event_t event;
};

static i32 waits(ptr_t argument)
{
    struct waiter *waiter = (struct waiter *)argument;
    u32 count = 0;
    waiter->result = interest_wait(waiter->set, &waiter->event, 1, FOREVER, &count);
    return (i32)count;
}

static void what_becomes_ready_wakes_who_waits(void)
{
    handle_t sender, receiver = new_receiver(&sender), task;
    struct waiter waiter = {new_set(), OK, {0, 0, 0}};
    OKAY(interest_add(waiter.set, receiver, IO_READABLE, 9));
    task = start(waits, &waiter);
    OKAY(task_yield());
    put_message(sender);
    EQUAL(finish(task), 1);
    EQUAL(waiter.event.reserved, 9);
}

static void what_is_added_or_changed_wakes_who_waits(void)
{
    handle_t channel = channel_of(0), task;
    struct waiter waiter = {new_set(), OK, {0, 0, 0}};
    task = start(waits, &waiter);
    OKAY(task_yield());
    OKAY(interest_add(waiter.set, channel, IO_WRITABLE, 1));
    EQUAL(finish(task), 1);
    OKAY(interest_modify(waiter.set, channel, IO_READABLE, 1));
    task = start(waits, &waiter);
    OKAY(task_yield());
    OKAY(interest_modify(waiter.set, channel, IO_WRITABLE, 2));
    EQUAL(finish(task), 1);
    EQUAL(waiter.event.reserved, 2);
}

static void several_tasks_may_wait_for_one_set(void)
{
    handle_t sender, receiver = new_receiver(&sender), tasks[3];
    struct waiter waiters[3];
    handle_t set = new_set();
    u32 at;
    OKAY(interest_add(set, receiver, IO_READABLE, 5));
    for (at = 0; at < COUNT(waiters); at++) {
        waiters[at].set = set;
        tasks[at] = start(waits, &waiters[at]);
    }
    OKAY(task_yield());
    put_message(sender);
    for (at = 0; at < COUNT(waiters); at++) {
        EQUAL(finish(tasks[at]), 1);
        EQUAL(waiters[at].event.reserved, 5);
    }
}

static void a_set_that_is_closed_tells_who_waits(void)
{
    struct waiter waiter = {new_set(), OK, {0, 0, 0}};
    handle_t task = start(waits, &waiter);
    OKAY(task_yield());
    OKAY(io_close(waiter.set));
    EQUAL(finish(task), 0);
    GIVES(ERR_CLOSED, waiter.result);
}

static void a_set_is_readable_while_a_member_is_ready(void)
{
    handle_t sender, set = new_set(), receiver = new_receiver(&sender);
    io_event_t event;
    u32 count;
    OKAY(interest_add(set, receiver, IO_READABLE, 0));
    EQUAL(ready_within(set, IO_READABLE, 0), 0);
    put_message(sender);
    EQUAL(ready_within(set, IO_READABLE, PATIENCE), IO_READABLE);
    EQUAL(ready_within(set, IO_READABLE, 0), IO_READABLE);
    OKAY(interest_wait(set, &event, 1, 0, &count));
    take_message(receiver);
    EQUAL(ready_within(set, IO_READABLE, 0), 0);
}

static void a_handle_may_be_in_several_sets(void)
{
    handle_t sender, receiver = new_receiver(&sender), tasks[2];
    struct waiter waiters[2];
    u32 at;
    for (at = 0; at < 2; at++) {
        waiters[at].set = new_set();
        OKAY(interest_add(waiters[at].set, receiver, IO_READABLE, at));
        tasks[at] = start(waits, &waiters[at]);
    }
    OKAY(task_yield());
    put_message(sender);
    for (at = 0; at < 2; at++) {
        EQUAL(finish(tasks[at]), 1);
        EQUAL(waiters[at].event.reserved, at);
    }
}

static void tasks_and_deadlines_can_be_members(void)
{
    io_event_t events[2];
    handle_t set = new_set(), deadline = 0, task = start(gives_back, 0);
    u32 count = 0;
    OKAY(time_deadline(now() + MILLISECOND, &deadline));
    OKAY(interest_add(set, task, IO_READABLE, 1));
    OKAY(interest_add(set, deadline, IO_READABLE, 2));
    for (count = 0; count < 2;)
        NEED(interest_wait(set, events, 2, PATIENCE, &count)); /* until both are ready */
    OKAY(io_close(deadline));
    EQUAL(finish(task), 0); /* which closes its handle */
    GIVES(ERR_WOULD_BLOCK, interest_wait(set, events, 2, 0, &count));
}

static const struct test interest_tests[] = {
    TEST(events_carry_the_token),
    TEST(an_empty_set_waits_for_the_timeout),
    TEST(members_that_are_not_ready_are_no_events),
    TEST(readiness_stays_until_it_is_used_up),
    TEST(changing_a_member_changes_interest_and_token),
    TEST(a_member_that_was_taken_out_is_forgotten),
    TEST(what_is_wrong_about_members_is_told),
    TEST(what_cannot_be_waited_for_is_refused),
    TEST(events_have_a_place),
    TEST(what_found_no_room_comes_first_in_the_next_call),
    TEST(all_of_many_get_their_turn),
    TEST(a_closed_handle_leaves_its_sets),
    TEST(hang_up_is_told_unasked),
    TEST(what_becomes_ready_wakes_who_waits),
    TEST(what_is_added_or_changed_wakes_who_waits),
    TEST(several_tasks_may_wait_for_one_set),
    TEST(a_set_that_is_closed_tells_who_waits),
    TEST(a_set_is_readable_while_a_member_is_ready),
    TEST(a_handle_may_be_in_several_sets),
    TEST(tasks_and_deadlines_can_be_members),
};
AREA(interest);
