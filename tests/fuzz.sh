#!/bin/sh
# Runs each fuzz target for a while, or says why not. Called by `./just test-fuzz`.
#
#   fuzz.sh SECONDS [TARGET...]
#
# A crash leaves its input in tests/fuzz/artifacts/; the next run does not need it, a test does. What a long run has
# found is kept in tests/fuzz/seeds/TARGET.tar.xz, where there is one, and every corpus begins with it:
#
#   cargo fuzz cmin TARGET, with the options below; then, in corpus/TARGET:
#   tar --sort=name --mtime=@0 --owner=0 --group=0 --numeric-owner -cJf ../../seeds/TARGET.tar.xz .
set -eu
cd "$(dirname "$0")/fuzz"

seconds=$1
shift
if ! why=$(rustup run nightly cargo fuzz --version 2>&1 >/dev/null); then
    line="SKIPPED fuzzing: $(printf %s "$why" | head -n 1) (it needs nightly Rust and cargo-fuzz)"
    printf '%s\n' "$line" >&2
    [ -z "${UKERNEL_SKIPS:-}" ] || printf '%s\n' "$line" >>"$UKERNEL_SKIPS"
    exit 0
fi
[ $# -gt 0 ] || set -- $(rustup run nightly cargo fuzz list)
for target in "$@"; do
    printf 'fuzz: %s for %s s\n' "$target" "$seconds" >&2
    if [ -f "seeds/$target.tar.xz" ] && [ ! -d "corpus/$target" ]; then
        mkdir -p "corpus/$target"
        tar -xJf "seeds/$target.tar.xz" -C "corpus/$target"
    fi
    # Where the input is structured, watching every comparison finds little and takes most of the time; and
    # these run whole stacks of safe code on the reactor, which `test-sanitize` and Miri look at: without
    # both they take twenty times as many inputs.
    case $target in
    calls | frames | http) set -- -s none --no-trace-compares --target-dir target/structured ;;
    *) set -- ;;
    esac
    # The same seed every time, so that a run can be repeated; the corpus is what a run leaves behind.
    # print_funcs: naming each new function starts a symboliser.
    rustup run nightly cargo fuzz run "$@" "$target" -- \
        -max_total_time="$seconds" -seed=1 -max_len=8192 -verbosity=0 -print_funcs=0 \
        -print_final_stats=1
done
