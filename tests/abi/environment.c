/* abi_*, err_*, sys_* and random_bytes: what the program is told about where it runs. */
#include "tap.h"

static void the_version_is_the_headers(void)
{
    u32 major = 77, minor = 77, patch = 77;
    OKAY(abi_version(&major, &minor, &patch));
    EQUAL(major, 0);
    EQUAL(minor, 3);
    EQUAL(patch, 0);
    major = 77;
    FAILS(ERR_INVALID, 1, abi_version(0, &minor, &patch));
    FAILS(ERR_INVALID, 2, abi_version(&major, 0, &patch));
    FAILS(ERR_INVALID, 3, abi_version(&major, &minor, 0));
    FAILS(ERR_INVALID, 3, abi_version(&major, &minor, (u32 *)NOWHERE));
    EQUAL(major, 77);
}

static void everything_in_the_header_is_a_feature(void)
{
    u64 features = 0;
    u32 number, enabled = 77;
    OKAY(abi_features(&features));
    EQUAL(features & (FEAT_RNG | FEAT_TRACING), FEAT_RNG | FEAT_TRACING);
    for (number = FEAT_NUMBER_TCP; number <= FEAT_NUMBER_IPC_OPEN; number++)
        CHECK((features & FEAT_BIT(number)) != 0);
    for (number = 0; number < 64; number++) {
        if (number == FEAT_SNAPSHOT || number == FEAT_TRACING)
            continue;
        OKAY(abi_feature_enabled(number, &enabled));
        EQUAL(enabled, features >> number & 1);
    }
    /* As the bits that they are in version 0.2.0. */
    OKAY(abi_feature_enabled(FEAT_TRACING, &enabled));
    EQUAL(enabled, 1);
    OKAY(abi_feature_enabled(FEAT_SNAPSHOT, &enabled));
    EQUAL(enabled, (features & FEAT_SNAPSHOT) != 0);
    FAILS(ERR_INVALID, 1, abi_features(0));
    FAILS(ERR_INVALID, 1, abi_features((u64 *)NOWHERE));
}

static void a_feature_that_nobody_knows_is_off(void)
{
    static const u32 unknown[] = {40, 63, 64, 65, 128, 1u << 20, 0xffffffff};
    u32 at, enabled;
    for (at = 0; at < COUNT(unknown); at++) {
        enabled = 77;
        OKAY(abi_feature_enabled(unknown[at], &enabled));
        EQUAL(enabled, 0);
    }
    FAILS(ERR_INVALID, 2, abi_feature_enabled(FEAT_NUMBER_TCP, 0));
}

/* --- errors -------------------------------------------------------------------------------------------------- */

static i32 has_no_error_yet(ptr_t argument)
{
    err_info_t info = {77, 77, 77, 77};
    (void)argument;
    OKAY(err_get_last(&info));
    EQUAL(info.code, OK);
    EQUAL(info.detail, 0);
    return 0;
}

static void the_last_error_says_which_argument_was_wrong(void)
{
    err_info_t info;
    size_t wrote = 0;
    handle_t console = 0;
    NEED(io_open(P("serial"), 0, &console));
    GIVES(ERR_INVALID, io_write(console, NOWHERE, 123, &wrote));
    OKAY(err_get_last(&info));
    EQUAL(info.code, ERR_INVALID);
    EQUAL(info.detail, 2);
    EQUAL(info.arg0, NOWHERE);
    EQUAL(info.arg1, 123);
    /* What succeeds does not change it. */
    now();
    OKAY(err_get_last(&info));
    EQUAL(info.arg0, NOWHERE);
    GIVES(ERR_INVALID, cap_acquire(99, &console));
    OKAY(err_get_last(&info));
    EQUAL(info.detail, 1);
    EQUAL(info.arg0, 99);
    EQUAL(info.arg1, 0);
    /* It is this task's. */
    EQUAL(run(has_no_error_yet, 0), 0);
    OKAY(err_get_last(&info));
    EQUAL(info.arg0, 99);
    FAILS(ERR_INVALID, 1, err_get_last(0));
    FAILS(ERR_INVALID, 1, err_get_last((err_info_t *)NOWHERE));
}

/* --- arguments and variables --------------------------------------------------------------------------------- */

static void arguments_are_counted_from_0(void)
{
    char text[256];
    u32 count = 0, at;
    size_t len;
    OKAY(sys_argument_count(&count));
    for (at = 0; at < count; at++) {
        len = 77;
        OKAY(sys_argument(at, P(text), sizeof(text), &len));
        CHECK(len < sizeof(text));
    }
    FAILS(ERR_NOENT, 1, sys_argument(count, P(text), sizeof(text), &len));
    FAILS(ERR_NOENT, 1, sys_argument(0xffffffff, P(text), sizeof(text), &len));
    FAILS(ERR_INVALID, 1, sys_argument_count(0));
    FAILS(ERR_INVALID, 4, sys_argument(0, P(text), sizeof(text), 0));
    FAILS(ERR_INVALID, 2, sys_argument(0, NOWHERE, 10, &len));
}

static void an_argument_needs_room(void)
{
    char text[256];
    u32 count = 0;
    size_t full = 0, len = 0;
    OKAY(sys_argument_count(&count));
    if (count == 0) {
        skip_rest("there are no arguments");
        return;
    }
    OKAY(sys_argument(0, P(text), sizeof(text), &full));
    CHECK(full > 0);
    fill(text, '.', sizeof(text));
    OKAY(sys_argument(0, P(text), full, &len));
    EQUAL(len, full);
    EQUAL(text[full], '.'); /* there is no end mark */
    fill(text, '.', sizeof(text));
    FAILS(ERR_INVALID, 3, sys_argument(0, P(text), full - 1, &len));
    EQUAL(len, full);
    EQUAL(text[0], '.');
    FAILS(ERR_INVALID, 3, sys_argument(0, 0, 0, &len));
    EQUAL(len, full);
}

static void variables_have_values(void)
{
    static const char name[] = "UKERNEL_ABI_TEST";
    const char *expected = argument("variable=");
    char text[64];
    size_t len = 77;
    if (expected == 0) {
        skip_rest("the argument variable= does not say what UKERNEL_ABI_TEST is");
        return;
    }
    OKAY(sys_environment(P(name), sizeof(name) - 1, P(text), sizeof(text), &len));
    EQUAL(len, length(expected));
    CHECK(same(text, expected, len));
    FAILS(ERR_INVALID, 4, sys_environment(P(name), sizeof(name) - 1, P(text), len - 1, &len));
    EQUAL(len, length(expected));
    FAILS(ERR_NOENT, 1, sys_environment(P(name), sizeof(name) - 2, P(text), sizeof(text), &len));
}

static void a_variable_that_is_not_there_is_not_found(void)
{
    static char name[300];
    char text[8];
    size_t len = 77;
    fill(name, 'N', sizeof(name));
    FAILS(ERR_NOENT, 1, sys_environment(P("NO_SUCH_VARIABLE"), 16, P(text), sizeof(text), &len));
    FAILS(ERR_NOENT, 1, sys_environment(P(name), sizeof(name), P(text), sizeof(text), &len));
    FAILS(ERR_NOENT, 1, sys_environment(NOWHERE, 0, P(text), sizeof(text), &len));
    FAILS(ERR_NOENT, 1, sys_environment(P("\xff\xfe"), 2, P(text), sizeof(text), &len));
    FAILS(ERR_INVALID, 1, sys_environment(NOWHERE, 4, P(text), sizeof(text), &len));
    FAILS(ERR_INVALID, 3, sys_environment(P("NO"), 2, NOWHERE, 8, &len));
    FAILS(ERR_INVALID, 5, sys_environment(P("NO"), 2, P(text), sizeof(text), 0));
}

/* --- the rest ------------------------------------------------------------------------------------------------ */

static void random_bytes_are_not_the_same_twice(void)
{
    static u8 bytes[65536];
    static u32 seen[256];
    u8 other[32];
    u32 at, missing = 0;
    fill(bytes, 0, sizeof(bytes));
    OKAY(random_bytes(P(bytes), 32));
    OKAY(random_bytes(P(other), 32));
    CHECK(!same(bytes, other, 32));
    CHECK(bytes[32] == 0 && bytes[33] == 0);
    OKAY(random_bytes(P(bytes), sizeof(bytes)));
    for (at = 0; at < sizeof(bytes); at++)
        seen[bytes[at]] += 1;
    for (at = 0; at < 256; at++)
        missing += seen[at] < 100; /* 256 are expected: that is ten standard deviations */
    EQUAL(missing, 0);
}

static void random_bytes_have_a_limit(void)
{
    ptr_t block = 0;
    NEED(mem_alloc((1 << 20) + 1, MEM_ZEROED, &block));
    OKAY(random_bytes(block, 1 << 20));
    EQUAL(*(u8 *)(block + (1 << 20)), 0);
    FAILS(ERR_INVALID, 2, random_bytes(block, (1 << 20) + 1));
    FAILS(ERR_INVALID, 1, random_bytes(0, 1));
    FAILS(ERR_INVALID, 1, random_bytes(NOWHERE, 1));
    OKAY(random_bytes(NOWHERE, 0));
}

static void nobody_has_asked_to_stop(void)
{
    handle_t first = 0, second = 0;
    OKAY(sys_shutdown(&first));
    OKAY(sys_shutdown(&second));
    EQUAL(first >> 56, HANDLE_IO);
    CHECK(first != second);
    EQUAL(ready_within(first, IO_READABLE, 0), 0);
    OKAY(io_close(first));
    EQUAL(ready_within(second, IO_READABLE, MILLISECOND), 0);
    FAILS(ERR_INVALID, 1, sys_shutdown(0));
    FAILS(ERR_INVALID, 1, sys_shutdown((handle_t *)NOWHERE));
}

static const struct test environment_tests[] = {
    TEST(the_version_is_the_headers),
    TEST(everything_in_the_header_is_a_feature),
    TEST(a_feature_that_nobody_knows_is_off),
    TEST(the_last_error_says_which_argument_was_wrong),
    TEST(arguments_are_counted_from_0),
    TEST(an_argument_needs_room),
    TEST(variables_have_values),
    TEST(a_variable_that_is_not_there_is_not_found),
    TEST(random_bytes_are_not_the_same_twice),
    TEST(random_bytes_have_a_limit),
    TEST(nobody_has_asked_to_stop),
};
AREA(environment);
