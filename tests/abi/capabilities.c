/* cap_*: what a task may do, and how it is taken away and passed on. */
#include "tap.h"

#define BIT(kind) (1u << ((kind) - 1))
#define WITHOUT(kind) (ALL_KINDS & ~BIT(kind))

static u32 active(void)
{
    u32 kinds = ~0u;
    OKAY(cap_active(&kinds));
    return kinds;
}

static void every_kind_can_be_acquired(void)
{
    u32 kind;
    for (kind = CAP_LOG; kind <= CAP_TRACE; kind++) {
        handle_t first = 0, second = 0;
        OKAY(cap_acquire(kind, &first));
        OKAY(cap_acquire(kind, &second));
        EQUAL(second, first);
        EQUAL(first >> 48, (u32)HANDLE_CAP << 8 | kind);
        EQUAL(first << 16 >> 32, 0); /* between kind and generation */
        CHECK((first & 0xffff) != 0);
    }
}

static void acquiring_refuses_what_is_no_kind(void)
{
    static const u32 none[] = {0, 9, 10, 255, 256, 0x10001, 0xffffffff};
    handle_t handle = 77;
    u32 at;
    for (at = 0; at < COUNT(none); at++)
        FAILS(ERR_INVALID, 1, cap_acquire(none[at], &handle));
    EQUAL(handle, 77);
    FAILS(ERR_INVALID, 2, cap_acquire(CAP_LOG, 0));
    FAILS(ERR_INVALID, 2, cap_acquire(CAP_LOG, (handle_t *)NOWHERE));
}

static void acquiring_activates_nothing(void)
{
    handle_t handle;
    OKAY(cap_exit());
    OKAY(cap_acquire(CAP_TIME, &handle));
    EQUAL(active(), 0);
    GIVES(ERR_PERMISSION, time_now(&handle));
}

static void entering_replaces_the_active_set(void)
{
    handle_t caps[8];
    EQUAL(acquire(ALL_KINDS, caps), 8);
    OKAY(cap_enter(caps, 8));
    EQUAL(active(), ALL_KINDS);
    OKAY(cap_enter(&caps[CAP_TIME - 1], 1));
    EQUAL(active(), BIT(CAP_TIME));
    OKAY(cap_enter(&caps[CAP_LOG - 1], 3));
    EQUAL(active(), BIT(CAP_LOG) | BIT(CAP_TIME) | BIT(CAP_TASK));
    caps[1] = caps[0];
    OKAY(cap_enter(caps, 2));
    EQUAL(active(), BIT(CAP_LOG));
    OKAY(cap_enter(0, 0));
    EQUAL(active(), 0);
}

static void entering_what_is_no_capability_changes_nothing(void)
{
    handle_t caps[9], io = never();
    u32 at;
    EQUAL(acquire(ALL_KINDS, caps), 8);
    caps[8] = caps[0];
    FAILS(ERR_INVALID, 2, cap_enter(caps, 9));
    FAILS(ERR_INVALID, 2, cap_enter(caps, 0xffffffff));
    FAILS(ERR_INVALID, 1, cap_enter(0, 1));
    FAILS(ERR_INVALID, 1, cap_enter((handle_t *)NOWHERE, 1));
    for (at = 0; at < 6; at++) {
        handle_t wrong[] = {0, ~0ull, io, caps[0] | 1ull << 16, caps[0] | 1ull << 47, (u64)HANDLE_CAP << 56 | 1};
        caps[1] = wrong[at];
        FAILS(ERR_INVALID, 1, cap_enter(caps, 2));
    }
    EQUAL(active(), ALL_KINDS);
}

static void a_guessed_generation_is_refused(void)
{
    handle_t cap, guess;
    OKAY(cap_acquire(CAP_MEM, &cap));
    guess = cap + 1;
    GIVES(ERR_PERMISSION, cap_enter(&guess, 1));
    GIVES(ERR_PERMISSION, cap_drop(guess));
    guess = cap & ~0xffffull;
    GIVES(ERR_PERMISSION, cap_enter(&guess, 1));
    EQUAL(active(), ALL_KINDS);
}

static void leaving_empties_the_active_set(void)
{
    OKAY(cap_exit());
    EQUAL(active(), 0);
    OKAY(cap_exit());
    CHECK(enter(ALL_KINDS));
}

static void a_dropped_kind_is_stale_until_it_is_acquired_anew(void)
{
    handle_t before, after, caps[2];
    OKAY(cap_acquire(CAP_LOG, &before));
    OKAY(cap_acquire(CAP_TIME, &caps[0]));
    OKAY(cap_drop(before));
    EQUAL(active(), WITHOUT(CAP_LOG));
    FAILS(ERR_PERMISSION, 1, cap_drop(before));
    caps[1] = before;
    FAILS(ERR_PERMISSION, 1, cap_enter(caps, 2));
    EQUAL(active(), WITHOUT(CAP_LOG));
    OKAY(cap_acquire(CAP_LOG, &after));
    CHECK(after != before);
    GIVES(ERR_PERMISSION, cap_enter(&before, 1));
    OKAY(cap_enter(&after, 1));
    EQUAL(active(), BIT(CAP_LOG));
}

static void only_capabilities_are_dropped(void)
{
    FAILS(ERR_INVALID, 1, cap_drop(0));
    FAILS(ERR_INVALID, 1, cap_drop(never()));
    FAILS(ERR_INVALID, 1, cap_drop((u64)HANDLE_CAP << 56 | 1));
    FAILS(ERR_INVALID, 1, cap_drop(~0ull));
    EQUAL(active(), ALL_KINDS);
}

static void asking_for_the_active_set_needs_a_place(void)
{
    FAILS(ERR_INVALID, 1, cap_active(0));
    FAILS(ERR_INVALID, 1, cap_active((u32 *)NOWHERE));
}

/* --- tasks that are spawned with less ------------------------------------------------------------------------ */

static i32 drops_log(ptr_t argument)
{
    handle_t cap;
    (void)argument;
    OKAY(cap_acquire(CAP_LOG, &cap));
    OKAY(cap_drop(cap));
    EQUAL(active(), WITHOUT(CAP_LOG));
    return 5;
}

static void what_another_task_drops_stays_active_here(void)
{
    EQUAL(run(drops_log, 0), 5);
    EQUAL(active(), ALL_KINDS);
    OKAY(log_write(LOG_DEBUG, P("still allowed"), 13));
}

static i32 tells_active(ptr_t argument)
{
    (void)argument;
    return (i32)active();
}

static void a_spawned_task_has_what_it_was_given(void)
{
    handle_t caps[8], task;
    u32 kinds, count;
    for (kinds = 0; kinds <= ALL_KINDS; kinds += 0x33) {
        count = acquire(kinds, caps);
        OKAY(task_spawn(P(tells_active), 0, caps, count, 0, &task));
        EQUAL(finish(task), kinds);
    }
}

static i32 tries_for_more(ptr_t argument)
{
    handle_t cap, *parents = (handle_t *)argument;
    u32 kind;
    EQUAL(active(), BIT(CAP_TIME) | BIT(CAP_TASK));
    for (kind = CAP_LOG; kind <= CAP_TRACE; kind++) {
        int allowed = kind == CAP_TIME || kind == CAP_TASK;
        GIVES(allowed ? OK : ERR_PERMISSION, cap_acquire(kind, &cap));
        GIVES(allowed ? OK : ERR_PERMISSION, cap_enter(&parents[kind - 1], 1));
    }
    OKAY(cap_exit());
    EQUAL(active(), 0);
    OKAY(cap_enter(&parents[CAP_TIME - 1], 2));
    EQUAL(active(), BIT(CAP_TIME) | BIT(CAP_TASK));
    return 0;
}

static void a_spawned_task_never_gets_more_than_it_was_given(void)
{
    handle_t caps[8], task;
    EQUAL(acquire(ALL_KINDS, caps), 8);
    OKAY(task_spawn(P(tries_for_more), P(caps), &caps[CAP_TIME - 1], 2, 0, &task));
    EQUAL(finish(task), 0);
}

static i32 spawns_with_task_only(ptr_t argument)
{
    handle_t task, cap, *parents = (handle_t *)argument;
    GIVES(ERR_PERMISSION, task_spawn(P(tells_active), 0, &parents[CAP_TIME - 1], 2, 0, &task));
    OKAY(cap_acquire(CAP_TASK, &cap));
    OKAY(task_spawn(P(tells_active), 0, &cap, 1, 0, &task));
    EQUAL(finish(task), BIT(CAP_TASK));
    return 0;
}

static void nor_do_the_tasks_that_it_spawns(void)
{
    handle_t caps[8], task;
    EQUAL(acquire(ALL_KINDS, caps), 8);
    OKAY(task_spawn(P(spawns_with_task_only), P(caps), &caps[CAP_TASK - 1], 1, 0, &task));
    EQUAL(finish(task), 0);
}

static void only_what_is_active_can_be_passed_on(void)
{
    handle_t caps[8], stale, task = 77;
    EQUAL(acquire(ALL_KINDS, caps), 8);
    CHECK(enter(WITHOUT(CAP_NET)));
    FAILS(ERR_PERMISSION, 3, task_spawn(P(tells_active), 0, &caps[CAP_NET - 1], 1, 0, &task));
    CHECK(enter(ALL_KINDS));
    stale = caps[CAP_LOG - 1];
    OKAY(cap_drop(stale));
    CHECK(enter(ALL_KINDS));
    FAILS(ERR_PERMISSION, 3, task_spawn(P(tells_active), 0, &stale, 1, 0, &task));
    EQUAL(task, 77);
}

static void what_is_no_capability_cannot_be_passed_on(void)
{
    handle_t caps[9], task = 77;
    handle_t io = never();
    EQUAL(acquire(ALL_KINDS, caps), 8);
    caps[8] = caps[0];
    FAILS(ERR_INVALID, 4, task_spawn(P(tells_active), 0, caps, 9, 0, &task));
    FAILS(ERR_INVALID, 3, task_spawn(P(tells_active), 0, 0, 1, 0, &task));
    FAILS(ERR_INVALID, 3, task_spawn(P(tells_active), 0, (handle_t *)NOWHERE, 1, 0, &task));
    FAILS(ERR_INVALID, 3, task_spawn(P(tells_active), 0, &io, 1, 0, &task));
    EQUAL(task, 77);
}

/* --- what each call needs ------------------------------------------------------------------------------------ */

/* Every call that needs a capability, with arguments that are wrong or harmless. */
#define CALLS(CALL)                                       \
    CALL(TASK, task_spawn, (0, 0, 0, 0, 0, 0))            \
    CALL(TASK, task_yield, ())                            \
    CALL(TASK, task_sleep, (0))                           \
    CALL(TASK, task_set_priority, (0, 0))                 \
    CALL(TASK, task_get_stats, (0, 0))                    \
    CALL(TASK, task_join, (0, 0, 0))                      \
    CALL(TASK, task_cancel, (0))                          \
    CALL(TIME, time_now, (0))                             \
    CALL(TIME, time_deadline, (0, 0))                     \
    CALL(TIME, time_wall, (0))                            \
    CALL(MEM, mem_alloc, (0, 0, 0))                       \
    CALL(MEM, mem_free, (0))                              \
    CALL(MEM, mem_map, (0, 0, 0))                         \
    CALL(MEM, mem_share, (0, 0, 0))                       \
    CALL(MEM, mem_unshare, (0))                           \
    CALL(MEM, mem_usage, (0, 0))                          \
    CALL(MEM, mem_arena_create, (0, 0))                   \
    CALL(MEM, mem_arena_alloc, (0, 0, 0, 0))              \
    CALL(MEM, mem_arena_reset, (0))                       \
    CALL(MEM, mem_shared, (0, 0, 0))                      \
    CALL(IO, io_open, (0, 0, 0))                          \
    CALL(IO, io_read, (0, 0, 0, 0))                       \
    CALL(IO, io_write, (0, 0, 0, 0))                      \
    CALL(IO, io_close, (0))                               \
    CALL(IO, io_poll, (0, 0, 0, 0, 0))                    \
    CALL(IO, io_readv, (0, 0, 0, 0))                      \
    CALL(IO, io_writev, (0, 0, 0, 0))                     \
    CALL(IO, io_seek, (0, 0, 0, 0))                       \
    CALL(IO, io_sync, (0))                                \
    CALL(IO, io_info, (0, 0))                             \
    CALL(IO, io_wait, (0, 0, 0, 0))                       \
    CALL(IO, interest_create, (0))                        \
    CALL(IO, interest_add, (0, 0, 0, 0))                  \
    CALL(IO, interest_modify, (0, 0, 0, 0))               \
    CALL(IO, interest_remove, (0, 0))                     \
    CALL(IO, interest_wait, (0, 0, 0, 0, 0))              \
    CALL(IPC, ipc_channel_create, (0, 0))                 \
    CALL(IPC, ipc_send, (0, 0, 0, 0))                     \
    CALL(IPC, ipc_recv, (0, 0, 0, 0, 0))                  \
    CALL(IPC, ipc_close, (0))                             \
    CALL(IPC, ipc_channel_pair, (0, 0, 0))                \
    CALL(IPC, ipc_open, (0, 0, 0, 0))                     \
    CALL(IPC, ipc_send_handles, (0, 0, 0, 0, 0, 0))       \
    CALL(IPC, ipc_recv_handles, (0, 0, 0, 0, 0, 0, 0, 0)) \
    CALL(NET, net_socket, (0, 0, 0, 0))                   \
    CALL(NET, net_bind, (0, 0, 0))                        \
    CALL(NET, net_connect, (0, 0, 0))                     \
    CALL(NET, net_send, (0, 0, 0, 0, 0))                  \
    CALL(NET, net_recv, (0, 0, 0, 0, 0))                  \
    CALL(NET, net_close, (0))                             \
    CALL(NET, net_listen, (0, 0))                         \
    CALL(NET, net_accept, (0, 0, 0, 0, 0))                \
    CALL(NET, net_shutdown, (0, 0))                       \
    CALL(NET, net_set_option, (0, 0, 0))                  \
    CALL(NET, net_get_option, (0, 0, 0))                  \
    CALL(NET, net_local_address, (0, 0, 0))               \
    CALL(NET, net_peer_address, (0, 0, 0))                \
    CALL(NET, net_send_to, (0, 0, 0, 0, 0, 0))            \
    CALL(NET, net_recv_from, (0, 0, 0, 0, 0, 0, 0))       \
    CALL(NET, net_resolve, (0, 0, 0, 0, 0))               \
    CALL(LOG, log_write, (77, 0, 0))                      \
    CALL(TRACE, trace_span_begin, (0, 0, 0))              \
    CALL(TRACE, trace_span_end, (~0ull))                  \
    CALL(TRACE, trace_event, (~0ull, 0, 0, 0, 0))         \
    CALL(TRACE, trace_enable, (77))

#define DEFINE(kind, name, arguments)    \
    static result_t only_##name(void)    \
    {                                    \
        return name arguments;           \
    }
CALLS(DEFINE)

struct call {
    const char *name;
    u32 kind;
    result_t (*make)(void);
};

#define ENTRY(kind, name, arguments) {#name, CAP_##kind, only_##name},
static const struct call calls[] = {CALLS(ENTRY)};

static void each_call_needs_its_kind_whatever_else_is_active(void)
{
    u32 at;
    for (at = 0; at < COUNT(calls); at++) {
        note_about(calls[at].name);
        CHECK(enter(WITHOUT(calls[at].kind)));
        GIVES(ERR_PERMISSION, calls[at].make());
        CHECK(enter(0));
        GIVES(ERR_PERMISSION, calls[at].make());
    }
}

static void each_call_needs_its_kind_and_no_other(void)
{
    u32 at;
    for (at = 0; at < COUNT(calls); at++) {
        note_about(calls[at].name);
        CHECK(enter(BIT(calls[at].kind)));
        CHECK(calls[at].make() != ERR_PERMISSION);
    }
}

static void a_limit_needs_two_kinds(void)
{
    CHECK(enter(WITHOUT(CAP_MEM)));
    GIVES(ERR_PERMISSION, mem_set_limit(~0ull, 0));
    CHECK(enter(WITHOUT(CAP_TASK)));
    GIVES(ERR_PERMISSION, mem_set_limit(~0ull, 0));
    CHECK(enter(BIT(CAP_MEM) | BIT(CAP_TASK)));
    GIVES(ERR_INVALID, mem_set_limit(~0ull, 0));
}

static void the_other_calls_need_none(void)
{
    handle_t handle, closed = never();
    u64 wide = 0;
    size_t len = 0;
    u32 number = 0;
    err_info_t info;
    OKAY(cap_exit());
    OKAY(abi_version(&number, &number, &number));
    OKAY(abi_features(&wide));
    OKAY(abi_feature_enabled(FEAT_NUMBER_TCP, &number));
    OKAY(err_get_last(&info));
    OKAY(handle_close(closed));
    OKAY(task_self(&handle));
    OKAY(random_bytes(P(&wide), sizeof(wide)));
    OKAY(sys_shutdown(&handle));
    OKAY(sys_argument_count(&number));
    GIVES(ERR_NOENT, sys_argument(~0u, P(&wide), sizeof(wide), &len));
    GIVES(ERR_NOENT, sys_environment(P("none"), 4, P(&wide), sizeof(wide), &len));
    OKAY(cap_active(&number));
    OKAY(cap_acquire(CAP_LOG, &handle));
}

static const struct test capabilities_tests[] = {
    TEST(every_kind_can_be_acquired),
    TEST(acquiring_refuses_what_is_no_kind),
    TEST(acquiring_activates_nothing),
    TEST(entering_replaces_the_active_set),
    TEST(entering_what_is_no_capability_changes_nothing),
    TEST(a_guessed_generation_is_refused),
    TEST(leaving_empties_the_active_set),
    TEST(a_dropped_kind_is_stale_until_it_is_acquired_anew),
    TEST(only_capabilities_are_dropped),
    TEST(asking_for_the_active_set_needs_a_place),
    TEST(what_another_task_drops_stays_active_here),
    TEST(a_spawned_task_has_what_it_was_given),
    TEST(a_spawned_task_never_gets_more_than_it_was_given),
    TEST(nor_do_the_tasks_that_it_spawns),
    TEST(only_what_is_active_can_be_passed_on),
    TEST(what_is_no_capability_cannot_be_passed_on),
    TEST(each_call_needs_its_kind_whatever_else_is_active),
    TEST(each_call_needs_its_kind_and_no_other),
    TEST(a_limit_needs_two_kinds),
    TEST(the_other_calls_need_none),
};
AREA(capabilities);
