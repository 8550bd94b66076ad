/* net_*: connections and what goes through them, over the program's own loopback, so that no peer is needed. How they
 * fail is in stream_ends.c. */
#include "sockets.h"

/* --- connections ------------------------------------------------------------------------------------------------- */

static void a_connection_has_two_ends(void)
{
    u32 at;
    for (at = 0; at < DOMAINS; at++) {
        handle_t listener = listener_of(domains[at]), client = new_socket(domains[at], NET_STREAM), server = 0;
        struct address address = local_of(listener), seen, local, peer;
        note_about(domain_names[at]);
        EQUAL(ready_within(listener, IO_READABLE, 0), 0);
        OKAY(connect_to(client, &address));
        EQUAL(ready_within(listener, IO_READABLE, PATIENCE), IO_READABLE);
        seen.length = sizeof(seen.is);
        OKAY(net_accept(listener, 0, &server, P(&seen.is), &seen.length));
        EQUAL(server >> 56, HANDLE_NET);
        local = local_of(client);
        peer = peer_of(server);
        CHECK(same_address(&seen, &local));
        CHECK(same_address(&peer, &local));
        local = local_of(server);
        peer = peer_of(client);
        CHECK(same_address(&local, &address));
        CHECK(same_address(&peer, &address));
        send_text(client, "from the client");
        expect_text(server, "from the client");
        send_text(server, "from the server");
        expect_text(client, "from the server");
        OKAY(net_close(client));
        expect_end(server);
        OKAY(net_close(server));
    }
}

static void accepting_waits_or_does_not(void)
{
    handle_t listener = listener_of(NET_INET), out = 77, accepted = 0;
    struct address peer, address;
    u32 len;
    u64 value = 77;
    GIVES(ERR_WOULD_BLOCK, net_accept(listener, NET_NONBLOCK, &out, 0, 0));
    OKAY(net_set_option(listener, NET_OPT_NONBLOCK, 1));
    OKAY(net_set_option(listener, NET_OPT_NODELAY, 0));
    GIVES(ERR_WOULD_BLOCK, net_accept(listener, 0, &out, 0, 0));
    address = local_of(listener);
    OKAY(connect_to(new_socket(NET_INET, NET_STREAM), &address));
    EQUAL(ready_within(listener, IO_READABLE, PATIENCE), IO_READABLE);
    OKAY(net_accept(listener, 0, &accepted, 0, 0));
    OKAY(net_get_option(accepted, NET_OPT_NONBLOCK, &value)); /* which it does not inherit, but the others */
    EQUAL(value, 0);
    OKAY(net_get_option(accepted, NET_OPT_NODELAY, &value));
    EQUAL(value, 0);
    FAILS(ERR_INVALID, 2, net_accept(listener, 1 << 3, &out, 0, 0));
    FAILS(ERR_INVALID, 3, net_accept(listener, NET_NONBLOCK, 0, 0, 0));
    FAILS(ERR_INVALID, 5, net_accept(listener, NET_NONBLOCK, &out, P(&peer.is), 0));
    len = 8;
    FAILS(ERR_INVALID, 4, net_accept(listener, NET_NONBLOCK, &out, 0, &len));
    len = 7;
    FAILS(ERR_INVALID, 5, net_accept(listener, NET_NONBLOCK, &out, P(&peer.is), &len));
    EQUAL(out, 77);
}

static void an_address_that_finds_no_room_loses_no_connection(void)
{
    u32 at;
    for (at = 0; at < DOMAINS; at++) {
        handle_t listener = listener_of(domains[at]), client = new_socket(domains[at], NET_STREAM), server = 77;
        struct address address = local_of(listener), peer;
        u32 needed = address.length;
        note_about(domain_names[at]);
        OKAY(connect_to(client, &address));
        peer.length = needed - 1;
        FAILS(ERR_INVALID, 5, net_accept(listener, 0, &server, P(&peer.is), &peer.length));
        EQUAL(peer.length, needed);
        EQUAL(server, 77);
        OKAY(net_accept(listener, 0, &server, P(&peer.is), &peer.length));
        send_text(client, "still there");
        expect_text(server, "still there");
    }
}

static void both_protocols_reach_an_ipv6_listener(void)
{
    struct address any, four = loopback(NET_INET, 0), six = loopback(NET_INET6, 0), peer;
    handle_t listener = new_socket(NET_INET6, NET_STREAM), server = 0;
    static const u8 mapped[16] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 127, 0, 0, 1};
    fill(&any, 0, sizeof(any));
    any.length = sizeof(net_addr_v6_t);
    OKAY(bind_to(listener, &any));
    OKAY(net_listen(listener, 0));
    any = local_of(listener);
    four.is.v4.port = six.is.v6.port = any.is.v6.port;
    OKAY(connect_to(new_socket(NET_INET, NET_STREAM), &four));
    peer.length = sizeof(peer.is);
    OKAY(net_accept(listener, 0, &server, P(&peer.is), &peer.length));
    CHECK(same(peer.is.v6.ip, mapped, 16));
    OKAY(connect_to(new_socket(NET_INET6, NET_STREAM), &six));
    OKAY(net_accept(listener, 0, &server, P(&peer.is), &peer.length));
    CHECK(same(peer.is.v6.ip, six.is.v6.ip, 16));
    for (u32 at = 0; at < 16; at++)
        any.is.v6.ip[at] = mapped[at];
    OKAY(connect_to(new_socket(NET_INET6, NET_STREAM), &any));
    OKAY(net_accept(listener, 0, &server, 0, 0));
}

static void only_listeners_accept_and_only_once_they_listen(void)
{
    handle_t fresh = new_socket(NET_INET, NET_STREAM), listener = listener_of(NET_INET), out = 77;
    struct link link = connected(listener, NET_INET);
    struct address address = local_of(listener);
    u8 byte = 0;
    size_t len;
    GIVES(ERR_INVALID, net_accept(fresh, NET_NONBLOCK, &out, 0, 0));
    GIVES(ERR_INVALID, net_accept(link.client, NET_NONBLOCK, &out, 0, 0));
    GIVES(ERR_UNSUPPORTED, net_accept(bound_datagrams(NET_INET), NET_NONBLOCK, &out, 0, 0));
    GIVES(ERR_UNSUPPORTED, net_listen(bound_datagrams(NET_INET), 0));
    GIVES(ERR_INVALID, net_listen(listener, 0));
    GIVES(ERR_INVALID, net_listen(link.client, 0));
    GIVES(ERR_INVALID, connect_to(listener, &address));
    GIVES(ERR_INVALID, connect_to(link.client, &address));
    GIVES(ERR_INVALID, net_send(listener, P(&byte), 1, NET_NONBLOCK, &len));
    GIVES(ERR_INVALID, net_recv(listener, P(&byte), 1, NET_NONBLOCK, &len));
    GIVES(ERR_INVALID, net_send(fresh, P(&byte), 1, NET_NONBLOCK, &len));
    GIVES(ERR_INVALID, net_recv(fresh, P(&byte), 1, NET_NONBLOCK, &len));
    GIVES(ERR_INVALID, net_shutdown(fresh, NET_SHUT_WRITE));
    OKAY(net_listen(fresh, 5)); /* at any free port */
    address = local_of(fresh);
    CHECK(port_of(&address) != 0);
    EQUAL(out, 77);
}

/* A task that accepts. */
struct acceptor {
    handle_t listener, accepted;
    result_t result;
};

static i32 accepts(ptr_t argument)
{
    struct acceptor *acceptor = (struct acceptor *)argument;
    char byte = 0;
    size_t len = 0;
    acceptor->result = net_accept(acceptor->listener, 0, &acceptor->accepted, 0, 0);
    OKAY(net_recv(acceptor->accepted, P(&byte), 1, 0, &len));
    OKAY(net_send(acceptor->accepted, P(&byte), 1, 0, 0));
    return byte;
}

static void several_tasks_may_accept(void)
{
    handle_t listener = listener_of(NET_INET), tasks[5];
    struct address address = local_of(listener);
    struct acceptor acceptors[5];
    char byte = 0;
    size_t len = 0;
    u32 at, sum = 0;
    for (at = 0; at < 5; at++) {
        acceptors[at].listener = listener;
        tasks[at] = start(accepts, &acceptors[at]);
    }
    OKAY(task_yield());
    for (at = 0; at < 5; at++) {
        handle_t client = new_socket(NET_INET, NET_STREAM);
        char number = (char)(1 << at);
        OKAY(connect_to(client, &address));
        OKAY(net_send(client, P(&number), 1, 0, 0));
        OKAY(net_recv(client, P(&byte), 1, 0, &len));
        EQUAL(byte, number);
    }
    for (at = 0; at < 5; at++)
        sum += (u32)finish(tasks[at]);
    EQUAL(sum, 31);
}

static void nobody_can_be_connected_to(void)
{
    struct address address = loopback(NET_INET, 0);
    FAILS(ERR_INVALID, 2, connect_to(new_socket(NET_INET, NET_STREAM), &address));
    FAILS(ERR_INVALID, 2, connect_to(new_socket(NET_INET, NET_DGRAM), &address));
    address = loopback(NET_INET, 9203);
    FAILS(ERR_INVALID, 3, net_connect(new_socket(NET_INET6, NET_STREAM), P(&address.is), address.length));
    address.is.v4.ip4 = NET_IP4(255, 255, 255, 255);
    CHECK(connect_to(new_socket(NET_INET, NET_STREAM), &address) != OK);
    address.is.v4.ip4 = NET_IP4(224, 0, 0, 1);
    CHECK(connect_to(new_socket(NET_INET, NET_STREAM), &address) != OK);
}

static void connecting_without_waiting(void)
{
    handle_t listener = listener_of(NET_INET), client = new_socket(NET_INET, NET_STREAM), server = 0;
    struct address address = local_of(listener);
    u64 error = 77;
    size_t len;
    u8 byte;
    OKAY(net_set_option(client, NET_OPT_NONBLOCK, 1));
    GIVES(ERR_WOULD_BLOCK, connect_to(client, &address));
    GIVES(ERR_BUSY, connect_to(client, &address));
    EQUAL(ready_within(client, IO_WRITABLE, PATIENCE), IO_WRITABLE);
    OKAY(net_get_option(client, NET_OPT_ERROR, &error));
    EQUAL(error, OK);
    GIVES(ERR_WOULD_BLOCK, net_recv(client, P(&byte), 1, 0, &len));
    OKAY(net_accept(listener, 0, &server, 0, 0));
    send_text(client, "here");
    expect_text(server, "here");

    OKAY(net_close(listener));
    client = new_socket(NET_INET, NET_STREAM);
    OKAY(net_set_option(client, NET_OPT_NONBLOCK, 1));
    GIVES(ERR_WOULD_BLOCK, connect_to(client, &address));
    CHECK((ready_within(client, IO_WRITABLE, PATIENCE) & IO_ERROR) != 0);
    OKAY(net_get_option(client, NET_OPT_ERROR, &error));
    EQUAL(error, ERR_IO);
}

static void a_bound_stream_connects_from_there(void)
{
    handle_t listener = listener_of(NET_INET), client = new_socket(NET_INET, NET_STREAM), server = 0;
    struct address address = local_of(listener), own = loopback(NET_INET, 9204), peer;
    peer.length = sizeof(peer.is);
    OKAY(bind_to(client, &own));
    OKAY(connect_to(client, &address));
    OKAY(net_accept(listener, 0, &server, P(&peer.is), &peer.length));
    CHECK(same_address(&peer, &own));
}

/* --- streams ----------------------------------------------------------------------------------------------------- */

#define BULK (1 << 20)

static u8 byte_at(u32 position)
{
    return (u8)(position * 31 + position / 997);
}

static i32 sends_bulk(ptr_t argument)
{
    handle_t socket = *(handle_t *)argument;
    static u8 bytes[8000];
    u32 done = 0, at;
    while (done < BULK) {
        u32 piece = BULK - done < sizeof(bytes) ? BULK - done : sizeof(bytes);
        size_t sent = 0;
        for (at = 0; at < piece; at++)
            bytes[at] = byte_at(done + at);
        if (!OKAY(net_send(socket, P(bytes), piece, 0, &sent)) || !CHECK(sent > 0 && sent <= piece))
            return 1;
        done += (u32)sent;
    }
    OKAY(net_shutdown(socket, NET_SHUT_WRITE));
    return 0;
}

static void much_comes_through_in_order(void)
{
    static u8 bytes[5000];
    u32 domain, done, at, wrong;
    for (domain = 0; domain < DOMAINS; domain++) {
        struct link link = new_link(domains[domain]);
        handle_t task = start(sends_bulk, &link.client);
        size_t read = 1;
        note_about(domain_names[domain]);
        for (done = 0, wrong = 0; read > 0; done += (u32)read) {
            if (!OKAY(net_recv(link.server, P(bytes), sizeof(bytes), 0, &read)))
                return;
            for (at = 0; at < read; at++)
                wrong += bytes[at] != byte_at(done + at);
        }
        EQUAL(done, BULK);
        EQUAL(wrong, 0);
        EQUAL(finish(task), 0);
    }
}

static void streams_are_read_and_written_as_files_too(void)
{
    struct link link = new_link(NET_INET);
    char first[3], second[20];
    io_vec_t out[3] = {{P("one,"), 4}, {P(""), 0}, {P("two,three"), 9}};
    io_vec_t in[2] = {{P(first), 3}, {P(second), sizeof(second)}};
    size_t len = 0;
    OKAY(io_write(link.client, P("plain"), 5, &len));
    EQUAL(len, 5);
    OKAY(io_read(link.server, P(second), sizeof(second), &len));
    CHECK(len == 5 && same(second, "plain", 5));
    OKAY(io_writev(link.server, out, 3, &len));
    EQUAL(len, 13);
    while (ready_within(link.client, IO_READABLE, PATIENCE) == 0) {
    }
    OKAY(io_readv(link.client, in, 2, &len));
    EQUAL(len, 13);
    CHECK(same(first, "one", 3) && same(second, ",two,three", 10));
    GIVES(ERR_UNSUPPORTED, io_read(bound_datagrams(NET_INET), P(second), 1, &len));
    GIVES(ERR_UNSUPPORTED, io_write(bound_datagrams(NET_INET), P(second), 1, &len));
}

static void what_was_sent_before_closing_arrives(void)
{
    static u8 bytes[10000], received[10000];
    struct link link = new_link(NET_INET);
    size_t sent = 0;
    u32 at;
    for (at = 0; at < sizeof(bytes); at++)
        bytes[at] = byte_at(at);
    OKAY(net_send(link.client, P(bytes), sizeof(bytes), 0, &sent));
    OKAY(net_close(link.client));
    receive_all(link.server, received, sent);
    CHECK(sent > 0 && same(bytes, received, sent));
    expect_end(link.server);
    expect_end(link.server);
}

static void each_direction_ends_by_itself(void)
{
    struct link link = new_link(NET_INET);
    u8 byte;
    size_t len;
    send_text(link.client, "last words");
    OKAY(net_shutdown(link.client, NET_SHUT_WRITE));
    GIVES(ERR_CLOSED, net_send(link.client, P("more"), 4, 0, 0));
    expect_text(link.server, "last words");
    expect_end(link.server);
    send_text(link.server, "and an answer");
    expect_text(link.client, "and an answer");
    OKAY(net_shutdown(link.server, NET_SHUT_BOTH));
    expect_end(link.client);

    link = new_link(NET_INET);
    OKAY(net_shutdown(link.server, NET_SHUT_READ));
    expect_end(link.server);
    send_text(link.client, "for nobody");
    expect_end(link.server);
    send_text(link.server, "still talking");
    expect_text(link.client, "still talking");
    GIVES(ERR_INVALID, net_shutdown(link.client, 0));
    GIVES(ERR_INVALID, net_shutdown(link.client, 4));
    GIVES(ERR_UNSUPPORTED, net_shutdown(bound_datagrams(NET_INET), NET_SHUT_WRITE));
    GIVES(ERR_WOULD_BLOCK, net_recv(link.client, P(&byte), 1, NET_NONBLOCK, &len));
}

static void a_full_stream_waits_or_does_not(void)
{
    static u8 bytes[4096];
    struct link link = new_link(NET_INET);
    u32 filled = 0, quiet = 0;
    size_t len = 0;
    /* Until nothing has fitted for a while: what was sent moves on to the peer's buffer meanwhile. */
    while (quiet < 5 && filled < (64u << 20)) {
        result_t result = net_send(link.client, P(bytes), sizeof(bytes), NET_NONBLOCK, &len);
        if (result == OK) {
            filled += (u32)len;
            quiet = 0;
        } else {
            GIVES(ERR_WOULD_BLOCK, result);
            pause_for(MILLISECOND);
            quiet += 1;
        }
    }
    CHECK(filled > 0 && filled < (64u << 20));
    EQUAL(ready_within(link.client, IO_WRITABLE, 0), 0);
    while (filled > 0) {
        if (!OKAY(net_recv(link.server, P(bytes), sizeof(bytes), 0, &len)))
            return;
        filled -= (u32)len;
    }
    EQUAL(ready_within(link.client, IO_WRITABLE, PATIENCE), IO_WRITABLE);
    GIVES(ERR_WOULD_BLOCK, net_recv(link.server, P(bytes), sizeof(bytes), NET_NONBLOCK, &len));
}

static void one_task_a_direction_may_wait(void)
{
    struct link link = new_link(NET_INET);
    struct talker talker = {link.client, OK};
    handle_t task = start(receives_one, &talker);
    u8 byte;
    size_t len;
    OKAY(task_yield());
    GIVES(ERR_BUSY, net_recv(link.client, P(&byte), 1, 0, &len));
    GIVES(ERR_BUSY, io_read(link.client, P(&byte), 1, &len));
    send_text(link.client, "the other direction is free");
    send_text(link.server, "x");
    EQUAL(finish(task), 'x');
    GIVES(OK, talker.result);
    GIVES(ERR_WOULD_BLOCK, net_recv(link.client, P(&byte), 1, NET_NONBLOCK, &len));
}

static void nothing_at_all_can_be_sent_and_received(void)
{
    struct link link = new_link(NET_INET);
    size_t len = 77;
    OKAY(net_send(link.client, NOWHERE, 0, 0, &len));
    EQUAL(len, 0);
    OKAY(net_recv(link.client, NOWHERE, 0, 0, &len));
    EQUAL(len, 0);
}

static void places_are_looked_at(void)
{
    struct link link = new_link(NET_INET);
    u8 byte = 0;
    size_t len = 77;
    FAILS(ERR_INVALID, 2, net_send(link.client, 0, 1, 0, &len));
    FAILS(ERR_INVALID, 2, net_send(link.client, NOWHERE, 1, 0, &len));
    FAILS(ERR_INVALID, 4, net_send(link.client, P(&byte), 1, 1 << 5, &len));
    FAILS(ERR_INVALID, 5, net_send(link.client, P(&byte), 1, 0, (size_t *)NOWHERE));
    FAILS(ERR_INVALID, 2, net_recv(link.client, 0, 1, 0, &len));
    FAILS(ERR_INVALID, 4, net_recv(link.client, P(&byte), 1, 1 << 5, &len));
    FAILS(ERR_INVALID, 5, net_recv(link.client, P(&byte), 1, 0, 0));
    EQUAL(len, 77);
}

static const struct test streams_tests[] = {
    TEST(a_connection_has_two_ends),
    TEST(accepting_waits_or_does_not),
    TEST(an_address_that_finds_no_room_loses_no_connection),
    TEST(both_protocols_reach_an_ipv6_listener),
    TEST(only_listeners_accept_and_only_once_they_listen),
    TEST(several_tasks_may_accept),
    TEST(nobody_can_be_connected_to),
    TEST(connecting_without_waiting),
    TEST(a_bound_stream_connects_from_there),
    TEST(much_comes_through_in_order),
    TEST(streams_are_read_and_written_as_files_too),
    TEST(what_was_sent_before_closing_arrives),
    TEST(each_direction_ends_by_itself),
    TEST(a_full_stream_waits_or_does_not),
    TEST(one_task_a_direction_may_wait),
    TEST(nothing_at_all_can_be_sent_and_received),
    TEST(places_are_looked_at),
};
AREA(streams);
