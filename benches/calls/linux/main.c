/* What the phases need of a Linux guest whose first process this is. */
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "../phase.h"

enum { STANDARD = 3, EACH = 2, SPARE = 100 };

/* Descriptors for as many pipes as there are handles on the other side. */
void prepare(void) {
    const rlim_t count = STANDARD + EACH * MANY + SPARE;
    const struct rlimit files = {count, count};
    MUST(setrlimit(RLIMIT_NOFILE, &files) == 0);
}

/* The first process's output is the console; a line is out when this returns. */
void say(const char *line, size_t len) {
    (void)!write(STDOUT_FILENO, line, len);
    (void)!write(STDOUT_FILENO, "\n", 1);
}

void rest(void) {
    const struct timespec pause = {0, 5000000};
    nanosleep(&pause, NULL);
}

/* The kernel does not outlive its first process, and who counts ends the machine. */
_Noreturn void finish(int status) {
    (void)status;
    for (;;) {
        pause();
    }
}

/* Its priorities are not classes that all get a part: nothing to compare. */
void count_priorities(void) {
}

/* It keeps none without a tool that asks for it. */
void count_spans(void) {
}
