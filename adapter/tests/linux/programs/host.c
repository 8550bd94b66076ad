/* What only a process has: several kernels, descriptors of its own, wakes from threads and signal handlers, forks.
 *
 * `program NAME` runs one test; the status says whether it went well, and each failed check is a line. */
#include "ukernel_abi.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* Whether this is for a sanitizer of LLVM's. */
#if defined(__has_feature)
#define SANITIZED __has_feature(address_sanitizer)
#else
#define SANITIZED 0
#endif

#define P(pointer) ((ptr_t)(pointer))
#define MILLISECOND 1000000ull
#define SECOND 1000000000ull
#define FOREVER (~0ull)
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static _Atomic int failures;

static int check(u64 actual, u64 expected, const char *what, int line)
{
    if (actual == expected)
        return 1;
    failures += 1;
    fprintf(stderr, "host.c:%d: %s is %#llx, not %#llx\n", line, what, actual, expected);
    return 0;
}

#define EQUAL(actual, expected) check((u64)(actual), (u64)(expected), #actual, __LINE__)
#define CHECK(condition) check((condition) ? 1 : 0, 1, #condition, __LINE__)
#define OKAY(call) EQUAL(call, OK)

/* Makes everything active in the kernel that this thread is in. */
static void enter_everything(void)
{
    handle_t caps[8];
    u32 kind;
    for (kind = CAP_LOG; kind <= CAP_TRACE; kind++)
        OKAY(cap_acquire(kind, &caps[kind - 1]));
    OKAY(cap_enter(caps, 8));
}

/* A kernel that this thread is in, with everything active. */
static u64 new_kernel(void)
{
    u64 kernel = 0;
    OKAY(kernel_create(&kernel));
    OKAY(kernel_enter(kernel));
    enter_everything();
    return kernel;
}

static void end_kernel(u64 kernel)
{
    OKAY(kernel_leave());
    OKAY(kernel_destroy(kernel));
}

/* A set with one member. */
static handle_t set_of(handle_t member)
{
    handle_t set = 0;
    OKAY(interest_create(&set));
    OKAY(interest_add(set, member, IO_READABLE, 7));
    return set;
}

/* What the one member of a set is ready for within that time; 0: nothing. */
static u32 ready_in(handle_t set, time_ns timeout)
{
    io_event_t event = {0, 0, 0};
    u32 count = 77;
    result_t result = interest_wait(set, &event, 1, timeout, &count);
    if (result == ERR_TIMEOUT || result == ERR_WOULD_BLOCK)
        return 0;
    OKAY(result);
    EQUAL(count, 1);
    EQUAL(event.reserved, 7);
    return event.events;
}

static handle_t adopt(int fd, u32 flags)
{
    handle_t handle = 0;
    OKAY(io_from_fd(fd, flags, &handle));
    EQUAL(handle >> 56, HANDLE_IO);
    return handle;
}

/* How many descriptors the process has. */
static int descriptors(void)
{
    int fd, count = 0;
    for (fd = 0; fd < 20000; fd++)
        count += fcntl(fd, F_GETFD) != -1;
    return count;
}

static u64 cpu_time(void)
{
    struct timespec time;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
    return (u64)time.tv_sec * SECOND + (u64)time.tv_nsec;
}

/* --- kernels ------------------------------------------------------------------------------------------------------ */

static void a_handle_is_of_one_kernel(void)
{
    handle_t deadline = 0, other = 0;
    u64 kernels[2];
    kernels[0] = new_kernel();
    OKAY(time_deadline(FOREVER, &deadline));
    kernels[1] = new_kernel(); /* within the other one */
    EQUAL(io_close(deadline), ERR_INVALID);
    OKAY(time_deadline(FOREVER, &other));
    EQUAL(other, deadline); /* the first handle of each */
    OKAY(io_close(other));
    end_kernel(kernels[1]);
    OKAY(io_close(deadline));
    end_kernel(kernels[0]);
    CHECK(kernels[0] != kernels[1]);
}

static void kernels_are_entered_and_left(void)
{
    u64 kernel = 0, others[16];
    u32 at, active = 77;
    EQUAL(kernel_leave(), ERR_INVALID);
    EQUAL(kernel_enter(0), ERR_INVALID);
    EQUAL(kernel_enter(77), ERR_INVALID);
    EQUAL(kernel_enter(~0ull), ERR_INVALID);
    EQUAL(kernel_destroy(77), ERR_INVALID);
    EQUAL(kernel_create(0), ERR_INVALID);
    EQUAL(kernel_create((u64 *)(1ull << 63)), ERR_INVALID);
    OKAY(kernel_create(&kernel));
    OKAY(kernel_enter(kernel));
    EQUAL(kernel_enter(kernel), ERR_BUSY);
    EQUAL(kernel_destroy(kernel), ERR_BUSY);
    enter_everything();
    OKAY(kernel_leave());
    OKAY(kernel_enter(kernel)); /* it is as it was */
    OKAY(cap_active(&active));
    EQUAL(active, 0xff);
    for (at = 0; at < 16; at++) {
        OKAY(kernel_create(&others[at]));
        EQUAL(kernel_enter(others[at]), at < 15 ? OK : ERR_NOMEM);
    }
    for (at = 0; at < 16; at++)
        OKAY(kernel_leave());
    EQUAL(kernel_leave(), ERR_INVALID);
    for (at = 0; at < 16; at++)
        OKAY(kernel_destroy(others[at]));
    OKAY(kernel_destroy(kernel));
    EQUAL(kernel_enter(kernel), ERR_INVALID);
    EQUAL(kernel_destroy(kernel), ERR_INVALID);
}

static i32 answers(ptr_t argument)
{
    handle_t *ends = (handle_t *)argument;
    u64 number = 0;
    size_t len = 0;
    while (ipc_recv(ends[0], P(&number), sizeof(number), &len, 0) == OK) {
        number += 1;
        if (ipc_send(ends[1], P(&number), sizeof(number), 0) != OK)
            break;
    }
    return 5;
}

/* A kernel of this thread's own does some of everything: a spawned task, messages, a pipe, timers. */
static void *works(void *rounds)
{
    handle_t there[2], back[2], ends[2], task = 0, caps[8], set;
    u64 kernel = new_kernel(), number, round;
    int pipe_ends[2];
    u32 kind;
    i32 status = 0;
    size_t len = 0;
    EQUAL(pipe(pipe_ends), 0);
    set = set_of(adopt(pipe_ends[0], IO_OPEN_READ));
    OKAY(ipc_channel_pair(0, &there[0], &there[1]));
    OKAY(ipc_channel_pair(0, &back[0], &back[1]));
    ends[0] = there[1];
    ends[1] = back[0];
    for (kind = CAP_LOG; kind <= CAP_TRACE; kind++)
        OKAY(cap_acquire(kind, &caps[kind - 1]));
    OKAY(task_spawn(P(answers), P(ends), caps, 8, 0, &task));
    for (round = 0; round < *(u64 *)rounds; round++) {
        OKAY(ipc_send(there[0], P(&round), sizeof(round), 0));
        OKAY(ipc_recv(back[1], P(&number), sizeof(number), &len, 0));
        EQUAL(number, round + 1);
        EQUAL(write(pipe_ends[1], &round, 1), 1);
        EQUAL(ready_in(set, FOREVER), IO_READABLE);
        EQUAL(read(pipe_ends[0], &number, 1), 1);
        EQUAL(ready_in(set, 0), 0);
        OKAY(task_sleep(1000));
    }
    OKAY(ipc_close(there[0]));
    OKAY(task_join(task, 20 * SECOND, &status));
    EQUAL(status, 5);
    end_kernel(kernel);
    close(pipe_ends[0]);
    close(pipe_ends[1]);
    return 0;
}

static void threads_have_kernels_of_their_own(void)
{
    pthread_t threads[8];
    u64 rounds = 200;
    u32 at;
    int before = descriptors();
    for (at = 0; at < COUNT(threads); at++)
        EQUAL(pthread_create(&threads[at], 0, works, &rounds), 0);
    for (at = 0; at < COUNT(threads); at++)
        pthread_join(threads[at], 0);
    EQUAL(descriptors(), before);
}

static void *calls_without_asking(void *argument)
{
    handle_t deadline = 0;
    (void)argument;
    EQUAL(time_deadline(0, &deadline), ERR_PERMISSION); /* nothing is active */
    enter_everything();
    OKAY(time_deadline(FOREVER, &deadline));
    OKAY(task_sleep(MILLISECOND));
    return 0;
}

static void a_thread_that_asks_for_none_gets_a_kernel(void)
{
    pthread_t thread;
    u32 round;
    int before = descriptors();
    for (round = 0; round < 100; round++) {
        EQUAL(pthread_create(&thread, 0, calls_without_asking, 0), 0);
        pthread_join(thread, 0);
    }
    EQUAL(descriptors(), before); /* they ended with their threads */
}

struct moved {
    u64 kernel;
    handle_t task, set;
    u32 ticks;
};

static i32 ticks(ptr_t argument)
{
    struct moved *moved = (struct moved *)argument;
    for (moved->ticks = 0; moved->ticks < 10; moved->ticks++)
        OKAY(task_sleep(2 * MILLISECOND));
    return 9;
}

static void *goes_on(void *argument)
{
    struct moved *moved = (struct moved *)argument;
    i32 status = 0;
    OKAY(kernel_enter(moved->kernel));
    EQUAL(ready_in(moved->set, FOREVER), IO_READABLE);
    OKAY(task_join(moved->task, 20 * SECOND, &status));
    EQUAL(status, 9);
    OKAY(kernel_leave());
    return 0;
}

static void a_kernel_moves_to_another_thread(void)
{
    struct moved moved = {new_kernel(), 0, 0, 0};
    handle_t caps[1], input;
    pthread_t thread;
    int ends[2];
    EQUAL(pipe(ends), 0);
    input = adopt(ends[0], IO_OPEN_READ);
    moved.set = set_of(input);
    OKAY(cap_acquire(CAP_TASK, &caps[0]));
    OKAY(task_spawn(P(ticks), P(&moved), caps, 1, 0, &moved.task));
    OKAY(task_sleep(5 * MILLISECOND));
    CHECK(moved.ticks > 0 && moved.ticks < 10);
    EQUAL(write(ends[1], "x", 1), 1);
    OKAY(kernel_leave());
    EQUAL(pthread_create(&thread, 0, goes_on, &moved), 0);
    pthread_join(thread, 0);
    EQUAL(moved.ticks, 10);
    OKAY(kernel_enter(moved.kernel)); /* and back */
    EQUAL(ready_in(moved.set, 0), IO_READABLE);
    end_kernel(moved.kernel);
}

static void *tries_to_enter(void *kernel)
{
    EQUAL(kernel_enter(*(u64 *)kernel), ERR_BUSY);
    EQUAL(kernel_destroy(*(u64 *)kernel), ERR_BUSY);
    return 0;
}

static void one_thread_at_a_time_is_in_a_kernel(void)
{
    u64 kernel = new_kernel();
    pthread_t thread;
    EQUAL(pthread_create(&thread, 0, tries_to_enter, &kernel), 0);
    pthread_join(thread, 0);
    end_kernel(kernel);
}

static i32 leaves(ptr_t argument)
{
    u64 own = *(u64 *)argument, other = 0, active = 0;
    EQUAL(kernel_leave(), ERR_BUSY); /* its own, which runs it */
    EQUAL(kernel_enter(own), ERR_BUSY);
    other = new_kernel(); /* a kernel within a task of another */
    OKAY(task_sleep(MILLISECOND));
    OKAY(time_now(&active));
    end_kernel(other);
    other = new_kernel();
    return 3; /* in the other one still */
}

static void tasks_enter_other_kernels(void)
{
    u64 kernel = new_kernel();
    handle_t caps[2], task = 0;
    i32 status = 0;
    u32 active = 0;
    OKAY(cap_acquire(CAP_TASK, &caps[0]));
    OKAY(cap_acquire(CAP_TIME, &caps[1]));
    OKAY(task_spawn(P(leaves), P(&kernel), caps, 2, 0, &task));
    OKAY(task_join(task, 20 * SECOND, &status));
    EQUAL(status, 3);
    OKAY(cap_active(&active));
    EQUAL(active, 0xff);
    end_kernel(kernel);
}

static void there_is_a_limit_to_kernels(void)
{
    static u64 kernels[5000];
    struct rlimit limit;
    result_t result = OK;
    u32 count = 0, at;
    int before;
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max < 16384 ? limit.rlim_max : 16384;
    EQUAL(setrlimit(RLIMIT_NOFILE, &limit), 0);
    before = descriptors();
    while (count < COUNT(kernels) && (result = kernel_create(&kernels[count])) == OK)
        count += 1;
    EQUAL(result, ERR_NOMEM);
    CHECK(count == 4096 || (limit.rlim_cur < 9000 && count > 100));
    for (at = 0; at < count; at++)
        OKAY(kernel_destroy(kernels[at]));
    EQUAL(descriptors(), before);
    end_kernel(new_kernel());
}

static i32 never_ends(ptr_t argument)
{
    while (task_sleep(FOREVER / 2) == OK) {
    }
    return (i32)argument;
}

static void what_a_kernel_has_ends_with_it(void)
{
    handle_t caps[8], listener = 0, task = 0;
    net_addr_v4_t any = {NET_IP4(127, 0, 0, 1), 0, 0};
    u32 round, kind;
    int ends[2], before = descriptors();
    EQUAL(pipe(ends), 0);
    for (round = 0; round < 50; round++) {
        u64 kernel = new_kernel(), waker = 0;
        handle_t wake = 0;
        set_of(adopt(ends[0], IO_OPEN_READ));
        for (kind = CAP_LOG; kind <= CAP_TRACE; kind++)
            OKAY(cap_acquire(kind, &caps[kind - 1]));
        OKAY(task_spawn(P(never_ends), 0, caps, 8, 0, &task));
        OKAY(net_socket(NET_INET, NET_STREAM, 0, &listener));
        OKAY(net_bind(listener, P(&any), sizeof(any)));
        OKAY(net_listen(listener, 0));
        OKAY(wake_create(&wake, &waker));
        OKAY(task_yield());
        end_kernel(kernel);
        EQUAL(wake_signal(waker), ERR_INVALID);
    }
    close(ends[0]);
    close(ends[1]);
    EQUAL(descriptors(), before);
}

/* --- forks -------------------------------------------------------------------------------------------------------- */

static void in_the_child(u64 kernel, u64 other, handle_t set, u64 waker)
{
    io_event_t event;
    u64 own = 0;
    u32 count;
    int before = descriptors();
    EQUAL(interest_wait(set, &event, 1, 0, &count), ERR_UNSUPPORTED);
    EQUAL(cap_exit(), ERR_UNSUPPORTED);
    EQUAL(wake_signal(waker), ERR_UNSUPPORTED);
    EQUAL(kernel_enter(other), ERR_UNSUPPORTED);
    OKAY(kernel_destroy(other));
    OKAY(kernel_leave());
    OKAY(kernel_destroy(kernel));
    CHECK(descriptors() <= before - 4); /* two for each */
    own = new_kernel();
    OKAY(task_sleep(MILLISECOND));
    end_kernel(own);
}

static void a_fork_is_noticed(void)
{
    u64 other = 0, kernel = new_kernel(), waker = 0;
    int ends[2], status = 0;
    handle_t set, wake = 0;
    pid_t child;
    EQUAL(pipe(ends), 0);
    set = set_of(adopt(ends[0], IO_OPEN_READ));
    EQUAL(ready_in(set, 0), 0);
    OKAY(wake_create(&wake, &waker));
    OKAY(kernel_create(&other));
    fflush(stderr);
    child = fork();
    if (child == 0) {
        failures = 0;
        in_the_child(kernel, other, set, waker);
        _exit(failures);
    }
    EQUAL(waitpid(child, &status, 0), child);
    EQUAL(status, 0);
    EQUAL(ready_in(set, 10 * MILLISECOND), 0); /* the child took nothing away */
    EQUAL(ready_in(set_of(wake), 0), 0);
    EQUAL(write(ends[1], "x", 1), 1);
    EQUAL(ready_in(set, FOREVER), IO_READABLE);
    end_kernel(kernel);
    OKAY(kernel_destroy(other));
}

static void *allocates_kernels(void *argument)
{
    volatile int *goes_on = (volatile int *)argument;
    while (*goes_on) {
        u64 kernel = new_kernel(), waker = 0;
        handle_t wake = 0;
        OKAY(wake_create(&wake, &waker));
        end_kernel(kernel);
    }
    return 0;
}

/* What the others are at when a thread forks does not hold up the child. */
static void a_fork_beside_busy_threads(void)
{
    pthread_t threads[2];
    volatile int goes_on = 1;
    u32 at, round;
    for (at = 0; at < COUNT(threads); at++)
        EQUAL(pthread_create(&threads[at], 0, allocates_kernels, (void *)&goes_on), 0);
    for (round = 0; round < 100; round++) {
        int status = 77;
        pid_t child = fork();
        if (child == 0) {
            u64 kernel = 0, waker = 0;
            handle_t wake = 0;
            failures = 0;
            alarm(20);
            kernel = new_kernel();
            OKAY(wake_create(&wake, &waker));
            OKAY(wake_signal(waker));
            end_kernel(kernel);
            _exit(failures);
        }
        EQUAL(waitpid(child, &status, 0), child);
        EQUAL(status, 0);
    }
    goes_on = 0;
    for (at = 0; at < COUNT(threads); at++)
        pthread_join(threads[at], 0);
}

/* --- wakes -------------------------------------------------------------------------------------------------------- */

#define SIGNALS 20000

static void *signals(void *waker)
{
    u32 round;
    for (round = 0; round < SIGNALS; round++)
        OKAY(wake_signal(*(u64 *)waker));
    return 0;
}

static u64 take(handle_t wake)
{
    u64 number = 0;
    size_t len = 0;
    OKAY(io_read(wake, P(&number), sizeof(number), &len));
    EQUAL(len, 8);
    return number;
}

static void every_wake_of_other_threads_counts(void)
{
    u64 kernel = new_kernel(), waker = 0, total = 0;
    handle_t wake = 0, set;
    pthread_t threads[4];
    u32 at;
    OKAY(wake_create(&wake, &waker));
    set = set_of(wake);
    EQUAL(ready_in(set, 0), 0);
    for (at = 0; at < COUNT(threads); at++)
        EQUAL(pthread_create(&threads[at], 0, signals, &waker), 0);
    while (total < COUNT(threads) * SIGNALS) {
        if (!EQUAL(ready_in(set, 20 * SECOND), IO_READABLE))
            break;
        total += take(wake);
    }
    EQUAL(total, COUNT(threads) * SIGNALS);
    EQUAL(ready_in(set, MILLISECOND), 0);
    for (at = 0; at < COUNT(threads); at++)
        pthread_join(threads[at], 0);
    end_kernel(kernel);
}

static void a_wake_stays_until_it_is_read(void)
{
    u64 kernel = new_kernel(), waker = 0, number = 0;
    handle_t wake = 0, set;
    size_t len = 77;
    char bytes[4];
    u32 round;
    OKAY(wake_create(&wake, &waker));
    set = set_of(wake);
    OKAY(wake_signal(waker));
    OKAY(wake_signal(waker));
    for (round = 0; round < 3; round++)
        EQUAL(ready_in(set, FOREVER), IO_READABLE);
    EQUAL(io_read(wake, P(bytes), sizeof(bytes), &len), ERR_INVALID); /* no room for it */
    EQUAL(io_write(wake, P(&number), sizeof(number), &len), ERR_PERMISSION);
    EQUAL(take(wake), 2);
    EQUAL(ready_in(set, 0), 0);
    end_kernel(kernel);
}

static void stale_wakers_are_refused(void)
{
    u64 kernel = new_kernel(), first = 0, second = 0, bit;
    handle_t wake = 0;
    OKAY(wake_create(&wake, &first));
    OKAY(io_close(wake));
    EQUAL(wake_signal(first), ERR_INVALID);
    OKAY(wake_create(&wake, &second)); /* perhaps in the same place */
    EQUAL(wake_signal(first), ERR_INVALID);
    EQUAL(ready_in(set_of(wake), 0), 0);
    OKAY(wake_signal(second));
    EQUAL(take(wake), 1);
    end_kernel(kernel);
    for (bit = 0; bit < 64; bit++)
        EQUAL(wake_signal(second ^ 1ull << bit), ERR_INVALID);
    EQUAL(wake_signal(second), ERR_INVALID);
    EQUAL(wake_signal(0), ERR_INVALID);
    EQUAL(wake_signal(~0ull), ERR_INVALID);
}

static volatile u64 alarm_waker;
static volatile sig_atomic_t alarms, changed_errno;

static void on_alarm(int number)
{
    (void)number;
    errno = 1234;
    if (wake_signal(alarm_waker) == OK)
        alarms += 1;
    if (errno != 1234)
        changed_errno = 1;
}

static void signal_handlers_wake(void)
{
    struct sigaction action;
    struct itimerval every = {{0, 500}, {0, 500}}, never = {{0, 0}, {0, 0}};
    u64 kernel = new_kernel(), total = 0, waker = 0;
    handle_t wake = 0, set;
    u32 round;
    OKAY(wake_create(&wake, &waker));
    alarm_waker = waker;
    set = set_of(wake);
    memset(&action, 0, sizeof(action));
    action.sa_handler = on_alarm;
    sigaction(SIGALRM, &action, 0);
    setitimer(ITIMER_REAL, &every, 0);
    for (round = 0; round < 500; round++) {
        EQUAL(ready_in(set, 20 * SECOND), IO_READABLE);
        total += take(wake);
    }
    setitimer(ITIMER_REAL, &never, 0);
    if (ready_in(set, MILLISECOND) != 0)
        total += take(wake);
    EQUAL(total, alarms);
    EQUAL(changed_errno, 0);
    CHECK(total >= 500);
    end_kernel(kernel);
}

/* --- descriptors -------------------------------------------------------------------------------------------------- */

static void only_open_descriptors_are_adopted(void)
{
    u64 kernel = new_kernel();
    handle_t handle = 77;
    int ends[2];
    EQUAL(pipe(ends), 0);
    EQUAL(io_from_fd(-1, 0, &handle), ERR_INVALID);
    EQUAL(io_from_fd(9999, 0, &handle), ERR_INVALID);
    EQUAL(io_from_fd(0x7fffffff, 0, &handle), ERR_INVALID);
    EQUAL(io_from_fd(ends[0], 1 << 3, &handle), ERR_INVALID);
    EQUAL(io_from_fd(ends[0], 1u << 31, &handle), ERR_INVALID);
    EQUAL(io_from_fd(ends[0], 0, 0), ERR_INVALID);
    EQUAL(handle, 77);
    handle = adopt(ends[0], IO_OPEN_READ);
    EQUAL(io_from_fd(ends[0], 0, &handle), ERR_BUSY);
    OKAY(io_close(handle));
    handle = adopt(ends[0], IO_OPEN_READ);
    end_kernel(kernel);
    EQUAL(fcntl(ends[0], F_GETFD) != -1, 1); /* the program's still */
    kernel = new_kernel();
    handle = adopt(ends[0], IO_FD_OWNED);
    OKAY(io_close(handle));
    EQUAL(fcntl(ends[0], F_GETFD), -1);
    close(ends[1]);
    end_kernel(kernel);
}

static void adopted_descriptors_are_read_and_written(void)
{
    u64 kernel = new_kernel();
    int ends[2];
    handle_t left, right, early;
    char bytes[16];
    size_t len = 77;
    static char much[1 << 16];
    u32 round;
    EQUAL(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0); /* they wait, if one lets them */
    left = adopt(ends[0], 0);
    right = adopt(ends[1], IO_NONBLOCK);
    EQUAL(io_read(right, P(bytes), sizeof(bytes), &len), ERR_WOULD_BLOCK);
    EQUAL(len, 77);
    OKAY(io_write(left, P("hello"), 5, &len));
    EQUAL(len, 5);
    OKAY(io_read(right, P(bytes), sizeof(bytes), &len));
    EQUAL(len, 5);
    CHECK(memcmp(bytes, "hello", 5) == 0);
    for (round = 0; round < 10000; round++) {
        if (io_write(right, P(much), sizeof(much), &len) != OK)
            break;
    }
    EQUAL(io_write(right, P(much), sizeof(much), &len), ERR_WOULD_BLOCK);
    OKAY(io_close(right));
    close(ends[1]);
    OKAY(io_read(left, P(bytes), sizeof(bytes), &len)); /* what was sent before */
    EQUAL(len, 16);
    EQUAL(io_write(left, P("late"), 4, &len), ERR_CLOSED);
    OKAY(io_close(left));
    EQUAL(pipe(ends), 0);
    early = adopt(ends[0], IO_OPEN_READ);
    EQUAL(io_write(early, P("x"), 1, &len), ERR_PERMISSION);
    end_kernel(kernel);
}

static void regular_files_are_always_ready(void)
{
    u64 kernel = new_kernel();
    char path[] = "/tmp/ukernel-host-XXXXXX";
    int fd = mkstemp(path);
    handle_t file = adopt(fd, 0), set = set_of(file), again = 77;
    size_t len = 77;
    char byte;
    unlink(path);
    EQUAL(ready_in(set, 0), IO_READABLE);
    EQUAL(ready_in(set, FOREVER), IO_READABLE);
    EQUAL(io_from_fd(fd, 0, &again), ERR_BUSY);
    OKAY(io_read(file, P(&byte), 1, &len));
    EQUAL(len, 0);
    end_kernel(kernel);
    close(fd);
}

static void what_is_hung_up_is_told(void)
{
    u64 kernel = new_kernel();
    int ends[2];
    handle_t set;
    EQUAL(pipe(ends), 0);
    set = set_of(adopt(ends[0], IO_OPEN_READ));
    EQUAL(ready_in(set, 0), 0);
    close(ends[1]);
    EQUAL(ready_in(set, FOREVER), IO_READABLE | IO_HANGUP);
    EQUAL(ready_in(set, FOREVER), IO_READABLE | IO_HANGUP);
    end_kernel(kernel);
    close(ends[0]);
}

/* Nobody waits for it any more: a hang-up, which epoll tells all the same, must not keep the processor busy. */
static void a_hang_up_that_nobody_waits_for_costs_nothing(void)
{
    u64 kernel = new_kernel(), before;
    int ends[2];
    u32 events = 0;
    handle_t input;
    EQUAL(pipe(ends), 0);
    input = adopt(ends[0], IO_OPEN_READ);
    EQUAL(io_wait(input, IO_READABLE, MILLISECOND, &events), ERR_TIMEOUT);
    EQUAL(write(ends[1], "x", 1), 1);
    close(ends[1]);
    before = cpu_time();
    OKAY(task_sleep(300 * MILLISECOND));
    CHECK(cpu_time() - before < 30 * MILLISECOND);
    OKAY(io_wait(input, IO_READABLE, 0, &events));
    EQUAL(events, IO_READABLE | IO_HANGUP);
    OKAY(io_wait(input, IO_READABLE, FOREVER, &events));
    EQUAL(events, IO_READABLE | IO_HANGUP);
    end_kernel(kernel);
    close(ends[0]);
}

static void a_number_that_is_reused_is_another_descriptor(void)
{
    u64 kernel = new_kernel();
    int first[2], second[2];
    handle_t old, new, old_set, new_set;
    u32 round;
    for (round = 0; round < 100; round++) {
        EQUAL(pipe(first), 0);
        old = adopt(first[0], IO_OPEN_READ);
        old_set = set_of(old);
        EQUAL(ready_in(old_set, 0), 0);
        close(first[0]); /* without closing the handle */
        EQUAL(pipe(second), 0);
        EQUAL(second[0], first[0]);
        new = adopt(second[0], IO_OPEN_READ);
        new_set = set_of(new);
        EQUAL(ready_in(old_set, FOREVER), IO_HANGUP | IO_ERROR);
        EQUAL(ready_in(new_set, 0), 0);
        EQUAL(write(second[1], "x", 1), 1);
        EQUAL(ready_in(new_set, FOREVER), IO_READABLE);
        OKAY(io_close(old));
        EQUAL(ready_in(new_set, FOREVER), IO_READABLE); /* the old handle took nothing away */
        OKAY(io_close(new));
        OKAY(handle_close(old_set));
        OKAY(handle_close(new_set));
        close(first[1]);
        close(second[0]);
        close(second[1]);
    }
    end_kernel(kernel);
}

/* epoll goes on telling of a descriptor whose number is closed while a duplicate lives. */
static void a_descriptor_that_is_closed_while_polled_does_no_harm(void)
{
    u64 kernel = new_kernel(), before;
    int ends[2], other[2], copy;
    handle_t input, set, other_set;
    EQUAL(pipe(other), 0);
    other_set = set_of(adopt(other[0], IO_OPEN_READ));
    EQUAL(ready_in(other_set, 0), 0);
    EQUAL(pipe(ends), 0);
    input = adopt(ends[0], IO_OPEN_READ);
    set = set_of(input);
    EQUAL(ready_in(set, 0), 0);
    copy = dup(ends[0]);
    close(ends[0]);
    OKAY(io_close(input)); /* too late to take it out */
    EQUAL(write(ends[1], "x", 1), 1);
    before = cpu_time();
    EQUAL(ready_in(set, 300 * MILLISECOND), 0);
    CHECK(cpu_time() - before < 30 * MILLISECOND);
    EQUAL(write(other[1], "x", 1), 1);
    EQUAL(ready_in(other_set, FOREVER), IO_READABLE); /* the others are watched still */
    close(copy);
    end_kernel(kernel);
}

/* A task that never waits for long does not keep others from hearing of descriptors. */
static volatile int busy;

static i32 keeps_busy(ptr_t argument)
{
    (void)argument;
    while (busy)
        OKAY(task_yield());
    return 0;
}

static void a_busy_kernel_hears_of_descriptors(void)
{
    u64 kernel = new_kernel(), now = 0, before = 0;
    handle_t caps[1], task = 0, set, channel = 0, both = 0;
    io_event_t events[2];
    int ends[2];
    u32 round, count, at, heard = 0;
    EQUAL(pipe(ends), 0);
    set = set_of(adopt(ends[0], IO_OPEN_READ));
    OKAY(cap_acquire(CAP_TASK, &caps[0]));
    busy = 1;
    OKAY(task_spawn(P(keeps_busy), 0, caps, 1, 0, &task));
    EQUAL(write(ends[1], "x", 1), 1);
    OKAY(time_now(&before));
    EQUAL(ready_in(set, 10 * SECOND), IO_READABLE);
    OKAY(time_now(&now));
    CHECK(now - before < SECOND);
    busy = 0;
    OKAY(task_join(task, 10 * SECOND, 0));
    /* Nor does a member that is always ready. */
    OKAY(ipc_channel_create(0, &channel));
    OKAY(interest_create(&both));
    OKAY(interest_add(both, channel, IO_WRITABLE, 1));
    OKAY(handle_close(set));
    OKAY(interest_create(&set));
    EQUAL(read(ends[0], events, 1), 1);
    {
        handle_t input = 0;
        int copy = dup(ends[0]);
        OKAY(io_from_fd(copy, IO_OPEN_READ, &input));
        OKAY(interest_add(both, input, IO_READABLE, 2));
    }
    EQUAL(write(ends[1], "x", 1), 1);
    for (round = 0; round < 100000 && !heard; round++) {
        OKAY(interest_wait(both, events, 2, FOREVER, &count));
        for (at = 0; at < count; at++)
            heard |= events[at].reserved == 2;
    }
    CHECK(heard);
    end_kernel(kernel);
}

/* Looks that nobody slept for find what the program may have read by the time that somebody asks. */
static void nothing_is_told_that_was_read_meanwhile(void)
{
    u64 kernel = new_kernel();
    handle_t channel = 0, set = 0;
    io_event_t events[2];
    int ends[2];
    u32 round, count, at;
    EQUAL(pipe(ends), 0);
    OKAY(ipc_channel_create(0, &channel));
    OKAY(interest_create(&set));
    OKAY(interest_add(set, channel, IO_WRITABLE, 1)); /* always */
    OKAY(interest_add(set, adopt(ends[0], IO_OPEN_READ), IO_READABLE, 2));
    for (round = 0; round < 20000; round++) {
        OKAY(interest_wait(set, events, 2, FOREVER, &count));
        for (at = 0; at < count; at++)
            CHECK(events[at].reserved == 1);
        EQUAL(write(ends[1], "x", 1), 1);
        OKAY(interest_wait(set, events, 2, FOREVER, &count));
        EQUAL(read(ends[0], events, 1), 1);
        if (failures > 0)
            break;
    }
    end_kernel(kernel);
}

static handle_t new_stream(void)
{
    handle_t socket = 0;
    OKAY(net_socket(NET_INET, NET_STREAM, 0, &socket));
    return socket;
}

/* What is left of connections (TIME_WAIT) keeps a port from nobody, and a port that is taken is taken, although nobody
 * listens there. */
static void a_port_is_had_again_at_once_and_by_one(void)
{
    u64 kernel = new_kernel();
    net_addr_v4_t address = {NET_IP4(127, 0, 0, 1), 0, 0};
    u32 length = sizeof(address), round;
    handle_t listener, client, server = 0, first, second;
    size_t len;
    char byte;
    for (round = 0; round < 3; round++) {
        listener = new_stream();
        OKAY(net_bind(listener, P(&address), sizeof(address)));
        OKAY(net_local_address(listener, P(&address), &length));
        second = new_stream();
        EQUAL(net_bind(second, P(&address), sizeof(address)), ERR_BUSY);
        OKAY(net_listen(listener, 0));
        EQUAL(net_bind(second, P(&address), sizeof(address)), ERR_BUSY);
        client = new_stream();
        OKAY(net_connect(client, P(&address), sizeof(address)));
        OKAY(net_accept(listener, 0, &server, 0, 0));
        OKAY(net_close(server)); /* this end waits then, with the port */
        OKAY(net_recv(client, P(&byte), 1, 0, &len));
        EQUAL(len, 0);
        OKAY(net_close(client));
        OKAY(net_close(listener));
        first = new_stream();
        OKAY(net_bind(first, P(&address), sizeof(address)));
        EQUAL(net_bind(second, P(&address), sizeof(address)), ERR_BUSY);
        OKAY(net_close(first));
        OKAY(net_close(second));
    }
    end_kernel(kernel);
}

static int shared_pipe[2];

static i32 reads_and_ends(ptr_t argument)
{
    char byte;
    EQUAL(read(shared_pipe[0], &byte, 1), 1);
    return (i32)argument;
}

static i32 waits_and_reads(ptr_t argument)
{
    handle_t input = (handle_t)argument;
    char byte;
    u32 events;
    while (io_wait(input, IO_READABLE, FOREVER, &events) == OK)
        EQUAL(read(shared_pipe[0], &byte, 1), 1);
    return 0;
}

/* Has a byte read by a task that begins right after a look has found it. */
static i32 makes_others_read(ptr_t argument)
{
    handle_t cap = 0;
    u64 now = 0, began = 0;
    u32 round;
    OKAY(cap_acquire(CAP_TASK, &cap));
    for (round = 0; round < 200 && failures == 0; round++) {
        OKAY(task_yield());
        OKAY(time_now(&began));
        do
            OKAY(time_now(&now));
        while (now < began + 200000); /* a look is due */
        EQUAL(write(shared_pipe[1], "x", 1), 1);
        OKAY(task_spawn(P(reads_and_ends), 0, &cap, 1, TASK_DETACHED, 0));
        OKAY(task_sleep(MILLISECOND));
    }
    return (i32)argument;
}

/* Nor what a task read that made no call. */
static void nothing_is_told_that_another_task_has_read(void)
{
    u64 kernel = new_kernel();
    handle_t caps[8], input, task = 0;
    u32 kind;
    EQUAL(pipe2(shared_pipe, O_NONBLOCK), 0);
    input = adopt(shared_pipe[0], IO_OPEN_READ);
    for (kind = CAP_LOG; kind <= CAP_TRACE; kind++)
        OKAY(cap_acquire(kind, &caps[kind - 1]));
    OKAY(task_spawn(P(waits_and_reads), input, caps, 8, TASK_DETACHED, 0));
    OKAY(task_spawn(P(makes_others_read), 0, caps, 8, 0, &task));
    OKAY(task_join(task, FOREVER, 0));
    end_kernel(kernel);
}

static long most_memory(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return usage.ru_maxrss;
}

/* Nor do they take longer, the more there were. */
static void waits_leave_nothing_behind(void)
{
    u64 kernel = new_kernel(), waker = 0, began, first = 0;
    handle_t wake = 0, set, channel = 0;
    u32 round, part, events;
    long before = 0;
    int ends[2];
    EQUAL(pipe(ends), 0);
    set = set_of(adopt(ends[0], IO_OPEN_READ));
    EQUAL(write(ends[1], "x", 1), 1);
    OKAY(wake_create(&wake, &waker));
    OKAY(ipc_channel_create(0, &channel));
    began = cpu_time();
    for (part = 0; part < 10; part++) {
        for (round = 0; round < 2000; round++) {
            EQUAL(ready_in(set, FOREVER), IO_READABLE);
            EQUAL(ready_in(set, SECOND), IO_READABLE);
            EQUAL(io_wait(channel, IO_READABLE, 1, &events), ERR_TIMEOUT);
            EQUAL(io_wait(wake, IO_READABLE, 1, &events), ERR_TIMEOUT);
        }
        if (part == 0) {
            first = cpu_time() - began;
            before = most_memory();
        }
    }
    CHECK(cpu_time() - began < 30 * first);
    if (!SANITIZED) /* which keeps what was freed for a while */
        CHECK(most_memory() - before < 300);
    end_kernel(kernel);
}

static void time_is_the_monotonic_clock(void)
{
    u64 kernel = new_kernel(), now = 0, at;
    struct timespec before, after;
    clock_gettime(CLOCK_MONOTONIC, &before);
    OKAY(time_now(&now));
    clock_gettime(CLOCK_MONOTONIC, &after);
    CHECK(now >= (u64)before.tv_sec * SECOND + (u64)before.tv_nsec);
    CHECK(now <= (u64)after.tv_sec * SECOND + (u64)after.tv_nsec);
    at = FEAT_BIT(FEAT_NUMBER_HOST);
    OKAY(abi_features(&now));
    EQUAL(now & at, at);
    end_kernel(kernel);
}

/* Files of the process, which a machine has not. */
static void files_are_opened_by_their_paths(void)
{
    u64 kernel = new_kernel(), position = 77;
    char path[] = "/tmp/ukernel-host-XXXXXX", name[64] = "file:", bytes[32];
    int fd = mkstemp(path);
    handle_t file = 0;
    io_info_t info;
    size_t len = 0;
    strcat(name, path);
    OKAY(io_open(P(name), IO_OPEN_READ | IO_OPEN_WRITE, &file));
    OKAY(io_write(file, P("some words"), 10, &len));
    EQUAL(len, 10);
    OKAY(io_info(file, &info));
    EQUAL(info.size, 10);
    EQUAL(info.block, 1);
    OKAY(io_seek(file, -5, IO_SEEK_END, &position));
    EQUAL(position, 5);
    OKAY(io_read(file, P(bytes), sizeof(bytes), &len));
    EQUAL(len, 5);
    CHECK(memcmp(bytes, "words", 5) == 0);
    OKAY(io_sync(file));
    EQUAL(pread(fd, bytes, sizeof(bytes), 0), 10);
    unlink(path);
    EQUAL(io_open(P(name), 0, &file), ERR_NOENT);
    EQUAL(io_open(P("file:/"), IO_OPEN_READ, &file), ERR_UNSUPPORTED);
    EQUAL(io_open(P("file:"), 0, &file), ERR_NOENT);
    end_kernel(kernel);
    close(fd);
}

/* --- one of them -------------------------------------------------------------------------------------------------- */

static const struct {
    const char *name;
    void (*run)(void);
} tests[] = {
#define TEST(name) {#name, name}
    TEST(a_handle_is_of_one_kernel),
    TEST(kernels_are_entered_and_left),
    TEST(threads_have_kernels_of_their_own),
    TEST(a_thread_that_asks_for_none_gets_a_kernel),
    TEST(a_kernel_moves_to_another_thread),
    TEST(one_thread_at_a_time_is_in_a_kernel),
    TEST(tasks_enter_other_kernels),
    TEST(there_is_a_limit_to_kernels),
    TEST(what_a_kernel_has_ends_with_it),
    TEST(a_fork_is_noticed),
    TEST(a_fork_beside_busy_threads),
    TEST(every_wake_of_other_threads_counts),
    TEST(a_wake_stays_until_it_is_read),
    TEST(stale_wakers_are_refused),
    TEST(signal_handlers_wake),
    TEST(only_open_descriptors_are_adopted),
    TEST(adopted_descriptors_are_read_and_written),
    TEST(regular_files_are_always_ready),
    TEST(what_is_hung_up_is_told),
    TEST(a_hang_up_that_nobody_waits_for_costs_nothing),
    TEST(a_number_that_is_reused_is_another_descriptor),
    TEST(a_descriptor_that_is_closed_while_polled_does_no_harm),
    TEST(a_busy_kernel_hears_of_descriptors),
    TEST(a_port_is_had_again_at_once_and_by_one),
    TEST(nothing_is_told_that_was_read_meanwhile),
    TEST(nothing_is_told_that_another_task_has_read),
    TEST(waits_leave_nothing_behind),
    TEST(time_is_the_monotonic_clock),
    TEST(files_are_opened_by_their_paths),
};

int main(int argc, char **argv)
{
    size_t at;
    if (argc < 2) {
        for (at = 0; at < COUNT(tests); at++)
            printf("%s\n", tests[at].name);
        return 0;
    }
    for (at = 0; at < COUNT(tests); at++) {
        if (strcmp(argv[1], tests[at].name) == 0) {
            tests[at].run();
            return failures == 0 ? 0 : 1;
        }
    }
    return 2;
}
