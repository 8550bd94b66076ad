/* Phases, and the marks at their ends. */
#include "phase.h"

enum { ROUNDS = 3, MAX_LINE = 160 };

/* A place with a name, at which the gauge (`benches/gauge`) takes its counters. */
__attribute__((noinline)) void bench_mark(void) {
    __asm__ volatile("");
}

/* A line that is being written. */
typedef struct {
    char text[MAX_LINE];
    size_t len;
} line;

static void add_text(line *to, const char *text) {
    for (; *text && to->len < MAX_LINE; text++) {
        to->text[to->len++] = *text;
    }
}

static void add_number(line *to, unsigned long number) {
    char digits[21], *first = digits + sizeof digits - 1;
    *first = 0;
    do {
        *--first = (char)('0' + number % 10);
        number /= 10;
    } while (number != 0);
    add_text(to, first);
}

/* Says what the last two marks were about. */
static void say_counted(const char *name, unsigned long repeats) {
    line counted = {.len = 0};
    add_text(&counted, "bench: phase=");
    add_text(&counted, name);
    add_text(&counted, " repeats=");
    add_number(&counted, repeats);
    say(counted.text, counted.len);
}

void phase(const char *name, unsigned long repeats, void (*operation)(unsigned long repeats)) {
    operation(repeats);
    for (int round = 0; round < ROUNDS; round++) {
        rest();
        bench_mark();
        operation(repeats);
        bench_mark();
        say_counted(name, repeats);
    }
}

void interval(const char *name, void (*operation)(void)) {
    for (int round = 0; round < ROUNDS; round++) {
        rest();
        operation();
        say_counted(name, 1);
    }
}

_Noreturn void fail(const char *file, int number) {
    line failed = {.len = 0};
    add_text(&failed, "bench: failed at ");
    add_text(&failed, file);
    add_text(&failed, ":");
    add_number(&failed, (unsigned long)number);
    say(failed.text, failed.len);
    rest();
    finish(1);
}

int main(void) {
    static const char last[] = "bench: counted";
    prepare();
    count_calls();
    count_memory();
    count_messages();
    count_tasks();
    count_priorities();
    count_waiting();
    count_spans();
    say(last, sizeof last - 1);
    rest();
    finish(0);
}
