/* Waiting for one of many channels: each is looked at (io_poll), or only those that are ready (an interest set). */
#include <ukernel_abi.h>

#include "../waiting.h"

#define FOREVER (~0ull)

/* Channels that are waited for. All phases wait for the first `count` of them; the last of these becomes ready. */
static handle_t senders[MANY], receivers[MANY];
static u32 count;
static io_event_t events[MANY];
static handle_t set;
/* Where the other task is told to send. */
static handle_t asks, asked;

static void send(handle_t to) {
    u64 number = 0;
    MUST(ipc_send(to, (ptr_t)&number, sizeof number, 0) == OK);
}

static void receive(handle_t from) {
    u64 number;
    size_t len;
    MUST(ipc_recv(from, (ptr_t)&number, sizeof number, &len, 0) == OK);
}

static void poll_none(unsigned long repeats) {
    u32 ready;
    for (unsigned long i = 0; i < repeats; i++) {
        MUST(io_poll(receivers, count, 0, (ptr_t)events, &ready) == ERR_WOULD_BLOCK);
    }
}

static void poll_one(unsigned long repeats) {
    u32 ready;
    for (unsigned long i = 0; i < repeats; i++) {
        MUST(io_poll(receivers, count, 0, (ptr_t)events, &ready) == OK && ready == 1);
    }
}

static void poll_sleeping(unsigned long repeats) {
    u32 ready;
    for (unsigned long i = 0; i < repeats; i++) {
        send(asks);
        MUST(io_poll(receivers, count, FOREVER, (ptr_t)events, &ready) == OK && ready == 1);
        receive(events[0].handle);
    }
}

static void set_none(unsigned long repeats) {
    u32 ready;
    for (unsigned long i = 0; i < repeats; i++) {
        MUST(interest_wait(set, events, MANY, 0, &ready) == ERR_WOULD_BLOCK);
    }
}

static void set_one(unsigned long repeats) {
    u32 ready;
    for (unsigned long i = 0; i < repeats; i++) {
        MUST(interest_wait(set, events, MANY, 0, &ready) == OK && ready == 1);
    }
}

static void set_sleeping(unsigned long repeats) {
    u32 ready;
    for (unsigned long i = 0; i < repeats; i++) {
        send(asks);
        MUST(interest_wait(set, events, MANY, FOREVER, &ready) == OK && ready == 1);
        receive(events[0].handle);
    }
}

/* Sends to the last channel whenever it is asked to. */
static i32 sender(ptr_t unused) {
    u64 number;
    size_t len;
    (void)unused;
    while (ipc_recv(asked, (ptr_t)&number, sizeof number, &len, 0) == OK) {
        send(senders[count - 1]);
    }
    return 0;
}

static void count_phases(const names *of) {
    count = (u32)of->count;
    MUST(interest_create(&set) == OK);
    for (u32 i = 0; i < count; i++) {
        MUST(interest_add(set, receivers[i], IO_READABLE, i) == OK);
    }
    phase(of->poll_none, of->repeats, poll_none);
    phase(of->set_none, of->repeats, set_none);
    send(senders[count - 1]);
    phase(of->poll_one, of->repeats, poll_one);
    phase(of->set_one, of->repeats, set_one);
    receive(receivers[count - 1]);
    phase(of->set_sleeping, of->repeats, set_sleeping);
    /* Nothing else is told of a message then than who waits for it. */
    MUST(io_close(set) == OK);
    phase(of->poll_sleeping, of->repeats, poll_sleeping);
}

void count_waiting(void) {
    handle_t ipc, other;
    for (u32 i = 0; i < MANY; i++) {
        MUST(ipc_channel_pair(0, &senders[i], &receivers[i]) == OK);
    }
    MUST(ipc_channel_pair(0, &asks, &asked) == OK);
    MUST(cap_acquire(CAP_IPC, &ipc) == OK);
    MUST(task_spawn((ptr_t)sender, 0, &ipc, 1, 0, &other) == OK);
    for (int i = 0; i < ALL_NAMES; i++) {
        count_phases(&all_names[i]);
    }
    MUST(ipc_close(asks) == OK);
    MUST(task_join(other, FOREVER, NULL) == OK);
}
