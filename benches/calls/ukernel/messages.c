/* Messages: within a task, and to another and back. */
#include <ukernel_abi.h>

#include "../phase.h"

enum { REPEATS = 1000 };
#define FOREVER (~0ull)

/* A channel's two ends. */
typedef struct {
    handle_t sender, receiver;
} channel;

static channel there, back;

static void send(handle_t to, u64 number) {
    MUST(ipc_send(to, (ptr_t)&number, sizeof number, 0) == OK);
}

static u64 receive(handle_t from) {
    u64 number;
    size_t len;
    MUST(ipc_recv(from, (ptr_t)&number, sizeof number, &len, 0) == OK);
    return number;
}

static void alone(unsigned long count) {
    for (unsigned long i = 0; i < count; i++) {
        send(back.sender, i);
        MUST(receive(back.receiver) == i);
    }
}

static void round_trips(unsigned long count) {
    for (unsigned long i = 0; i < count; i++) {
        send(there.sender, i);
        MUST(receive(back.receiver) == i);
    }
}

/* Sends back what it receives. */
static i32 echo(ptr_t unused) {
    u64 number;
    size_t len;
    (void)unused;
    while (ipc_recv(there.receiver, (ptr_t)&number, sizeof number, &len, 0) == OK) {
        send(back.sender, number);
    }
    return 0;
}

/* The same to a task in Rust: `tests/companion`. */
static void count_round_trips_to_rust(void) {
    static const char name[] = "echo.0";
    MUST(ipc_open((ptr_t)name, sizeof name - 1, IPC_OPEN_SEND, &there.sender) == OK);
    MUST(ipc_open((ptr_t)name, sizeof name - 1, IPC_OPEN_RECEIVE, &back.receiver) == OK);
    phase("message_round_trip_rust", REPEATS, round_trips);
    MUST(ipc_close(there.sender) == OK);
}

void count_messages(void) {
    handle_t ipc, task;
    MUST(ipc_channel_pair(0, &there.sender, &there.receiver) == OK);
    MUST(ipc_channel_pair(0, &back.sender, &back.receiver) == OK);
    phase("message_alone", REPEATS, alone);
    MUST(cap_acquire(CAP_IPC, &ipc) == OK);
    MUST(task_spawn((ptr_t)echo, 0, &ipc, 1, 0, &task) == OK);
    phase("message_round_trip", REPEATS, round_trips);
    MUST(ipc_close(there.sender) == OK);
    MUST(task_join(task, FOREVER, NULL) == OK);
    MUST(ipc_close(back.receiver) == OK);
    count_round_trips_to_rust();
}
