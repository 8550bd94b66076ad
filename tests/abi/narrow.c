/* A policy that is narrower than the kinds: told by the argument `narrow`, with which the program may have
 *
 *     log, time, task, mem, io:serial, io:disk:0:ro, net:listen:tcp:9300-9301, net:connect:tcp:127.0.0.0/8:9300
 *
 * and nothing else. Whoever runs the suite has to see to that. */
#include "sockets.h"

static void sockets_listen_where_they_may(void)
{
    struct address allowed = loopback(NET_INET, 9301), other = loopback(NET_INET, 9302), any = loopback(NET_INET, 0);
    struct address six = loopback(NET_INET6, 9303);
    handle_t socket = new_socket(NET_INET, NET_STREAM), unused = new_socket(NET_INET, NET_STREAM);
    FAILS(ERR_PERMISSION, 2, bind_to(socket, &other));
    GIVES(ERR_PERMISSION, net_listen(socket, 0)); /* which takes any port */
    OKAY(bind_to(unused, &any)); /* it could still connect from there */
    GIVES(ERR_PERMISSION, net_listen(unused, 0));
    FAILS(ERR_PERMISSION, 2, bind_to(new_socket(NET_INET6, NET_STREAM), &six));
    FAILS(ERR_PERMISSION, 2, bind_to(new_socket(NET_INET, NET_DGRAM), &allowed));
    OKAY(bind_to(socket, &allowed));
    OKAY(net_listen(socket, 0));
}

static void sockets_connect_where_they_may(void)
{
    struct address allowed = loopback(NET_INET, 9300), other = loopback(NET_INET, 9301), far = allowed;
    struct address six = loopback(NET_INET6, 9300);
    handle_t listener = new_socket(NET_INET, NET_STREAM), client = new_socket(NET_INET, NET_STREAM), server = 0;
    handle_t datagrams = new_socket(NET_INET, NET_DGRAM);
    far.is.v4.ip4 = NET_IP4(192, 0, 2, 1);
    OKAY(bind_to(listener, &allowed));
    OKAY(net_listen(listener, 0));
    FAILS(ERR_PERMISSION, 2, connect_to(client, &other));
    FAILS(ERR_PERMISSION, 2, connect_to(client, &far));
    FAILS(ERR_PERMISSION, 2, connect_to(new_socket(NET_INET6, NET_STREAM), &six));
    GIVES(ERR_PERMISSION, connect_to(datagrams, &allowed));
    GIVES(ERR_PERMISSION, net_send_to(datagrams, P("x"), 1, 0, P(&allowed.is), allowed.length));
    OKAY(connect_to(client, &allowed));
    OKAY(net_accept(listener, 0, &server, 0, 0));
    send_text(client, "allowed");
    expect_text(server, "allowed");
}

static void names_are_not_asked_for(void)
{
    net_addr_v6_t addresses[2];
    u32 count = 77;
    GIVES(ERR_PERMISSION, net_resolve(P("nobody.invalid"), 14, addresses, 2, &count));
    EQUAL(count, 77);
}

static void disks_are_read_where_they_may(void)
{
    static u8 block[512];
    handle_t disk = 77;
    io_info_t info = {0, 0, 0};
    size_t len = 77;
    FAILS(ERR_PERMISSION, 1, io_open(P("disk:1"), 0, &disk));
    FAILS(ERR_PERMISSION, 1, io_open(P("disk:1"), IO_OPEN_READ, &disk));
    FAILS(ERR_PERMISSION, 1, io_open(P("disk:0"), IO_OPEN_WRITE, &disk));
    EQUAL(disk, 77);
    NEED(io_open(P("disk:0"), 0, &disk));
    OKAY(io_info(disk, &info));
    EQUAL(info.flags, IO_OPEN_READ);
    FAILS(ERR_PERMISSION, 1, io_write(disk, P(block), sizeof(block), &len));
    EQUAL(len, 77);
    OKAY(io_read(disk, P(block), sizeof(block), &len));
    EQUAL(len, sizeof(block));
}

static const struct test narrow_tests[] = {
    TEST(sockets_listen_where_they_may),
    TEST(sockets_connect_where_they_may),
    TEST(names_are_not_asked_for),
    TEST(disks_are_read_where_they_may),
};
AREA(narrow);
