#!/bin/sh
# Runs host tests under Miri, or says why not. Called by `./just test-miri`.
set -eu

if ! why=$(rustup run nightly cargo miri --version 2>&1 >/dev/null); then
    line="SKIPPED tests under Miri: $(printf %s "$why" | head -n 1)"
    printf '%s\n' "$line" >&2
    [ -z "${UKERNEL_SKIPS:-}" ] || printf '%s\n' "$line" >>"$UKERNEL_SKIPS"
    exit 0
fi
# Leaks: what a program keeps for its whole life is no error here. Isolation would keep proptest from
# looking for its file of failures.
export MIRIFLAGS="-Zmiri-ignore-leaks -Zmiri-strict-provenance -Zmiri-disable-isolation"
# Miri is some hundred times slower; the many cases run natively.
export PROPTEST_CASES="${PROPTEST_CASES:-4}"
export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-target}/miri"
# All of the reactor's tests: they are where its tasks, wakers and queues are used. Not `trace` and `bundle`, which have no
# unsafe code: the tests of one fill its ring again and again, those of the other flip every bit of an archive.
rustup run nightly cargo miri test --quiet -p reactor --lib --tests
rustup run nightly cargo miri test --quiet -p netstack --lib
rustup run nightly cargo miri test --quiet -p ukernel --lib -- \
    boot:: clock:: exclusive:: input_ring:: log:: memory:: scancodes:: --skip memory::growth
# A driver tells its device where memory is as a number, and the fakes turn it back; a program in C names all of its
# memory so, and frames are numbers.
export MIRIFLAGS="-Zmiri-ignore-leaks -Zmiri-permissive-provenance -Zmiri-disable-isolation"
rustup run nightly cargo miri test --quiet -p ukernel --lib -- memory::growth
rustup run nightly cargo miri test --quiet -p calls --lib --test capabilities --test tasks --test waiting --test random_calls
exec rustup run nightly cargo miri test --quiet -p drivers --lib
