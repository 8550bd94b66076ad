/* net_*: datagrams, over the program's own loopback. */
#include "sockets.h"

/* --- datagrams --------------------------------------------------------------------------------------------------- */

static result_t send_datagram(handle_t from, const char *text, const struct address *to)
{
    return net_send_to(from, P(text), length(text), 0, P(&to->is), to->length);
}

/* Receives one and compares it, and the sender's address if that is given. */
static void expect_datagram(handle_t socket, const char *text, const struct address *from)
{
    char bytes[64];
    size_t len = 77;
    struct address sender;
    sender.length = sizeof(sender.is);
    fill(bytes, 0, sizeof(bytes));
    OKAY(net_recv_from(socket, P(bytes), sizeof(bytes), 0, &len, P(&sender.is), &sender.length));
    EQUAL(len, length(text));
    CHECK(same(bytes, text, len));
    if (from != 0)
        CHECK(same_address(&sender, from));
}

static void datagrams_go_from_one_to_another(void)
{
    u32 at;
    for (at = 0; at < DOMAINS; at++) {
        handle_t one = bound_datagrams(domains[at]), other = bound_datagrams(domains[at]);
        struct address first = local_of(one), second = local_of(other);
        note_about(domain_names[at]);
        EQUAL(ready_within(other, IO_READABLE | IO_WRITABLE, 0), IO_WRITABLE);
        OKAY(send_datagram(one, "hello", &second));
        OKAY(send_datagram(one, "", &second));
        OKAY(send_datagram(one, "again", &second));
        EQUAL(ready_within(other, IO_READABLE, PATIENCE), IO_READABLE);
        expect_datagram(other, "hello", &first);
        expect_datagram(other, "", &first);
        expect_datagram(other, "again", &first);
        OKAY(send_datagram(other, "answer", &first));
        expect_datagram(one, "answer", &second);
        EQUAL(ready_within(other, IO_READABLE, 0), 0);
    }
}

static void what_does_not_fit_is_lost(void)
{
    handle_t one = bound_datagrams(NET_INET), other = bound_datagrams(NET_INET);
    struct address to = local_of(other);
    char bytes[8] = "........";
    size_t len = 0;
    OKAY(send_datagram(one, "longer than that", &to));
    OKAY(send_datagram(one, "next", &to));
    OKAY(net_recv(other, P(bytes), 4, 0, &len));
    EQUAL(len, 4);
    CHECK(same(bytes, "long....", 8));
    expect_datagram(other, "next", 0);
}

static void a_connected_socket_hears_its_peer_only(void)
{
    u32 at;
    for (at = 0; at < DOMAINS; at++) {
        handle_t one = bound_datagrams(domains[at]), peer = bound_datagrams(domains[at]);
        handle_t stranger = bound_datagrams(domains[at]);
        struct address own = local_of(one), address = local_of(peer), known, other;
        size_t len = 77;
        u8 byte;
        note_about(domain_names[at]);
        GIVES(ERR_INVALID, net_send(one, P("to whom?"), 8, 0, &len));
        OKAY(connect_to(one, &address));
        known = peer_of(one);
        CHECK(same_address(&known, &address));
        send_text(one, "hello");
        expect_datagram(peer, "hello", &own);
        OKAY(send_datagram(stranger, "psst", &own));
        OKAY(send_datagram(peer, "hello yourself", &own));
        expect_datagram(one, "hello yourself", &address);
        GIVES(ERR_WOULD_BLOCK, net_recv(one, P(&byte), 1, NET_NONBLOCK, &len));
        EQUAL(ready_within(one, IO_READABLE, 0), 0);
        /* To the peer only, until it is another. */
        other = local_of(stranger);
        FAILS(ERR_INVALID, 5, send_datagram(one, "psst", &other));
        OKAY(send_datagram(one, "hello again", &address));
        expect_datagram(peer, "hello again", &own);
        OKAY(connect_to(one, &other));
        send_text(one, "hello, stranger");
        expect_datagram(stranger, "hello, stranger", &own);
    }
}

static void datagrams_have_a_limit(void)
{
    static u8 bytes[70000], received[70000];
    handle_t one = bound_datagrams(NET_INET), other = bound_datagrams(NET_INET);
    struct address to = local_of(other);
    size_t len = 0;
    u32 at;
    for (at = 0; at < sizeof(bytes); at++)
        bytes[at] = (u8)(at * 31 + at / 997);
    FAILS(ERR_INVALID, 3, net_send_to(one, P(bytes), sizeof(bytes), 0, P(&to.is), to.length));
    FAILS(ERR_INVALID, 3, net_send_to(one, P(bytes), 65508, 0, P(&to.is), to.length));
    OKAY(net_send_to(one, P(bytes), 1400, 0, P(&to.is), to.length));
    OKAY(net_recv(other, P(received), sizeof(received), 0, &len));
    CHECK(len == 1400 && same(bytes, received, len));
}

static void datagrams_need_good_addresses(void)
{
    handle_t one = bound_datagrams(NET_INET), stream = new_socket(NET_INET, NET_STREAM);
    struct address to = local_of(one), nowhere = loopback(NET_INET, 0), room;
    u8 byte = 0;
    size_t len = 77;
    u32 room_len = 7;
    FAILS(ERR_INVALID, 5, send_datagram(one, "x", &nowhere));
    nowhere = loopback(NET_INET, 9205);
    nowhere.is.v4.ip4 = 0;
    FAILS(ERR_INVALID, 5, send_datagram(one, "x", &nowhere));
    FAILS(ERR_INVALID, 6, net_send_to(one, P("x"), 1, 0, P(&to.is), 7));
    FAILS(ERR_INVALID, 5, net_send_to(one, P("x"), 1, 0, 0, 8));
    FAILS(ERR_INVALID, 2, net_send_to(one, NOWHERE, 1, 0, P(&to.is), to.length));
    FAILS(ERR_INVALID, 4, net_send_to(one, P("x"), 1, 1 << 9, P(&to.is), to.length));
    GIVES(ERR_UNSUPPORTED, send_datagram(stream, "x", &to));
    GIVES(ERR_UNSUPPORTED, net_recv_from(stream, P(&byte), 1, NET_NONBLOCK, &len, 0, 0));
    FAILS(ERR_INVALID, 7, net_recv_from(one, P(&byte), 1, NET_NONBLOCK, &len, P(&room.is), &room_len));
    FAILS(ERR_INVALID, 7, net_recv_from(one, P(&byte), 1, NET_NONBLOCK, &len, P(&room.is), 0));
    FAILS(ERR_INVALID, 5, net_recv_from(one, P(&byte), 1, NET_NONBLOCK, 0, 0, 0));
    GIVES(ERR_WOULD_BLOCK, net_recv_from(one, P(&byte), 1, NET_NONBLOCK, &len, 0, 0));
    EQUAL(len, 77);
}

static void a_socket_that_sends_has_an_address(void)
{
    handle_t one = new_socket(NET_INET, NET_DGRAM), other = bound_datagrams(NET_INET);
    struct address to = local_of(other), own;
    u8 byte;
    size_t len;
    GIVES(ERR_INVALID, net_recv(one, P(&byte), 1, NET_NONBLOCK, &len)); /* where? */
    OKAY(send_datagram(one, "from somewhere", &to));
    own = local_of(one);
    CHECK(port_of(&own) != 0);
    expect_datagram(other, "from somewhere", 0);
}

static const struct test datagrams_tests[] = {
    TEST(datagrams_go_from_one_to_another),
    TEST(what_does_not_fit_is_lost),
    TEST(a_connected_socket_hears_its_peer_only),
    TEST(datagrams_have_a_limit),
    TEST(datagrams_need_good_addresses),
    TEST(a_socket_that_sends_has_an_address),
};
AREA(datagrams);
