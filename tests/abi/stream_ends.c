/* net_*: how connections fail: nobody is there, nobody answers, the other side has gone. */
#include "sockets.h"

/* --- nobody answers ---------------------------------------------------------------------------------------------- */

static void nobody_listens(void)
{
    u32 at;
    for (at = 0; at < DOMAINS; at++) {
        handle_t listener = listener_of(domains[at]), client = new_socket(domains[at], NET_STREAM);
        struct address address = local_of(listener);
        u64 error = 77;
        note_about(domain_names[at]);
        OKAY(net_close(listener));
        GIVES(ERR_IO, connect_to(client, &address));
        OKAY(net_get_option(client, NET_OPT_ERROR, &error));
        EQUAL(error, ERR_IO);
        CHECK((ready_within(client, IO_WRITABLE, PATIENCE) & IO_ERROR) != 0);
        GIVES(ERR_IO, net_send(client, P("x"), 1, 0, 0));
    }
}

#define BACKLOG 2

/* Begins to connect, and does not wait. */
static handle_t begin_to_connect(const struct address *address)
{
    handle_t client = new_socket(NET_INET, NET_STREAM);
    OKAY(net_set_option(client, NET_OPT_NONBLOCK, 1));
    GIVES(ERR_WOULD_BLOCK, connect_to(client, address));
    return client;
}

/* A listener for whom as many connections wait as may. */
struct crowd {
    handle_t listener, beyond; /* which has found no room */
    struct address address;
    u32 taken;
};

static struct crowd crowded_listener(void)
{
    struct crowd crowd = {new_socket(NET_INET, NET_STREAM), 0, loopback(NET_INET, 0), 0};
    OKAY(bind_to(crowd.listener, &crowd.address));
    OKAY(net_listen(crowd.listener, BACKLOG));
    crowd.address = local_of(crowd.listener);
    for (; crowd.taken < BACKLOG; crowd.taken++) {
        EQUAL(ready_within(begin_to_connect(&crowd.address), IO_WRITABLE, PATIENCE), IO_WRITABLE);
        pause_for(10 * MILLISECOND); /* the listener knows of it a little later than the client */
    }
    /* Some take one more than they were told. */
    for (; crowd.taken < BACKLOG + 3; crowd.taken++) {
        crowd.beyond = begin_to_connect(&crowd.address);
        if (ready_within(crowd.beyond, IO_WRITABLE, 50 * MILLISECOND) == 0)
            break;
    }
    CHECK(crowd.taken <= BACKLOG + 1);
    return crowd;
}

static void a_connection_beyond_the_backlog_waits_for_room(void)
{
    struct crowd crowd = crowded_listener();
    handle_t server = 0;
    u32 at;
    for (at = 0; at <= crowd.taken; at++) {
        OKAY(net_accept(crowd.listener, 0, &server, 0, 0));
        if (at == 0)
            EQUAL(ready_within(crowd.beyond, IO_WRITABLE, PATIENCE), IO_WRITABLE);
    }
    GIVES(ERR_WOULD_BLOCK, net_accept(crowd.listener, NET_NONBLOCK, &server, 0, 0));
    send_text(crowd.beyond, "taken after all");
    expect_text(server, "taken after all"); /* the last that was accepted */
}

static void expect_timed_out(handle_t client)
{
    u64 error = 77;
    u8 byte = 0;
    size_t len;
    OKAY(net_get_option(client, NET_OPT_ERROR, &error));
    EQUAL(error, ERR_TIMEOUT);
    CHECK((ready_within(client, IO_WRITABLE, 0) & IO_ERROR) != 0);
    GIVES(ERR_TIMEOUT, net_send(client, P(&byte), 1, 0, &len));
    GIVES(ERR_TIMEOUT, net_recv(client, P(&byte), 1, 0, &len));
}

static void a_connection_that_nobody_answers_is_given_up_in_time(void)
{
    struct crowd crowd = crowded_listener();
    handle_t client = new_socket(NET_INET, NET_STREAM);
    time_ns before = now(), limit = 60 * MILLISECOND;
    OKAY(net_set_option(client, NET_OPT_TIMEOUT_NS, limit));
    GIVES(ERR_TIMEOUT, connect_to(client, &crowd.address));
    CHECK(now() - before >= limit && now() - before < 10 * SECOND);
    expect_timed_out(client);
    GIVES(ERR_INVALID, connect_to(client, &crowd.address));
    /* The other one has been waiting without a limit of its own: it gets one now. */
    EQUAL(ready_within(crowd.beyond, IO_WRITABLE, 0), 0);
    OKAY(net_set_option(crowd.beyond, NET_OPT_TIMEOUT_NS, limit));
    CHECK((ready_within(crowd.beyond, IO_WRITABLE, 10 * SECOND) & IO_ERROR) != 0);
    expect_timed_out(crowd.beyond);
}

/* --- the other side has gone ------------------------------------------------------------------------------------- */

/* Bytes that were on their way to somebody who has gone are lost: who sent them is told. */
static void closing_with_something_unread_resets_the_connection(void)
{
    u32 at, events;
    for (at = 0; at < DOMAINS; at++) {
        struct link link = new_link(domains[at]);
        struct talker talker = {link.client, OK};
        handle_t task = start(receives_one, &talker);
        u64 error = 77;
        u8 byte = 0;
        size_t len = 77;
        note_about(domain_names[at]);
        send_text(link.client, "never read");
        EQUAL(ready_within(link.server, IO_READABLE, PATIENCE), IO_READABLE);
        OKAY(net_close(link.server));
        finish(task);
        GIVES(ERR_IO, talker.result);
        events = ready_within(link.client, IO_READABLE, 0);
        EQUAL(events & (IO_HANGUP | IO_ERROR), IO_HANGUP | IO_ERROR);
        OKAY(net_get_option(link.client, NET_OPT_ERROR, &error));
        EQUAL(error, ERR_IO);
        GIVES(ERR_IO, net_recv(link.client, P(&byte), 1, 0, &len));
        GIVES(ERR_IO, net_send(link.client, P(&byte), 1, 0, &len));
        GIVES(ERR_IO, net_shutdown(link.client, NET_SHUT_WRITE));
        EQUAL(len, 77);
    }
}

static void a_peer_that_is_gone_is_noticed(void)
{
    struct link link = new_link(NET_INET);
    u32 round, events;
    result_t result = OK;
    OKAY(net_close(link.server));
    events = ready_within(link.client, IO_READABLE, PATIENCE);
    CHECK((events & IO_READABLE) != 0);
    expect_end(link.client);
    /* The first bytes may still go out; the answer to them is a reset. */
    for (round = 0; round < 1000 && result == OK; round++) {
        result = net_send(link.client, P("anybody?"), 8, 0, 0);
        pause_for(100000);
    }
    CHECK(result == ERR_IO || result == ERR_CLOSED);
    CHECK((ready_within(link.client, IO_WRITABLE, PATIENCE) & (IO_HANGUP | IO_ERROR)) != 0);
}

static const struct test stream_ends_tests[] = {
    TEST(nobody_listens),
    TEST(a_connection_beyond_the_backlog_waits_for_room),
    TEST(a_connection_that_nobody_answers_is_given_up_in_time),
    TEST(closing_with_something_unread_resets_the_connection),
    TEST(a_peer_that_is_gone_is_noticed),
};
AREA(stream_ends);
