/* Bytes that came in and are still to go out again: a piece of memory, and which part of it is in use. Knows nothing of
 * the kernel: tests/pending.c tests it on this machine. */
#ifndef PENDING_H
#define PENDING_H

#include <stddef.h>

enum { PENDING_BYTES = 4096 };

typedef struct {
    size_t start; /* the first byte that has not gone out yet */
    size_t end;   /* behind the last one */
    char bytes[PENDING_BYTES];
} pending;

static inline int pending_is_empty(const pending *p) { return p->start == p->end; }

/* So many bytes have been put at the beginning of `bytes`. Only while it is empty. */
static inline void pending_filled(pending *p, size_t count) {
    p->start = 0;
    p->end = count;
}

/* So many of them have gone out. */
static inline void pending_taken(pending *p, size_t count) { p->start += count; }

static inline const char *pending_begin(const pending *p) { return p->bytes + p->start; }

static inline size_t pending_count(const pending *p) { return p->end - p->start; }

#endif
