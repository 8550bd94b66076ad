#!/usr/bin/env bash
# Builds the examples and the test programs in C, each of one file, into build/c under the files' names.
set -euo pipefail
cd "$(dirname "$0")/../.."

for source in kernel/examples/c/*.c tests/c/*.c; do
    CFLAGS="${CFLAGS:-} -Werror" kernel/build/c.sh "$(basename "$source" .c)" "$source"
done
