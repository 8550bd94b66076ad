/* {{name}}: sends back what it is sent, over TCP, on port 7 (RFC 862).
 *
 * One task and one interest set for all connections; nothing here blocks but interest_wait. When the machine is told to stop, it
 * closes its connections and ends with status 0.
 */
#include <ukernel_abi.h>

#include "pending.h"

enum {
    PORT = 7,
    MAX_CONNECTIONS = 256,
    ROUNDS = 8, /* reads in a row before the others have their turn */
    EVENTS = 64 /* events taken at once */
};

/* What an event is about: the place of a connection in the table, or one of these. */
static const u32 LISTENER = ~0u, SHUTDOWN = ~0u - 1;

typedef struct {
    handle_t socket;
    u32 place;    /* in the table */
    u32 interest; /* what the set watches it for */
    pending pending;
} connection;

static connection *connections[MAX_CONNECTIONS]; /* those that are there come first */
static u32 count;
static handle_t listener, set;

static void say(u32 level, const char *text) {
    size_t length = 0;
    while (text[length] != 0) {
        length++;
    }
    log_write(level, (ptr_t)text, length);
}

/* Nothing is active at start: asks for what the program needs, and makes it active. */
static result_t take_capabilities(void) {
    static const u32 kinds[] = {CAP_LOG, CAP_MEM, CAP_IO, CAP_NET};
    handle_t caps[4];
    for (u32 i = 0; i < 4; i++) {
        result_t result = cap_acquire(kinds[i], &caps[i]);
        if (result != OK) {
            return result;
        }
    }
    return cap_enter(caps, 4);
}

static result_t listen_on(u16 port) {
    net_addr_v4_t any = {0, port, 0};
    result_t result = net_socket(NET_INET, NET_STREAM, 0, &listener);
    if (result == OK) {
        result = net_bind(listener, (ptr_t)&any, sizeof any);
    }
    if (result == OK) {
        result = net_listen(listener, 0);
    }
    return result == OK ? interest_add(set, listener, IO_READABLE, LISTENER) : result;
}

static void watch(connection *c, u32 interest) {
    if (c->interest != interest) {
        c->interest = interest;
        interest_modify(set, c->socket, interest, c->place);
    }
}

/* Takes a connection out of the table; the last one gets its place. */
static void end(connection *c) {
    net_close(c->socket); /* leaves the set by itself */
    connection *last = connections[--count];
    if (last != c) {
        last->place = c->place;
        connections[c->place] = last;
        interest_modify(set, last->socket, last->interest, last->place);
    }
    mem_free((ptr_t)c);
    if (count == MAX_CONNECTIONS - 1) {
        interest_modify(set, listener, IO_READABLE, LISTENER);
    }
}

/* Takes up one connection. 0: there is none. */
static int take(void) {
    handle_t socket;
    ptr_t memory;
    if (net_accept(listener, NET_NONBLOCK, &socket, 0, 0) != OK) {
        return 0;
    }
    if (mem_alloc(sizeof(connection), 0, &memory) != OK) {
        net_close(socket);
        return 1;
    }
    connection *c = (connection *)memory;
    c->socket = socket;
    c->place = count;
    c->interest = IO_READABLE;
    pending_filled(&c->pending, 0);
    connections[count++] = c;
    if (interest_add(set, socket, IO_READABLE, c->place) != OK) {
        end(c);
    }
    return 1;
}

static void take_all(void) {
    while (count < MAX_CONNECTIONS && take()) {
    }
    if (count == MAX_CONNECTIONS) {
        interest_modify(set, listener, 0, LISTENER); /* the others wait */
    }
}

/* Sends back what came, as long as nothing would have to wait. */
static void serve(connection *c) {
    for (u32 round = 0; round < ROUNDS; round++) {
        pending *p = &c->pending;
        int reads = pending_is_empty(p);
        size_t moved = 0;
        result_t result =
            reads ? net_recv(c->socket, (ptr_t)p->bytes, PENDING_BYTES, NET_NONBLOCK, &moved)
                  : net_send(c->socket, (ptr_t)pending_begin(p), pending_count(p), NET_NONBLOCK, &moved);
        if (result == ERR_WOULD_BLOCK) {
            watch(c, reads ? IO_READABLE : IO_WRITABLE);
            return;
        }
        if (result != OK || (reads && moved == 0)) {
            end(c);
            return;
        }
        if (reads) {
            pending_filled(p, moved);
        } else {
            pending_taken(p, moved);
        }
    }
}

/* Returns whether the machine was told to stop. */
static int handle(const io_event_t *event) {
    u32 token = event->reserved;
    if (token == SHUTDOWN) {
        return 1;
    }
    if (token == LISTENER) {
        take_all();
    } else if (token < count && connections[token]->socket == event->handle) {
        serve(connections[token]); /* not one that ended in this very round */
    }
    return 0;
}

int main(void) {
    static io_event_t events[EVENTS];
    handle_t shutdown;
    if (take_capabilities() != OK) {
        return 2;
    }
    if (interest_create(&set) != OK || listen_on(PORT) != OK || sys_shutdown(&shutdown) != OK ||
        interest_add(set, shutdown, IO_READABLE, SHUTDOWN) != OK) {
        say(LOG_ERROR, "echo: cannot listen");
        return 1;
    }
    say(LOG_INFO, "echo: listening port=7");
    for (;;) {
        u32 ready;
        if (interest_wait(set, events, EVENTS, ~0ull, &ready) != OK) {
            return 1;
        }
        for (u32 i = 0; i < ready; i++) {
            if (handle(&events[i])) {
                while (count > 0) {
                    end(connections[count - 1]);
                }
                say(LOG_INFO, "echo: stopped");
                return 0;
            }
        }
    }
}
