/* Does something ROUNDS times, for who counts its system calls: `program NAME ROUNDS`. */
#include "ukernel_abi.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#define P(pointer) ((ptr_t)(pointer))
#define FOREVER (~0ull)
#define MEMBERS 1000

#define NEED(condition)                                             \
    do {                                                            \
        if (!(condition)) {                                         \
            fprintf(stderr, "rounds.c:%d: %s\n", __LINE__, #condition); \
            exit(1);                                                \
        }                                                           \
    } while (0)

static int pipes[MEMBERS][2];
static handle_t members[MEMBERS], set, caps[8], there, back;

static void fill_set(void)
{
    u32 at;
    NEED(interest_create(&set) == OK);
    for (at = 0; at < MEMBERS; at++) {
        NEED(pipe(pipes[at]) == 0);
        NEED(io_from_fd(pipes[at][0], IO_OPEN_READ, &members[at]) == OK);
        NEED(interest_add(set, members[at], IO_READABLE, at) == OK);
    }
}

static void write_one(u32 at)
{
    NEED(write(pipes[at][1], "x", 1) == 1);
}

static void read_one(u32 at)
{
    char byte;
    NEED(read(pipes[at][0], &byte, 1) == 1);
}

static void one_of_many(u32 rounds)
{
    io_event_t events[64];
    u32 count;
    fill_set();
    for (; rounds > 0; rounds--) {
        write_one(rounds % MEMBERS);
        NEED(interest_wait(set, events, 64, FOREVER, &count) == OK && count == 1);
        NEED(events[0].reserved == rounds % MEMBERS);
        read_one(events[0].reserved);
    }
}

static void looks(u32 rounds)
{
    io_event_t events[64];
    u32 count;
    fill_set();
    for (; rounds > 0; rounds--) {
        NEED(interest_wait(set, events, 64, 0, &count) == ERR_WOULD_BLOCK);
        write_one(rounds % MEMBERS);
        NEED(interest_wait(set, events, 64, 0, &count) == OK && count == 1);
        read_one(events[0].reserved);
    }
}

static void many_ready(u32 rounds)
{
    io_event_t events[MEMBERS];
    u32 at, count;
    fill_set();
    for (at = 0; at < 100; at++)
        write_one(at);
    for (; rounds > 0; rounds--)
        NEED(interest_wait(set, events, MEMBERS, FOREVER, &count) == OK && count == 100);
}

static i32 waits(ptr_t at)
{
    u32 events;
    while (io_wait(members[at], IO_READABLE, FOREVER, &events) == OK) {
        read_one((u32)at);
        NEED(ipc_send(back, 0, 0, 0) == OK);
    }
    return 0;
}

static void task_waits(u32 rounds)
{
    size_t len;
    u32 at;
    fill_set();
    NEED(ipc_channel_create(0, &back) == OK);
    for (at = 0; at < 10; at++)
        NEED(task_spawn(P(waits), at, caps, 8, TASK_DETACHED, 0) == OK);
    for (; rounds > 0; rounds--) {
        write_one(rounds % 10);
        NEED(ipc_recv(back, 0, 0, &len, 0) == OK);
    }
}

static void wakes_itself(u32 rounds)
{
    handle_t wake;
    u64 waker, number;
    size_t len;
    u32 events;
    NEED(wake_create(&wake, &waker) == OK);
    for (; rounds > 0; rounds--) {
        NEED(wake_signal(waker) == OK);
        NEED(io_wait(wake, IO_READABLE, FOREVER, &events) == OK);
        NEED(io_read(wake, P(&number), 8, &len) == OK && number == 1);
    }
}

static i32 echoes(ptr_t argument)
{
    size_t len;
    while (ipc_recv(there, 0, 0, &len, 0) == OK && ipc_send(back, 0, 0, 0) == OK) {
    }
    return (i32)argument;
}

static void messages(u32 rounds)
{
    handle_t task;
    size_t len;
    NEED(ipc_channel_create(0, &there) == OK && ipc_channel_create(0, &back) == OK);
    NEED(task_spawn(P(echoes), 0, caps, 8, TASK_DETACHED, &task) == OK);
    for (; rounds > 0; rounds--)
        NEED(ipc_send(there, 0, 0, 0) == OK && ipc_recv(back, 0, 0, &len, 0) == OK);
}

static const struct {
    const char *name;
    void (*run)(u32 rounds);
} things[] = {{"one_of_many", one_of_many}, {"looks", looks},       {"many_ready", many_ready},
              {"task_waits", task_waits},   {"messages", messages}, {"wakes_itself", wakes_itself}};

int main(int argc, char **argv)
{
    struct rlimit limit;
    u32 at;
    NEED(argc == 3);
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    for (at = 0; at < 8; at++)
        NEED(cap_acquire(at + 1, &caps[at]) == OK);
    NEED(cap_enter(caps, 8) == OK);
    for (at = 0; at < sizeof(things) / sizeof(things[0]); at++) {
        if (strcmp(things[at].name, argv[1]) == 0) {
            things[at].run((u32)atoi(argv[2]));
            return 0;
        }
    }
    return 2;
}
