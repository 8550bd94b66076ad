#!/bin/sh
# Runs recipes one after the other and sums them up: steps.sh JUST... -- RECIPE...
# Stops at the first that fails. Called by `./just test` and `./just test-long`.
set -u

just=
while [ "$1" != -- ]; do
    just="$just '$1'"
    shift
done
shift

UKERNEL_SKIPS=$(mktemp)
export UKERNEL_SKIPS
trap 'rm -f "$UKERNEL_SKIPS"' EXIT
summary=
failed=

for recipe in "$@"; do
    printf '\n== %s\n' "$recipe" >&2
    begin=$(date +%s)
    if eval "$just" "$recipe"; then verdict=ok; else verdict=FAILED failed=$recipe; fi
    line=$(printf '%-6s  %-12s  %4d s' "$verdict" "$recipe" $(($(date +%s) - begin)))
    summary="$summary$line
"
    [ -z "$failed" ] || break
done

printf '\n== summary\n%s' "$summary" >&2
sort -u "$UKERNEL_SKIPS" >&2
if [ -n "$failed" ]; then
    printf '%s failed; ./just %s repeats it\n' "$failed" "$failed" >&2
    exit 1
fi
printf 'all passed\n' >&2
