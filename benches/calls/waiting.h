/* The names of the phases in which many channels are waited for, which both kernels' programs go through. */
#ifndef WAITING_H
#define WAITING_H

#include "phase.h"

/* The names of phases with one number of channels. */
typedef struct {
    int count;
    unsigned long repeats;
    const char *poll_none, *poll_one, *poll_sleeping, *set_none, *set_one, *set_sleeping;
} names;

#define NAMES(number, repeats)                                                                                         \
    {                                                                                                                  \
        number, repeats, "poll_none@" #number, "poll_one@" #number, "poll_sleep@" #number, "set_none@" #number,        \
            "set_one@" #number, "set_sleep@" #number                                                                   \
    }

static const names all_names[] = {NAMES(1, 1000), NAMES(100, 100), NAMES(10000, 2)};
enum { ALL_NAMES = sizeof all_names / sizeof all_names[0] };

#endif
