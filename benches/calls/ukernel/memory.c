/* Allocations. */
#include <ukernel_abi.h>

#include "../phase.h"

enum { REPEATS = 1000, SMALL = 64, PAGE = 4096 };

static void allocate(size_t bytes, unsigned long count) {
    ptr_t memory;
    for (unsigned long i = 0; i < count; i++) {
        MUST(mem_alloc(bytes, MEM_READ | MEM_WRITE, &memory) == OK);
        MUST(mem_free(memory) == OK);
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
