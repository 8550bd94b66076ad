/* Waiting for one of many pipes: each is looked at (poll), or only those that are ready (epoll, level-triggered). */
#include <poll.h>
#include <pthread.h>
#include <sys/epoll.h>

#include "../waiting.h"
#include "pipes.h"

enum { FOREVER = -1 };

/* Pipes that are waited for. All phases wait for the first `count` of them; the last of these becomes ready. */
static channel channels[MANY];
static int count;
static struct pollfd polled[MANY];
static struct epoll_event events[MANY];
static int set;
/* Where the other thread is told to send. */
static channel asks;

static void poll_none(unsigned long repeats) {
    for (unsigned long i = 0; i < repeats; i++) {
        MUST(poll(polled, (nfds_t)count, 0) == 0);
    }
}

static void poll_one(unsigned long repeats) {
    for (unsigned long i = 0; i < repeats; i++) {
        MUST(poll(polled, (nfds_t)count, 0) == 1);
    }
}

static void poll_sleeping(unsigned long repeats) {
    for (unsigned long i = 0; i < repeats; i++) {
        send_number(asks.sender, i);
        MUST(poll(polled, (nfds_t)count, FOREVER) == 1);
        receive_number(channels[count - 1].receiver);
    }
}

static void set_none(unsigned long repeats) {
    for (unsigned long i = 0; i < repeats; i++) {
        MUST(epoll_wait(set, events, MANY, 0) == 0);
    }
}

static void set_one(unsigned long repeats) {
    for (unsigned long i = 0; i < repeats; i++) {
        MUST(epoll_wait(set, events, MANY, 0) == 1);
    }
}

static void set_sleeping(unsigned long repeats) {
    for (unsigned long i = 0; i < repeats; i++) {
        send_number(asks.sender, i);
        MUST(epoll_wait(set, events, MANY, FOREVER) == 1);
        receive_number(events[0].data.fd);
    }
}

/* Sends to the last pipe whenever it is asked to. */
static void *sender(void *unused) {
    uint64_t number;
    while (read(asks.receiver, &number, sizeof number) == sizeof number) {
        send_number(channels[count - 1].sender, number);
    }
    return unused;
}

static void count_phases(const names *of) {
    count = of->count;
    set = epoll_create1(0);
    MUST(set >= 0);
    for (int i = 0; i < count; i++) {
        struct epoll_event wanted = {.events = EPOLLIN, .data.fd = channels[i].receiver};
        MUST(epoll_ctl(set, EPOLL_CTL_ADD, channels[i].receiver, &wanted) == 0);
    }
    phase(of->poll_none, of->repeats, poll_none);
    phase(of->set_none, of->repeats, set_none);
    send_number(channels[count - 1].sender, 0);
    phase(of->poll_one, of->repeats, poll_one);
    phase(of->set_one, of->repeats, set_one);
    receive_number(channels[count - 1].receiver);
    phase(of->set_sleeping, of->repeats, set_sleeping);
    /* Nothing else is told of a message then than who waits for it. */
    MUST(close(set) == 0);
    phase(of->poll_sleeping, of->repeats, poll_sleeping);
}

void count_waiting(void) {
    pthread_t thread;
    for (int i = 0; i < MANY; i++) {
        make_channel(&channels[i]);
        polled[i] = (struct pollfd){.fd = channels[i].receiver, .events = POLLIN};
    }
    make_channel(&asks);
    MUST(pthread_create(&thread, NULL, sender, NULL) == 0);
    for (int i = 0; i < ALL_NAMES; i++) {
        count_phases(&all_names[i]);
    }
    MUST(close(asks.sender) == 0);
    MUST(pthread_join(thread, NULL) == 0);
}
