/* Checks, and what tests are written with. The reports are main.c's. */
#include "report.h"

struct report report;

static void note_text(const char *text)
{
    while (*text != 0 && report.noted < MAX_NOTES)
        report.notes[report.noted++] = *text++;
}

static void note_number(u64 number)
{
    char digits[21];
    u32 at = sizeof(digits) - 1;
    digits[at] = 0;
    do {
        digits[--at] = (char)('0' + number % 10);
        number /= 10;
    } while (number > 0);
    note_text(&digits[at]);
}

static void note_hex(u64 number)
{
    char digits[19];
    u32 at = sizeof(digits) - 1;
    digits[at] = 0;
    do {
        digits[--at] = "0123456789abcdef"[number & 15];
        number >>= 4;
    } while (number > 0);
    note_text("0x");
    note_text(&digits[at]);
}

static void note_result(result_t result)
{
    static const char *const names[] = {"OK",      "ERR_INVALID", "ERR_NOENT",       "ERR_NOMEM",
                                        "ERR_BUSY", "ERR_TIMEOUT", "ERR_IO",          "ERR_UNSUPPORTED",
                                        "ERR_PERMISSION", "ERR_WOULD_BLOCK", "ERR_CLOSED"};
    if (result < COUNT(names))
        note_text(names[result]);
    else
        note_number(result);
}

/* Begins a note: where, and about what. */
static void note_failure(const char *file, int line)
{
    const char *name = file;
    report.failures += 1;
    for (; *file != 0; file++) {
        if (*file == '/')
            name = file + 1;
    }
    note_text("# ");
    note_text(name);
    note_text(":");
    note_number((u64)line);
    note_text(": ");
    if (report.about != 0) {
        note_text(report.about);
        note_text(": ");
    }
}

void note_about(const char *what)
{
    report.about = what;
}

void skip_rest(const char *why)
{
    report.skipped = why;
}

int check_that(int holds, const char *what, const char *file, int line)
{
    if (holds)
        return 1;
    note_failure(file, line);
    note_text("not so: ");
    note_text(what);
    note_text("\n");
    return 0;
}

int check_equal(u64 actual, u64 expected, const char *what, const char *file, int line)
{
    if (actual == expected)
        return 1;
    note_failure(file, line);
    note_text(what);
    note_text(" is ");
    note_hex(actual);
    note_text(", not ");
    note_hex(expected);
    note_text("\n");
    return 0;
}

int check_gives(result_t expected, result_t actual, const char *what, const char *file, int line)
{
    if (actual == expected)
        return 1;
    note_failure(file, line);
    note_text(what);
    note_text(" gives ");
    note_result(actual);
    note_text(", not ");
    note_result(expected);
    note_text("\n");
    return 0;
}

int check_fails(result_t expected, u32 argument, result_t actual, const char *what, const char *file, int line)
{
    err_info_t info = {0, 0, 0, 0};
    if (!check_gives(expected, actual, what, file, line))
        return 0;
    err_get_last(&info);
    if (info.code == expected && info.detail == argument)
        return 1;
    note_failure(file, line);
    note_text(what);
    note_text(": err_get_last tells ");
    note_result(info.code);
    note_text(" by argument ");
    note_number(info.detail);
    note_text(", not ");
    note_number(argument);
    note_text("\n");
    return 0;
}

/* --- capabilities and tasks ---------------------------------------------------------------------------------- */

u32 policy(void)
{
    return report.policy;
}

u32 acquire(u32 kinds, handle_t *out)
{
    u32 kind, count = 0;
    for (kind = CAP_LOG; kind <= CAP_TRACE; kind++) {
        if ((kinds & 1u << (kind - 1)) != 0 && cap_acquire(kind, &out[count]) == OK)
            count += 1;
    }
    return count;
}

int enter(u32 kinds)
{
    handle_t caps[8];
    u32 active = 0;
    return cap_enter(caps, acquire(kinds, caps)) == OK && cap_active(&active) == OK && active == kinds;
}

handle_t start(i32 (*entry)(ptr_t), void *argument)
{
    handle_t caps[8], task = 0;
    u32 active = 0;
    OKAY(cap_active(&active));
    OKAY(task_spawn(P(entry), P(argument), caps, acquire(active, caps), 0, &task));
    return task;
}

i32 finish(handle_t task)
{
    i32 status = -1;
    OKAY(task_join(task, PATIENCE, &status));
    return status;
}

i32 run(i32 (*entry)(ptr_t), void *argument)
{
    return finish(start(entry, argument));
}

i32 gives_back(ptr_t argument)
{
    return (i32)argument;
}

i32 waits_for_ever(ptr_t argument)
{
    (void)argument;
    task_sleep(FOREVER);
    return 0;
}

u32 dig(u32 levels)
{
    volatile u8 frame[1000];
    frame[levels % sizeof(frame)] = (u8)levels;
    if (levels == 0)
        return 0;
    return dig(levels - 1) + (frame[levels % sizeof(frame)] == (u8)levels);
}

/* --- time and waiting ---------------------------------------------------------------------------------------- */

time_ns now(void)
{
    time_ns at = 0;
    OKAY(time_now(&at));
    return at;
}

void pause_for(time_ns duration)
{
    OKAY(task_sleep(duration));
}

void pause_until(time_ns time)
{
    time_ns at = now();
    if (at < time)
        pause_for(time - at);
}

handle_t never(void)
{
    handle_t handle = 0;
    OKAY(time_deadline(FOREVER, &handle));
    return handle;
}

u32 ready_within(handle_t handle, u32 interest, time_ns timeout)
{
    u32 events = 0;
    result_t result = io_wait(handle, interest, timeout, &events);
    if (result == ERR_TIMEOUT || result == ERR_WOULD_BLOCK)
        return 0;
    OKAY(result);
    return events;
}

/* --- bytes and texts ----------------------------------------------------------------------------------------- */

u32 length(const char *text)
{
    u32 length = 0;
    while (text[length] != 0)
        length += 1;
    return length;
}

int same(const void *left, const void *right, u64 bytes)
{
    const u8 *one = (const u8 *)left, *other = (const u8 *)right;
    while (bytes > 0 && *one == *other) {
        one += 1;
        other += 1;
        bytes -= 1;
    }
    return bytes == 0;
}

int begins(const char *text, const char *start)
{
    while (*start != 0 && *text == *start) {
        text += 1;
        start += 1;
    }
    return *start == 0;
}

int same_text(const char *left, const char *right)
{
    return begins(left, right) && begins(right, left);
}

void fill(void *bytes, u8 value, u64 count)
{
    volatile u8 *at = (volatile u8 *)bytes;
    while (count > 0) {
        *at++ = value;
        count -= 1;
    }
}

const char *argument(const char *name)
{
    static char text[256];
    u32 index;
    size_t len = 0;
    for (index = 0; sys_argument(index, P(text), sizeof(text) - 1, &len) == OK; index++) {
        text[len] = 0;
        if (begins(text, name))
            return text + length(name);
    }
    return 0;
}
