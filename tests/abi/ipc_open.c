/* ipc_open: channels to the code that runs the program. README.md says which there are to be. */
#include "tap.h"

#define LONGEST 65536
#define BOTH (IPC_OPEN_SEND | IPC_OPEN_RECEIVE)

static u8 large[LONGEST + 1], received[LONGEST + 1];

static result_t open_end(const char *name, u32 flags, handle_t *out)
{
    return ipc_open(P(name), length(name), flags, out);
}

/* The program's ends of a pair of channels that send back what they are sent. */
struct echo {
    handle_t to, from;
};

/* Whether there is one of that name; a machine that offers none skips the test. */
static int open_echo(const char *name, struct echo *out)
{
    result_t result = open_end(name, IPC_OPEN_SEND, &out->to);
    if (result == ERR_NOENT) {
        skip_rest("nobody offers channels");
        return 0;
    }
    return GIVES(OK, result) && OKAY(open_end(name, IPC_OPEN_RECEIVE, &out->from));
}

static void messages_come_back_as_they_were(void)
{
    static const u32 lengths[] = {0, 1, 40, 41, 4096, LONGEST, 3};
    struct echo echo;
    size_t len = 77;
    u32 at;
    if (!open_echo("echo.0", &echo))
        return;
    EQUAL(echo.to >> 56, HANDLE_IPC);
    EQUAL(echo.from >> 56, HANDLE_IPC);
    for (at = 0; at < sizeof(large); at++)
        large[at] = (u8)(at * 7 + at / 256);
    for (at = 0; at < COUNT(lengths); at++)
        OKAY(ipc_send(echo.to, P(large + at), lengths[at], 0));
    for (at = 0; at < COUNT(lengths); at++) {
        fill(received, 0, sizeof(received));
        OKAY(ipc_recv(echo.from, P(received), LONGEST, &len, 0));
        EQUAL(len, lengths[at]);
        CHECK(same(received, large + at, len));
        EQUAL(received[len], 0); /* nothing is written behind it */
    }
    GIVES(ERR_WOULD_BLOCK, ipc_recv(echo.from, P(received), LONGEST, &len, IPC_NONBLOCK));
    FAILS(ERR_PERMISSION, 1, ipc_recv(echo.to, P(received), LONGEST, &len, 0));
    FAILS(ERR_PERMISSION, 1, ipc_send(echo.from, 0, 0, 0));
    /* The other side ends, too, and closes its end. */
    OKAY(ipc_close(echo.to));
    GIVES(ERR_CLOSED, ipc_recv(echo.from, P(received), LONGEST, &len, 0));
}

static void who_does_not_receive_holds_the_other_side_up(void)
{
    struct echo echo;
    u32 sent = 0, at;
    u64 number, last = 0;
    size_t len;
    if (!open_echo("echo.1", &echo))
        return;
    /* Until both channels are full: there is an end to what they take. */
    for (; sent < 10000; sent++) {
        number = sent;
        if (ready_within(echo.to, IO_WRITABLE, 100 * MILLISECOND) == 0)
            break;
        NEED(ipc_send(echo.to, P(&number), sizeof(number), IPC_NONBLOCK));
    }
    CHECK(sent >= 2 && sent < 10000);
    number = sent;
    GIVES(ERR_WOULD_BLOCK, ipc_send(echo.to, P(&number), sizeof(number), IPC_NONBLOCK));
    for (at = 0; at < sent; at++) {
        EQUAL(ready_within(echo.from, IO_READABLE, PATIENCE), IO_READABLE);
        OKAY(ipc_recv(echo.from, P(&last), sizeof(last), &len, 0));
        EQUAL(last, at);
    }
    EQUAL(ready_within(echo.to, IO_WRITABLE, PATIENCE), IO_WRITABLE);
}

static void an_end_is_opened_once(void)
{
    struct echo echo;
    handle_t again = 0;
    if (!open_echo("echo.2", &echo))
        return;
    FAILS(ERR_BUSY, 1, open_end("echo.2", IPC_OPEN_SEND, &again));
    FAILS(ERR_BUSY, 1, open_end("echo.2", IPC_OPEN_RECEIVE, &again));
    OKAY(ipc_close(echo.from));
    FAILS(ERR_BUSY, 1, open_end("echo.2", IPC_OPEN_RECEIVE, &again));
    EQUAL(again, 0);
}

static void handles_stay_in_the_program(void)
{
    struct echo echo;
    handle_t channel = 0;
    size_t len = 77;
    if (!open_echo("echo.3", &echo))
        return;
    OKAY(ipc_channel_create(0, &channel));
    FAILS(ERR_UNSUPPORTED, 4, ipc_send_handles(echo.to, P("x"), 1, &channel, 1, 0));
    OKAY(ipc_send(channel, 0, 0, IPC_NONBLOCK)); /* it is still there */
    OKAY(ipc_send_handles(echo.to, P("x"), 1, &channel, 0, 0));
    OKAY(ipc_recv(echo.from, P(received), LONGEST, &len, 0));
    EQUAL(len, 1);
}

static void what_was_sent_before_it_was_opened_is_there(void)
{
    handle_t farewell = 0;
    size_t len = 0;
    result_t result = open_end("farewell", IPC_OPEN_RECEIVE, &farewell);
    if (result == ERR_NOENT) {
        skip_rest("nobody offers channels");
        return;
    }
    NEED(result);
    OKAY(ipc_recv(farewell, P(received), LONGEST, &len, 0));
    CHECK(len == 4 && same(received, "good", 4));
    EQUAL(ready_within(farewell, IO_READABLE, 0), IO_READABLE | IO_HANGUP);
    OKAY(ipc_recv(farewell, P(received), LONGEST, &len, 0));
    CHECK(len == 3 && same(received, "bye", 3));
    GIVES(ERR_CLOSED, ipc_recv(farewell, P(received), LONGEST, &len, 0));
}

static void sending_to_nobody_is_told(void)
{
    handle_t deaf = 0;
    result_t result = open_end("deaf", IPC_OPEN_SEND, &deaf);
    if (result == ERR_NOENT) {
        skip_rest("nobody offers channels");
        return;
    }
    NEED(result);
    EQUAL(ready_within(deaf, IO_WRITABLE, 0), IO_WRITABLE | IO_HANGUP);
    GIVES(ERR_CLOSED, ipc_send(deaf, 0, 0, 0));
}

static void arguments_are_looked_at(void)
{
    static const u32 wrong[] = {0, 1, BOTH, 1 << 3, ~0u};
    handle_t out = 77;
    u32 at;
    for (at = 0; at < COUNT(wrong); at++)
        FAILS(ERR_INVALID, 3, open_end("none", wrong[at], &out));
    FAILS(ERR_INVALID, 1, ipc_open(0, 1, IPC_OPEN_SEND, &out));
    FAILS(ERR_INVALID, 1, ipc_open(NOWHERE, 1, IPC_OPEN_SEND, &out));
    FAILS(ERR_INVALID, 1, ipc_open(P("none"), ~0ull, IPC_OPEN_SEND, &out));
    FAILS(ERR_INVALID, 4, open_end("none", IPC_OPEN_SEND, 0));
    FAILS(ERR_NOENT, 1, open_end("none", IPC_OPEN_SEND, &out));
    FAILS(ERR_NOENT, 1, open_end("none", IPC_OPEN_RECEIVE, &out));
    FAILS(ERR_NOENT, 1, ipc_open(P(large), LONGEST, IPC_OPEN_SEND, &out));
    FAILS(ERR_NOENT, 1, ipc_open(0, 0, IPC_OPEN_SEND, &out)); /* nobody has no name */
    FAILS(ERR_NOENT, 1, open_end("deaf", IPC_OPEN_RECEIVE, &out));
    EQUAL(out, 77);
}

static const struct test ipc_open_tests[] = {
    TEST(messages_come_back_as_they_were),
    TEST(who_does_not_receive_holds_the_other_side_up),
    TEST(an_end_is_opened_once),
    TEST(handles_stay_in_the_program),
    TEST(what_was_sent_before_it_was_opened_is_there),
    TEST(sending_to_nobody_is_told),
    TEST(arguments_are_looked_at),
};
AREA(ipc_open);
