/* Runs on this machine: cc -Isrc -o build/test tests/pending.c && build/test */
#include <assert.h>
#include <string.h>

#include "pending.h"

int main(void) {
    static pending p;
    assert(pending_is_empty(&p) && pending_count(&p) == 0);

    memcpy(p.bytes, "hello", 5);
    pending_filled(&p, 5);
    pending_taken(&p, 2);
    assert(pending_count(&p) == 3 && memcmp(pending_begin(&p), "llo", 3) == 0);

    pending_taken(&p, 3);
    assert(pending_is_empty(&p));
    pending_filled(&p, PENDING_BYTES);
    assert(pending_count(&p) == PENDING_BYTES && pending_begin(&p) == p.bytes);
    return 0;
}
