/* Allocations: the C library's, as a program's are. */
#include <stdlib.h>

#include "../phase.h"

enum { REPEATS = 1000, SMALL = 64, PAGE = 4096 };

static void allocate(size_t bytes, unsigned long count) {
    for (unsigned long i = 0; i < count; i++) {
        void *volatile memory = malloc(bytes);
        MUST(memory);
        free(memory);
    }
}

static void small(unsigned long count) {
    allocate(SMALL, count);
}

static void pages(unsigned long count) {
    allocate(PAGE, count);
}

void count_memory(void) {
    phase("memory_64", REPEATS, small);
    phase("memory_4096", REPEATS, pages);
}
