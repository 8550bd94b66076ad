#!/bin/sh
# Runs Python with this package, its library and the pinned packages, in this folder: python.sh WORDS...
#
# The library is built first, as the extension that a wheel has; with UKERNEL_PLAIN=1 as libukernel_abi.so, which ctypes
# loads and nothing else; not if UKERNEL_ABI_PATH names one.
set -eu

here=$(CDPATH= cd -- "$(dirname -- "$0")" && pwd)
root=$(CDPATH= cd -- "$here/../.." && pwd)
built=${CARGO_TARGET_DIR:-$root/target}/release

python=$("$here/venv.sh")
if [ -n "${UKERNEL_PLAIN:-}" ] && [ -z "${UKERNEL_ABI_PATH:-}" ]; then
    (cd "$root" && cargo build --quiet --release -p adapter)
    export UKERNEL_ABI_PATH="$built/libukernel_abi.so"
elif [ -z "${UKERNEL_ABI_PATH:-}" ]; then
    # As maturin builds it: Python is there already when an extension is loaded.
    (cd "$root" && PYO3_BUILD_EXTENSION_MODULE=1 cargo build --quiet --release -p python-native)
    ln -sf "$built/lib_native.so" "$here/ukernel/_native.abi3.so"
fi
export PYTHONPATH="$here${PYTHONPATH:+:$PYTHONPATH}"
cd "$here"
exec "$python" "$@"
