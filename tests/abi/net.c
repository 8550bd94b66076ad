/* net_*: sockets, their addresses and options. Streams, datagrams and names have files of their own. */
#include "sockets.h"

/* --- sockets and addresses --------------------------------------------------------------------------------------- */

static void sockets_are_streams_or_datagrams(void)
{
    static const u32 good[][3] = {{NET_INET, NET_STREAM, 0},        {NET_INET, NET_STREAM, NET_TCP},
                                  {NET_INET, NET_DGRAM, 0},         {NET_INET, NET_DGRAM, NET_UDP},
                                  {NET_INET6, NET_STREAM, NET_TCP}, {NET_INET6, NET_DGRAM, NET_UDP}};
    static const u32 bad[][3] = {{0, NET_STREAM, 0},
                                 {1, NET_STREAM, 0},
                                 {11, NET_DGRAM, 0},
                                 {0xffffffff, NET_DGRAM, 0},
                                 {NET_INET, 0, 0},
                                 {NET_INET, 3, 0},
                                 {NET_INET, 0xffffffff, 0},
                                 {NET_INET, NET_STREAM, NET_UDP},
                                 {NET_INET, NET_DGRAM, NET_TCP},
                                 {NET_INET6, NET_STREAM, 1},
                                 {NET_INET6, NET_DGRAM, 0xffffffff}};
    handle_t socket = 77;
    u32 at;
    for (at = 0; at < COUNT(bad); at++)
        GIVES(ERR_UNSUPPORTED, net_socket(bad[at][0], bad[at][1], bad[at][2], &socket));
    FAILS(ERR_INVALID, 4, net_socket(NET_INET, NET_STREAM, 0, 0));
    EQUAL(socket, 77);
    for (at = 0; at < COUNT(good); at++) {
        OKAY(net_socket(good[at][0], good[at][1], good[at][2], &socket));
        OKAY(net_close(socket));
        FAILS(ERR_INVALID, 1, net_close(socket));
    }
}

static void addresses_have_three_forms(void)
{
    net_addr_v4_packed_t packed = {{127, 0, 0, 1}, {9200 >> 8, 9200 & 0xff}};
    struct address numbers = loopback(NET_INET, 9200), local, six = loopback(NET_INET6, 9200);
    handle_t socket = new_socket(NET_INET, NET_DGRAM);
    OKAY(net_bind(socket, P(&packed), sizeof(packed)));
    local = local_of(socket);
    CHECK(same_address(&local, &numbers));
    GIVES(ERR_BUSY, bind_to(new_socket(NET_INET, NET_DGRAM), &numbers));
    OKAY(net_close(socket));
    socket = new_socket(NET_INET, NET_DGRAM);
    OKAY(bind_to(socket, &numbers));
    OKAY(net_close(socket));
    socket = new_socket(NET_INET6, NET_DGRAM);
    OKAY(bind_to(socket, &six));
    local = local_of(socket);
    CHECK(same_address(&local, &six));
}

static void other_forms_are_refused(void)
{
    struct address address = loopback(NET_INET, 9201), six = loopback(NET_INET6, 9201);
    handle_t socket = new_socket(NET_INET, NET_DGRAM), wide = new_socket(NET_INET6, NET_DGRAM);
    u32 len;
    for (len = 0; len < 40; len++) {
        if (len != 6 && len != 8)
            FAILS(ERR_INVALID, 3, net_bind(socket, P(&address.is), len));
        if (len != 24)
            FAILS(ERR_INVALID, 3, net_bind(wide, P(&six.is), len));
    }
    FAILS(ERR_INVALID, 3, net_bind(socket, P(&address.is), 0xffffffff));
    FAILS(ERR_INVALID, 2, net_bind(socket, 0, 8));
    FAILS(ERR_INVALID, 2, net_bind(socket, NOWHERE, 8));
    FAILS(ERR_INVALID, 2, net_connect(socket, NOWHERE, 6));
    six.is.v6.scope = 7;
    FAILS(ERR_INVALID, 2, bind_to(wide, &six));
}

static void addresses_are_taken_once(void)
{
    u32 at;
    for (at = 0; at < DOMAINS; at++) {
        struct address any = loopback(domains[at], 0), taken;
        handle_t first = new_socket(domains[at], NET_DGRAM), second = new_socket(domains[at], NET_DGRAM);
        handle_t stream = new_socket(domains[at], NET_STREAM), other = new_socket(domains[at], NET_STREAM);
        note_about(domain_names[at]);
        OKAY(bind_to(first, &any));
        taken = local_of(first);
        CHECK(port_of(&taken) != 0);
        FAILS(ERR_INVALID, 1, bind_to(first, &any)); /* it has one */
        FAILS(ERR_BUSY, 2, bind_to(second, &taken));
        OKAY(bind_to(stream, &taken)); /* ports of streams are others */
        GIVES(ERR_BUSY, bind_to(other, &taken));
        OKAY(net_close(first));
        OKAY(bind_to(second, &taken));
        OKAY(net_close(stream));
        OKAY(bind_to(other, &taken));
    }
}

static void only_own_addresses_are_taken(void)
{
    struct address address = loopback(NET_INET, 9202);
    address.is.v4.ip4 = NET_IP4(192, 0, 2, 77);
    FAILS(ERR_INVALID, 2, bind_to(new_socket(NET_INET, NET_DGRAM), &address));
    FAILS(ERR_INVALID, 2, bind_to(new_socket(NET_INET, NET_STREAM), &address));
    address = loopback(NET_INET6, 9202);
    address.is.v6.ip[0] = 0x20;
    address.is.v6.ip[1] = 0x01;
    FAILS(ERR_INVALID, 2, bind_to(new_socket(NET_INET6, NET_DGRAM), &address));
    address = loopback(NET_INET, 9202);
    address.is.v4.ip4 = 0;
    OKAY(bind_to(new_socket(NET_INET, NET_DGRAM), &address));
}

static void addresses_need_room(void)
{
    u32 at;
    for (at = 0; at < DOMAINS; at++) {
        handle_t socket = bound_datagrams(domains[at]);
        struct address full = local_of(socket), room;
        u32 len;
        note_about(domain_names[at]);
        EQUAL(full.length, domains[at] == NET_INET ? 8 : 24);
        for (len = 0; len < full.length; len++) {
            u32 given = len;
            FAILS(ERR_INVALID, 3, net_local_address(socket, P(&room.is), &given));
        }
        len = full.length;
        OKAY(net_local_address(socket, P(&room.is), &len));
        FAILS(ERR_INVALID, 2, net_local_address(socket, 0, &len));
        FAILS(ERR_INVALID, 3, net_local_address(socket, P(&room.is), 0));
        FAILS(ERR_INVALID, 1, net_peer_address(socket, P(&room.is), &len)); /* there is no peer */
    }
}

/* --- options ----------------------------------------------------------------------------------------------------- */

static u64 option_of(handle_t socket, u32 option)
{
    u64 value = ~0ull;
    OKAY(net_get_option(socket, option, &value));
    return value;
}

static void options_start_as_the_header_says(void)
{
    handle_t socket = new_socket(NET_INET, NET_STREAM);
    EQUAL(option_of(socket, NET_OPT_NODELAY), 1);
    EQUAL(option_of(socket, NET_OPT_KEEPALIVE_NS), 0);
    EQUAL(option_of(socket, NET_OPT_NONBLOCK), 0);
    EQUAL(option_of(socket, NET_OPT_ERROR), OK);
    CHECK(option_of(socket, NET_OPT_RECEIVE_BUFFER) >= 1024);
    CHECK(option_of(socket, NET_OPT_SEND_BUFFER) >= 1024);
}

static void options_keep_what_they_are_given(void)
{
    static const u64 values[][2] = {{NET_OPT_NODELAY, 0},
                                    {NET_OPT_NODELAY, 1},
                                    {NET_OPT_KEEPALIVE_NS, 10 * SECOND},
                                    {NET_OPT_KEEPALIVE_NS, 0},
                                    {NET_OPT_TIMEOUT_NS, 30 * SECOND},
                                    {NET_OPT_RECEIVE_BUFFER, 32768},
                                    {NET_OPT_SEND_BUFFER, 65536},
                                    {NET_OPT_NONBLOCK, 1},
                                    {NET_OPT_NONBLOCK, 0}};
    handle_t socket = new_socket(NET_INET, NET_STREAM), datagrams = new_socket(NET_INET, NET_DGRAM);
    u32 at;
    for (at = 0; at < COUNT(values); at++) {
        OKAY(net_set_option(socket, (u32)values[at][0], values[at][1]));
        EQUAL(option_of(socket, (u32)values[at][0]), values[at][1]);
    }
    OKAY(net_set_option(datagrams, NET_OPT_NONBLOCK, 1));
    EQUAL(option_of(datagrams, NET_OPT_NONBLOCK), 1);
}

static void options_work_on_connections(void)
{
    handle_t listener = listener_of(NET_INET);
    struct link link = connected(listener, NET_INET);
    OKAY(net_set_option(link.client, NET_OPT_NODELAY, 0));
    OKAY(net_set_option(link.client, NET_OPT_NODELAY, 1));
    OKAY(net_set_option(link.client, NET_OPT_KEEPALIVE_NS, 5 * SECOND));
    OKAY(net_set_option(link.client, NET_OPT_TIMEOUT_NS, 5 * SECOND));
    CHECK(net_set_option(link.client, NET_OPT_RECEIVE_BUFFER, 4096) != OK); /* too late */
    CHECK(net_set_option(listener, NET_OPT_SEND_BUFFER, 4096) != OK);
    send_text(link.client, "works");
    expect_text(link.server, "works");
}

static void options_that_there_are_not_are_refused(void)
{
    handle_t socket = new_socket(NET_INET, NET_STREAM), datagrams = new_socket(NET_INET, NET_DGRAM);
    u64 value = 77;
    FAILS(ERR_UNSUPPORTED, 2, net_set_option(socket, 0, 1));
    FAILS(ERR_UNSUPPORTED, 2, net_set_option(socket, 8, 1));
    FAILS(ERR_UNSUPPORTED, 2, net_set_option(socket, 0xffffffff, 1));
    FAILS(ERR_UNSUPPORTED, 2, net_set_option(socket, NET_OPT_ERROR, 0)); /* read only */
    FAILS(ERR_UNSUPPORTED, 2, net_get_option(socket, 0, &value));
    FAILS(ERR_UNSUPPORTED, 2, net_get_option(socket, 8, &value));
    FAILS(ERR_UNSUPPORTED, 2, net_set_option(datagrams, NET_OPT_NODELAY, 1));
    FAILS(ERR_UNSUPPORTED, 2, net_get_option(datagrams, NET_OPT_SEND_BUFFER, &value));
    FAILS(ERR_INVALID, 3, net_set_option(socket, NET_OPT_NODELAY, 2));
    FAILS(ERR_INVALID, 3, net_set_option(socket, NET_OPT_NONBLOCK, ~0ull));
    FAILS(ERR_INVALID, 3, net_set_option(socket, NET_OPT_KEEPALIVE_NS, SECOND - 1));
    FAILS(ERR_INVALID, 3, net_set_option(socket, NET_OPT_TIMEOUT_NS, MILLISECOND - 1));
    FAILS(ERR_INVALID, 3, net_set_option(socket, NET_OPT_SEND_BUFFER, (1 << 30) + 1));
    FAILS(ERR_INVALID, 3, net_set_option(socket, NET_OPT_RECEIVE_BUFFER, 0));
    FAILS(ERR_INVALID, 3, net_set_option(socket, NET_OPT_SEND_BUFFER, ~0ull));
    FAILS(ERR_INVALID, 3, net_get_option(socket, NET_OPT_NODELAY, 0));
    EQUAL(value, 77);
}

static void buffers_are_as_large_as_asked_for(void)
{
    static u8 bytes[4096];
    handle_t listener = new_socket(NET_INET, NET_STREAM), client = new_socket(NET_INET, NET_STREAM), server = 0;
    struct address any = loopback(NET_INET, 0), address;
    u32 filled = 0, quiet = 0;
    size_t len;
    OKAY(net_set_option(listener, NET_OPT_RECEIVE_BUFFER, 4096));
    OKAY(net_set_option(client, NET_OPT_SEND_BUFFER, 4096));
    OKAY(bind_to(listener, &any));
    OKAY(net_listen(listener, 0));
    address = local_of(listener);
    OKAY(connect_to(client, &address));
    OKAY(net_accept(listener, 0, &server, 0, 0));
    while (quiet < 5) {
        if (net_send(client, P(bytes), sizeof(bytes), NET_NONBLOCK, &len) == OK) {
            filled += (u32)len;
        } else {
            pause_for(MILLISECOND);
            quiet += 1;
        }
    }
    CHECK(filled >= 4096 && filled <= 16384);
}

/* --- many -------------------------------------------------------------------------------------------------------- */

#define MANY 200

static void many_connections_in_one_set(void)
{
    static struct link links[MANY];
    io_event_t events[16];
    handle_t listener = listener_of(NET_INET), set = 0;
    u32 at, count, answered = 0;
    NEED(interest_create(&set));
    for (at = 0; at < MANY; at++) {
        links[at] = connected(listener, NET_INET);
        OKAY(interest_add(set, links[at].server, IO_READABLE, at));
    }
    GIVES(ERR_WOULD_BLOCK, interest_wait(set, events, COUNT(events), 0, &count));
    for (at = 0; at < MANY; at++)
        send_text(links[at].client, at % 2 == 0 ? "even" : "odd!");
    while (answered < MANY) {
        NEED(interest_wait(set, events, COUNT(events), PATIENCE, &count));
        for (at = 0; at < count; at++) {
            expect_text(events[at].handle, events[at].reserved % 2 == 0 ? "even" : "odd!");
            send_text(events[at].handle, "done");
            OKAY(net_close(events[at].handle));
            answered += 1;
        }
    }
    for (at = 0; at < MANY; at++) {
        expect_text(links[at].client, "done");
        expect_end(links[at].client);
    }
}

static const struct test net_tests[] = {
    TEST(sockets_are_streams_or_datagrams),
    TEST(addresses_have_three_forms),
    TEST(other_forms_are_refused),
    TEST(addresses_are_taken_once),
    TEST(only_own_addresses_are_taken),
    TEST(addresses_need_room),
    TEST(options_start_as_the_header_says),
    TEST(options_keep_what_they_are_given),
    TEST(options_work_on_connections),
    TEST(options_that_there_are_not_are_refused),
    TEST(buffers_are_as_large_as_asked_for),
    TEST(many_connections_in_one_set),
};
AREA(net);
