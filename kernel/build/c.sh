#!/usr/bin/env bash
# Makes a bootable image of a program in C: `kernel/build/c.sh NAME SOURCES...` writes build/c/NAME.
#
# The kernel is built once, as a library (package `c`), and linked with each program by the linker that Rust
# brings along. CC names the compiler and CFLAGS more of its arguments; OUT names another folder. WORKLOAD names another
# package than `c` to link: one whose library is called ukernel_WORKLOAD, with work in Rust beside the program.
set -euo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)
[ $# -ge 2 ] || { echo "usage: $0 NAME SOURCES..." >&2; exit 2; }
name=$1
shift
out=${OUT:-$root/build/c}
target=${CARGO_TARGET_DIR:-$root/target}
compiler=${CC:-cc}
workload=${WORKLOAD:-c}

# For speed: a program of this size has no limit that would be kept by less, and calls take a third fewer instructions.
# KERNEL_BUILT says that it has just been done, to whoever builds several programs.
[ -n "${KERNEL_BUILT:-}" ] || "$root/kernel/build/guests.sh" --quiet --config profile.guest.opt-level=3 -p "$workload"

objects=$(mktemp -d)
trap 'rm -rf "$objects"' EXIT
flags=(
    -std=c11 -O2 -g -Wall -Wextra
    # There is no C library but the headers of the compiler itself and the mem* functions.
    -ffreestanding -fno-builtin-malloc
    # At a fixed address, as the kernel.
    -fno-pie
    # What the kernel has no support for, or no use.
    -fno-stack-protector -fno-asynchronous-unwind-tables
    # A frame larger than the guard page is touched page by page, so that it cannot jump over it.
    -fstack-clash-protection
    # Backtraces walk frame pointers.
    -fno-omit-frame-pointer
    # What is not used is left out.
    -ffunction-sections -fdata-sections
    -I "$root/kernel/include"
)
index=0
for source in "$@"; do
    # shellcheck disable=SC2086 # CFLAGS are several words
    "$compiler" "${flags[@]}" ${CFLAGS:-} -c "$source" -o "$objects/$index.o"
    index=$((index + 1))
done

mkdir -p "$(dirname "$out/$name")"
# The last three as in src/lib.rs, which says why.
"$(rustc --print target-libdir)/../bin/rust-lld" -flavor gnu -o "$out/$name" \
    "$objects"/*.o "$target/x86_64-unknown-none/guest/libukernel_$workload.a" \
    -T "$root/kernel/link.ld" --gc-sections \
    -no-pie --build-id=none -z max-page-size=4096
