/* mem_*: allocations, their limits, arenas, shared memory. */
#include "tap.h"

static mem_usage_t usage(void)
{
    mem_usage_t usage = {~0ull, ~0ull, 0};
    OKAY(mem_usage(0, &usage));
    return usage;
}

static ptr_t allocate(size_t bytes, u32 flags)
{
    ptr_t at = 0;
    OKAY(mem_alloc(bytes, flags, &at));
    return at;
}

static int is_all(ptr_t at, u8 value, u64 bytes)
{
    const u8 *byte = (const u8 *)at;
    while (bytes > 0 && *byte == value) {
        byte += 1;
        bytes -= 1;
    }
    return bytes == 0;
}

/* --- allocations --------------------------------------------------------------------------------------------- */

static void memory_is_for_reading_and_writing(void)
{
    static const size_t sizes[] = {1, 2, 15, 16, 17, 1000, 4096, 65536, 1000001};
    ptr_t blocks[COUNT(sizes)];
    u32 at;
    for (at = 0; at < COUNT(sizes); at++) {
        blocks[at] = allocate(sizes[at], 0);
        EQUAL(blocks[at] % 16, 0);
        fill((void *)blocks[at], (u8)(at + 1), sizes[at]);
    }
    for (at = 0; at < COUNT(sizes); at++) {
        CHECK(is_all(blocks[at], (u8)(at + 1), sizes[at])); /* none lies in another */
        OKAY(mem_free(blocks[at]));
    }
}

static void memory_is_aligned_as_asked_for(void)
{
    u32 power, round;
    for (power = 0; power <= 12; power++) {
        for (round = 0; round < 3; round++)
            EQUAL(allocate(24, MEM_ALIGN(power)) % (1u << power), 0);
    }
}

static void memory_is_zeroed_when_asked_for(void)
{
    u32 round;
    for (round = 0; round < 20; round++) {
        ptr_t block = allocate(5000, MEM_READ | MEM_WRITE | MEM_ZEROED | MEM_PINNED);
        CHECK(is_all(block, 0, 5000));
        fill((void *)block, 0xff, 5000);
        OKAY(mem_free(block));
    }
}

static void what_cannot_be_allocated_is_refused(void)
{
    ptr_t block = 77;
    mem_usage_t before = usage();
    FAILS(ERR_INVALID, 1, mem_alloc(0, 0, &block));
    FAILS(ERR_UNSUPPORTED, 2, mem_alloc(16, MEM_READ | MEM_EXEC, &block));
    FAILS(ERR_INVALID, 2, mem_alloc(16, 1 << 5, &block));
    FAILS(ERR_INVALID, 2, mem_alloc(16, 1u << 31, &block));
    FAILS(ERR_INVALID, 2, mem_alloc(16, MEM_ALIGN(13), &block));
    FAILS(ERR_INVALID, 2, mem_alloc(16, MEM_ALIGN(200), &block));
    FAILS(ERR_INVALID, 3, mem_alloc(16, 0, 0));
    FAILS(ERR_INVALID, 3, mem_alloc(16, 0, (ptr_t *)NOWHERE));
    GIVES(ERR_NOMEM, mem_alloc(1ull << 40, 0, &block));
    GIVES(ERR_NOMEM, mem_alloc(1ull << 63, 0, &block));
    GIVES(ERR_NOMEM, mem_alloc(~0ull, MEM_ALIGN(12), &block));
    EQUAL(block, 77);
    EQUAL(usage().bytes, before.bytes);
    EQUAL(usage().allocations, before.allocations);
}

static void only_what_was_allocated_is_freed(void)
{
    u64 local = 0;
    ptr_t block = allocate(100, 0);
    FAILS(ERR_INVALID, 1, mem_free(0));
    FAILS(ERR_INVALID, 1, mem_free(block + 16));
    FAILS(ERR_INVALID, 1, mem_free(block - 16));
    FAILS(ERR_INVALID, 1, mem_free(block + 1));
    FAILS(ERR_INVALID, 1, mem_free(P(&local)));
    FAILS(ERR_INVALID, 1, mem_free(NOWHERE));
    FAILS(ERR_INVALID, 1, mem_free(~0ull));
    OKAY(mem_free(block));
    FAILS(ERR_INVALID, 1, mem_free(block));
}

static void a_freed_block_is_nobodys(void)
{
    ptr_t block = allocate(100, 0);
    handle_t shared = 77;
    OKAY(mem_free(block));
    FAILS(ERR_INVALID, 1, mem_share(block, 1, &shared));
    FAILS(ERR_INVALID, 1, mem_map(block, 1, MEM_READ));
    EQUAL(shared, 77);
}

/* --- accounts and limits ------------------------------------------------------------------------------------- */

static void every_byte_is_accounted_for(void)
{
    mem_usage_t before = usage();
    ptr_t one = allocate(1000, 0), other = allocate(1, MEM_ALIGN(12));
    CHECK(usage().bytes >= before.bytes + 1001);
    EQUAL(usage().allocations, before.allocations + 2);
    OKAY(mem_free(one));
    OKAY(mem_free(other));
    EQUAL(usage().bytes, before.bytes);
    EQUAL(usage().allocations, before.allocations);
    EQUAL(usage().limit, ~0ull);
    FAILS(ERR_INVALID, 2, mem_usage(0, 0));
    FAILS(ERR_INVALID, 2, mem_usage(0, (mem_usage_t *)NOWHERE));
}

static void ones_own_limit_can_only_sink(void)
{
    ptr_t block = 0, more = 77;
    OKAY(mem_set_limit(0, 100000));
    EQUAL(usage().limit, 100000);
    FAILS(ERR_PERMISSION, 2, mem_set_limit(0, 100001));
    FAILS(ERR_PERMISSION, 2, mem_set_limit(0, ~0ull));
    OKAY(mem_set_limit(0, 100000));
    GIVES(ERR_NOMEM, mem_alloc(100001, 0, &more));
    block = allocate(60000, 0);
    GIVES(ERR_NOMEM, mem_alloc(60000, 0, &more));
    EQUAL(more, 77);
    OKAY(mem_set_limit(0, 10)); /* less than there is: no more for now */
    GIVES(ERR_NOMEM, mem_alloc(1, 0, &more));
    OKAY(mem_free(block));
    EQUAL(usage().allocations, 0);
}

struct limited {
    handle_t start;
    result_t below, beyond;
    ptr_t block;
};

static i32 allocates_when_told(ptr_t argument)
{
    struct limited *limited = (struct limited *)argument;
    ptr_t more = 0;
    size_t len;
    OKAY(ipc_recv(limited->start, 0, 0, &len, 0));
    limited->below = mem_alloc(4000, 0, &limited->block);
    limited->beyond = mem_alloc(8000, 0, &more);
    OKAY(ipc_recv(limited->start, 0, 0, &len, 0));
    return 0;
}

static i32 tells_its_limit(ptr_t argument)
{
    OKAY(mem_set_limit(0, usage().limit / 2));
    *(u64 *)argument = usage().limit;
    FAILS(ERR_PERMISSION, 2, mem_set_limit(0, usage().limit * 2));
    return 0;
}

static void a_task_begins_with_the_limit_of_who_spawned_it(void)
{
    u64 limit = 0;
    handle_t task;
    OKAY(mem_set_limit(0, 400000));
    EQUAL(run(tells_its_limit, &limit), 0);
    EQUAL(limit, 200000);
    EQUAL(usage().limit, 400000);
    task = start(tells_its_limit, &limit);
    FAILS(ERR_PERMISSION, 2, mem_set_limit(task, 400001));
    OKAY(mem_set_limit(task, 1000));
    EQUAL(finish(task), 0);
    EQUAL(limit, 500);
    task = start(tells_its_limit, &limit);
    EQUAL(ready_within(task, IO_READABLE, PATIENCE), IO_READABLE);
    FAILS(ERR_CLOSED, 1, mem_set_limit(task, 10));
}

static void another_tasks_limit_can_be_set(void)
{
    struct limited limited = {0, OK, OK, 0};
    mem_usage_t usage = {0, 0, 0};
    handle_t task;
    NEED(ipc_channel_create(0, &limited.start));
    task = start(allocates_when_told, &limited);
    OKAY(mem_set_limit(task, 4096));
    OKAY(mem_set_limit(task, 10000));
    OKAY(ipc_send(limited.start, 0, 0, 0));
    OKAY(task_yield());
    GIVES(OK, limited.below);
    GIVES(ERR_NOMEM, limited.beyond);
    OKAY(mem_usage(task, &usage));
    EQUAL(usage.allocations, 1);
    EQUAL(usage.limit, 10000);
    CHECK(usage.bytes >= 4000 && usage.bytes <= 10000);
    OKAY(ipc_send(limited.start, 0, 0, 0));
    EQUAL(finish(task), 0);
    FAILS(ERR_INVALID, 1, mem_free(limited.block));
}

static void any_task_may_free_what_another_allocated(void)
{
    struct limited limited = {0, OK, OK, 0};
    mem_usage_t usage = {0, 0, 0};
    handle_t task;
    NEED(ipc_channel_create(0, &limited.start));
    task = start(allocates_when_told, &limited);
    OKAY(ipc_send(limited.start, 0, 0, 0));
    OKAY(task_yield());
    fill((void *)limited.block, 1, 4000);
    OKAY(mem_free(limited.block));
    OKAY(mem_usage(task, &usage));
    EQUAL(usage.allocations, 1); /* the larger one is left */
    OKAY(ipc_send(limited.start, 0, 0, 0));
    EQUAL(finish(task), 0);
}

static i32 allocates_much(ptr_t argument)
{
    u32 at;
    (void)argument;
    for (at = 0; at < 100; at++)
        allocate(20000, 0);
    EQUAL(usage().allocations, 100);
    return 0;
}

static void memory_is_freed_when_its_task_ends(void)
{
    u32 round;
    /* 400 MB in all: more than there is, if it is not. */
    for (round = 0; round < 200; round++) {
        if (run(allocates_much, 0) != 0)
            break;
    }
    EQUAL(round, 200);
}

static void all_of_the_memory_can_be_had_and_given_back(void)
{
    static ptr_t blocks[4096];
    u32 count = 0, at;
    result_t result = OK;
    size_t size = 16 << 20;
    /* Ever smaller blocks, until not even 64 KiB are left. */
    while (size >= 65536 && count < COUNT(blocks)) {
        result = mem_alloc(size, 0, &blocks[count]);
        if (result == OK)
            count += 1;
        else
            size /= 2;
    }
    GIVES(ERR_NOMEM, result);
    CHECK(count > 0);
    OKAY(log_write(LOG_DEBUG, P("no memory"), 9)); /* the rest goes on */
    for (at = 0; at < count; at++)
        OKAY(mem_free(blocks[at]));
    EQUAL(usage().allocations, 0);
    OKAY(mem_free(allocate(1 << 20, 0)));
}

/* --- mapping and sharing ------------------------------------------------------------------------------------- */

static void mapping_says_what_is_so(void)
{
    ptr_t block = allocate(5000, 0);
    u32 local = 0;
    OKAY(mem_map(block, 5000, MEM_READ | MEM_WRITE));
    OKAY(mem_map(block + 100, 4900, MEM_READ | MEM_WRITE));
    FAILS(ERR_UNSUPPORTED, 3, mem_map(block, 5000, MEM_READ));
    FAILS(ERR_INVALID, 1, mem_map(block + 100, 1 << 20, MEM_READ | MEM_WRITE));
    FAILS(ERR_INVALID, 1, mem_map(0, 16, MEM_READ | MEM_WRITE));
    FAILS(ERR_INVALID, 1, mem_map(P(&local), 4, MEM_READ | MEM_WRITE));
    FAILS(ERR_INVALID, 1, mem_map(block, ~0ull, MEM_READ | MEM_WRITE));
    FAILS(ERR_UNSUPPORTED, 3, mem_map(block, 5000, MEM_READ | MEM_EXEC));
    CHECK(mem_map(block, 5000, 1u << 30) != OK);
}

static void shared_memory_outlives_its_block(void)
{
    ptr_t block = allocate(5000, 0), at = 0;
    size_t len = 0;
    handle_t shared = 0;
    fill((void *)block, 0x5a, 5000);
    NEED(mem_share(block + 1000, 500, &shared));
    EQUAL(shared >> 56, HANDLE_MEM);
    OKAY(mem_shared(shared, &at, &len));
    EQUAL(at, block + 1000);
    EQUAL(len, 500);
    OKAY(mem_free(block));
    GIVES(ERR_INVALID, mem_free(block));
    EQUAL(usage().allocations, 1); /* still on this account */
    CHECK(is_all(at, 0x5a, 500));
    fill((void *)at, 0xa5, 500);
    CHECK(is_all(at, 0xa5, 500));
    OKAY(mem_unshare(shared));
    FAILS(ERR_INVALID, 1, mem_unshare(shared));
    FAILS(ERR_INVALID, 1, mem_shared(shared, &at, &len));
    EQUAL(usage().allocations, 0);
}

static void what_is_not_one_block_cannot_be_shared(void)
{
    ptr_t block = allocate(5000, 0), at = 77;
    size_t len = 77;
    handle_t shared = 77;
    u64 local = 0;
    FAILS(ERR_INVALID, 1, mem_share(block, 1 << 20, &shared));
    FAILS(ERR_INVALID, 1, mem_share(block - 1, 2, &shared));
    FAILS(ERR_INVALID, 1, mem_share(P(&local), 8, &shared));
    FAILS(ERR_INVALID, 1, mem_share(0, 8, &shared));
    FAILS(ERR_INVALID, 1, mem_share(block, 0, &shared));
    FAILS(ERR_INVALID, 1, mem_share(block, ~0ull, &shared));
    FAILS(ERR_INVALID, 3, mem_share(block, 8, 0));
    EQUAL(shared, 77);
    OKAY(mem_share(block, 5000, &shared));
    FAILS(ERR_INVALID, 2, mem_shared(shared, 0, &len));
    FAILS(ERR_INVALID, 3, mem_shared(shared, &at, 0));
    EQUAL(at, 77);
    EQUAL(len, 77);
}

static i32 shares_and_ends(ptr_t argument)
{
    handle_t shared = 0, channel = *(handle_t *)argument;
    ptr_t block = allocate(3000, 0);
    fill((void *)block, 0x3c, 3000);
    OKAY(mem_share(block, 3000, &shared));
    OKAY(ipc_send_handles(channel, P("take it"), 7, &shared, 1, 0));
    FAILS(ERR_INVALID, 1, mem_unshare(shared)); /* it belongs to the message */
    return 0;
}

static void shared_memory_travels_and_outlives_its_task(void)
{
    handle_t channel = 0, shared = 0;
    char text[8];
    size_t len = 0;
    ptr_t at = 0;
    u32 count = 0;
    NEED(ipc_channel_create(0, &channel));
    EQUAL(run(shares_and_ends, &channel), 0);
    OKAY(ipc_recv_handles(channel, P(text), sizeof(text), &len, &shared, 1, &count, 0));
    EQUAL(count, 1);
    CHECK(len == 7 && same(text, "take it", 7));
    OKAY(mem_shared(shared, &at, &len));
    EQUAL(len, 3000);
    CHECK(is_all(at, 0x3c, 3000));
    OKAY(mem_unshare(shared));
}

/* --- arenas -------------------------------------------------------------------------------------------------- */

static void an_arena_is_freed_at_once(void)
{
    ptr_t block = 0;
    handle_t arena = 0;
    u32 at, round;
    NEED(mem_arena_create(0, &arena));
    EQUAL(arena >> 56, HANDLE_MEM);
    /* 400 MB in all: more than there is, if nothing is freed. */
    for (round = 0; round < 40; round++) {
        for (at = 0; at < 1000; at++) {
            if (!OKAY(mem_arena_alloc(arena, 10000, 0, &block)))
                return;
            fill((void *)block, (u8)at, 16);
        }
        CHECK(usage().bytes >= 10000000);
        OKAY(mem_arena_reset(arena));
        CHECK(usage().bytes < 10000000);
    }
    OKAY(handle_close(arena));
    EQUAL(usage().bytes, 0);
    FAILS(ERR_INVALID, 1, mem_arena_alloc(arena, 1, 0, &block));
    FAILS(ERR_INVALID, 1, mem_arena_reset(arena));
}

static void closing_an_arena_frees_it(void)
{
    ptr_t block = 0;
    handle_t arena = 0;
    u32 round;
    for (round = 0; round < 400; round++) {
        NEED(mem_arena_create(0, &arena));
        NEED(mem_arena_alloc(arena, 1000000, 0, &block));
        NEED(handle_close(arena));
    }
    EQUAL(usage().bytes, 0);
}

static void an_arena_allocates_as_mem_alloc_does(void)
{
    ptr_t blocks[20], block = 77;
    handle_t arena = 0;
    u32 at;
    NEED(mem_arena_create(0, &arena));
    for (at = 0; at < COUNT(blocks); at++) {
        u32 power = at % 13;
        OKAY(mem_arena_alloc(arena, 100 + at, MEM_ZEROED | MEM_ALIGN(power), &blocks[at]));
        EQUAL(blocks[at] % (1u << power), 0);
        CHECK(is_all(blocks[at], 0, 100 + at));
        fill((void *)blocks[at], (u8)(at + 1), 100 + at);
    }
    for (at = 0; at < COUNT(blocks); at++)
        CHECK(is_all(blocks[at], (u8)(at + 1), 100 + at));
    FAILS(ERR_INVALID, 1, mem_free(blocks[0]));
    FAILS(ERR_INVALID, 2, mem_arena_alloc(arena, 0, 0, &block));
    FAILS(ERR_UNSUPPORTED, 3, mem_arena_alloc(arena, 16, MEM_EXEC, &block));
    FAILS(ERR_INVALID, 3, mem_arena_alloc(arena, 16, 1 << 6, &block));
    FAILS(ERR_INVALID, 4, mem_arena_alloc(arena, 16, 0, 0));
    GIVES(ERR_NOMEM, mem_arena_alloc(arena, 1ull << 62, 0, &block));
    EQUAL(block, 77);
    OKAY(mem_arena_reset(arena));
    OKAY(mem_arena_alloc(arena, 100, MEM_ZEROED, &block));
    CHECK(is_all(block, 0, 100));
    FAILS(ERR_INVALID, 2, mem_arena_create(0, 0));
}

static void an_arena_has_its_limit_and_its_tasks(void)
{
    ptr_t block = 77;
    handle_t arena = 0;
    NEED(mem_arena_create(50000, &arena));
    GIVES(ERR_NOMEM, mem_arena_alloc(arena, 50001, 0, &block));
    OKAY(mem_arena_alloc(arena, 20000, 0, &block));
    OKAY(mem_arena_alloc(arena, 20000, 0, &block));
    GIVES(ERR_NOMEM, mem_arena_alloc(arena, 20000, 0, &block));
    OKAY(mem_arena_reset(arena));
    OKAY(mem_arena_alloc(arena, 40000, 0, &block));
    OKAY(handle_close(arena));
    OKAY(mem_set_limit(0, 30000));
    NEED(mem_arena_create(0, &arena));
    GIVES(ERR_NOMEM, mem_arena_alloc(arena, 30001, 0, &block));
    OKAY(mem_arena_alloc(arena, 1000, 0, &block));
}

static void an_arena_is_no_shared_memory_nor_the_other_way_round(void)
{
    ptr_t block = allocate(64, 0), at = 77;
    handle_t arena = 0, shared = 0;
    size_t len = 77;
    NEED(mem_arena_create(0, &arena));
    NEED(mem_share(block, 64, &shared));
    FAILS(ERR_INVALID, 1, mem_shared(arena, &at, &len));
    FAILS(ERR_INVALID, 1, mem_unshare(arena));
    FAILS(ERR_INVALID, 1, mem_arena_alloc(shared, 8, 0, &at));
    FAILS(ERR_INVALID, 1, mem_arena_reset(shared));
    OKAY(mem_arena_alloc(arena, 8, 0, &at));
    OKAY(mem_unshare(shared));
}

static const struct test memory_tests[] = {
    TEST(memory_is_for_reading_and_writing),
    TEST(memory_is_aligned_as_asked_for),
    TEST(memory_is_zeroed_when_asked_for),
    TEST(what_cannot_be_allocated_is_refused),
    TEST(only_what_was_allocated_is_freed),
    TEST(a_freed_block_is_nobodys),
    TEST(every_byte_is_accounted_for),
    TEST(ones_own_limit_can_only_sink),
    TEST(a_task_begins_with_the_limit_of_who_spawned_it),
    TEST(another_tasks_limit_can_be_set),
    TEST(any_task_may_free_what_another_allocated),
    TEST(memory_is_freed_when_its_task_ends),
    TEST(all_of_the_memory_can_be_had_and_given_back),
    TEST(mapping_says_what_is_so),
    TEST(shared_memory_outlives_its_block),
    TEST(what_is_not_one_block_cannot_be_shared),
    TEST(shared_memory_travels_and_outlives_its_task),
    TEST(an_arena_is_freed_at_once),
    TEST(closing_an_arena_frees_it),
    TEST(an_arena_allocates_as_mem_alloc_does),
    TEST(an_arena_has_its_limit_and_its_tasks),
    TEST(an_arena_is_no_shared_memory_nor_the_other_way_round),
};
AREA(memory);
