#!/bin/sh
# Runs Python with this package, its library and the pinned packages, in this folder: python.sh WORDS...
#
# The library is built first, unless UKERNEL_ABI_PATH names one.
set -eu

here=$(CDPATH= cd -- "$(dirname -- "$0")" && pwd)
root=$(CDPATH= cd -- "$here/../.." && pwd)

python=$("$here/venv.sh")
if [ -z "${UKERNEL_ABI_PATH:-}" ]; then
    (cd "$root" && cargo build --quiet --release -p adapter)
    export UKERNEL_ABI_PATH="${CARGO_TARGET_DIR:-$root/target}/release/libukernel_abi.so"
fi
export PYTHONPATH="$here${PYTHONPATH:+:$PYTHONPATH}"
cd "$here"
exec "$python" "$@"
