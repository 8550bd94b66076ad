/* Messages through pipes: within a thread, and to another and back. */
#include <pthread.h>

#include "pipes.h"

enum { REPEATS = 1000 };

static channel there, back;

static void alone(unsigned long count) {
    for (unsigned long i = 0; i < count; i++) {
        send_number(back.sender, i);
        MUST(receive_number(back.receiver) == i);
    }
}

static void round_trips(unsigned long count) {
    for (unsigned long i = 0; i < count; i++) {
        send_number(there.sender, i);
        MUST(receive_number(back.receiver) == i);
    }
}

/* Sends back what it receives. */
static void *echo(void *unused) {
    uint64_t number;
    (void)unused;
    while (read(there.receiver, &number, sizeof number) == sizeof number) {
        send_number(back.sender, number);
    }
    return NULL;
}

void count_messages(void) {
    pthread_t thread;
    make_channel(&there);
    make_channel(&back);
    phase("message_alone", REPEATS, alone);
    MUST(pthread_create(&thread, NULL, echo, NULL) == 0);
    phase("message_round_trip", REPEATS, round_trips);
    MUST(close(there.sender) == 0);
    MUST(pthread_join(thread, NULL) == 0);
}
