/* What a program in C does right and wrong; the first argument says which. tests/vm/foreign.rs knows what follows. */
#include "../../kernel/examples/c/example.h"

#define FOREVER (~0ull)
#define MILLISECOND 1000000ull

static handle_t caps[8];

static int equal(const char *a, const char *b) {
    while (*a != 0 && *a == *b) {
        a++;
        b++;
    }
    return *a == *b;
}

static handle_t spawn(i32 (*entry)(ptr_t), ptr_t argument) {
    handle_t task = 0;
    if (task_spawn((ptr_t)entry, argument, caps, 8, 0, &task) != OK) {
        task_exit(90);
    }
    return task;
}

static i32 join(handle_t task) {
    i32 status = 0;
    return task_join(task, FOREVER, &status) == OK ? status : 91;
}

/* --- faults: each is one function, run in the first task or in another ---------------------------------------- */

static volatile int zero;

__attribute__((noinline)) static int recurse(int depth) {
    volatile char room[500];
    room[0] = (char)depth;
    return depth < 0 ? 0 : recurse(depth + 1) + room[0];
}

/* Uses the stack up in small steps, and calls something deep at each of them. */
__attribute__((noinline)) static int recurse_calling(int depth) {
    volatile char room[100];
    ptr_t memory;
    room[0] = (char)depth;
    if (mem_alloc(1, 0, &memory) == OK) {
        mem_free(memory);
    }
    return depth < 0 ? 0 : recurse_calling(depth + 1) + room[0];
}

static i32 overflow(ptr_t a) { return recurse((int)a); }
static i32 overflow_in_call(ptr_t a) { return recurse_calling((int)a); }
static i32 large_frame(ptr_t a) {
    volatile char large[1 << 20];
    large[zero] = (char)a;
    return large[zero];
}
static i32 null_pointer(ptr_t a) { return *(volatile int *)(a + 8); }
static i32 divide(ptr_t a) { return (i32)(a + 100) / zero; }
static i32 trap(ptr_t a) {
    (void)a;
    __builtin_trap();
}
static i32 bad_address(ptr_t a) { return *(volatile int *)(a + 0x8000000000000000ull); }
static i32 write_constant(ptr_t a) {
    *(volatile char *)(size_t)"constant" = (char)a;
    return 0;
}
static i32 run_data(ptr_t a) {
    static char data[16];
    ((void (*)(ptr_t))(size_t)data)(a);
    return 0;
}
static i32 call_null(ptr_t a) {
    ((void (*)(void))(size_t)a)();
    return 0;
}
static i32 lose_stack(ptr_t a) {
    __asm__ volatile("mov $0x1234567812345678, %%rsp; ret" : : "r"(a));
    return 0;
}
/* With what x87 and SSE hold left in disorder, and the direction flag set. */
static i32 disorder(ptr_t a) {
    u32 towards_zero = 0x7f80;
    __asm__ volatile("fld1; fld1; fld1; fld1; fld1; fld1; fld1; fld1; ldmxcsr %0; std; ud2"
                     :
                     : "m"(towards_zero), "r"(a));
    return 0;
}

static const struct {
    const char *name;
    i32 (*function)(ptr_t);
} faults[] = {
    {"overflow", overflow},           {"overflow-in-call", overflow_in_call},
    {"large-frame", large_frame},     {"null-pointer", null_pointer},
    {"divide", divide},               {"trap", trap},
    {"bad-address", bad_address},     {"write-constant", write_constant},
    {"run-data", run_data},           {"call-null", call_null},
    {"lose-stack", lose_stack},       {"disorder", disorder},
};
enum { FAULTS = sizeof faults / sizeof *faults };

static volatile int other_is_to_go_on = 1;

static i32 other(ptr_t a) {
    i32 turns = 0;
    while (other_is_to_go_on) {
        task_sleep(MILLISECOND);
        turns++;
    }
    return turns > 0 ? (i32)a : 92;
}

/* A sum in x87 and in SSE that must come out as it always does. */
static int float_works(void) {
    volatile double sum = 0;
    volatile long double extended = 0;
    for (int i = 1; i <= 10; i++) {
        sum += 1.0 / i;
        extended += 1.0L / i;
    }
    return sum == 2.9289682539682538 && extended > 2.92896825396825396L && extended < 2.92896825396825398L;
}

/* Every fault, one task after the other, while another task goes on. */
static int all_faults(void) {
    handle_t witness = spawn(other, 7);
    for (u32 i = 0; i < FAULTS; i++) {
        say(LOG_INFO, faults[i].name);
        if (join(spawn(faults[i].function, 0)) != TASK_FAULTED) {
            return 93;
        }
        if (!float_works()) {
            return 94;
        }
    }
    other_is_to_go_on = 0;
    return join(witness);
}

static int fault_in_main(const char *name) {
    for (u32 i = 0; i < FAULTS; i++) {
        if (equal(name, faults[i].name)) {
            return faults[i].function(0);
        }
    }
    return 95;
}

/* --- floating point across tasks ------------------------------------------------------------------------------- */

static i32 rounds_up(ptr_t a) {
    u32 control = 0x5f80, now = 0;
    __asm__ volatile("ldmxcsr %0" : : "m"(control));
    for (int i = 0; i < 20; i++) {
        task_yield();
        __asm__ volatile("stmxcsr %0" : "=m"(now));
        if ((now & 0x6000) != 0x4000) {
            return 1;
        }
    }
    return (i32)a;
}

static i32 sums_up(ptr_t a) {
    for (int i = 0; i < 20; i++) {
        if (!float_works()) {
            return 1;
        }
        task_yield();
    }
    return (i32)a;
}

static int floats(void) {
    handle_t tasks[4] = {spawn(rounds_up, 0), spawn(sums_up, 0), spawn(rounds_up, 0), spawn(sums_up, 0)};
    int wrong = 0;
    for (int i = 0; i < 4; i++) {
        wrong += join(tasks[i]);
    }
    return wrong;
}

/* --- ends ------------------------------------------------------------------------------------------------------ */

static i32 sleeps(ptr_t a) {
    task_sleep(FOREVER / 2);
    say(LOG_INFO, "slept for ever");
    return (i32)a;
}

static i32 spins(ptr_t a) {
    while (zero == 0) {
    }
    return (i32)a;
}

static i32 exits(ptr_t a) {
    task_exit((i32)a);
    return 1;
}

/* Returns while others sleep, one of them with a wait that has to be taken back, and one that has not begun. */
static int leave_others(void) {
    spawn(sleeps, 0);
    spawn(sleeps, 0);
    task_sleep(MILLISECOND);
    spawn(sleeps, 0);
    return 0x1234;
}

static int cancel_others(void) {
    handle_t sleeping = spawn(sleeps, 0), fresh;
    task_yield();
    fresh = spawn(sleeps, 0);
    task_cancel(sleeping);
    task_cancel(fresh);
    if (join(sleeping) != TASK_CANCELLED || join(fresh) != TASK_CANCELLED) {
        return 1;
    }
    return join(spawn(exits, 5)) == 5 ? 0 : 2;
}

/* Spawns as many tasks as there can be, but for wanted; then there must be room for about as many again. */
static int spawn_many(u64 wanted) {
    static handle_t tasks[4096];
    u64 counts[2] = {0, 0};
    for (int round = 0; round < 2; round++) {
        u64 n = 0;
        result_t result = OK;
        while (n < wanted && (result = task_spawn((ptr_t)sleeps, 0, caps, 8, 0, &tasks[n])) == OK) {
            n++;
        }
        if (result != OK && result != ERR_NOMEM) {
            return 1;
        }
        counts[round] = n;
        task_yield();
        for (u64 i = 0; i < n; i++) {
            task_cancel(tasks[i]);
        }
        for (u64 i = 0; i < n; i++) {
            if (join(tasks[i]) != TASK_CANCELLED) {
                return 2;
            }
        }
    }
    say_number("spawned=", counts[0]);
    return counts[0] > 0 && counts[1] > counts[0] - counts[0] / 8 ? 0 : 3;
}

/* Allocates all that there is, and frees it; answers how many blocks it was. */
static u64 fill(void) {
    u64 count = 0;
    ptr_t last = 0, block;
    for (; mem_alloc(16000, 0, &block) == OK; count++) {
        *(ptr_t *)block = last;
        last = block;
    }
    while (last != 0) {
        block = last;
        last = *(ptr_t *)block;
        mem_free(block);
    }
    return count;
}

/* What was memory of the program serves as stacks, and as memory again. */
static int fill_then_spawn(void) {
    u64 filled = fill();
    int status = spawn_many(4096);
    say_number("filled=", filled);
    say_number("again=", fill());
    return status;
}

/* --- waiting --------------------------------------------------------------------------------------------------- */

/* A poll that lasts half a second must not take turns meanwhile: this task's own figures say how many it took. */
static int wait_quietly(void) {
    handle_t self, deadline;
    task_stats_t before, after;
    time_ns start, end;
    u32 ready = 0;
    task_self(&self);
    time_now(&start);
    time_deadline(start + 500 * MILLISECOND, &deadline);
    io_event_t event;
    task_get_stats(self, (ptr_t)&before);
    if (io_poll(&deadline, 1, FOREVER, (ptr_t)&event, &ready) != OK || ready != 1) {
        return 1;
    }
    if (io_poll(0, 0, 500 * MILLISECOND, 0, 0) != ERR_TIMEOUT) {
        return 2;
    }
    task_get_stats(self, (ptr_t)&after);
    time_now(&end);
    if (end - start < 1000 * MILLISECOND) {
        return 3;
    }
    say_number("turns=", after.sched_ticks - before.sched_ticks);
    say_number("switches=", after.context_switches - before.context_switches);
    return 0;
}

/* --- how much of a stack calls take ---------------------------------------------------------------------------- */

enum { PAINTED = 24 << 10, PAINT = 0x5a };

/* Calls, and answers how many bytes of the stack below were written meanwhile. */
__attribute__((noinline)) static u64 depth_of(void (*calls)(void)) {
    volatile char *here = __builtin_frame_address(0);
    volatile char *top = here - 256, *low = here - PAINTED;
    for (volatile char *byte = low; byte < top; byte++) {
        *byte = PAINT;
    }
    calls();
    while (low < top && *low == PAINT) {
        low++;
    }
    return (u64)(here - low);
}

static void log_calls(void) {
    static const char text[400] = "a long line";
    log_write(LOG_INFO, (ptr_t)text, sizeof text);
    log_write(99, 0, 0); /* a failure, which is logged at level debug */
}

static void time_calls(void) {
    handle_t deadline;
    u64 now;
    time_now(&now);
    time_wall(&now);
    time_deadline(now + MILLISECOND, &deadline);
    io_wait(deadline, IO_READABLE, FOREVER, 0);
    io_close(deadline);
    task_sleep(MILLISECOND);
}

static void task_calls(void) {
    i32 status;
    handle_t task = spawn(exits, 0);
    task_set_priority(task, TASK_PRIORITY_HIGH);
    task_join(task, FOREVER, &status);
    task = spawn(sleeps, 0);
    task_cancel(task);
    task_join(task, FOREVER, &status);
}

static void wait_calls(void) {
    handle_t handles[64], set, ready;
    io_event_t events[64];
    u32 count;
    time_ns now;
    time_now(&now);
    interest_create(&set);
    for (u32 i = 0; i < 64; i++) {
        time_deadline(now + (i + 1) * MILLISECOND, &handles[i]);
        interest_add(set, handles[i], IO_READABLE, i);
    }
    io_poll(handles, 64, 70 * MILLISECOND, (ptr_t)events, &count);
    interest_wait(set, events, 64, FOREVER, &count);
    for (u32 i = 0; i < 64; i++) {
        io_close(handles[i]);
    }
    handle_close(set);
    sys_shutdown(&ready);
    io_wait(ready, IO_READABLE, MILLISECOND, &count);
    io_close(ready);
}

static void memory_calls(void) {
    static u8 random[4096];
    ptr_t memory[64];
    handle_t arena;
    for (u32 i = 0; i < 64; i++) {
        mem_alloc(100 * i + 1, MEM_ZEROED, &memory[i]);
    }
    for (u32 i = 0; i < 64; i++) {
        mem_free(memory[i]);
    }
    mem_arena_create(0, &arena);
    mem_arena_alloc(arena, 5000, 0, &memory[0]);
    handle_close(arena);
    random_bytes((ptr_t)random, sizeof random);
}

static void message_calls(void) {
    static u8 message[65536];
    handle_t sender, receiver;
    size_t len;
    ipc_channel_pair(0, &sender, &receiver);
    ipc_send(sender, (ptr_t)message, sizeof message, 0);
    ipc_recv(receiver, (ptr_t)message, sizeof message, &len, 0);
    ipc_close(sender);
    ipc_recv(receiver, (ptr_t)message, sizeof message, &len, 0);
    ipc_close(receiver);
}

static void file_calls(void) {
    static u8 block[4096];
    handle_t file;
    size_t len;
    if (io_open((ptr_t)"disk:0", 0, &file) == OK) {
        io_read(file, (ptr_t)block, sizeof block, &len);
        io_seek(file, 0, IO_SEEK_SET, 0);
        io_write(file, (ptr_t)block, sizeof block, &len);
        io_sync(file);
        io_close(file);
    }
    if (io_open((ptr_t)"serial", IO_OPEN_WRITE, &file) == OK) {
        io_write(file, (ptr_t)"serial\n", 7, &len);
        io_close(file);
    }
}

static u16 server_port; /* of an echo server on the host */

static void client_calls(void) {
    static u8 data[4096];
    net_addr_v4_t address = {NET_IP4(10, 0, 2, 2), server_port, 0};
    handle_t socket;
    size_t len;
    net_socket(NET_INET, NET_STREAM, 0, &socket);
    if (net_connect(socket, (ptr_t)&address, sizeof address) != OK ||
        net_send(socket, (ptr_t)data, sizeof data, 0, &len) != OK ||
        net_recv(socket, (ptr_t)data, sizeof data, 0, &len) != OK || len == 0) {
        say(LOG_INFO, "the server does not answer");
    }
    net_shutdown(socket, NET_SHUT_WRITE);
    while (net_recv(socket, (ptr_t)data, sizeof data, 0, &len) == OK && len > 0) {
    }
    net_close(socket);
}

static void net_calls(void) {
    static u8 data[4096];
    net_addr_v4_t any = {0, 0, 0}, dns = {NET_IP4(10, 0, 2, 3), 53, 0};
    net_addr_v6_t found[4];
    handle_t socket, accepted;
    u32 count;
    size_t len;
    net_socket(NET_INET, NET_DGRAM, 0, &socket);
    net_bind(socket, (ptr_t)&any, sizeof any);
    net_send_to(socket, (ptr_t)data, 512, 0, (ptr_t)&dns, sizeof dns);
    net_recv(socket, (ptr_t)data, sizeof data, NET_NONBLOCK, &len);
    net_close(socket);
    net_socket(NET_INET, NET_STREAM, 0, &socket);
    any.port = 99;
    net_bind(socket, (ptr_t)&any, sizeof any);
    net_listen(socket, 0);
    net_accept(socket, NET_NONBLOCK, &accepted, 0, 0);
    net_close(socket);
    client_calls();
    net_resolve((ptr_t)"localhost.test", 14, found, 4, &count);
}

static i32 measure_calls(ptr_t a) {
    static const struct {
        const char *name;
        void (*calls)(void);
    } groups[] = {{"log=", log_calls},       {"time=", time_calls},       {"task=", task_calls},
                  {"wait=", wait_calls},     {"memory=", memory_calls},   {"message=", message_calls},
                  {"file=", file_calls},     {"net=", net_calls}};
    u64 deepest = a;
    for (u32 i = 0; i < sizeof groups / sizeof *groups; i++) {
        u64 depth = depth_of(groups[i].calls);
        say_number(groups[i].name, depth);
        deepest = depth > deepest ? depth : deepest;
    }
    say_number("deepest=", deepest);
    return 0;
}

/* --- what is handed over --------------------------------------------------------------------------------------- */

static int arguments(int argc, char **argv) {
    for (int i = 0; i < argc; i++) {
        say(LOG_INFO, argv[i]);
    }
    return argv[argc] == 0 ? argc : 96;
}

/* The kernel's first tables and stacks lie among a program's static variables, and may not be named. */
static int kernel_pages(void) {
    extern char __pages_start[], __pages_end[]; /* the linker script's */
    static time_ns zero, other = 1;
    const u64 start = (u64)__pages_start, end = (u64)__pages_end;
    for (u64 page = start; page < end; page += 4096) {
        if (time_now((time_ns *)page) != ERR_INVALID || log_write(LOG_INFO, page, 8) != ERR_INVALID) {
            return 4;
        }
    }
    if (time_now((time_ns *)(start - 4)) != ERR_INVALID || time_now((time_ns *)(end - 4)) != ERR_INVALID) {
        return 5;
    }
    return time_now(&zero) == OK && time_now(&other) == OK && zero <= other ? 0 : 6;
}

/* What a program has allocated is its own until it is freed; the rest of the heap is the kernel's. */
static int kernel_heap(void) {
    ptr_t mine = 0;
    if (mem_alloc(64, MEM_ZEROED, &mine) != OK || time_now((time_ns *)(mine + 56)) != OK) {
        return 7;
    }
    if (time_now((time_ns *)(mine + 60)) != ERR_INVALID || time_now((time_ns *)(mine - 4)) != ERR_INVALID) {
        return 8;
    }
    mem_free(mine);
    return time_now((time_ns *)mine) == ERR_INVALID ? 0 : 9;
}

/* Whatever number is given as a pointer, there is an answer. Reads only: writing where it is allowed would destroy. */
static int wild_pointers(void) {
    u64 refused = 0, taken = 0;
    for (int bit = 0; bit < 64; bit++) {
        for (int offset = -8; offset <= 8; offset += 4) {
            ptr_t address = (1ull << bit) + (u64)(i64)offset;
            result_t result = log_write(LOG_DEBUG, address, 16);
            refused += result == ERR_INVALID;
            taken += result == OK;
            result = io_open(address, 0, (handle_t *)&taken);
            if (result == OK) {
                return 1;
            }
        }
    }
    say_number("refused=", refused);
    if (refused + taken < 64 * 5) {
        return 2;
    }
    /* Constants and code can be read and not written. */
    static const u64 constant = 5;
    if (log_write(LOG_INFO, (ptr_t)&constant, 8) != OK || time_now((time_ns *)(size_t)&constant) != ERR_INVALID ||
        time_now((time_ns *)(size_t)&wild_pointers) != ERR_INVALID) {
        return 3;
    }
    const int status = kernel_pages();
    return status == 0 ? kernel_heap() : status;
}

static handle_t passed;

static i32 ends_span(ptr_t argument) {
    handle_t own = 0;
    trace_span_begin((ptr_t) "other", 5, &own);
    task_sleep(MILLISECOND);
    trace_span_end(passed);
    trace_event(0, (ptr_t) "tick", 4, (ptr_t) "n=1", 3);
    return trace_span_end(own) == OK ? (i32)argument : 1;
}

/* Spans that nest, one that another task ends, one that nobody ends, and more than there is room for. */
static int traces(u64 more) {
    handle_t outer = 0, open = 0;
    if (trace_enable(1) != OK || trace_span_begin((ptr_t) "outer", 5, &outer) != OK) {
        return 1;
    }
    trace_event(outer, 0, 0, (ptr_t) "path=/a b", 9);
    trace_span_begin((ptr_t) "passed", 6, &passed);
    if (join(spawn(ends_span, 0)) != 0) {
        return 2;
    }
    for (u64 i = 0; i < more; i++) {
        trace_event(0, (ptr_t) "more", 4, 0, 0);
    }
    trace_span_end(outer);
    trace_span_begin((ptr_t) "open", 4, &open);
    return 0;
}

int main(int argc, char **argv) {
    static const u32 kinds[] = {CAP_LOG, CAP_TIME, CAP_TASK, CAP_MEM, CAP_IO, CAP_IPC, CAP_NET, CAP_TRACE};
    if (take_capabilities(kinds, 8, caps) != OK) {
        return 97;
    }
    const char *mode = argc > 1 ? argv[1] : "arguments";
    if (equal(mode, "arguments")) {
        return arguments(argc, argv);
    }
    if (equal(mode, "faults")) {
        return all_faults();
    }
    if (equal(mode, "fault")) {
        return fault_in_main(argv[2]);
    }
    if (equal(mode, "floats")) {
        return floats();
    }
    if (equal(mode, "leave")) {
        return leave_others();
    }
    if (equal(mode, "cancel")) {
        return cancel_others();
    }
    if (equal(mode, "spawn-many")) {
        return spawn_many(4096);
    }
    if (equal(mode, "fill-then-spawn")) {
        return fill_then_spawn();
    }
    if (equal(mode, "exit")) {
        exits(300);
    }
    if (equal(mode, "spin")) {
        return join(spawn(spins, 0));
    }
    if (equal(mode, "quiet")) {
        return wait_quietly();
    }
    if (equal(mode, "stack")) {
        server_port = (u16)parse(argv[2]);
        return join(spawn(measure_calls, 0));
    }
    if (equal(mode, "traces")) {
        return traces(parse(argv[2]));
    }
    if (equal(mode, "wild-pointers")) {
        return wild_pointers();
    }
    return 98;
}
