/* ipc_send_handles and ipc_recv_handles: handles that travel in messages. */
#include "channels.h"

#define LONGEST 65536

static u8 large[LONGEST + 1], received[100];

/* Sends handles from this task to itself. */
static u32 pass(handle_t channel, handle_t *handles, u32 count, handle_t *out)
{
    size_t len = 0;
    u32 got = 0;
    OKAY(ipc_send_handles(channel, 0, 0, handles, count, 0));
    OKAY(ipc_recv_handles(channel, 0, 0, &len, out, 8, &got, 0));
    return got;
}

static void handles_travel_in_messages(void)
{
    handle_t channel = channel_of(0), sent[5], got[8];
    ptr_t block = 0;
    u32 at;
    sent[0] = never();
    OKAY(net_socket(NET_INET, NET_DGRAM, 0, &sent[1]));
    sent[2] = channel_of(0);
    OKAY(interest_create(&sent[3]));
    OKAY(mem_alloc(64, 0, &block));
    OKAY(mem_share(block, 64, &sent[4]));
    EQUAL(pass(channel, sent, 5, got), 5);
    for (at = 0; at < 5; at++) {
        CHECK(got[at] != sent[at]);
        EQUAL(got[at] >> 56, sent[at] >> 56);
        FAILS(ERR_INVALID, 1, handle_close(sent[at]));
        OKAY(handle_close(got[at]));
    }
}

static void a_channel_works_where_it_arrives(void)
{
    handle_t channel = channel_of(0), got = 0;
    struct pair pair = narrow_pair();
    OKAY(put_text(pair.sender, "in the pipe", 0));
    EQUAL(pass(channel, &pair.receiver, 1, &got), 1);
    take_text(got, "in the pipe");
    OKAY(put_text(pair.sender, "and after", 0));
    take_text(got, "and after");
    OKAY(ipc_close(got));
    GIVES(ERR_CLOSED, put_text(pair.sender, "nobody", 0));
}

static void what_may_not_travel_stays(void)
{
    handle_t channel = channel_of(0), handles[9], task, span = 0;
    u32 at;
    task = start(waits_for_ever, 0);
    OKAY(cap_acquire(CAP_IPC, &handles[0]));
    OKAY(task_self(&handles[1]));
    handles[2] = task;
    handles[3] = channel;
    handles[4] = 0;
    handles[5] = ~0ull;
    handles[6] = never();
    OKAY(io_close(handles[6]));
    OKAY(trace_enable(1));
    OKAY(trace_span_begin(P("span"), 4, &span));
    OKAY(trace_enable(0));
    handles[7] = span;
    for (at = 0; at < 8; at++) {
        handle_t list[2];
        list[0] = never();
        list[1] = handles[at];
        FAILS(ERR_INVALID, 4, ipc_send_handles(channel, 0, 0, list, 2, IPC_NONBLOCK));
        OKAY(handle_close(list[0])); /* not even the good one has gone */
    }
    OKAY(task_cancel(task));
    handles[0] = handles[1] = never();
    FAILS(ERR_INVALID, 4, ipc_send_handles(channel, 0, 0, handles, 2, IPC_NONBLOCK));
    OKAY(handle_close(handles[0]));
}

static void eight_handles_travel_and_no_ninth(void)
{
    handle_t channel = channel_of(0), handles[9], got[8];
    u32 at;
    for (at = 0; at < 9; at++)
        handles[at] = never();
    FAILS(ERR_INVALID, 5, ipc_send_handles(channel, 0, 0, handles, 9, 0));
    EQUAL(pass(channel, handles, 8, got), 8);
    OKAY(handle_close(handles[8]));
    EQUAL(pass(channel, got, 0, handles), 0);
    FAILS(ERR_INVALID, 4, ipc_send_handles(channel, 0, 0, 0, 1, 0));
    FAILS(ERR_INVALID, 4, ipc_send_handles(channel, 0, 0, (handle_t *)NOWHERE, 1, 0));
}

static void a_send_that_fails_takes_nothing_along(void)
{
    struct pair pair = narrow_pair();
    handle_t handle = never();
    OKAY(put_text(pair.sender, "full", 0));
    GIVES(ERR_WOULD_BLOCK, ipc_send_handles(pair.sender, 0, 0, &handle, 1, IPC_NONBLOCK));
    GIVES(ERR_INVALID, ipc_send_handles(pair.sender, P(large), LONGEST + 1, &handle, 1, 0));
    OKAY(ipc_close(pair.receiver));
    GIVES(ERR_CLOSED, ipc_send_handles(pair.sender, 0, 0, &handle, 1, 0));
    OKAY(handle_close(handle));
}

static void handles_need_room_where_they_arrive(void)
{
    handle_t channel = channel_of(0), handles[2], got[2] = {7, 7};
    size_t len = 77;
    u32 count = 77;
    handles[0] = never();
    handles[1] = never();
    OKAY(ipc_send_handles(channel, P("ab"), 2, handles, 2, 0));
    GIVES(ERR_INVALID, ipc_recv_handles(channel, P(received), 10, &len, got, 1, &count, 0));
    EQUAL(count, 2);
    GIVES(ERR_INVALID, ipc_recv_handles(channel, P(received), 1, &len, got, 2, &count, 0));
    EQUAL(len, 2);
    EQUAL(got[0], 7);
    FAILS(ERR_INVALID, 7, ipc_recv_handles(channel, P(received), 10, &len, got, 2, 0, 0));
    FAILS(ERR_INVALID, 5, ipc_recv_handles(channel, P(received), 10, &len, 0, 2, &count, 0));
    OKAY(ipc_recv_handles(channel, P(received), 10, &len, got, 2, &count, 0));
    EQUAL(count, 2);
    OKAY(handle_close(got[0]));
    OKAY(handle_close(got[1]));
}

/* Whether the other end of a pair has been closed. */
static void expect_closed(handle_t sender)
{
    GIVES(ERR_CLOSED, put_text(sender, "hello?", IPC_NONBLOCK));
}

static void handles_that_nobody_takes_are_closed(void)
{
    handle_t channel = channel_of(0);
    struct pair unwanted = narrow_pair(), lost = narrow_pair();
    size_t len;
    OKAY(ipc_send_handles(channel, 0, 0, &unwanted.receiver, 1, 0));
    OKAY(put_text(unwanted.sender, "still there", IPC_NONBLOCK));
    OKAY(ipc_recv(channel, 0, 0, &len, 0));
    expect_closed(unwanted.sender);
    OKAY(ipc_send_handles(channel, 0, 0, &lost.receiver, 1, 0));
    OKAY(ipc_close(channel));
    expect_closed(lost.sender);
}

struct parcel {
    handle_t channel;
    handle_t inside;
};

static i32 takes_and_ends(ptr_t argument)
{
    struct parcel *parcel = (struct parcel *)argument;
    size_t len;
    u32 count;
    OKAY(ipc_recv_handles(parcel->channel, 0, 0, &len, &parcel->inside, 1, &count, 0));
    EQUAL(count, 1);
    return 0;
}

static void handles_belong_to_who_receives_them(void)
{
    struct parcel parcel = {channel_of(0), 0};
    struct pair pair = narrow_pair();
    OKAY(ipc_send_handles(parcel.channel, 0, 0, &pair.receiver, 1, 0));
    EQUAL(run(takes_and_ends, &parcel), 0);
    FAILS(ERR_INVALID, 1, handle_close(parcel.inside));
    expect_closed(pair.sender);
}

static i32 serves_one(ptr_t argument)
{
    handle_t request = *(handle_t *)argument, reply = 0;
    char bytes[32];
    size_t len;
    u32 count;
    OKAY(ipc_recv_handles(request, P(bytes), sizeof(bytes), &len, &reply, 1, &count, 0));
    EQUAL(count, 1);
    OKAY(ipc_send(reply, P(bytes), len, 0));
    return 0;
}

static void an_answer_comes_over_a_channel_in_the_question(void)
{
    handle_t request = channel_of(0), task = start(serves_one, &request);
    struct pair reply = narrow_pair();
    OKAY(ipc_send_handles(request, P("question"), 8, &reply.sender, 1, 0));
    take_text(reply.receiver, "question");
    EQUAL(finish(task), 0);
    GIVES(ERR_CLOSED, ipc_recv(reply.receiver, P(received), 1, &(size_t){0}, 0));
}

static i32 receives_with(ptr_t argument)
{
    u8 byte;
    size_t len = 0;
    return (i32)ipc_recv(*(handle_t *)argument, P(&byte), 1, &len, 0);
}

static void who_waits_with_a_handle_that_leaves_is_told(void)
{
    handle_t channel = channel_of(0), got = 0, task;
    struct pair pair = narrow_pair();
    task = start(receives_with, &pair.receiver);
    OKAY(task_yield());
    EQUAL(pass(channel, &pair.receiver, 1, &got), 1);
    EQUAL(finish(task), ERR_CLOSED);
    OKAY(put_text(pair.sender, "for the new one", 0));
    take_text(got, "for the new one");
}

/* Channels in each other's messages would keep each other for ever. */
static void no_circle_can_be_made(void)
{
    struct pair outer = narrow_pair(), inner = narrow_pair(), other = narrow_pair();
    OKAY(ipc_send_handles(inner.sender, 0, 0, &other.receiver, 1, 0));
    GIVES(ERR_BUSY, ipc_send_handles(outer.sender, 0, 0, &inner.receiver, 1, 0));
    inner = narrow_pair();
    OKAY(ipc_send_handles(outer.sender, 0, 0, &inner.receiver, 1, 0));
    GIVES(ERR_BUSY, ipc_send_handles(inner.sender, 0, 0, &outer.receiver, 1, 0));
    OKAY(put_text(inner.sender, "texts are fine", 0));
    OKAY(ipc_close(outer.receiver));
    GIVES(ERR_CLOSED, put_text(inner.sender, "gone with it", IPC_NONBLOCK));
}

#define MANY 70000

static void a_message_waits_for_room_in_the_table(void)
{
    handle_t channel = channel_of(0), travelling[2], got[2] = {0, 0}, *handles;
    ptr_t list = 0;
    size_t len = 77;
    u32 count = 0, taken = 77, at;
    travelling[0] = never();
    travelling[1] = never();
    NEED(mem_alloc(MANY * sizeof(handle_t), 0, &list));
    handles = (handle_t *)list;
    OKAY(ipc_send_handles(channel, P("ab"), 2, travelling, 2, 0));
    while (count < MANY && interest_create(&handles[count]) == OK)
        count += 1;
    OKAY(handle_close(handles[--count])); /* room for one of them */
    GIVES(ERR_NOMEM, ipc_recv_handles(channel, P(received), 10, &len, got, 2, &taken, 0));
    for (at = 0; at < count; at++)
        OKAY(handle_close(handles[at]));
    OKAY(ipc_recv_handles(channel, P(received), 10, &len, got, 2, &taken, 0));
    EQUAL(taken, 2);
    OKAY(handle_close(got[0]));
    OKAY(handle_close(got[1]));
}

static const struct test ipc_handles_tests[] = {
    TEST(handles_travel_in_messages),
    TEST(a_channel_works_where_it_arrives),
    TEST(what_may_not_travel_stays),
    TEST(eight_handles_travel_and_no_ninth),
    TEST(a_send_that_fails_takes_nothing_along),
    TEST(handles_need_room_where_they_arrive),
    TEST(handles_that_nobody_takes_are_closed),
    TEST(handles_belong_to_who_receives_them),
    TEST(an_answer_comes_over_a_channel_in_the_question),
    TEST(who_waits_with_a_handle_that_leaves_is_told),
    TEST(no_circle_can_be_made),
    TEST(a_message_waits_for_room_in_the_table),
};
AREA(ipc_handles);
