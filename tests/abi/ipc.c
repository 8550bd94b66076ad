/* ipc_*: channels of messages. */
#include "channels.h"

#define DEFAULT_CAPACITY 16
#define LONGEST 65536

static u8 large[LONGEST + 16], received[LONGEST + 1];

/* --- messages ------------------------------------------------------------------------------------------------ */

static void messages_keep_their_order_and_bounds(void)
{
    static const u32 lengths[] = {0, 1, 100, 4096, LONGEST, 3};
    handle_t channel = channel_of(0);
    u32 at;
    size_t len = 77;
    for (at = 0; at < sizeof(large); at++)
        large[at] = (u8)(at * 7 + at / 256);
    for (at = 0; at < COUNT(lengths); at++)
        OKAY(ipc_send(channel, P(large + at), lengths[at], 0));
    for (at = 0; at < COUNT(lengths); at++) {
        fill(received, 0, sizeof(received));
        OKAY(ipc_recv(channel, P(received), LONGEST, &len, 0));
        EQUAL(len, lengths[at]);
        CHECK(same(received, large + at, len));
        EQUAL(received[len], 0); /* nothing is written behind it */
    }
    GIVES(ERR_WOULD_BLOCK, ipc_recv(channel, P(received), LONGEST, &len, IPC_NONBLOCK));
}

static void a_message_has_its_limit(void)
{
    handle_t channel = channel_of(0);
    GIVES(ERR_INVALID, ipc_send(channel, P(large), LONGEST + 1, 0));
    GIVES(ERR_INVALID, ipc_send(channel, P(large), ~0ull, 0));
    EQUAL(ready_within(channel, IO_READABLE, 0), 0);
}

static void a_message_that_does_not_fit_stays(void)
{
    handle_t channel = channel_of(0);
    char bytes[8] = "........";
    size_t len = 0;
    OKAY(put_text(channel, "seven ch", 0));
    GIVES(ERR_INVALID, ipc_recv(channel, P(bytes), 7, &len, 0));
    EQUAL(len, 8);
    GIVES(ERR_INVALID, ipc_recv(channel, 0, 0, &len, IPC_NONBLOCK));
    CHECK(same(bytes, "........", 8));
    OKAY(ipc_recv(channel, P(bytes), 8, &len, 0));
    CHECK(same(bytes, "seven ch", 8));
}

static void places_are_looked_at(void)
{
    handle_t channel = channel_of(0);
    size_t len = 77;
    u8 byte = 0;
    FAILS(ERR_INVALID, 2, ipc_send(channel, 0, 1, 0));
    FAILS(ERR_INVALID, 2, ipc_send(channel, NOWHERE, 1, 0));
    FAILS(ERR_INVALID, 4, ipc_send(channel, P(&byte), 1, 1 << 4));
    OKAY(ipc_send(channel, NOWHERE, 0, 0)); /* nothing may be anywhere */
    FAILS(ERR_INVALID, 2, ipc_recv(channel, 0, 1, &len, 0));
    FAILS(ERR_INVALID, 2, ipc_recv(channel, NOWHERE, 1, &len, 0));
    FAILS(ERR_INVALID, 4, ipc_recv(channel, P(&byte), 1, 0, 0));
    FAILS(ERR_INVALID, 5, ipc_recv(channel, P(&byte), 1, &len, 1 << 4));
    EQUAL(len, 77);
    OKAY(ipc_recv(channel, 0, 0, &len, 0));
    EQUAL(len, 0);
}

/* --- room ---------------------------------------------------------------------------------------------------- */

static void check_capacity(handle_t channel, u32 capacity)
{
    u32 sent = 0;
    size_t len;
    result_t result;
    while ((result = ipc_send(channel, P(&sent), sizeof(sent), IPC_NONBLOCK)) == OK)
        sent += 1;
    GIVES(ERR_WOULD_BLOCK, result);
    EQUAL(sent, capacity);
    EQUAL(ready_within(channel, IO_WRITABLE, 0), 0);
    OKAY(ipc_recv(channel, P(received), LONGEST, &len, 0));
    EQUAL(ready_within(channel, IO_WRITABLE, 0), IO_WRITABLE);
    OKAY(ipc_send(channel, 0, 0, IPC_NONBLOCK));
    GIVES(ERR_WOULD_BLOCK, ipc_send(channel, 0, 0, IPC_NONBLOCK));
}

static void a_channel_holds_as_many_messages_as_asked_for(void)
{
    static const u32 capacities[] = {1, 2, 16, 100, 4096};
    handle_t handle = 77, other = 77;
    u32 at;
    check_capacity(channel_of(0), DEFAULT_CAPACITY);
    for (at = 0; at < COUNT(capacities); at++)
        check_capacity(channel_of(capacities[at]), capacities[at]);
    FAILS(ERR_INVALID, 1, ipc_channel_create(IPC_CAPACITY(4097), &handle));
    FAILS(ERR_INVALID, 1, ipc_channel_create(IPC_CAPACITY(65535), &handle));
    FAILS(ERR_INVALID, 1, ipc_channel_create(1 << 5, &handle));
    FAILS(ERR_INVALID, 2, ipc_channel_create(0, 0));
    FAILS(ERR_INVALID, 1, ipc_channel_pair(IPC_CAPACITY(4097), &handle, &other));
    FAILS(ERR_INVALID, 1, ipc_channel_pair(1 << 5, &handle, &other));
    FAILS(ERR_INVALID, 2, ipc_channel_pair(0, 0, &other));
    FAILS(ERR_INVALID, 3, ipc_channel_pair(0, &handle, 0));
    EQUAL(handle, 77);
    EQUAL(other, 77);
}

/* A task at one end of a channel. */
struct work {
    handle_t channel;
    u32 count;
    u32 done;
    result_t result;
};

static i32 sends_numbers(ptr_t argument)
{
    struct work *work = (struct work *)argument;
    for (; work->done < work->count; work->done++) {
        work->result = ipc_send(work->channel, P(&work->done), sizeof(work->done), 0);
        if (work->result != OK)
            break;
    }
    return 0;
}

static i32 receives_numbers(ptr_t argument)
{
    struct work *work = (struct work *)argument;
    size_t len;
    u32 number;
    for (; work->done < work->count; work->done++) {
        work->result = ipc_recv(work->channel, P(&number), sizeof(number), &len, 0);
        if (work->result != OK || len != sizeof(number) || number != work->done)
            break;
    }
    return 0;
}

static void a_sender_waits_for_room(void)
{
    struct pair pair = narrow_pair();
    struct work work = {pair.sender, 3, 0, OK};
    handle_t task = start(sends_numbers, &work);
    size_t len;
    u32 expected, number;
    for (expected = 0; expected < 3; expected++) {
        OKAY(task_yield());
        EQUAL(work.done, expected < 2 ? expected + 1 : 3); /* one is on its way, and no more */
        OKAY(ipc_recv(pair.receiver, P(&number), sizeof(number), &len, 0));
        EQUAL(number, expected);
    }
    EQUAL(finish(task), 0);
    GIVES(OK, work.result);
}

static void a_receiver_waits_for_a_message(void)
{
    struct pair pair = narrow_pair();
    struct work work = {pair.receiver, 3, 0, OK};
    handle_t task = start(receives_numbers, &work);
    u32 number;
    for (number = 0; number < 3; number++) {
        OKAY(task_yield());
        EQUAL(work.done, number);
        OKAY(ipc_send(pair.sender, P(&number), sizeof(number), 0));
    }
    EQUAL(finish(task), 0);
    EQUAL(work.done, 3);
}

static void many_messages_come_through(void)
{
    static const u32 capacities[] = {1, 3, 64};
    u32 at;
    for (at = 0; at < COUNT(capacities); at++) {
        handle_t channel = channel_of(capacities[at]);
        struct work source = {channel, 5000, 0, OK}, sink = {channel, 5000, 0, OK};
        handle_t tasks[2];
        tasks[0] = start(sends_numbers, &source);
        tasks[1] = start(receives_numbers, &sink);
        EQUAL(finish(tasks[0]), 0);
        EQUAL(finish(tasks[1]), 0);
        EQUAL(sink.done, 5000);
    }
}

/* One of several tasks that wait with one handle. */
struct queued {
    handle_t channel;
    u32 number, got;
};

static i32 sends_its_number(ptr_t argument)
{
    struct queued *queued = (struct queued *)argument;
    OKAY(ipc_send(queued->channel, P(&queued->number), sizeof(u32), 0));
    return 0;
}

static i32 receives_a_number(ptr_t argument)
{
    struct queued *queued = (struct queued *)argument;
    size_t len;
    OKAY(ipc_recv(queued->channel, P(&queued->got), sizeof(u32), &len, 0));
    return 0;
}

static void who_waits_first_is_first(void)
{
    struct pair pair = narrow_pair();
    struct queued queued[4];
    handle_t tasks[4];
    u32 at, number = 77;
    size_t len;
    OKAY(ipc_send(pair.sender, P(&number), sizeof(number), 0));
    for (at = 0; at < 4; at++) {
        queued[at] = (struct queued){pair.sender, at, 77};
        tasks[at] = start(sends_its_number, &queued[at]);
    }
    OKAY(task_yield());
    GIVES(ERR_WOULD_BLOCK, ipc_send(pair.sender, 0, 0, IPC_NONBLOCK));
    for (at = 0; at < 5; at++) {
        OKAY(ipc_recv(pair.receiver, P(&number), sizeof(number), &len, 0));
        EQUAL(number, at == 0 ? 77 : at - 1);
    }
    for (at = 0; at < 4; at++) {
        EQUAL(finish(tasks[at]), 0);
        queued[at].channel = pair.receiver;
        tasks[at] = start(receives_a_number, &queued[at]);
    }
    OKAY(task_yield());
    for (at = 0; at < 4; at++)
        OKAY(ipc_send(pair.sender, P(&at), sizeof(at), 0));
    for (at = 0; at < 4; at++) {
        EQUAL(finish(tasks[at]), 0);
        EQUAL(queued[at].got, at);
    }
}

static void who_is_cancelled_takes_no_message_along(void)
{
    struct pair pair = narrow_pair();
    struct queued queued[2] = {{pair.receiver, 0, 77}, {pair.receiver, 1, 77}};
    handle_t tasks[2];
    u32 number = 5;
    tasks[0] = start(receives_a_number, &queued[0]);
    tasks[1] = start(receives_a_number, &queued[1]);
    OKAY(task_yield());
    OKAY(ipc_send(pair.sender, P(&number), sizeof(number), 0));
    OKAY(task_cancel(tasks[0]));
    EQUAL((u32)finish(tasks[0]), (u32)TASK_CANCELLED);
    EQUAL(finish(tasks[1]), 0);
    EQUAL(queued[1].got, 5);
}

/* --- ends ---------------------------------------------------------------------------------------------------- */

static void ends_have_their_direction(void)
{
    struct pair pair = narrow_pair();
    size_t len = 0;
    CHECK(pair.sender != pair.receiver);
    FAILS(ERR_PERMISSION, 1, put_text(pair.receiver, "no", 0));
    FAILS(ERR_PERMISSION, 1, ipc_recv(pair.sender, P(received), 10, &len, 0));
    EQUAL(ready_within(pair.sender, IO_READABLE | IO_WRITABLE, 0), IO_WRITABLE);
    EQUAL(ready_within(pair.receiver, IO_READABLE | IO_WRITABLE, 0), 0);
    OKAY(put_text(pair.sender, "yes", 0));
    EQUAL(ready_within(pair.receiver, IO_READABLE | IO_WRITABLE, 0), IO_READABLE);
    EQUAL(ready_within(pair.sender, IO_READABLE | IO_WRITABLE, 0), 0);
    take_text(pair.receiver, "yes");
}

static void what_was_sent_before_the_end_is_received(void)
{
    handle_t sender = 0, receiver = 0;
    size_t len = 77;
    NEED(ipc_channel_pair(0, &sender, &receiver));
    OKAY(put_text(sender, "one", 0));
    OKAY(put_text(sender, "two", 0));
    OKAY(ipc_close(sender));
    EQUAL(ready_within(receiver, IO_READABLE, 0), IO_READABLE | IO_HANGUP);
    take_text(receiver, "one");
    take_text(receiver, "two");
    GIVES(ERR_CLOSED, ipc_recv(receiver, P(received), 10, &len, 0));
    GIVES(ERR_CLOSED, ipc_recv(receiver, P(received), 10, &len, IPC_NONBLOCK));
    EQUAL(len, 77);
    CHECK((ready_within(receiver, IO_READABLE, 0) & IO_HANGUP) != 0);
}

static void nobody_sends_to_nobody(void)
{
    struct pair pair = narrow_pair();
    OKAY(put_text(pair.sender, "lost", 0));
    OKAY(ipc_close(pair.receiver));
    GIVES(ERR_CLOSED, put_text(pair.sender, "more", 0));
    GIVES(ERR_CLOSED, put_text(pair.sender, "more", IPC_NONBLOCK));
    CHECK((ready_within(pair.sender, IO_WRITABLE, 0) & IO_HANGUP) != 0);
}

static void the_other_end_wakes_who_waits(void)
{
    struct pair pair = narrow_pair();
    struct work source = {pair.sender, 2, 0, OK}, sink = {0, 1, 0, OK};
    handle_t task = start(sends_numbers, &source);
    OKAY(task_yield());
    OKAY(ipc_close(pair.receiver));
    EQUAL(finish(task), 0);
    GIVES(ERR_CLOSED, source.result);
    pair = narrow_pair();
    sink.channel = pair.receiver;
    task = start(receives_numbers, &sink);
    OKAY(task_yield());
    OKAY(ipc_close(pair.sender));
    EQUAL(finish(task), 0);
    GIVES(ERR_CLOSED, sink.result);
}

static void one_handle_is_both_ends(void)
{
    handle_t channel = channel_of(2);
    EQUAL(channel >> 56, HANDLE_IPC);
    OKAY(put_text(channel, "to myself", 0));
    EQUAL(ready_within(channel, IO_READABLE | IO_WRITABLE, 0), IO_READABLE | IO_WRITABLE);
    take_text(channel, "to myself");
    OKAY(ipc_close(channel));
    FAILS(ERR_INVALID, 1, put_text(channel, "gone", 0));
    FAILS(ERR_INVALID, 1, ipc_close(channel));
}

static const struct test ipc_tests[] = {
    TEST(messages_keep_their_order_and_bounds),
    TEST(a_message_has_its_limit),
    TEST(a_message_that_does_not_fit_stays),
    TEST(places_are_looked_at),
    TEST(a_channel_holds_as_many_messages_as_asked_for),
    TEST(a_sender_waits_for_room),
    TEST(a_receiver_waits_for_a_message),
    TEST(many_messages_come_through),
    TEST(who_waits_first_is_first),
    TEST(who_is_cancelled_takes_no_message_along),
    TEST(ends_have_their_direction),
    TEST(what_was_sent_before_the_end_is_received),
    TEST(nobody_sends_to_nobody),
    TEST(the_other_end_wakes_who_waits),
    TEST(one_handle_is_both_ends),
};
AREA(ipc);
