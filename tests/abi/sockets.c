/* What the tests of the network have in common. */
#include "sockets.h"

const u32 domains[DOMAINS] = {NET_INET, NET_INET6};
const char *const domain_names[DOMAINS] = {"ipv4", "ipv6"};

struct address loopback(u32 domain, u16 port)
{
    struct address address;
    fill(&address, 0, sizeof(address));
    if (domain == NET_INET) {
        address.length = sizeof(net_addr_v4_t);
        address.is.v4.ip4 = NET_IP4(127, 0, 0, 1);
        address.is.v4.port = port;
    } else {
        address.length = sizeof(net_addr_v6_t);
        address.is.v6.ip[15] = 1;
        address.is.v6.port = port;
    }
    return address;
}

u16 port_of(const struct address *address)
{
    return address->length == sizeof(net_addr_v4_t) ? address->is.v4.port : address->is.v6.port;
}

handle_t new_socket(u32 domain, u32 type)
{
    handle_t socket = 0;
    OKAY(net_socket(domain, type, 0, &socket));
    return socket;
}

result_t bind_to(handle_t socket, const struct address *address)
{
    return net_bind(socket, P(&address->is), address->length);
}

result_t connect_to(handle_t socket, const struct address *address)
{
    return net_connect(socket, P(&address->is), address->length);
}

struct address local_of(handle_t socket)
{
    struct address address;
    fill(&address, 0, sizeof(address));
    address.length = sizeof(address.is);
    OKAY(net_local_address(socket, P(&address.is), &address.length));
    return address;
}

struct address peer_of(handle_t socket)
{
    struct address address;
    fill(&address, 0, sizeof(address));
    address.length = sizeof(address.is);
    OKAY(net_peer_address(socket, P(&address.is), &address.length));
    return address;
}

int same_address(const struct address *left, const struct address *right)
{
    return left->length == right->length && same(&left->is, &right->is, left->length);
}

handle_t bound_datagrams(u32 domain)
{
    struct address any = loopback(domain, 0);
    handle_t socket = new_socket(domain, NET_DGRAM);
    OKAY(bind_to(socket, &any));
    return socket;
}

handle_t listener_of(u32 domain)
{
    struct address any = loopback(domain, 0);
    handle_t socket = new_socket(domain, NET_STREAM);
    OKAY(bind_to(socket, &any));
    OKAY(net_listen(socket, 0));
    return socket;
}

struct link connected(handle_t listener, u32 domain)
{
    struct address address = local_of(listener);
    struct link link = {new_socket(domain, NET_STREAM), 0};
    OKAY(connect_to(link.client, &address));
    OKAY(net_accept(listener, 0, &link.server, 0, 0));
    return link;
}

struct link new_link(u32 domain)
{
    handle_t listener = listener_of(domain);
    struct link link = connected(listener, domain);
    OKAY(net_close(listener));
    return link;
}

void send_text(handle_t socket, const char *text)
{
    size_t sent = 0;
    OKAY(net_send(socket, P(text), length(text), 0, &sent));
    EQUAL(sent, length(text));
}

void receive_all(handle_t socket, void *bytes, size_t count)
{
    u8 *at = (u8 *)bytes;
    while (count > 0) {
        size_t read = 0;
        if (!OKAY(net_recv(socket, P(at), count, 0, &read)) || !CHECK(read > 0 && read <= count))
            return;
        at += read;
        count -= read;
    }
}

i32 receives_one(ptr_t argument)
{
    struct talker *talker = (struct talker *)argument;
    char byte = 0;
    size_t len = 0;
    talker->result = net_recv(talker->socket, P(&byte), 1, 0, &len);
    return byte;
}

void expect_text(handle_t socket, const char *text)
{
    char bytes[64];
    fill(bytes, 0, sizeof(bytes));
    receive_all(socket, bytes, length(text));
    CHECK(same(bytes, text, length(text)));
}

void expect_end(handle_t socket)
{
    u8 byte;
    size_t read = 77;
    OKAY(net_recv(socket, P(&byte), 1, 0, &read));
    EQUAL(read, 0);
}
