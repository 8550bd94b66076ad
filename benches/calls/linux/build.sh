#!/usr/bin/env bash
# Makes the program that counts what Linux pays, and a root file system with nothing else in it:
# build/peers/calls (with symbols, at fixed addresses, so that the gauge finds its mark) and initrd-calls.cpio.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
out=$here/../../../build/peers
mkdir -p "$out/root-calls"
"${CC:-cc}" -std=gnu11 -O2 -g -Wall -Wextra -static -no-pie -pthread -o "$out/calls" "$here"/../phase.c "$here"/*.c
strip -o "$out/root-calls/init" "$out/calls"
(cd "$out/root-calls" && find . | cpio --quiet -o -H newc -R 0:0) >"$out/initrd-calls.cpio"
