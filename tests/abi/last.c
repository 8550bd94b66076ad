/* What uses something up for good, and so comes last. */
#include "tap.h"

/* Generations of a kind are 16 bits: when they are used up, nobody gets that kind any more, rather than an old
 * handle coming to life again. */
static void a_kind_is_used_up_before_a_handle_comes_back(void)
{
    handle_t first = 0, cap = 0;
    u32 rounds = 0;
    result_t result;
    NEED(cap_acquire(CAP_TRACE, &first));
    while ((result = cap_acquire(CAP_TRACE, &cap)) == OK) {
        if ((rounds > 0 && cap == first) || cap_drop(cap) != OK || rounds > 0x10000)
            break;
        rounds += 1;
    }
    GIVES(ERR_NOMEM, result);
    CHECK(rounds > 1000);
    GIVES(ERR_PERMISSION, cap_enter(&first, 1));
    GIVES(ERR_PERMISSION, cap_enter(&cap, 1));
    cap = (u64)HANDLE_CAP << 56 | (u64)CAP_TRACE << 48;
    for (rounds = 0; rounds <= 0xffff; rounds++) {
        handle_t guess = cap | rounds;
        if (cap_enter(&guess, 1) != ERR_PERMISSION)
            break;
    }
    EQUAL(rounds, 0x10000);
    OKAY(cap_acquire(CAP_LOG, &cap));
}

static const struct test last_tests[] = {
    TEST(a_kind_is_used_up_before_a_handle_comes_back),
};
AREA(last);
