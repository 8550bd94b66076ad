/* A pipeline of tasks over channels: one makes numbers, one squares them, and the first task adds them up.
 *
 *     ./just build-c pipeline kernel/examples/c/pipeline.c
 *     ./just run-c pipeline --arg 1000
 *
 * Each channel holds 16 messages, so the slowest stage sets the pace. The exit status is 0 when both tasks did
 * their work.
 */
#include "example.h"

/* What a stage is handed: the end it receives from and the one it sends to. */
typedef struct {
    handle_t input;
    handle_t output;
    u64 count;
} stage;

/* Sends the numbers from 1 to count. Closing its end tells the next stage that there are no more. */
static i32 make_numbers(ptr_t argument) {
    stage *self = (stage *)argument;
    for (u64 number = 1; number <= self->count; number++) {
        if (ipc_send(self->output, (ptr_t)&number, sizeof number, 0) != OK) {
            return 1;
        }
    }
    return ipc_close(self->output) == OK ? 0 : 1;
}

/* Sends the square of each number on. */
static i32 square_numbers(ptr_t argument) {
    stage *self = (stage *)argument;
    u64 number;
    size_t len;
    result_t result;
    while ((result = ipc_recv(self->input, (ptr_t)&number, sizeof number, &len, 0)) == OK) {
        number *= number;
        if (ipc_send(self->output, (ptr_t)&number, sizeof number, 0) != OK) {
            return 1;
        }
    }
    return result == ERR_CLOSED && ipc_close(self->output) == OK ? 0 : 1;
}

static u64 add_up(handle_t input) {
    u64 sum = 0, number;
    size_t len;
    while (ipc_recv(input, (ptr_t)&number, sizeof number, &len, 0) == OK) {
        sum += number;
    }
    return sum;
}

int main(int argc, char **argv) {
    static const u32 kinds[] = {CAP_LOG, CAP_TASK, CAP_IPC};
    handle_t caps[3], maker, squarer, sums;
    static stage make, square; /* they outlive this function's frame, as the tasks may */
    if (take_capabilities(kinds, 3, caps) != OK) {
        return 2;
    }
    make.count = argc > 1 ? parse(argv[1]) : 100;
    if (ipc_channel_pair(0, &make.output, &square.input) != OK || ipc_channel_pair(0, &square.output, &sums) != OK) {
        return 2;
    }
    /* The stages need no more than the channels: the last capability of the three. */
    if (task_spawn((ptr_t)make_numbers, (ptr_t)&make, &caps[2], 1, 0, &maker) != OK ||
        task_spawn((ptr_t)square_numbers, (ptr_t)&square, &caps[2], 1, 0, &squarer) != OK) {
        return 2;
    }
    say_number("pipeline: sum=", add_up(sums));
    i32 made = 1, squared = 1;
    task_join(maker, ~0ull, &made);
    task_join(squarer, ~0ull, &squared);
    return made == 0 && squared == 0 ? 0 : 1;
}
