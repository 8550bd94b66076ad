#!/usr/bin/env bash
# Builds the examples and the test programs in C, each of one file, into build/c under the files' names; and the programs
# of docs/kernel-abi.md into build/c/page, under the names of their sections, the second of a section with a 2 behind it.
set -euo pipefail
cd "$(dirname "$0")/../.."

kernel/build/guests.sh --quiet --config profile.guest.opt-level=3 -p c
export KERNEL_BUILT=1 CFLAGS="${CFLAGS:-} -Werror"
for source in kernel/examples/c/*.c tests/c/*.c; do
    kernel/build/c.sh "$(basename "$source" .c)" "$source"
done

page=build/c/page
rm -rf "$page"
mkdir -p "$page"
awk -v page="$page" '
    /^## On Linux/ { exit } # what follows is not for a machine
    /^## / { section = tolower(substr($0, 4)); gsub(/[^a-z0-9]+/, "-", section); count = 0 }
    /^```/ { inside = $0 == "```c"; if (inside) name = section (count++ ? "-" count : ""); next }
    inside { print > (page "/" name ".c") }
' docs/kernel-abi.md
for source in "$page"/*.c; do
    kernel/build/c.sh "page/$(basename "$source" .c)" "$source"
done
