/* net_resolve: names, and what a server says of them. The server is a task of this program: with the argument `dns` the
 * machine asks 127.0.0.1, port 53, and nobody else is there. */
#include "sockets.h"

/* --- the server (RFC 1035, section 4) ---------------------------------------------------------------------------- */

enum { HEADER = 12, QUESTION_END = 4, RECORD = 12, LARGEST = 512 };
enum { TYPE_A = 1, TYPE_AAAA = 28 };
enum { NO_ERROR = 0, SERVER_FAILURE = 2, NO_SUCH_NAME = 3 };

/* A name as the wire has it, and what there is of it. */
struct record {
    const char *name;
    u8 code, fours, sixes;
};

static const struct record records[] = {
    {"\3two\4test", NO_ERROR, 2, 0},
    {"\4both\4test", NO_ERROR, 1, 1},
    {"\5empty\4test", NO_ERROR, 0, 0},
    {"\6broken\4test", SERVER_FAILURE, 0, 0},
};

static const struct record unknown = {"", NO_SUCH_NAME, 0, 0};

struct server {
    handle_t socket;
    u32 asked[2]; /* for addresses of IPv4, of IPv6 */
};

/* Whether a name, in whichever case, is one of ours. */
static int is_name(const u8 *name, const char *ours)
{
    for (; *ours != 0; name++, ours++) {
        u8 letter = *name >= 'A' && *name <= 'Z' ? (u8)(*name + 'a' - 'A') : *name;
        if (letter != (u8)*ours)
            return 0;
    }
    return *name == 0;
}

static const struct record *record_of(const u8 *name)
{
    u32 at;
    for (at = 0; at < COUNT(records); at++) {
        if (is_name(name, records[at].name))
            return &records[at];
    }
    return &unknown;
}

/* The fields of the address that has this number among a name's. */
static void write_address(u8 *to, u32 bytes, u32 number)
{
    static const u8 four[] = {192, 0, 2, 1}, six[] = {0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1};
    const u8 *from = bytes == sizeof(four) ? four : six;
    u32 at;
    for (at = 0; at < bytes; at++)
        to[at] = from[at];
    to[bytes - 1] += (u8)number;
}

/* Writes the records behind a question; the answer's length. */
static u32 write_records(u8 *message, u32 end, u8 type, u32 count)
{
    const u8 bytes = type == TYPE_A ? 4 : 16;
    u32 at, field;
    for (at = 0; at < count; at++) {
        const u8 head[RECORD] = {0xc0, HEADER, 0, type, 0, 1, 0, 0, 0, 60, 0, bytes};
        for (field = 0; field < RECORD; field++)
            message[end++] = head[field];
        write_address(&message[end], bytes, at);
        end += bytes;
    }
    return end;
}

/* Makes a question its answer; the length, or 0: it is no question. */
static u32 answer(struct server *server, u8 *message, u32 len)
{
    const struct record *record;
    u32 end = HEADER, count;
    u8 type;
    while (end < len && message[end] != 0)
        end += message[end] + 1u;
    end += 1 + QUESTION_END;
    if (end > len)
        return 0;
    record = record_of(&message[HEADER]);
    type = message[end - 3];
    server->asked[type == TYPE_AAAA] += 1;
    count = type == TYPE_A ? record->fours : type == TYPE_AAAA ? record->sixes : 0;
    message[2] = 0x81; /* an answer; recursion was asked for */
    message[3] = 0x80 | record->code;
    fill(&message[6], 0, 6);
    message[7] = (u8)count;
    return write_records(message, end, type, count);
}

static i32 serves(ptr_t argument)
{
    struct server *server = (struct server *)argument;
    static u8 message[LARGEST];
    for (;;) {
        struct address peer;
        size_t len = 0;
        u32 answered;
        peer.length = sizeof(peer.is);
        if (net_recv_from(server->socket, P(message), LARGEST / 2, 0, &len, P(&peer.is), &peer.length) != OK)
            return 0; /* its socket is closed */
        answered = answer(server, message, (u32)len);
        if (answered > 0)
            OKAY(net_send_to(server->socket, P(message), answered, 0, P(&peer.is), peer.length));
    }
}

/* Starts the server; it ends with the test. Not so: the machine asks somebody else. */
static int open_server(struct server *server)
{
    struct address address = loopback(NET_INET, 53);
    if (argument("dns") == 0) {
        skip_rest("the machine's name server is not this program (argument dns)");
        return 0;
    }
    server->asked[0] = server->asked[1] = 0;
    server->socket = new_socket(NET_INET, NET_DGRAM);
    if (!OKAY(bind_to(server->socket, &address)))
        return 0;
    start(serves, server);
    return 1;
}

/* --- names ------------------------------------------------------------------------------------------------------- */

#define ROOM 8

static result_t resolve(const char *name, net_addr_v6_t *out, u32 capacity, u32 *count)
{
    return net_resolve(P(name), length(name), out, capacity, count);
}

/* Whether an address of such a family and number is among those that were found. */
static int is_found(const net_addr_v6_t *found, u32 count, u32 bytes, u32 number)
{
    u8 wanted[16] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0, 0, 0, 0};
    u32 at;
    write_address(&wanted[16 - bytes], bytes, number);
    for (at = 0; at < count; at++) {
        if (same(found[at].ip, wanted, 16))
            return found[at].port == 0 && found[at].scope == 0;
    }
    return 0;
}

static void a_name_has_its_addresses(void)
{
    struct server server;
    net_addr_v6_t found[ROOM];
    u32 count = 0;
    if (!open_server(&server))
        return;
    OKAY(resolve("two.test", found, ROOM, &count));
    EQUAL(count, 2);
    CHECK(is_found(found, count, 4, 0) && is_found(found, count, 4, 1));
    CHECK(server.asked[0] > 0);
    count = 77;
    OKAY(resolve("TWO.test.", found, ROOM, &count)); /* which is the same name */
    EQUAL(count, 2);
}

/* Whoever has no address of a family need not ask for one. */
static void a_name_may_have_addresses_of_both_families(void)
{
    struct server server;
    net_addr_v6_t found[ROOM];
    u32 count = 0;
    if (!open_server(&server))
        return;
    OKAY(resolve("both.test", found, ROOM, &count));
    EQUAL(count, server.asked[1] > 0 ? 2 : 1);
    CHECK(is_found(found, count, 4, 0));
    CHECK(server.asked[1] == 0 || is_found(found, count, 16, 0));
}

static void addresses_that_find_no_room_are_left_out(void)
{
    struct server server;
    net_addr_v6_t found[2];
    u32 count = 0;
    if (!open_server(&server))
        return;
    fill(found, 0x77, sizeof(found));
    OKAY(resolve("two.test", found, 1, &count));
    EQUAL(count, 1);
    CHECK(is_found(found, 1, 4, 0) || is_found(found, 1, 4, 1));
    EQUAL(found[1].scope, 0x77777777);
}

static void what_the_server_says_instead_is_told(void)
{
    struct server server;
    net_addr_v6_t found[ROOM];
    u32 count = 77;
    if (!open_server(&server))
        return;
    GIVES(ERR_NOENT, resolve("nobody.test", found, ROOM, &count));
    GIVES(ERR_NOENT, resolve("empty.test", found, ROOM, &count));
    GIVES(ERR_IO, resolve("broken.test", found, ROOM, &count));
    EQUAL(count, 77);
}

/* A task that asks. */
struct question {
    const char *name;
    u32 count;
};

static i32 asks(ptr_t argument)
{
    struct question *question = (struct question *)argument;
    net_addr_v6_t found[ROOM];
    return (i32)resolve(question->name, found, ROOM, &question->count);
}

static void several_tasks_may_ask(void)
{
    struct server server;
    struct question questions[3] = {{"two.test", 0}, {"nobody.test", 0}, {"both.test", 0}};
    handle_t tasks[3];
    u32 at;
    if (!open_server(&server))
        return;
    for (at = 0; at < 3; at++)
        tasks[at] = start(asks, &questions[at]);
    EQUAL(finish(tasks[0]), OK);
    EQUAL(finish(tasks[1]), ERR_NOENT);
    EQUAL(finish(tasks[2]), OK);
    EQUAL(questions[0].count, 2);
}

static void addresses_are_names_too(void)
{
    static const u8 one[16] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1};
    net_addr_v6_t found[ROOM];
    u32 count = 0;
    OKAY(resolve("192.0.2.2", found, ROOM, &count));
    CHECK(count == 1 && is_found(found, count, 4, 1));
    OKAY(resolve("::1", found, ROOM, &count));
    CHECK(count == 1 && same(found[0].ip, one, 16));
}

static void names_that_are_none_are_refused(void)
{
    static char name[300];
    net_addr_v6_t addresses[4];
    u32 count = 77;
    fill(name, 'n', sizeof(name));
    FAILS(ERR_INVALID, 2, net_resolve(P(name), 0, addresses, 4, &count));
    FAILS(ERR_INVALID, 2, net_resolve(P(name), sizeof(name), addresses, 4, &count));
    FAILS(ERR_INVALID, 4, net_resolve(P("a.invalid"), 9, addresses, 0, &count));
    FAILS(ERR_INVALID, 1, net_resolve(NOWHERE, 9, addresses, 4, &count));
    FAILS(ERR_INVALID, 3, net_resolve(P("a.invalid"), 9, 0, 4, &count));
    FAILS(ERR_INVALID, 5, net_resolve(P("a.invalid"), 9, addresses, 4, 0));
    EQUAL(count, 77);
}

static const struct test names_tests[] = {
    TEST(a_name_has_its_addresses),
    TEST(a_name_may_have_addresses_of_both_families),
    TEST(addresses_that_find_no_room_are_left_out),
    TEST(what_the_server_says_instead_is_told),
    TEST(several_tasks_may_ask),
    TEST(addresses_are_names_too),
    TEST(names_that_are_none_are_refused),
};
AREA(names);
