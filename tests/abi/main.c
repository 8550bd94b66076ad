/* The conformance suite of kernel/include/ukernel_abi.h. See README.md for what it needs.
 *
 * Arguments:
 *   policy=log,time,...  the kinds that this program may have (all, if it is not given): what lies outside has to be
 *                        refused, and only that is tested
 *   narrow               the same, and the policy is the one in narrow.c
 *   limits               tests only the limits, which takes the memory that limits.c names
 *   dns                  the machine asks this program for names, see names.c
 *   only=AREA            leaves the other areas out
 *   stop                 waits to be asked to stop, and then ends with 3
 *   exit=N               ends at once with N, while other tasks wait */
#include "report.h"

static handle_t console;

static u32 passed, failed, number;

/* The line that is being said. It goes out whole: lines of the log may come in between two writes. */
static char line[256];
static u32 line_length;

static void end_line(void)
{
    u32 at = 0;
    while (at < line_length) {
        size_t wrote = 0;
        if (io_write(console, P(&line[at]), line_length - at, &wrote) != OK || wrote > line_length - at)
            break;
        at += (u32)wrote;
    }
    line_length = 0;
}

static void say_bytes(const char *text, u32 len)
{
    for (; len > 0; text++, len--) {
        line[line_length++] = *text;
        if (*text == '\n' || line_length == sizeof(line))
            end_line();
    }
}

static void say(const char *text)
{
    say_bytes(text, length(text));
}

static void say_number(u32 value)
{
    char digits[11];
    u32 at = sizeof(digits) - 1;
    digits[at] = 0;
    do {
        digits[--at] = (char)('0' + value % 10);
        value /= 10;
    } while (value > 0);
    say(&digits[at]);
}

/* A line of a test's result. */
static void say_result(const char *area, const char *name)
{
    char words[128];
    u32 at = 0;
    for (; name[at] != 0 && at < sizeof(words) - 1; at++)
        words[at] = name[at] == '_' ? ' ' : name[at];
    words[at] = 0;
    say(report.failures == 0 ? "ok " : "not ok ");
    say_number(number);
    say(" - ");
    say(area);
    say(": ");
    say(words);
    if (report.skipped != 0) {
        say(" # SKIP ");
        say(report.skipped);
    }
    say("\n");
    say_bytes(report.notes, report.noted);
}

static void begin_test(void)
{
    report.failures = 0;
    report.noted = 0;
    report.skipped = 0;
    report.about = 0;
    number += 1;
}

static void end_test(const char *area, const char *name)
{
    if (report.failures == 0)
        passed += 1;
    else
        failed += 1;
    say_result(area, name);
}

static i32 body(ptr_t argument)
{
    const struct test *test = (const struct test *)argument;
    test->run();
    return 0;
}

/* Runs a test as a task, so that whatever it leaves behind, and however it ends, the next one begins afresh. */
static void run_test(const struct test *test)
{
    handle_t caps[8], task = 0;
    i32 status = -1;
    if (!OKAY(task_spawn(P(body), P(test), caps, acquire(policy(), caps), TASK_STACK_KIB(128), &task)))
        return;
    if (!OKAY(task_join(task, 3 * PATIENCE, &status)))
        task_cancel(task);
    else
        EQUAL((u32)status, 0);
}

static void run_area(const struct area *area)
{
    u32 at;
    const char *only = argument("only=");
    if (only != 0 && !same_text(only, area->name))
        return;
    for (at = 0; at < area->count; at++) {
        begin_test();
        run_test(&area->tests[at]);
        end_test(area->name, area->tests[at].name);
    }
}

/* --- the policy ---------------------------------------------------------------------------------------------- */

static const char *const kind_names[] = {"log", "time", "task", "mem", "io", "ipc", "net", "trace"};

/* The bit of a kind's name at the beginning of `list`, and where the list goes on. */
static u32 kind_at(const char **list)
{
    u32 kind, len;
    for (kind = 0; kind < COUNT(kind_names); kind++) {
        len = length(kind_names[kind]);
        if (begins(*list, kind_names[kind]) && ((*list)[len] == ',' || (*list)[len] == 0)) {
            *list += (*list)[len] == ',' ? len + 1 : len;
            return 1u << kind;
        }
    }
    *list += length(*list);
    return 0;
}

static u32 named_policy(void)
{
    const char *list = argument("policy=");
    u32 kinds = 0;
    if (list == 0)
        return ALL_KINDS;
    while (*list != 0)
        kinds |= kind_at(&list);
    return kinds;
}

/* Whatever the policy leaves out is refused, and stays so. */
static void what_lies_outside_the_policy_is_refused(void)
{
    u32 kind, active = ~0u;
    handle_t handle = 0;
    for (kind = CAP_LOG; kind <= CAP_TRACE; kind++) {
        note_about(kind_names[kind - 1]);
        GIVES((policy() & 1u << (kind - 1)) != 0 ? OK : ERR_PERMISSION, cap_acquire(kind, &handle));
    }
    note_about(0);
    for (kind = CAP_LOG; kind <= CAP_TRACE; kind++) {
        handle_t forged = (u64)HANDLE_CAP << 56 | (u64)kind << 48 | 1;
        note_about(kind_names[kind - 1]);
        if ((policy() & 1u << (kind - 1)) == 0)
            GIVES(ERR_PERMISSION, cap_enter(&forged, 1));
    }
    note_about(0);
    OKAY(cap_active(&active));
    EQUAL(active, policy());
}

/* --- all of it ----------------------------------------------------------------------------------------------- */

static const struct area *const areas[] = {
    &capabilities_area, &handles_area,     &poll_area,      &interest_area, &tasks_area,       &priorities_area,
    &task_ends_area,    &time_area,        &memory_area,    &ipc_area,      &ipc_handles_area, &ipc_open_area,
    &net_area,          &streams_area,     &stream_ends_area, &datagrams_area, &names_area,    &files_area,
    &log_trace_area,    &environment_area, &original_area,  &last_area};

/* All but what needs a machine or a policy of its own. */
static void run_common(void)
{
    u32 at;
    for (at = 0; at < COUNT(areas); at++)
        run_area(areas[at]);
}

static void run_all(void)
{
    begin_test();
    what_lies_outside_the_policy_is_refused();
    end_test("policy", "what_lies_outside_the_policy_is_refused");
    if (argument("narrow") != 0)
        run_area(&narrow_area);
    else if (argument("limits") != 0)
        run_area(&limits_area);
    else if (policy() == ALL_KINDS)
        run_common();
}

static u32 number_in(const char *text)
{
    u32 value = 0;
    for (; *text >= '0' && *text <= '9'; text++)
        value = value * 10 + (u32)(*text - '0');
    return value;
}

static void exit_with(i32 status)
{
    enter(ALL_KINDS);
    start(waits_for_ever, 0);
    task_yield();
    task_exit(status);
}

static int wait_to_be_stopped(void)
{
    handle_t asked = 0;
    u32 events = 0;
    enter(ALL_KINDS);
    if (sys_shutdown(&asked) != OK || io_open(P("serial"), 0, &console) != OK)
        return 1;
    say("# waiting to be asked to stop\n");
    return io_wait(asked, IO_READABLE, FOREVER, &events) == OK && events == IO_READABLE ? 3 : 1;
}

int main(void)
{
    u32 at_start = ~0u;
    const char *status = argument("exit=");
    if (status != 0)
        exit_with((i32)number_in(status));
    if (argument("stop") != 0)
        return wait_to_be_stopped();
    report.policy = named_policy();
    begin_test();
    OKAY(cap_active(&at_start));
    EQUAL(at_start, 0);
    GIVES(ERR_PERMISSION, io_open(P("serial"), 0, &console));
    CHECK(enter(policy()));
    if (io_open(P("serial"), 0, &console) != OK)
        return 2;
    end_test("capabilities", "nothing_is_active_at_start");
    run_all();
    say("1..");
    say_number(number);
    say("\n");
    say_number(passed);
    say(" passed, ");
    say_number(failed);
    say(" failed\n");
    return failed == 0 ? 0 : 1;
}
