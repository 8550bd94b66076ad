/* Pipes as channels of numbers. */
#ifndef PIPES_H
#define PIPES_H

#include <stdint.h>
#include <unistd.h>

#include "../phase.h"

/* A pipe's two ends. */
typedef struct {
    int receiver, sender;
} channel;

static inline void make_channel(channel *made) {
    int ends[2];
    MUST(pipe(ends) == 0);
    made->receiver = ends[0];
    made->sender = ends[1];
}

static inline void send_number(int to, uint64_t number) {
    MUST(write(to, &number, sizeof number) == sizeof number);
}

static inline uint64_t receive_number(int from) {
    uint64_t number;
    MUST(read(from, &number, sizeof number) == sizeof number);
    return number;
}

#endif
