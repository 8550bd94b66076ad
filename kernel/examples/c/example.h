/* What the examples have in common: capabilities, and words and numbers in the log. */
#ifndef EXAMPLE_H
#define EXAMPLE_H

#include <ukernel_abi.h>

/* Nothing is active at start: asks for capabilities of these kinds, at most 8, makes them active, and leaves their handles
 * in caps. */
static inline result_t take_capabilities(const u32 *kinds, u32 count, handle_t *caps) {
    for (u32 i = 0; i < count; i++) {
        result_t result = cap_acquire(kinds[i], &caps[i]);
        if (result != OK) {
            return result;
        }
    }
    return cap_enter(caps, count);
}

static inline size_t length(const char *text) {
    size_t len = 0;
    while (text[len] != 0) {
        len++;
    }
    return len;
}

/* The number that a text begins with; 0: with none. */
static inline u64 parse(const char *text) {
    u64 number = 0;
    for (; *text >= '0' && *text <= '9'; text++) {
        number = number * 10 + (u64)(*text - '0');
    }
    return number;
}

static inline void say(u32 level, const char *text) { log_write(level, (ptr_t)text, length(text)); }

/* Logs a name, such as "sum=", and a number behind it. */
static inline void say_number(const char *name, u64 number) {
    char text[80], digits[20];
    size_t len = 0, n = 0;
    while (*name != 0 && len < sizeof text - sizeof digits) {
        text[len++] = *name++;
    }
    do {
        digits[n++] = (char)('0' + number % 10);
        number /= 10;
    } while (number != 0);
    while (n > 0) {
        text[len++] = digits[--n];
    }
    log_write(LOG_INFO, (ptr_t)text, len);
}

#endif /* EXAMPLE_H */
