/* Sockets as the tests of the network have them: addresses of both domains, and connections over the loopback. */
#ifndef SOCKETS_H
#define SOCKETS_H

#include "tap.h"

/* An address of one of the domains. */
struct address {
    u32 length;
    union {
        net_addr_v4_t v4;
        net_addr_v6_t v6;
        net_addr_v4_packed_t packed;
    } is;
};

/* Two streams that are connected with each other. */
struct link {
    handle_t client, server;
};

/* Both domains, and what they are called. */
#define DOMAINS 2
extern const u32 domains[DOMAINS];
extern const char *const domain_names[DOMAINS];

struct address loopback(u32 domain, u16 port);
u16 port_of(const struct address *address);
handle_t new_socket(u32 domain, u32 type);
result_t bind_to(handle_t socket, const struct address *address);
result_t connect_to(handle_t socket, const struct address *address);
struct address local_of(handle_t socket);
struct address peer_of(handle_t socket);
int same_address(const struct address *left, const struct address *right);
/* A datagram socket at any free port of the loopback. */
handle_t bound_datagrams(u32 domain);
handle_t listener_of(u32 domain);
struct link connected(handle_t listener, u32 domain);
struct link new_link(u32 domain);
void send_text(handle_t socket, const char *text);
/* Receives that many bytes of a stream. */
void receive_all(handle_t socket, void *bytes, size_t count);
/* A task that waits in one direction of a stream. */
struct talker {
    handle_t socket;
    result_t result;
};
/* The function of one that waits for a byte, and returns it. */
i32 receives_one(ptr_t argument);
void expect_text(handle_t socket, const char *text);
void expect_end(handle_t socket);

#endif /* SOCKETS_H */
