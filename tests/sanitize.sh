#!/bin/sh
# Runs host tests under AddressSanitizer and LeakSanitizer, or says why not. Called by
# `./just test-sanitize`.
#
# Miri is stricter and a hundred times slower: what it sees in small, this sees in full size.
set -eu

target=x86_64-unknown-linux-gnu
if ! why=$(rustup run nightly rustc --version 2>&1 >/dev/null); then
    line="SKIPPED tests under AddressSanitizer: $(printf %s "$why" | head -n 1)"
    printf '%s\n' "$line" >&2
    [ -z "${UKERNEL_SKIPS:-}" ] || printf '%s\n' "$line" >>"$UKERNEL_SKIPS"
    exit 0
fi
export RUSTFLAGS="-Zsanitizer=address -Cforce-frame-pointers=yes"
export ASAN_OPTIONS="detect_leaks=1:detect_stack_use_after_return=1:strict_string_checks=1"
# A program may ask for more memory than there is, and gets an error.
export ASAN_OPTIONS="$ASAN_OPTIONS:allocator_may_return_null=1"
export LSAN_OPTIONS="suppressions=$(dirname "$(realpath "$0")")/leaks.txt:print_suppressions=0"
export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-target}/sanitize"
# Naming the target keeps the sanitizer out of build scripts and procedural macros. The standard library
# comes without it, which hides nothing of ours: it instruments loads and stores, and allocation is its own.
exec rustup run nightly cargo test --quiet --no-fail-fast --target "$target" --lib --tests \
    -p reactor -p netstack -p drivers -p calls -p trace -p ukernel -p demo
