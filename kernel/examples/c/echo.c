/* An echo server for TCP and a thousand connections: one task, one interest set, nothing that blocks.
 *
 *     ./just build-c echo kernel/examples/c/echo.c
 *     ./just run-c echo -p 7007:7
 *
 * Ctrl-C asks it to stop; it closes its connections and ends with status 0.
 */
#include "example.h"

enum {
    PORT = 7,
    MAX_CONNECTIONS = 1000,
    BUFFER = 4096,     /* bytes that are on their way back, for each connection */
    ROUNDS = 8,        /* reads in a row before the others have their turn */
    EVENTS = 64,       /* events taken at once */
    LISTENER = ~0u,    /* tokens; a connection's is its place in the table */
    SHUTDOWN = ~0u - 1
};

typedef struct {
    handle_t socket;
    u32 place;    /* in the table */
    u32 interest; /* what the set watches it for */
    size_t start; /* the first byte that has not gone back yet */
    size_t end;   /* behind the last one */
    char buffer[BUFFER];
} connection;

static connection *connections[MAX_CONNECTIONS]; /* those that are there come first */
static u32 count;
static u64 served;
static handle_t listener, set;

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
    served++;
    if (count == MAX_CONNECTIONS - 1) {
        interest_modify(set, listener, IO_READABLE, LISTENER);
    }
}

/* Takes up one connection. 0: there is none, or no room. */
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
    c->start = c->end = 0;
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
        interest_modify(set, listener, 0, LISTENER); /* the others wait in the backlog */
    }
}

/* Sends back what came, as long as nothing would have to wait. */
static void serve(connection *c) {
    for (u32 round = 0; round < ROUNDS; round++) {
        result_t result;
        size_t moved;
        if (c->start == c->end) {
            result = net_recv(c->socket, (ptr_t)c->buffer, BUFFER, NET_NONBLOCK, &moved);
            if (result == ERR_WOULD_BLOCK) {
                watch(c, IO_READABLE);
                return;
            }
            if (result != OK || moved == 0) {
                end(c);
                return;
            }
            c->start = 0;
            c->end = moved;
        }
        result = net_send(c->socket, (ptr_t)(c->buffer + c->start), c->end - c->start, NET_NONBLOCK, &moved);
        if (result == ERR_WOULD_BLOCK) {
            watch(c, IO_WRITABLE);
            return;
        }
        if (result != OK) {
            end(c);
            return;
        }
        c->start += moved;
    }
}

int main(void) {
    static io_event_t events[EVENTS];
    static const u32 kinds[] = {CAP_LOG, CAP_MEM, CAP_IO, CAP_NET};
    handle_t shutdown, caps[4];
    if (take_capabilities(kinds, 4, caps) != OK) {
        return 2;
    }
    if (interest_create(&set) != OK || listen_on(PORT) != OK) {
        say(LOG_ERROR, "echo: cannot listen");
        return 1;
    }
    if (sys_shutdown(&shutdown) != OK || interest_add(set, shutdown, IO_READABLE, SHUTDOWN) != OK) {
        return 1;
    }
    say_number("echo: listening port=", PORT);
    for (;;) {
        u32 ready;
        if (interest_wait(set, events, EVENTS, ~0ull, &ready) != OK) {
            return 1;
        }
        for (u32 i = 0; i < ready; i++) {
            u32 token = events[i].reserved;
            if (token == SHUTDOWN) {
                while (count > 0) {
                    end(connections[count - 1]);
                }
                say_number("echo: stopped served=", served);
                return 0;
            }
            if (token == LISTENER) {
                take_all();
            } else if (token < count && connections[token]->socket == events[i].handle) {
                serve(connections[token]); /* not one that ended in this very round */
            }
        }
    }
}
